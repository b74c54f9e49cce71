"""What a lab file says of its exercises, and what became of them when it was executed.

Read `of` first (the file as text), then `judged` (an executed file), then `stated` (what the
solutions say of every exercise, for `datahall/exercises.json`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from nbformat import NotebookNode

from datahall.checking.verdict import MIME
from datahall.errors import CourseError

_HEADING = re.compile(r"^## Exercise (\d\d\.\d+)[ :·.–-]*(.*)$", re.MULTILINE)
_EFFORT = re.compile(r"difficulty ([1-5])/5 · about (\d+) minutes(?: · (\d+) points)?")
_CALL = re.compile(r"checks\.(\w+)\(\w+\)")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Exercise:
    """An exercise of a lab, and its verdict.

    Attributes:
        number: `01.2`.
        title: Its title.
        minutes: What the lab says it takes.
        of: Points to be had.
        attempted: Whether the line that the learner replaces is gone.
        state: `passed`, `wrong` or `open`.
        points: Points earned.
        message: What the check says, when it is wrong.
    """

    number: str
    title: str
    minutes: int
    of: float
    attempted: bool
    state: str = "open"
    points: float = 0.0
    message: str = ""

    @property
    def id(self) -> str:
        """The part of the cell ids: `01-2`."""
        return self.number.replace(".", "-")


def of(notebook: NotebookNode) -> list[Exercise]:
    """Return the exercises of a lab, in order, without executing anything."""
    found = []
    cells = {cell.id: cell for cell in notebook.cells if "id" in cell}
    numbers = [
        match[1].replace("-", ".")
        for id_ in cells
        if (match := re.fullmatch(r"(?:exercise|check)-(\d\d-\d+)", id_))
    ]
    about = _about(notebook)
    for number in dict.fromkeys(numbers):
        id_ = number.replace(".", "-")
        title, minutes = about.get(number, ("", 0))
        answer = cells.get(f"exercise-{id_}")
        attempted = answer is None or not _is_stub(answer.source, id_)
        points = _points(cells.get(f"check-{id_}"))
        found.append(Exercise(number, title, minutes, points, attempted))
    return found


def stated(solution: NotebookNode, *, lab: str) -> dict[str, dict[str, Any]]:
    """Return what a solution says of its exercises, by number: heading, name and answer.

    Args:
        solution: The solution notebook.
        lab: The stem of its lab.

    Raises:
        CourseError: A heading lacks difficulty, minutes or points, or an exercise its cells.
    """
    cells, found = {cell.id: cell.source for cell in solution.cells}, {}
    for cell in solution.cells:
        heading = _HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if heading is None:
            continue
        number, title = heading[1], heading[2].strip()
        id_ = number.replace(".", "-")
        effort = _EFFORT.search(cell.source)
        call = _CALL.fullmatch(cells.get(f"check-{id_}", "").strip())
        if effort is None or effort[3] is None or call is None:
            raise CourseError(
                f"exercise {number} of {lab} is not complete. Expected a line 'difficulty 2/5 · "
                f"about 10 minutes · 4 points' below its heading, and a cell check-{id_}."
            )
        answer = [
            line
            for line in cells[f"exercise-{id_}"].splitlines()
            if line.strip() not in (BEGIN, END)
        ]
        found[number] = {
            "title": title,
            "difficulty": int(effort[1]),
            "minutes": int(effort[2]),
            "points": int(effort[3]),
            "lab": lab,
            "function": call[1],
            "answer": answer,
        }
    return found


def judged(notebook: NotebookNode) -> list[Exercise]:
    """Return the exercises of an executed lab with their verdicts."""
    verdicts = {record["exercise"]: record for record in _records(notebook)}
    errors = {cell.id: said for cell in notebook.cells if (said := _error(cell))}
    result = []
    for exercise in of(notebook):
        if (record := verdicts.pop(exercise.number, None)) is not None:
            result.append(_with_record(exercise, record))
            continue
        raised = errors.get(f"exercise-{exercise.id}") or errors.get(f"check-{exercise.id}")
        if raised and exercise.attempted:
            exercise = replace(exercise, state="wrong", message=raised)
        elif exercise.attempted:
            missing = f"The cell check-{exercise.id} did not run. Is it still there?"
            exercise = replace(exercise, message=missing)
        result.append(exercise)
    for number, record in verdicts.items():  # checks in a notebook without our cell ids
        bare = Exercise(number, record["title"], 0, float(record["of"]), attempted=True)
        result.append(_with_record(bare, record))
    return result


def _with_record(exercise: Exercise, record: dict[str, Any]) -> Exercise:
    state = "open" if record["state"] == "not attempted" else record["state"]
    return replace(
        exercise,
        title=record["title"] or exercise.title,
        of=float(record["of"]),
        points=float(record["points"]),
        state=state,
        message=record["message"],
    )


def _records(notebook: NotebookNode) -> list[dict[str, Any]]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    found = [output.get("data", {}).get(MIME) for output in outputs]
    return [record for record in found if isinstance(record, dict) and "exercise" in record]


def _error(cell: NotebookNode) -> str:
    for output in cell.get("outputs", ()):
        if output.output_type == "error":
            where = next((line for line in _lines(output) if "---->" in line or "-->" in line), "")
            said = f"{output.ename}: {output.evalue}".splitlines()[0].rstrip(".")
            place = where.strip(" ->")
            return f"Cell {cell.id} raised {said}{f' (line {place})' if place else ''}."
    return ""


def _lines(output: NotebookNode) -> list[str]:
    return _ANSI.sub("", "\n".join(output.get("traceback", ()))).splitlines()


def _about(notebook: NotebookNode) -> dict[str, tuple[str, int]]:
    found = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (heading := _HEADING.search(cell.source)):
            effort = _EFFORT.search(cell.source)
            found[heading[1]] = (heading[2].strip(), int(effort[2]) if effort else 0)
    return found


def _is_stub(source: str, id_: str) -> bool:
    return bool(re.search(rf"^\s*raise NotImplementedError\(.exercise-{id_}\b", source, re.M))


def _points(check: NotebookNode | None) -> float:
    facts = check.metadata.get("nbgrader", {}) if check is not None else {}
    return float(facts.get("points", 0))
