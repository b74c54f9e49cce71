"""One source an exercise: the package knows what the solution says, and little is beside it."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from datahall.checking import Check, all_checks
from datahall.checking.facts import FILE, facts_of
from datahall.course import catalogue
from datahall.course.labs import build as labs
from datahall.course.labs import exercises
from datahall.course.notebooks.normalise import read
from datahall.errors import CourseError

ROOT = catalogue.repository_root()
MOST_LINES = 70  # by hand, an exercise: check, bank, adapter and whatever these use
LABS = {notebook.lab for notebook in catalogue.load().notebooks}
CHECKS = [check for check in all_checks() if check.lab in LABS]
EACH = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.exercise)


def definitions(folder: Path) -> dict[str, ast.stmt]:
    """Return what a concept's checks and banks define at the top, by name."""
    found: dict[str, ast.stmt] = {}
    for path in [*folder.glob("*checks.py"), *folder.glob("*bank.py")]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node
    return found


def hand_written_lines(folder: Path, function: str) -> int:
    """Return the lines of a check and of all that it uses, directly or not."""
    known, wanted, counted = definitions(folder), [function], {}
    while wanted:
        name = wanted.pop()
        if name in counted or name not in known:
            continue
        node = known[name]
        counted[name] = (node.end_lineno or 0) - node.lineno + 1
        inner = list(ast.walk(node))
        wanted += [each.id for each in inner if isinstance(each, ast.Name)]
        wanted += [
            each.attr
            for each in inner
            if isinstance(each, ast.Attribute) and "bank" in ast.unparse(each.value)
        ]
    return sum(counted.values())


@EACH
def test_an_exercise_has_few_lines_beside_its_text(check: Check):
    folder = ROOT / Path(*check.module.split(".")[:-1])
    assert hand_written_lines(folder, check.function) <= MOST_LINES


def test_the_facts_are_those_that_would_be_made_now():
    assert labs.write_facts(ROOT, write=False) == [], "run `datahall labs build`"
    assert set(json.loads(FILE.read_text(encoding="utf-8"))) == {each.exercise for each in CHECKS}


@EACH
def test_a_check_says_what_the_heading_of_its_solution_says(check: Check):
    stem = catalogue.solution_of(check.lab)
    cells = read(ROOT / "solutions" / f"{stem}.ipynb").cells
    (text,) = [cell.source for cell in cells if f"## Exercise {check.exercise} " in cell.source]
    effort = f"difficulty {check.difficulty}/5 · about {check.minutes} minutes · {check.points} "
    assert f"{check.title}\n" in text and f"{effort}points" in text
    (answer,) = [c.source for c in cells if c.id == f"exercise-{check.exercise.replace('.', '-')}"]
    lines = [line for line in answer.splitlines() if "### " not in line]
    assert facts_of(check.exercise).answer.splitlines() == lines
    assert check.bank.right[0].__name__ == check.function


def instructions(answer: object) -> list[bytes]:
    """Return what an answer's functions do, in bytecode."""
    parts = list(vars(answer).values()) if isinstance(answer, type) else [answer]
    return [part.__code__.co_code for part in parts if hasattr(part, "__code__")]


@EACH
def test_the_right_answers_of_a_bank_are_written_differently(check: Check):
    written = [instructions(answer) for answer in check.bank.right]
    assert all(one != other for n, one in enumerate(written) for other in written[:n])


@pytest.mark.parametrize(
    ("old", "new"),
    [(" · 4 points", ""), ("difficulty 1/5", "easy"), ("checks.output_size", "print")],
)
def test_an_exercise_without_its_facts_is_named(old: str, new: str):
    solution = read(ROOT / "solutions" / "01_convolution_solution.ipynb")
    for cell in solution.cells:
        if cell.id in ("task-01-1", "check-01-1"):
            cell.source = cell.source.replace(old, new)
    with pytest.raises(CourseError, match=r"exercise 01\.1 of 01_convolution_lab is not complete"):
        exercises.stated(solution, lab="01_convolution_lab")
