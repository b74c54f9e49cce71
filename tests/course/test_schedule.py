"""In which order notebooks run, and which do not start: needs, failures, interrupts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nbclient.exceptions import DeadKernelError

from datahall.course import catalogue
from datahall.course.notebooks import sources
from datahall.course.run import outcome
from datahall.course.run.execute import Execution, Order, complete
from datahall.course.run.folder import RunFolder
from datahall.course.run.plan import Item
from datahall.course.run.prepare import prepare
from datahall.course.run.results import CellRun, NotebookRun
from datahall.course.run.schedule import Schedule, Settings, chain_seconds
from datahall.course.run.view import View

Write = Callable[..., Path]


class Noted(View):
    """Keeps the order in which notebooks start and end; may interrupt at one."""

    def __init__(self, interrupt_at: str = "") -> None:
        self.events: list[str] = []
        self.schedule: Schedule | None = None
        self._at = interrupt_at

    def started(self, name: str) -> None:
        self.events.append(f"+{name}")

    def cell(self, name: str, cell_id: str, done: int, of: int) -> None:
        if name == self._at and self.schedule is not None and not self.schedule.interrupts:
            self.schedule.interrupt()

    def finished(self, run: NotebookRun) -> None:
        self.events.append(f"-{run.name}")


@pytest.fixture
def carry_out(
    tmp_path: Path, write_notebook: Write, zygotes: dict[str, str]
) -> Callable[..., tuple[Noted, dict[str, NotebookRun]]]:
    """Return a function that runs `name: (cell, needs)` and gives the events and the results."""

    def run(
        books: dict[str, tuple[str, tuple[str, ...]]], interrupt_at: str = "", jobs: int = 2
    ) -> tuple[Noted, dict[str, NotebookRun]]:
        items = [
            Item(name, sources.read(write_notebook(tmp_path / f"{name}.ipynb", cell)), needs=needs)
            for name, (cell, needs) in books.items()
        ]
        view, folder = Noted(interrupt_at), RunFolder(tmp_path / "out")
        try:
            settings = Settings(jobs=jobs, pages=False, keep_going=True)
            view.schedule = Schedule(items, folder, settings, view, None, zygotes=zygotes)
            complete(view.schedule.run())
            return view, {run.name: run for run in view.schedule.runs}
        finally:
            folder.drop_scratch()

    return run


Carry = Callable[..., tuple[Noted, dict[str, NotebookRun]]]


def test_a_notebook_starts_after_all_that_it_needs_have_passed(carry_out: Carry) -> None:
    books = {"a": ("1", ()), "b": ("2", ("a",)), "c": ("3", ()), "d": ("4", ("b", "c"))}
    view, runs = carry_out(books, jobs=4)
    assert {run.status for run in runs.values()} == {"passed"}
    for name, (_, needs) in books.items():
        for need in needs:
            assert view.events.index(f"-{need}") < view.events.index(f"+{name}")


def test_what_begins_the_longest_chain_starts_first(
    tmp_path: Path, write_notebook: Write, carry_out: Carry
) -> None:
    books = {"a": ("1", ()), "b": ("2", ()), "c": ("3", ("b",)), "d": ("4", ("c",)), "e": ("5", ())}
    view, _ = carry_out(books, jobs=1)
    assert [event for event in view.events if event[0] == "+"] == ["+b", "+c", "+a", "+d", "+e"]


def test_a_chain_is_as_long_as_its_measured_runs(tmp_path: Path, write_notebook: Write) -> None:
    source = sources.read(write_notebook(tmp_path / "book.ipynb", "1"))
    row = catalogue.load().notebooks[0]
    items = [
        Item("a", source, replace(row, run_s=5.0)),
        Item("b", source, replace(row, run_s=7.0), needs=("a",)),
        Item("c", source, replace(row, run_s=30.0), needs=("a",)),
        Item("d", source, replace(row, run_s=None), needs=("b", "c")),
        Item("e", source, needs=("a",)),
    ]
    assert chain_seconds(items) == [36.0, 8.0, 31.0, 1.0, 1.0]


def test_what_needs_a_failed_notebook_is_skipped_and_so_is_what_needs_that(
    carry_out: Carry,
) -> None:
    books = {"a": ("1/0", ()), "b": ("2", ("a",)), "c": ("3", ("b",)), "d": ("4", ())}
    view, runs = carry_out(books)
    assert [runs[name].status for name in "abcd"] == ["failed", "skipped", "skipped", "passed"]
    assert runs["c"].failure is not None
    assert runs["c"].failure.message == "not started: it needs b, which did not pass"
    assert "+b" not in view.events
    assert "+c" not in view.events


def test_nothing_starts_after_an_interrupt(carry_out: Carry) -> None:
    books = {"a": ("import time; time.sleep(600)", ()), "b": ("2", ("a",)), "c": ("3", ())}
    view, runs = carry_out(books, interrupt_at="a", jobs=1)
    assert {run.status for run in runs.values()} == {"interrupted"}
    assert view.events[0] == "+a"
    assert not {"+b", "+c"} & set(view.events)


def test_no_more_notebooks_run_at_once_than_asked_for(carry_out: Carry) -> None:
    wait = "import time; time.sleep(0.5)"
    view, _ = carry_out({name: (wait, ()) for name in "abcd"}, jobs=2)
    running, most = 0, 0
    for event in view.events:
        running += 1 if event[0] == "+" else -1
        most = max(most, running)
    assert most == 2


@pytest.mark.parametrize(
    ("error", "kind"), [(DeadKernelError("Kernel died"), "kernel-died"), (OSError("x"), "error")]
)
def test_an_error_after_the_last_cell_fails_the_notebook(
    tmp_path: Path, write_notebook: Write, error: Exception, kind: str
) -> None:
    made = prepare(sources.read(write_notebook(tmp_path / "book.ipynb", "1")))
    order = Order(made.notebook, made.positions, "python3", tmp_path, {}, tmp_path / "log")
    seen = Execution(order, ready=True, runs={1: CellRun("cell-a", 2, "passed", 0.1)})
    assert outcome.judge(seen) == ("passed", None)
    seen.error = error
    status, failure = outcome.judge(seen)
    assert failure is not None
    assert (status, failure.kind) == ("failed", kind)


def test_a_kernel_that_dies_while_it_ends_after_the_last_cell_leaves_the_verdict(
    tmp_path: Path, write_notebook: Write, carry_out: Carry
) -> None:
    dies = "import atexit, os\natexit.register(lambda: os._exit(7))"
    _, runs = carry_out({"a": (dies, ())})
    assert runs["a"].status == "passed"
