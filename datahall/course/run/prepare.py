"""A notebook with its parameters in it, made by papermill; what that cannot carry is refused.

Papermill writes values as text into a cell of their own. It makes text of dictionary keys and lists
of tuples, so what it wrote is read again: either the values that were given come back, or the run
is refused before anything starts.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import nbformat
from nbformat import NotebookNode

from datahall.course.notebooks.sources import Source
from datahall.course.run.execute import INJECTED
from datahall.course.run.results import plain
from datahall.errors import ParameterError

BANNER = "papermill-error-cell-tag"  # on cells that papermill puts beside an error


@dataclass(frozen=True)
class Prepared:
    """A notebook that is ready to run.

    Attributes:
        notebook: The notebook, a cell of parameters in it where there are any.
        positions: Id and number of each of its cells as the source file has them.
    """

    notebook: NotebookNode
    positions: tuple[tuple[str, int], ...]


def prepare(source: Source, parameters: Mapping[str, Any] | None = None) -> Prepared:
    """Return a notebook with values for its parameters.

    Args:
        source: The notebook file, read.
        parameters: Checked values by name.

    Raises:
        ParameterError: A value does not survive the way into a notebook cell.
    """
    notebook = nbformat.reads(source.text, as_version=4)  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.upgrade(notebook)  # type: ignore[no-untyped-call]
    if parameters:
        notebook = _with_parameters(source, notebook, dict(parameters))
    notebook.cells = [cell for cell in notebook.cells if BANNER not in tags_of(cell)]
    return Prepared(notebook, _positions(source, notebook, replaced=bool(parameters)))


def _with_parameters(
    source: Source, notebook: NotebookNode, parameters: dict[str, Any]
) -> NotebookNode:
    from papermill import execute_notebook
    from papermill.exceptions import PapermillException

    try:
        with _quiet():
            made = execute_notebook(
                copy.deepcopy(notebook),
                None,
                parameters=parameters,
                prepare_only=True,
                kernel_name=source.kernel or "python3",
                language=source.language,
                progress_bar=False,
            )
    except (PapermillException, NotImplementedError, TypeError, ValueError) as error:
        given = ", ".join(f"-p {name}={value!r}" for name, value in parameters.items())
        raise ParameterError(
            f"{source.stem}: {given} cannot be written into the notebook ({error}). Give numbers, "
            "text, lists or dictionaries with text keys, and convert them in the notebook."
        ) from error
    if source.language == "python":
        cell = next(cell for cell in made.cells if INJECTED in tags_of(cell))
        _must_arrive(source, cell.source, parameters)
    made.metadata.papermill["parameters"] = plain(parameters)
    return cast(NotebookNode, made)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep papermill from telling what it does: its log is its user's, who may be ours too."""
    log = logging.getLogger("papermill")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _must_arrive(source: Source, code: str, parameters: Mapping[str, Any]) -> None:
    """Refuse values that the cell, read as Python, does not give back."""
    written = {
        node.targets[0].id: node.value
        for node in ast.parse(code).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for name, given in parameters.items():
        found = _value(written[name])
        if not _same(found, given):
            raise ParameterError(
                f"{source.stem}: -p {name}={given!r} would arrive in the notebook as {found!r}: "
                "papermill, which writes parameters into notebooks, cannot carry a "
                f"{type(given).__name__} like this. Give a list, or a dictionary with text keys, "
                "and convert it in the notebook."
            )


def _value(node: ast.expr) -> Any:
    """Read a literal as Python does, `float('nan')` too."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "float":
        return float(ast.literal_eval(node.args[0]))
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {
            _value(key): _value(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _same(found: Any, given: Any) -> bool:
    if type(found) is not type(given):
        return False
    if isinstance(found, list):
        return len(found) == len(given) and all(map(_same, found, given))
    if isinstance(found, dict):
        return list(found) == list(given) and all(_same(found[key], given[key]) for key in given)
    if isinstance(found, float) and math.isnan(found):
        return math.isnan(given)
    return bool(found == given)


def _positions(
    source: Source, notebook: NotebookNode, *, replaced: bool
) -> tuple[tuple[str, int], ...]:
    """Return id and number of each prepared cell as the source has them.

    Banners of an earlier failure are gone, and a new cell of parameters stands for an old one.
    """
    kept = [cell for cell in source.cells if BANNER not in cell.tags]
    if replaced:
        kept = [cell for cell in kept if INJECTED not in cell.tags]
    rest, found = iter(kept), []
    number = 1
    for cell in notebook.cells:
        if replaced and INJECTED in tags_of(cell):
            found.append((INJECTED, number))
            continue
        before = next(rest)
        number = before.number
        found.append((before.id, number))
    return tuple(found)


def tags_of(cell: NotebookNode) -> list[str]:
    """Return a cell's tags; none where the file holds something else in their place."""
    tags = cell.metadata.get("tags", [])
    return list(tags) if isinstance(tags, list) else []


def dumps(notebook: NotebookNode) -> str:
    """Return a notebook as valid JSON: numbers that are not finite stand in it as text."""
    try:
        text = nbformat.v4.writes(notebook, allow_nan=False)  # type: ignore[no-untyped-call]
    except ValueError:
        made = nbformat.from_dict(plain(notebook))  # type: ignore[no-untyped-call]
        text = nbformat.v4.writes(made)  # type: ignore[no-untyped-call]
    return str(text).rstrip("\n") + "\n"
