"""One notebook, one form: a diff shows what changed, and nothing that an editor or a kernel left.

Outputs and the sequential execution counts stay: nbval compares nothing in a notebook without them
(decision 0025). In solutions the metadata of nbgrader are derived from the cell ids.

Reading order: `normalise` (one notebook), `nbgrader_metadata` (one cell), `fix` (one file).
"""

from __future__ import annotations

import ast
import importlib
import re
import uuid
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import nbformat
from nbformat import NotebookNode, ValidationError, reader
from nbformat.notebooknode import from_dict
from nbformat.reader import NotJSONError

from datahall.course import catalogue
from datahall.course.catalogue import Kind
from datahall.course.exits import InputError
from datahall.errors import CourseError
from datahall.state import write_atomically

FOLDERS: dict[str, Kind] = {"notebooks": "lecture", "solutions": "solution", "labs": "lab"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
KEPT: dict[Kind, set[str]] = {
    "lecture": {"tags"},
    "solution": {"tags"},
    "lab": {"tags", "nbgrader", "deletable", "editable"},
}
EXERCISE = re.compile(r"exercise-\d\d-\d+")
CHECK = re.compile(r"check-\d\d-\d+")


def kind_of(path: Path) -> Kind:
    """Return what a notebook is: by `course.toml`; one it does not name, by its folder.

    Example:
        >>> kind_of(Path("solutions/01_convolution_solution.ipynb"))
        'solution'
        >>> kind_of(Path("work/01_convolution_lab.ipynb"))
        'lab'
    """
    found = catalogue.load().entry(path)
    return found[1] if found else FOLDERS.get(path.resolve().parent.name, "lecture")


def read(path: Path) -> NotebookNode:
    """Read a notebook as format 4, and leave it as it is: double ids are for the rules to find.

    Raises:
        InputError: The file is missing or is no notebook.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark before the text
        found = reader.reads(text)  # type: ignore[no-untyped-call]
        if (found.nbformat, found.nbformat_minor) != (4, 5):
            found = nbformat.convert(found, 4)  # type: ignore[no-untyped-call]
        _see_that_it_is_whole(found)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist. A notebook (.ipynb) was expected.") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}). A file that you may read was "
            "expected. Change its permissions, or move it away."
        ) from error
    except _NO_NOTEBOOK as error:
        reason = (str(error).splitlines() or [""])[0][:80]
        raise InputError(
            f"{path} is not a notebook ({reason}). JSON in Jupyter's format 4 was expected. "
            "Save it again in JupyterLab, or take it from version control; of a copy of your own: "
            "move it away, and open it anew."
        ) from error
    return cast(NotebookNode, found)


_NO_NOTEBOOK = (  # what nbformat raises, and we below
    NotJSONError, ValidationError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip


def _see_that_it_is_whole(found: Any) -> None:
    """Raise TypeError where a part is missing or of another type; a cell without id gets one."""
    if not isinstance(found.metadata, dict) or not isinstance(found.cells, list):
        raise TypeError("its metadata or cells have another form")
    if not isinstance(found.metadata.get("datahall", {}), dict):
        raise TypeError("its metadata has another form")
    for cell in found.cells:
        texts = (cell.cell_type, cell.source, cell.setdefault("id", uuid.uuid4().hex[:8]))
        if not all(isinstance(text, str) for text in texts) or not isinstance(cell.metadata, dict):
            raise TypeError("a cell has another form")


def text_of(nb: NotebookNode) -> str:
    """Return a notebook as it stands on the disk: sorted keys, one newline at the end."""
    text = nbformat.v4.writes(nb)  # type: ignore[no-untyped-call]
    whole = cast(str, text).encode("utf-8", "replace").decode()  # half a letter becomes a "?"
    return whole.rstrip("\n") + "\n"


def normalise(nb: NotebookNode, kind: Kind = "lecture") -> NotebookNode:
    """Return a copy of `nb` in the one form in which notebooks are committed.

    Args:
        nb: A notebook of format 4; it is not changed.
        kind: Labs keep the metadata that the builder gave them; solutions get theirs from their
            cell ids.

    Raises:
        CourseError: A check cell of a solution does not name a check of the package.
    """
    result = deepcopy(nb)
    for cell in result.cells:
        kept = {
            key: value
            for key, value in cell.metadata.items()
            if key in KEPT[kind] and value not in ([], {}, None)
        }
        if kind == "solution":
            kept |= nbgrader_metadata(cell, result)
        cell.metadata = _node(kept)
        cell.source = cell.source.strip("\n")
        if cell.cell_type == "code":
            shown = [] if "widget" in kept.get("tags", []) else cell.outputs
            cell.outputs = _joined_streams(shown)
    result.metadata = _node({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    result.nbformat, result.nbformat_minor = 4, 5
    return result


def nbgrader_metadata(cell: NotebookNode, nb: NotebookNode) -> dict[str, Any]:
    """Return nbgrader's metadata for one cell of a solution, from its id.

    `exercise-01-1` is a solution cell, `check-01-1` a locked test cell with the points of its
    check; other cells get none.

    Raises:
        CourseError: The check cell does not call a check of the package.
    """
    facts: dict[str, Any] = {"grade_id": cell.id, "schema_version": 3, "task": False}
    if cell.cell_type == "code" and EXERCISE.fullmatch(cell.id):
        facts |= {"grade": False, "locked": False, "solution": True}
    elif cell.cell_type == "code" and CHECK.fullmatch(cell.id):
        points = check_of(cell, nb).points
        facts |= {"grade": True, "locked": True, "solution": False, "points": points}
    else:
        return {}
    return {"nbgrader": facts}


def check_of(cell: NotebookNode, nb: NotebookNode) -> Any:
    """Return the check that a check cell calls, e.g. `datahall.convolution.checks.output_size`.

    Raises:
        CourseError: The cell is no such call, or the package has no such check.
    """
    call = re.fullmatch(r"checks\.(\w+)\((\w+)\)", cell.source.strip())
    if call is None:
        raise CourseError(
            f"cell {cell.id} is {cell.source!r}. The one line checks.name(name) was expected."
        )
    module = _checks_module(nb)
    check = getattr(importlib.import_module(module), call[1], None)
    if not hasattr(check, "points"):
        raise CourseError(
            f"cell {cell.id} calls checks.{call[1]}, but {module} has no such check. "
            "Add it there, or mend the name."
        )
    return check


def fix(path: Path, *, write: bool = True) -> bool:
    """Bring one notebook file into its normal form; return whether it was (or would be) changed.

    A file that is in its form already is not touched, so its time stamp stays.

    Raises:
        CourseError: The file is no notebook, or cannot be written.
    """
    wanted = text_of(normalise(read(path), kind_of(path)))
    if path.read_text(encoding="utf-8") == wanted:
        return False
    if write:
        write_atomically(path, wanted)
    return True


def _node(values: dict[str, Any]) -> NotebookNode:
    return cast(NotebookNode, from_dict(values))  # type: ignore[no-untyped-call]


def _checks_module(nb: NotebookNode) -> str:
    """Return the module that the notebook imports as `checks`."""
    for cell in nb.cells:
        if cell.cell_type != "code" or "checks" not in cell.source:
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and any(
                name.name == "checks" for name in node.names
            ):
                return f"{node.module}.checks"
    raise CourseError(
        "no cell imports checks. Import them: `from datahall.convolution import checks`."
    )


def _joined_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream: where a kernel cuts them is chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == "stream" and output.name == last.get("name"):
            last.text += output.text
        else:
            joined.append(output)
    return joined
