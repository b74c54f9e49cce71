"""Progress: plain lines where nobody can redraw, a table on a terminal."""

from __future__ import annotations

import io
import re

import pytest

from datahall.course.run import view
from datahall.course.run.results import Failure, NotebookRun
from datahall.course.run.view import LiveView, PlainView

ERROR = Failure("error", "NameError: x", "use", 4)
FAILED = NotebookRun("b", "b.ipynb", "b", status="failed", seconds=2.0, failure=ERROR)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(shown: view.View) -> None:
    shown.begin(["a", "b"], 2)
    shown.started("a")
    shown.started("b")
    shown.cell("a", "by-hand", 4, 12)
    shown.tick()
    shown.finished(NotebookRun("a", "a.ipynb", "a", status="passed", seconds=75.0))
    shown.finished(FAILED)
    shown.note("a note")
    shown.end()


def test_plain_lines_say_what_starts_and_how_it_ends() -> None:
    stream = io.StringIO()
    show(PlainView(stream))
    assert stream.getvalue().splitlines() == [
        "2 notebooks, 2 at a time",
        "start    a",
        "start    b",
        "passed   a (1 min 15 s)",
        "FAILED   b (2.0 s): cell use (4): NameError: x",
        "a note",
    ]


def test_plain_lines_say_now_and_then_where_a_notebook_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = io.StringIO(), [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    shown = PlainView(stream)
    shown.started("a")
    shown.cell("a", "by-hand", 4, 12)
    for clock[0] in (5.0, 11.0, 12.0, 25.0):
        shown.tick()
    assert stream.getvalue().splitlines()[1:] == [
        "running  a: cell 5 of 12 (by-hand), 11.0 s",
        "running  a: cell 5 of 12 (by-hand), 25.0 s",
    ]


def test_a_terminal_shows_notebook_cell_count_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    shown = LiveView(stream)
    shown.begin(["a", "b"], 2)
    shown.started("a")
    shown.cell("a", "by-hand", 4, 12)
    shown._live.refresh()
    shown.finished(FAILED)
    shown.end()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert re.search(r"a\s+\S+\s+4 of 12\s+by-hand\s+0\.\d s", text)
    assert "0 of 2 notebooks" in text
    assert "FAILED   b (2.0 s): cell use (4): NameError: x" in text


def test_the_view_is_chosen_by_the_stream() -> None:
    assert type(view.choose(io.StringIO())) is PlainView
    assert type(view.choose(Terminal())) is LiveView


def test_a_view_that_shows_nothing_takes_every_call() -> None:
    show(view.View())
