"""The normal form of a notebook, and the authors' tool that makes it."""

from __future__ import annotations

import os

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

from datahall.course.notebooks import normalise
from datahall.course.notebooks import tool as notebooks
from datahall.errors import CourseError


def cell(cells: list[NotebookNode], name: str) -> NotebookNode:
    return next(cell for cell in cells if cell.id == name)


def test_two_streams_written_in_turn_stay_two() -> None:
    book = new_notebook(cells=[new_code_cell("1", id="turns")])
    book.cells[0].outputs = [
        new_output("stream", name=name, text=text)
        for name, text in (("stdout", "a"), ("stderr", "b"), ("stdout", "c"), ("stdout", "d"))
    ]
    outputs = normalise.normalise(book).cells[0].outputs
    assert [(o.name, o.text) for o in outputs] == [
        ("stdout", "a"),
        ("stderr", "b"),
        ("stdout", "cd"),
    ]


def stream(text: str) -> NotebookNode:
    return new_output("stream", name="stdout", text=text)


def test_normalising_drops_what_an_editor_leaves_and_keeps_outputs_and_counts(folder) -> None:
    def change(cells: list[NotebookNode]) -> None:
        cell(cells, "by-hand").metadata |= {
            "collapsed": True,
            "execution": {"iopub.status.busy": "now"},
            "tags": [],
        }
        cell(cells, "explore").outputs = [stream("a slider")]
        cell(cells, "compare").outputs = [stream("Tr"), stream("ue\n")]

    path = folder.lecture(change, tidy=False)
    assert normalise.fix(path)
    nb = normalise.read(path)
    assert cell(nb.cells, "by-hand").metadata == {}
    assert cell(nb.cells, "by-hand").outputs[0].text == "2\n"
    assert cell(nb.cells, "explore").outputs == []
    assert [o.text for o in cell(nb.cells, "compare").outputs] == ["True\n"]
    assert [c.execution_count for c in nb.cells if c.cell_type == "code"] == list(range(1, 8))
    assert nb.metadata == {"kernelspec": normalise.KERNEL, "language_info": {"name": "python"}}


def test_normalising_twice_changes_nothing_and_does_not_touch_the_file(folder) -> None:
    path = folder.lecture(tidy=False)
    normalise.fix(path)
    os.utime(path, ns=(1, 1))
    assert not normalise.fix(path)
    assert path.stat().st_mtime_ns == 1


def test_nbgrader_metadata_come_from_ids_and_checks(folder, tinyconcept) -> None:
    nb = normalise.read(folder.solution())
    assert cell(nb.cells, "exercise-90-1").metadata["nbgrader"] == {
        "grade": False,
        "grade_id": "exercise-90-1",
        "locked": False,
        "schema_version": 3,
        "solution": True,
        "task": False,
    }
    assert cell(nb.cells, "check-90-1").metadata["nbgrader"]["points"] == 4
    assert "nbgrader" not in cell(nb.cells, "use-90-1").metadata


def test_executing_stores_outputs_of_a_fresh_kernel_without_a_reader(folder) -> None:
    source = (
        "import os, pathlib\n"
        "print(os.environ['DATAHALL_HEADLESS'], 'PYTHONDONTWRITEBYTECODE' in os.environ)\n"
        "print(list(pathlib.Path.cwd().iterdir()))"
    )
    path = folder.write(
        "notebooks/90_run.ipynb",
        [new_code_cell("1 + 1", id="sum"), new_code_cell(source, id="seen")],
        counts=False,
    )
    notebooks.execute(path)
    nb = normalise.read(path)
    assert [c.execution_count for c in nb.cells] == [1, 2]
    assert nb.cells[0].outputs[0].data == {"text/plain": "2"}
    assert nb.cells[1].outputs[0].text == "1 False\n[]\n"


def test_executing_names_the_cell_that_fails_and_leaves_the_file(folder) -> None:
    cells = [new_code_cell("1", id="fine"), new_code_cell("1 / 0", id="by-zero")]
    path = folder.write("notebooks/90_fails.ipynb", cells, counts=False)
    before = path.read_bytes()
    with pytest.raises(
        CourseError, match=r"90_fails.ipynb, cell by-zero \(2\): (.|\n)*ZeroDivisionError"
    ):
        notebooks.execute(path)
    assert path.read_bytes() == before


def test_the_kernel_of_an_execution_reaches_no_network(folder) -> None:
    source = "import socket\nsocket.create_connection(('192.0.2.1', 9), timeout=1)"
    path = folder.write(
        "notebooks/90_calls.ipynb", [new_code_cell(source, id="call")], counts=False
    )
    with pytest.raises(CourseError, match="offline guard refused"):
        notebooks.execute(path)


def test_the_tool_fixes_checks_and_says_how_many(folder, capsys, monkeypatch) -> None:
    path = folder.lecture(tidy=False)
    monkeypatch.chdir(folder.root)
    assert notebooks.main(["check", "90"]) == 1
    assert "not in its normal form" in capsys.readouterr().out
    assert notebooks.main(["fix", str(path.parent)]) == 0
    assert "1 notebooks, 1 changed" in capsys.readouterr().out
    assert notebooks.main(["check"]) == 0


def test_the_tool_refuses_what_is_no_notebook(folder, capsys) -> None:
    damaged = folder.root / "notebooks" / "91_damaged.ipynb"
    damaged.write_text("not json")
    assert notebooks.main(["fix", str(damaged)]) == 2
    assert "91_damaged.ipynb is not a notebook" in capsys.readouterr().err
    assert notebooks.main(["check", "no-such-name"]) == 2
    assert "No notebook is meant by 'no-such-name'" in capsys.readouterr().err
