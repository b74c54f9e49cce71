"""`datahall check`: passed, wrong, open, the next step, the minutes left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from datahall.course.exits import Exit, InputError
from datahall.course.labs import progress
from datahall.course.labs.copies import Desk

from .labs import SOLVED, WRONG, write

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _kernels_find_the_tests(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("COLUMNS", "200")


def shown(capsys, path):
    code = progress.show(str(path), as_json=True)
    return code, json.loads(capsys.readouterr().out)


def test_each_exercise_has_its_state_and_the_wrong_one_comes_next(tmp_path, capsys):
    path = write(tmp_path / "99_places_lab.ipynb", SOLVED, None, WRONG)
    before = path.read_bytes()
    code, facts = shown(capsys, path)
    assert code == Exit.FAILED
    assert [item["state"] for item in facts["labs"][0]["exercises"]] == ["passed", "open", "wrong"]
    assert (facts["passed"], facts["wrong"], facts["open"]) == (1, 1, 1)
    assert facts["next"] == {"lab": "99_places_lab", "exercise": "99.3"}
    assert facts["minutes_left"] == 16 and facts["points"] == 7 and facts["of"] == 12
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_all_passed_is_exit_0_and_says_so(tmp_path, capsys):
    path = write(tmp_path / "99_places_lab.ipynb", SOLVED)
    assert progress.show(str(path)) == Exit.OK
    said = capsys.readouterr().out
    assert "1 passed, 0 wrong, 0 open; 4 of 4 points. All is done." in said


def test_the_table_tells_the_message_and_the_next_step(tmp_path, capsys):
    path = write(tmp_path / "99_places_lab.ipynb", WRONG, None)
    assert progress.show(str(path)) == Exit.FAILED
    said = capsys.readouterr().out
    assert "expected it to raise ValueError (a kernel that does not fit)." in said
    assert "Next: exercise 99.1, Count the places, in 99_places_lab (about 8 minutes" in said
    assert "16 minutes in all are left" in said


def test_an_untouched_lab_is_open_and_is_not_executed(tmp_path, capsys):
    path = write(tmp_path / "99_places_lab.ipynb", None, None)
    notebook = nbformat.read(path, 4)
    notebook.cells[1].source = "open('executed', 'w').close()"
    nbformat.write(notebook, path)
    code, facts = shown(capsys, path)
    assert not (tmp_path / "executed").exists()
    assert code == Exit.FAILED and facts["open"] == 2 and facts["minutes_left"] == 16


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("def places(size, kernel:\n    return 1", "Cell exercise-99-1 raised SyntaxError"),
        ("plcaes = 3", "Cell check-99-1 raised NameError: name 'places' is not defined"),
    ],
)
def test_an_answer_that_python_cannot_read_is_wrong_and_says_why(tmp_path, capsys, answer, said):
    _, facts = shown(capsys, write(tmp_path / "99_places_lab.ipynb", answer, SOLVED))
    first, second = facts["labs"][0]["exercises"]
    assert first["state"] == "wrong" and said in first["message"]
    assert second["state"] == "passed"


def test_a_kernel_that_dies_names_the_cell(tmp_path, capsys):
    dies = "import os\nos.kill(os.getpid(), 9)"
    code, facts = shown(capsys, write(tmp_path / "99_places_lab.ipynb", SOLVED, dies, None))
    assert code == Exit.FAILED
    assert facts["labs"][0]["trouble"].startswith("The kernel died in cell exercise-99-2:")
    assert facts["labs"][0]["exercises"][0]["state"] == "passed"


def test_a_cell_that_never_ends_is_interrupted_and_the_rest_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "CELL_S", 4)
    _, facts = shown(capsys, write(tmp_path / "99_places_lab.ipynb", "while True: pass", SOLVED))
    first, second = facts["labs"][0]["exercises"]
    assert first["state"] == "wrong" and second["state"] == "passed"


def test_a_cell_that_cannot_be_interrupted_ends_the_run_and_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "CELL_S", 3)
    endless = "sum(range(10**13))  # inside C"
    code, facts = shown(capsys, write(tmp_path / "99_places_lab.ipynb", SOLVED, endless, None))
    assert code == Exit.FAILED and facts["passed"] == 1
    assert facts["labs"][0]["trouble"].startswith("Cell exercise-99-2 did not end")


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not a notebook"), ('{"cells": 1}', "is not a notebook")],
)
def test_a_broken_file_is_named(tmp_path, content, said):
    path = tmp_path / "broken.ipynb"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        progress.show(str(path))


def test_a_damaged_copy_keeps_no_other_lab_from_its_turn(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DATAHALL_WORK", str(tmp_path))
    damaged = tmp_path / "labs" / "01_convolution_lab.ipynb"
    damaged.parent.mkdir()
    damaged.write_text("{")
    assert progress.show("01", as_json=True) == Exit.FAILED
    first, *others = json.loads(capsys.readouterr().out)["labs"]
    assert (first["exercises"], "is not a notebook" in first["trouble"]) == ([], True)
    assert others and all(lab["exercises"] for lab in others)


def test_of_several_copies_the_best_counts(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DATAHALL_WORK", str(tmp_path))
    stem = "01_convolution_lab"
    desk = Desk(ROOT, tmp_path)
    copy = desk.open(stem)
    notebook = nbformat.read(copy, 4)
    answer = "def output_size(size, kernel, *, stride=1, padding=0):\n"
    answer += "    return (size + 2 * padding - kernel) // stride + 1"
    next(cell for cell in notebook.cells if cell.id == "exercise-01-1").source = answer
    nbformat.write(notebook, copy)
    desk.fresh(stem)
    progress.show(stem, as_json=True)
    (found,) = json.loads(capsys.readouterr().out)["labs"]
    assert Path(found["file"]) == copy
    assert found["exercises"][0]["state"] == "passed"


def test_a_notebook_without_exercises_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="has no exercises"):
        progress.show(str(write(tmp_path / "empty.ipynb")))


@pytest.mark.parametrize("word", ["99", "nothing", "missing.ipynb"])
def test_an_unknown_word_is_bad_input(word):
    with pytest.raises(InputError, match="no module or notebook of the course"):
        progress.show(word)


def test_the_command_leaves_with_2_on_bad_input_and_with_1_while_something_is_open(tmp_path):
    lab = write(tmp_path / "99_places_lab.ipynb", None)
    for word, code, said in ((lab, 1, "0 passed, 0 wrong, 1 open"), ("nothing", 2, "no module")):
        run = subprocess.run(
            [sys.executable, "-m", "datahall.course.cli", "check", str(word)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode == code and said in run.stdout + run.stderr
