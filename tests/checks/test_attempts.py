"""One line a check, when a person is at the notebook; never an answer."""

import json

import pytest

from datahall.checking import attempts

from .places import check, forgets_the_first, places


@pytest.fixture
def at_the_notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook")
    monkeypatch.delenv("DATAHALL_HEADLESS", raising=False)
    return tmp_path


def test_each_check_appends_one_line(at_the_notebook):
    for answer in (None, forgets_the_first, places):
        check()(answer)
    lines = [json.loads(line) for line in attempts.file().read_text().splitlines()]
    assert [(line["verdict"], line["points"]) for line in lines] == [
        ("not attempted", 0.0),
        ("wrong", 1.0),
        ("passed", 4.0),
    ]
    assert set(lines[0]) == {"schema", "time", "lab", "exercise", "verdict", "points", "of"}
    assert lines[0]["lab"] == "99_places_lab" and lines == attempts.read()


def test_a_batch_run_records_nothing(at_the_notebook, monkeypatch):
    monkeypatch.setenv("DATAHALL_HEADLESS", "1")
    check()(places)
    assert not attempts.file().exists() and attempts.read() == []


def test_a_folder_that_cannot_be_written_costs_a_note_and_no_more(at_the_notebook, monkeypatch):
    in_the_way = at_the_notebook / "file"
    in_the_way.write_text("a file where the folder should be")
    monkeypatch.setenv("DATAHALL_HOME", str(in_the_way))
    verdict = check()(places)
    assert verdict.state == "passed" and repr(verdict) == "4.0"
    assert verdict.note.startswith("This verdict was not recorded: ")
    assert "not recorded" in verdict._repr_html_()


def test_a_line_cut_off_by_a_full_disk_is_left_out(at_the_notebook):
    check()(places)
    with attempts.file().open("a") as file:
        file.write('{"schema": 1, "exer')
    assert len(attempts.read()) == 1
