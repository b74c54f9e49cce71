"""The notebook under the rules, and what a rule returns."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode

from datahall.course import catalogue
from datahall.course.catalogue import Kind, Notebook
from datahall.course.notebooks.normalise import kind_of, read

FORMS = ("guess", "history")  # functions of datahall.predictions


@dataclass(frozen=True)
class Fault:
    """One thing a rule found: where, what, and whether it stops the notebook from landing."""

    message: str
    cell: str = ""
    fails: bool = True

    def __str__(self) -> str:
        """Return the message, with the cell it is about."""
        return f"cell {self.cell}: {self.message}" if self.cell else self.message


@dataclass(frozen=True)
class Subject:
    """A notebook with its path, its kind and its row in the catalogue, if it has one."""

    path: Path
    kind: Kind
    nb: NotebookNode
    row: Notebook | None

    @classmethod
    def load(cls, path: Path) -> Subject:
        """Read a notebook file.

        Raises:
            CourseError: It is missing or no notebook.
        """
        found = catalogue.load().entry(path)
        return cls(path, kind_of(path), read(path), found[0] if found else None)

    @property
    def is_first(self) -> bool:
        """Whether it is the course's first notebook, which shows how the others work."""
        return self.row is not None and self.row == catalogue.load().notebooks[0]

    @property
    def cells(self) -> list[NotebookNode]:
        """All cells, in order."""
        return list(self.nb.cells)

    @cached_property
    def code(self) -> list[NotebookNode]:
        """The code cells, in order."""
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @cached_property
    def markdown(self) -> list[NotebookNode]:
        """The markdown cells, in order."""
        return [cell for cell in self.cells if cell.cell_type == "markdown"]

    @cached_property
    def by_id(self) -> dict[str, NotebookNode]:
        """The cells by id; of two with one id, the last."""
        return {cell.get("id", ""): cell for cell in self.cells}

    def after(self, cell: NotebookNode) -> NotebookNode | None:
        """Return the next cell, or None after the last."""
        position = next(i for i, other in enumerate(self.cells) if other is cell)
        return self.cells[position + 1] if position + 1 < len(self.cells) else None


Rule = Callable[[Subject], Iterator[Fault]]


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.metadata.get("tags", []))


def tree(cell: NotebookNode) -> ast.Module | None:
    """Return the syntax tree of a code cell, or None if it is not Python."""
    try:
        return ast.parse(str(cell.source))
    except SyntaxError:
        return None


def is_guess(cell: NotebookNode) -> bool:
    """Return whether a cell asks for a prediction: those are forms, not widgets to explore."""
    found = tree(cell)
    return found is not None and any(
        isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in FORMS
        for node in ast.walk(found)
    )
