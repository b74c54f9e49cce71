"""Live progress of a run: a table on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from datahall.course.run.results import NotebookRun
from datahall.units import format_duration

if TYPE_CHECKING:
    from rich.table import Table

LINE_EVERY_S = 10.0  # between two plain lines about one notebook
MARKS = {"passed": "passed", "failed": "FAILED", "skipped": "skipped", "interrupted": "stopped"}


class View:
    """Shows nothing; the others override what they show."""

    def begin(self, names: list[str], jobs: int) -> None:
        """The run starts with these notebooks, so many at once."""

    def started(self, name: str) -> None:
        """A notebook starts."""

    def cell(self, name: str, cell_id: str, done: int, of: int) -> None:
        """A notebook begins a cell; `done` of its cells are finished.

        Args:
            name: The notebook.
            cell_id: The cell.
            done: Cells that are finished.
            of: All its code cells.
        """

    def finished(self, run: NotebookRun) -> None:
        """A notebook is over, in whatever way."""

    def note(self, text: str) -> None:
        """Something else worth a line."""

    def tick(self) -> None:
        """Called several times a second."""

    def end(self) -> None:
        """The run is over."""


class Shielded(View):
    """Passes everything on, until that fails: a full or closed stream must not end a run."""

    def __init__(self, view: View) -> None:
        self._view = view

    def _pass(self, name: str, *facts: Any) -> None:
        try:
            getattr(self._view, name)(*facts)
        except (OSError, ValueError):
            self._view = View()

    def begin(self, names: list[str], jobs: int) -> None:
        """Pass it on."""
        self._pass("begin", names, jobs)

    def started(self, name: str) -> None:
        """Pass it on."""
        self._pass("started", name)

    def cell(self, name: str, cell_id: str, done: int, of: int) -> None:
        """Pass it on."""
        self._pass("cell", name, cell_id, done, of)

    def finished(self, run: NotebookRun) -> None:
        """Pass it on."""
        self._pass("finished", run)

    def note(self, text: str) -> None:
        """Pass it on."""
        self._pass("note", text)

    def tick(self) -> None:
        """Pass it on."""
        self._pass("tick")

    def end(self) -> None:
        """Pass it on."""
        self._pass("end")


class PlainView(View):
    """One line when a notebook starts, every ten seconds while it runs, and when it ends."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._cells: dict[str, tuple[str, int, int]] = {}
        self._since: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def _line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def begin(self, names: list[str], jobs: int) -> None:
        """Say how many notebooks there are."""
        self._line(
            f"{len(names)} {'notebook' if len(names) == 1 else 'notebooks'}, "
            f"{min(jobs, len(names))} at a time"
        )

    def started(self, name: str) -> None:
        """Say that it starts."""
        self._since[name] = self._told[name] = time.monotonic()
        self._line(f"start    {name}")

    def cell(self, name: str, cell_id: str, done: int, of: int) -> None:
        """Remember where it is."""
        self._cells[name] = (cell_id, done, of)

    def tick(self) -> None:
        """Say where each running notebook is, every ten seconds."""
        now = time.monotonic()
        for name, told in self._told.items():
            if now - told >= LINE_EVERY_S and name in self._cells:
                cell_id, done, of = self._cells[name]
                self._told[name] = now
                self._line(
                    f"running  {name}: cell {done + 1} of {of} ({cell_id}), "
                    f"{format_duration(now - self._since[name])}"
                )

    def finished(self, run: NotebookRun) -> None:
        """Say how it ended."""
        self._told.pop(run.name, None)
        reason = f": {run.failure.line}" if run.failure else ""
        took = "cached" if run.cached else format_duration(run.seconds)
        self._line(f"{MARKS[run.status]:8} {run.name} ({took}){reason}")

    def note(self, text: str) -> None:
        """Say it."""
        self._line(text)


class LiveView(PlainView):
    """A table on a terminal: running notebooks with a bar; finished ones as lines above it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.live import Live

        self._begun, self._all, self._over = time.monotonic(), 0, 0
        self._console = Console(file=self.stream, highlight=False)
        self._live = Live(
            console=self._console, refresh_per_second=8, transient=True, get_renderable=self._table
        )

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def begin(self, names: list[str], jobs: int) -> None:
        """Start the table."""
        super().begin(names, jobs)
        self._all = len(names)
        self._live.start()

    def started(self, name: str) -> None:
        """Put it into the table."""
        self._since[name] = self._told[name] = time.monotonic()

    def tick(self) -> None:
        """The table redraws itself."""

    def finished(self, run: NotebookRun) -> None:
        """Take it out of the table and say how it ended."""
        self._over += 1
        self._told.pop(run.name, None)
        style = {"passed": "green", "failed": "bold red"}.get(run.status, "yellow")
        reason = f": {run.failure.line}" if run.failure else ""
        from rich.text import Text

        text = Text.assemble(
            (f"{MARKS[run.status]:8}", style),
            f" {run.name} ",
            (f"({'cached' if run.cached else format_duration(run.seconds)})", "dim"),
            reason,
        )
        self._console.print(text, soft_wrap=True)

    def _table(self) -> Table:
        """Draw the table; called from the thread that redraws it."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table, now = Table.grid(padding=(0, 2)), time.monotonic()
        for name in list(self._told):
            cell_id, done, of = self._cells.get(name, ("starting the kernel", 0, 1))
            bar: Any = ProgressBar(total=of, completed=done, width=24)
            took = format_duration(now - self._since[name])
            table.add_row(Text(name), bar, f"{done} of {of}", Text(cell_id, "dim"), took)
        total = Text(f"{self._over} of {self._all} notebooks", "dim")
        table.add_row(total, "", "", "", Text(format_duration(now - self._begun), "dim"))
        return table

    def end(self) -> None:
        """Take the table away."""
        self._live.stop()


def choose(stream: TextIO | None = None) -> View:
    """Return the live view on a terminal, plain lines elsewhere."""
    stream = stream or sys.stderr
    return LiveView(stream) if stream.isatty() else PlainView(stream)
