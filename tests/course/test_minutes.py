"""What a title cell says of a lecture's length is what its text and its run give."""

from pathlib import Path

import nbformat
import pytest

from datahall.course import catalogue, minutes

LECTURES = [notebook.stem for notebook in catalogue.load().notebooks]


@pytest.mark.parametrize("stem", LECTURES)
def test_a_title_states_the_minutes_that_text_and_run_give(stem: str, root: Path) -> None:
    (notebook,) = catalogue.load().find(stem)
    title = nbformat.read(root / notebook.files()["lecture"], as_version=4).cells[0].source
    stated, found = minutes.stated(title), minutes.lecture(notebook, root)
    assert stated is not None, title
    assert found is not None
    assert abs(stated - found) <= minutes.TOLERANCE_MIN, f"{found} minutes; run `make fix`"


def test_restate_writes_the_minutes_once_and_then_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "lecture.ipynb"
    title = nbformat.v4.new_markdown_cell("# 1. Title\n\nAbout 50 minutes · needs nothing")
    nbformat.write(nbformat.v4.new_notebook(cells=[title]), file)
    assert minutes.restate(file, 23)
    assert "About 23 minutes · needs nothing" in file.read_text()
    assert not minutes.restate(file, 25), "two minutes are no difference"
