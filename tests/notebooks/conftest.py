"""Tiny notebooks that keep every rule; each test breaks one thing in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from datahall.course.notebooks.normalise import kind_of, normalise, text_of

PICTURE = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

CHECKS = """
from datahall.checking import Bank, Check, Example, Wrong, summary_for

def add_one(number):
    return number + 1

def add_one_by_range(number):
    return len(range(-1, number))

bank = Bank(
    right=[add_one, add_one_by_range],
    wrong=[Wrong(lambda number: number, says="Add one", idea="forgets to add"),
           Wrong(lambda number: number + 2, says="Only one", idea="adds twice"),
           Wrong(lambda number: 1, says="Use the number", idea="constant")],
)

def check(number, name):
    return Check(number, "Add one", function=name, reference=add_one, bank=bank, points=4,
                 minutes=5, difficulty=1, steps=[Example((1,)), Example((5,), idea="Add one.")])

count_on = check("90.1", "count_on")
count_more = check("90.2", "count_more")
count_again = check("90.3", "count_again")
summary = summary_for(__name__)
"""


def md(name: str, text: str) -> NotebookNode:
    return new_markdown_cell(text, id=name)


def code(name: str, text: str, *outputs: NotebookNode, tags: tuple[str, ...] = ()) -> NotebookNode:
    cell = new_code_cell(text, id=name, outputs=list(outputs))
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def printed(text: str) -> NotebookNode:
    return new_output("stream", name="stdout", text=text)


def picture(text: str = "A line that rises from 0 to 4.") -> NotebookNode:
    return new_output("execute_result", data={"image/png": PICTURE, "text/plain": text})


def lecture_cells() -> list[NotebookNode]:
    return [
        md("title", "# 90. A tiny lecture"),
        md("objectives", "## Objectives\n\nAfter this lecture you can count."),
        code("parameters", "seed: int = 0  # seed of every draw", tags=("parameters",)),
        code("runtime", "from datahall import runtime\n\nruntime.start(seed=seed)"),
        md("question", "## Question\n\nHow many?"),
        code("by-hand", "total = 1 + 1\nprint(total)", printed("2\n")),
        code("figure-1", "figures.line()", picture(), tags=("figure",)),
        md("figure-1-read", "The line rises."),
        code("explore", "widgets.explore_line()", tags=("widget", "nbval-ignore-output")),
        code("explore-fixed", "figures.line(rise=2)", picture()),
        md("explore-read", "Twice as steep."),
        code("compare", "print(total == sum([1, 1]))", printed("True\n")),
        md("limits", "## Limits\n\nIt only counts."),
        md("summary", "## Summary\n\nTwo."),
        md("next", "## Next\n\nNothing comes next."),
    ]


def exercise_cells(number: str, name: str) -> list[NotebookNode]:
    heading = f"## Exercise {number.replace('-', '.')}  Add one"
    task = f"{heading}\n\ndifficulty 1/5 · about 5 minutes\n\nAdd one: 1 gives 2."
    answer = (
        f"def {name}(number: int) -> int:\n"
        '    """Return the whole number that follows the one given, for any number."""\n'
        "    ### BEGIN SOLUTION\n    result = number + 1\n    return result\n    ### END SOLUTION"
    )
    hint = "<details><summary>Hint {}</summary>{}</details>"
    hints = hint.format(1, "Count on.") + "\n\n" + hint.format(2, "`number + …`")
    return [
        md(f"task-{number}", task),
        code(f"exercise-{number}", answer),
        code(f"check-{number}", f"checks.{name}({name})"),
        md(f"hints-{number}", hints),
        code(
            f"use-{number}",
            f"print(checks.{name}.use({name})(1))",
            printed(f"with your {name}\n2\n"),
        ),
    ]


def solution_cells() -> list[NotebookNode]:
    return [
        md("title", "# Solution 90. Count on\n\nSee [the lab](../labs/90_tiny_lab.ipynb)."),
        code("imports", "from tinyconcept import checks"),
        code("parameters", "seed: int = 0  # seed of every draw", tags=("parameters",)),
        *exercise_cells("90-1", "count_on"),
        *exercise_cells("90-2", "count_more"),
        *exercise_cells("90-3", "count_again"),
        code("summary", "checks.summary()"),
        md("end", "You can count."),
    ]


class Folder:
    """A course folder with one tiny notebook of each kind."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("notebooks", "labs", "solutions"):
            (root / name).mkdir()

    def write(
        self, name: str, cells: list[NotebookNode], *, counts: bool = True, tidy: bool = True
    ) -> Path:
        """Write a notebook in its normal form, as after one run (or raw, if not `tidy`)."""
        path = self.root / name
        nb = NotebookNode(nbformat=4, nbformat_minor=5, metadata=NotebookNode(), cells=cells)
        for count, cell in enumerate((c for c in cells if c.cell_type == "code"), start=1):
            cell.execution_count = count if counts else None
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = cell.execution_count
        text = text_of(normalise(nb, kind_of(path))) if tidy else text_of(nb)
        path.write_text(text, encoding="utf-8")
        return path

    def lecture(
        self,
        change: Callable[[list[NotebookNode]], Any] | None = None,
        name: str = "90_tiny",
        **options: bool,
    ) -> Path:
        """Write the tiny lecture after `change` has been at its cells."""
        cells = lecture_cells()
        if change is not None:
            change(cells)
        return self.write(f"notebooks/{name}.ipynb", cells, **options)

    def solution(
        self, change: Callable[[list[NotebookNode]], Any] | None = None, **options: bool
    ) -> Path:
        """Write the tiny solution after `change` has been at its cells."""
        cells = solution_cells()
        if change is not None:
            change(cells)
        path = self.root / "labs" / "90_tiny_lab.ipynb"
        if not path.exists():
            path.write_text("{}", encoding="utf-8")  # the link in the title leads somewhere
        return self.write("solutions/90_tiny_solution.ipynb", cells, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty course folder."""
    return Folder(tmp_path)


@pytest.fixture
def tinyconcept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A concept with three checks, importable here and in kernels."""
    place = tmp_path / "packages"
    (place / "tinyconcept").mkdir(parents=True)
    (place / "tinyconcept" / "__init__.py").touch()
    (place / "tinyconcept" / "checks.py").write_text(CHECKS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", str(place))
    yield place
    for name in [name for name in sys.modules if name.startswith("tinyconcept")]:
        del sys.modules[name]
