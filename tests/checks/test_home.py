"""The home page: what a learner has done, and where to go on."""

from pathlib import Path

import nbformat
import pytest

from datahall.course import catalogue
from datahall.course.labs import home
from datahall.course.labs.copies import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(catalogue.repository_root(), tmp_path)


def test_a_new_learner_begins_with_the_first_lecture(desk: Desk) -> None:
    page = home.page(desk)
    assert "**[Begin: " in page and "](notebooks/00_start_here.ipynb)**" in page
    assert "not opened" in page and "cells run" not in page
    for row in catalogue.load().notebooks:
        assert f"](notebooks/{row.stem}.ipynb)" in page
        assert row.lab is None or f"](labs/{row.lab}.ipynb)" in page


def test_what_was_begun_comes_first_and_what_was_run_is_counted(desk: Desk) -> None:
    copy = desk.open("01_convolution", "notebooks")
    notebook = nbformat.read(copy, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[0].execution_count = 1
    nbformat.write(notebook, copy)
    page = home.page(desk)
    assert f"1 of {len(code)} cells run" in page
    assert "**[Continue: The sum itself](notebooks/01_convolution.ipynb)**" in page
    for cell in code:
        cell.execution_count = 2
    nbformat.write(notebook, copy)
    assert "](notebooks/01_convolution.ipynb) | read |" in home.page(desk)


def test_the_best_copy_of_a_lab_counts_and_the_newest_is_opened(desk: Desk) -> None:
    solution = desk.root / "solutions" / "01_convolution_solution.ipynb"
    stem = "01_convolution_lab"
    done = nbformat.read(solution, 4)
    first = desk.open(stem)
    nbformat.write(done, first)
    desk.fresh(stem)
    page = home.page(desk)
    assert f"](labs/{stem}-2.ipynb) | all passed |" in page
    assert "**[Begin: " not in page


def test_a_page_that_says_the_same_is_not_written_again(desk: Desk) -> None:
    home.write(desk)
    place = desk.work / home.NAME
    before = place.stat().st_mtime_ns
    home.write(desk)
    assert place.stat().st_mtime_ns == before
    desk.open("00_start_here", "notebooks")
    home.write(desk)
    assert place.stat().st_mtime_ns > before


def test_a_damaged_copy_is_told_and_keeps_nobody_from_the_rest(desk: Desk) -> None:
    for copy in (desk.open("01_convolution", "notebooks"), desk.open("01_convolution_lab")):
        copy.write_text("{half a notebook")
    page = home.page(desk)
    assert page.count("damaged: move the file away") == 2
    assert "](notebooks/02_optimization.ipynb)" in page


def test_a_newer_version_is_offered(desk: Desk) -> None:
    copy = desk.open("00_start_here", "notebooks")
    assert "a newer version" not in home.page(desk)
    notebook = nbformat.read(copy, 4)
    notebook.metadata["datahall"]["version"] = "of last year"
    nbformat.write(notebook, copy)
    assert "1 of your notebooks has a newer version" in home.page(desk)
