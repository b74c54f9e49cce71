"""How long a notebook may be: targets that warn, and fail beyond one and a half times.

A row of `course.toml` may give a reason, `budget = "two widgets belong together"`: then none fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median

from nbformat import NotebookNode

from datahall.course.labs.exercises import BEGIN, END
from datahall.course.notebooks.normalise import EXERCISE
from datahall.course.notebooks.structure.subject import Fault, Rule, Subject, is_guess, tags

TOLERANCE = 1.5
LECTURE = {
    "cells": (30, 55),
    "code cells": (12, 22),
    "words of prose": (900, 1800),
    "median lines of a code cell": (0, 8),
    "figures": (0, 5),
    "widgets": (0, 2),
}
LAB = {"exercises": (3, 5)}
CELL_LINES, CLASS_LINES = 15, 30
ANSWER_LINES = (2, 8)


def is_within_budget(subject: Subject) -> Iterator[Fault]:
    """A lecture is read in one sitting; a lab is done in an hour."""
    counts = lecture_counts(subject) if subject.kind == "lecture" else lab_counts(subject)
    for what, (low, high) in (LECTURE if subject.kind == "lecture" else LAB).items():
        if not (0 if subject.is_first else low) <= counts[what] <= high:
            fails = counts[what] > TOLERANCE * high and not (subject.row and subject.row.budget)
            yield Fault(f"it has {counts[what]:g} {what}. Expected {low} to {high}.", fails=fails)


def cells_are_short(subject: Subject) -> Iterator[Fault]:
    """A cell does one thing in at most 15 lines; one class may take 30."""
    for cell in subject.code:
        if EXERCISE.fullmatch(cell.get("id", "")):
            continue
        lines = code_lines(cell)
        limit = CLASS_LINES if re.search(r"(?m)^class ", cell.source) else CELL_LINES
        if lines > limit:
            fails = lines > TOLERANCE * limit and not (subject.row and subject.row.budget)
            yield Fault(f"it has {lines} lines of code. Expected at most {limit}.", cell.id, fails)


def answers_are_short(subject: Subject) -> Iterator[Fault]:
    """An exercise asks for two to eight lines."""
    low, high = ANSWER_LINES
    for cell in subject.code:
        found = re.search(f"{BEGIN}(.*?){END}", cell.source, re.DOTALL)
        if found and subject.kind == "solution":
            lines = _lines(found[1])
            if not low <= lines <= high:
                fails = lines > TOLERANCE * high
                text = f"its answer has {lines} lines. Expected {low} to {high}."
                yield Fault(text, cell.id, fails)


def lecture_counts(subject: Subject) -> dict[str, float]:
    """Return what a lecture's budget counts. Predictions are forms, not widgets."""
    outputs = [output for cell in subject.code for output in cell.outputs]
    return {
        "cells": len(subject.cells),
        "code cells": len(subject.code),
        "words of prose": sum(len(cell.source.split()) for cell in subject.markdown),
        "median lines of a code cell": median([code_lines(cell) for cell in subject.code] or [0]),
        "figures": sum("image/png" in output.get("data", {}) for output in outputs),
        "widgets": sum("widget" in tags(cell) and not is_guess(cell) for cell in subject.code),
    }


def lab_counts(subject: Subject) -> dict[str, float]:
    """Return what a lab's budget counts."""
    return {"exercises": sum(bool(EXERCISE.fullmatch(cell.get("id", ""))) for cell in subject.code)}


def code_lines(cell: NotebookNode) -> int:
    """Return the lines of a code cell that are neither empty nor a comment alone."""
    return _lines(cell.source)


def _lines(source: str) -> int:
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") for line in source.splitlines()
    )


RULES: tuple[Rule, ...] = (is_within_budget, cells_are_short, answers_are_short)
