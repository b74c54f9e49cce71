"""A tiny lab on disk, in the form that learners get, and a checkout that holds it."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

STEM = "99_places_lab"
RIGHT = "def places(size, kernel, *, stride=1):\n    {} return (size - kernel) // stride + 1"
GUARD = "if kernel > size: raise ValueError\n   "
SOLVED = RIGHT.format(GUARD)
WRONG = RIGHT.format("")
STUB = (
    "def places(size, kernel, *, stride=1):\n"
    '    raise NotImplementedError("exercise-99-{}: replace this line with your answer")'
)


def lab(*answers: str | None) -> nbformat.NotebookNode:
    """Return a lab of as many exercises as answers; None leaves an exercise open."""
    setup = "from tests.checks.places import check\n"
    setup += "import dataclasses\nchecks = {}\nfor k in range(1, 10):\n"
    setup += "    checks[k] = check()\n    checks[k].exercise = f'99.{k}'"
    cells = [new_markdown_cell("# Lab", id="title"), new_code_cell(setup, id="imports")]
    for number, answer in enumerate(answers, start=1):
        told = f"## Exercise 99.{number}  Count the places\ndifficulty 2/5 · about 8 minutes"
        cells += [
            new_markdown_cell(told, id=f"about-99-{number}"),
            new_code_cell(answer or STUB.format(number), id=f"exercise-99-{number}"),
            new_code_cell(f"checks[{number}](places)", id=f"check-99-{number}"),
        ]
        cells[-1].metadata["nbgrader"] = {"points": 4, "grade_id": f"check-99-{number}"}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def write(path: Path, *answers: str | None) -> Path:
    """Write a lab and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(lab(*answers), path)
    return path


def checkout(folder: Path) -> Path:
    """Make a folder that looks like a checkout with one lab of two open exercises."""
    write(folder / "labs" / f"{STEM}.ipynb", None, None)
    (folder / "notebooks").mkdir()
    nbformat.write(new_notebook(), folder / "notebooks" / "99_places.ipynb")
    return folder
