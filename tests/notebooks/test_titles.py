"""Titles: each begins with the number that the course gives it."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from datahall.course.notebooks import titles


@pytest.mark.parametrize(
    ("before", "heading", "after"),
    [
        ("# 1. The sum itself\n\nText 2.", "# 1.1 ", "# 1.1 The sum itself\n\nText 2."),
        ("# 1.3 The sum itself", "# 1.1 ", "# 1.1 The sum itself"),
        ("# The sum itself", "# 1.1 ", "# 1.1 The sum itself"),
        ("# Lab 1: build", "# Lab 1.1: ", "# Lab 1.1: build"),
        ("# Lab: build", "# Lab 1.2: ", "# Lab 1.2: build"),
        ("# Lab 1.1: build", "# Lab 1.2: ", "# Lab 1.2: build"),
    ],
)
def test_a_title_gets_its_number_once(
    tmp_path: Path, before: str, heading: str, after: str
) -> None:
    path = tmp_path / "title.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell(before, id="title")]), path)
    assert titles.renumber(path, heading)
    assert nbformat.read(path, 4).cells[0].source == after
    assert not titles.renumber(path, heading)
