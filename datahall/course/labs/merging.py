"""A newer version of a notebook, put into the learner's copy cell by cell.

Nothing of theirs is lost. Three notebooks meet: what the copy was made of, the copy, and the newer
version. A cell that the learner left alone becomes the newer one. A cell that they changed or made
stays as it is; where the course has changed it too, its newer text is put below, as a raw cell that
does not run. A cell that they deleted stays deleted.
"""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from dataclasses import dataclass

from nbformat import NotebookNode
from nbformat.v4 import new_raw_cell

NEWER = "# The course has changed this cell. Its newer text, for you to compare:\n"


@dataclass(frozen=True)
class Merged:
    """A copy with the newer version in it, and what became of its cells.

    Attributes:
        notebook: The notebook.
        taken: Cells that are new, or newer than in the copy.
        dropped: Cells that the newer version no longer has, and that the learner left alone.
        kept: Cells that are the learner's: changed or made by them.
        both: Of these, cells that the course has changed too.
    """

    notebook: NotebookNode
    taken: int
    dropped: int
    kept: int
    both: int


def version_of(notebook: NotebookNode) -> str:
    """Return a digest of what a notebook says: its cells without outputs and counts.

    Args:
        notebook: Any notebook whose cells have ids.
    """
    said = [(cell.id, cell.cell_type, cell.source) for cell in notebook.cells]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def merge(base: NotebookNode | None, mine: NotebookNode, newer: NotebookNode) -> Merged:
    """Put a newer version into a copy.

    Args:
        base: What the copy was made of; None if that is not known: then every cell that differs
            from the newer version counts as the learner's.
        mine: The learner's copy.
        newer: The newer version.
    """
    first = {cell.id: cell for cell in (base or newer).cells}
    left = _left_alone(first, mine)
    result, taken, both = [], 0, 0
    for cell in newer.cells:
        had = left.get(cell.id)
        changed = cell.id in first and not _same(first[cell.id], cell)
        if had is not None:
            result.append(_with_outputs(cell, None if changed else had))
            taken += changed
        elif cell.id not in first:
            result.append(_with_outputs(cell, None))
            taken += 1
    theirs = [cell for cell in mine.cells if left.get(cell.id) is not cell]
    placed = _placed(result, theirs, mine, newer)
    for cell in theirs:
        follows = next((each for each in newer.cells if each.id == cell.id), None)
        if follows is not None and cell.id in first and not _same(first[cell.id], follows):
            both += _offer(placed, cell, follows)
    notebook = deepcopy(mine)
    notebook.cells = _with_ids_of_their_own(placed)
    known = {cell.id for cell in newer.cells}
    dropped = sum(id_ not in known for id_ in left)
    return Merged(notebook, taken, dropped, len(theirs), both)


def _left_alone(first: dict[str, NotebookNode], mine: NotebookNode) -> dict[str, NotebookNode]:
    """Return the cells of a copy that are as they were, by id."""
    found: dict[str, NotebookNode] = {}
    for cell in mine.cells:
        if cell.id in first and cell.id not in found and _same(first[cell.id], cell):
            found[cell.id] = cell
    return found


def _same(one: NotebookNode, other: NotebookNode) -> bool:
    return bool(one.cell_type == other.cell_type and one.source == other.source)


def _with_outputs(cell: NotebookNode, of: NotebookNode | None) -> NotebookNode:
    """Return a copy of a cell with the outputs of another, or with none."""
    made = deepcopy(cell)
    if made.cell_type == "code":
        made.outputs = deepcopy(of.outputs) if of is not None else []
        made.execution_count = of.execution_count if of is not None else None
    return made


def _placed(
    result: list[NotebookNode],
    theirs: list[NotebookNode],
    mine: NotebookNode,
    newer: NotebookNode,
) -> list[NotebookNode]:
    """Put the learner's cells among the others: each after the cell that it follows in the copy."""
    placed = list(result)
    known, own = {cell.id: n for n, cell in enumerate(newer.cells)}, {id(cell) for cell in theirs}
    last = -1  # place of the cell that the next one follows
    for cell in mine.cells:
        if id(cell) not in own:
            last = next((n for n, each in enumerate(placed) if each.id == cell.id), last)
            continue
        if cell.id in known:  # a changed cell of the course: where the newer version has it
            before = {each.id for each in newer.cells[: known[cell.id]]}
            last = max((n for n, each in enumerate(placed) if each.id in before), default=-1)
        placed.insert(last + 1, cell)
        last += 1
    return placed


def _offer(placed: list[NotebookNode], cell: NotebookNode, newer: NotebookNode) -> int:
    """Put the newer text of a cell below the learner's, unless it stands there; return how many."""
    text = NEWER + newer.source
    if newer.source == cell.source or any(each.source == text for each in placed):
        return 0
    place = next(n for n, each in enumerate(placed) if each is cell)
    offered = new_raw_cell(text)  # type: ignore[no-untyped-call]
    offered.id = f"newer-{cell.id}"[:64]
    placed.insert(place + 1, offered)
    return 1


def _with_ids_of_their_own(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Return copies of cells in which no id stands twice."""
    seen: set[str] = set()
    result = []
    for cell in cells:
        made = deepcopy(cell)
        number = 1
        while made.id in seen:
            number += 1
            made.id = f"{cell.id[:60]}-{number}"
        seen.add(made.id)
        result.append(made)
    return result
