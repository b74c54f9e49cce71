"""A newer version in a learner's copy: 1,000 histories of edits, and no cell of theirs is lost."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import Any

import nbformat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from datahall.course.labs.merging import NEWER, merge, version_of

IDS = [f"cell-{n}" for n in range(6)]
WORDS = st.sampled_from(["", "a = 1", "b = 2", "text", "a = 1\n"])
EDIT = st.one_of(
    st.tuples(st.just("change"), st.integers(0, 9), WORDS),
    st.tuples(st.just("delete"), st.integers(0, 9), st.none()),
    st.tuples(st.just("add"), st.integers(0, 9), WORDS),
    st.tuples(st.just("move"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("twice"), st.integers(0, 9), st.none()),  # a copied cell with the same id
    st.tuples(st.just("kind"), st.integers(0, 9), st.none()),
)


def book(*sources: str) -> NotebookNode:
    return new_notebook(
        cells=[new_code_cell(source, id=IDS[n]) for n, source in enumerate(sources)]
    )


def edited(start: NotebookNode, edits: list[tuple[str, int, Any]], name: str) -> NotebookNode:
    found = deepcopy(start)
    cells = found.cells
    for count, (what, where, more) in enumerate(edits):
        if what == "add":
            cells.insert(where % (len(cells) + 1), new_code_cell(more, id=f"{name}-{count}"))
        elif cells:
            place = where % len(cells)
            if what == "change":
                cells[place].source = more
            elif what == "delete":
                del cells[place]
            elif what == "move":
                cells.insert(more % len(cells), cells.pop(place))
            elif what == "twice":
                cells.insert(place, deepcopy(cells[place]))
            else:
                cells[place] = new_markdown_cell(cells[place].source, id=cells[place].id)
    return found


def said(cells: list[NotebookNode]) -> Counter[tuple[str, str]]:
    return Counter((cell.cell_type, cell.source) for cell in cells)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EDIT, max_size=6), st.lists(EDIT, max_size=6), st.booleans())
def test_no_cell_of_a_learner_is_lost_whatever_both_sides_did(
    theirs: list[Any], ours: list[Any], known: bool
) -> None:
    base = book("one", "two", "three", "four")
    mine = edited(base, theirs, "mine")
    newer = edited(base, [edit for edit in ours if edit[0] != "twice"], "newer")
    first = {cell.id: cell for cell in base.cells}
    own = [
        cell
        for cell in mine.cells
        if cell.id not in first
        or (cell.cell_type, cell.source) != (first[cell.id].cell_type, first[cell.id].source)
    ]
    merged = merge(base if known else None, mine, newer)
    assert not said(own) - said(merged.notebook.cells)
    ids = [cell.id for cell in merged.notebook.cells]
    assert len(ids) == len(set(ids))
    nbformat.validate(merged.notebook)
    again = merge(newer, merged.notebook, newer)
    assert said(again.notebook.cells) == said(merged.notebook.cells)


@given(st.lists(EDIT.filter(lambda edit: edit[0] != "twice"), max_size=8))
def test_an_untouched_copy_becomes_the_newer_version(ours: list[Any]) -> None:
    base = book("one", "two", "three")
    newer = edited(base, ours, "newer")
    merged = merge(base, deepcopy(base), newer)
    assert version_of(merged.notebook) == version_of(newer)
    assert merged.kept == merged.both == 0


def test_an_answer_stays_and_the_newer_text_of_its_cell_stands_below() -> None:
    base, newer = book("one", "stub", "check"), book("one, again", "better stub", "check", "more")
    mine = book("one", "my answer", "check")
    mine.cells[2].outputs = [new_output("stream", text="passed")]
    merged = merge(base, mine, newer)
    sources = [cell.source for cell in merged.notebook.cells]
    assert sources == ["one, again", "my answer", NEWER + "better stub", "check", "more"]
    assert merged.notebook.cells[2].cell_type == "raw"
    assert merged.notebook.cells[3].outputs, "the check has not changed: what it said stays"
    assert (merged.taken, merged.dropped, merged.kept, merged.both) == (2, 0, 1, 1)


def test_a_cell_of_ones_own_stays_below_the_one_it_followed() -> None:
    base = book("one", "two", "three")
    mine = edited(base, [("add", 1, "my note"), ("add", 4, "my last")], "mine")
    newer = edited(base, [("move", 0, 2), ("add", 0, "new title")], "newer")
    sources = [cell.source for cell in merge(base, mine, newer).notebook.cells]
    assert sources.index("my note") == sources.index("one") + 1
    assert sources.index("my last") == sources.index("three") + 1


def test_a_deleted_cell_stays_deleted_and_one_that_the_course_drops_goes() -> None:
    base, newer = book("one", "two", "three"), book("one", "two, again")
    mine = edited(base, [("delete", 1, None)], "mine")
    merged = merge(base, mine, newer)
    assert [cell.source for cell in merged.notebook.cells] == ["one"]
    assert merged.dropped == 1


def test_outputs_do_not_make_a_version() -> None:
    one, other = book("one"), book("one")
    other.cells[0].outputs = [new_output("stream", text="1")]
    assert version_of(one) == version_of(other) != version_of(book("two"))
