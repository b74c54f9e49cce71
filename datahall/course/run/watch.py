"""What a worker itself sees of one execution: replies, the kernel's process, orders to stop.

The verdict is drawn from this, never from the metadata that papermill leaves in the output: after a
killed kernel that says "completed", and after `sys.exit(0)` papermill raises nothing.
"""

from __future__ import annotations

import subprocess
import threading
import time
from typing import Any, Protocol

from datahall.course.notebooks.sources import Source
from datahall.course.run import processes
from datahall.course.run.jobs import Job
from datahall.course.run.results import CellRun

INJECTED = "injected-parameters"


class Sender(Protocol):
    """Takes events."""

    def send(self, event: str, **facts: Any) -> None:
        """Send one event."""


class Watch:
    """The observations of one execution.

    Attributes:
        notebook: The notebook as it is being executed, once papermill has loaded it.
        pid: The kernel's process, once it runs.
        ready: Whether the kernel answered.
        stopped: Why it was stopped from outside: `timeout`, `interrupt`, `orphaned`; or None.
        current: The code cell that runs now, or that ran when the kernel ended.
        reply: The kernel's reply to the first cell that failed.
        asked_to_exit: Whether a cell asked the kernel to end: `exit` or `quit`.
    """

    def __init__(self, job: Job, source: Source, channel: Sender) -> None:
        self.job, self.source, self.channel = job, source, channel
        self.notebook: Any = None
        self.pid: int | None = None
        self.ready = False
        self.stopped: str | None = None
        self.current: CellRun | None = None
        self.reply: dict[str, Any] | None = None
        self.asked_to_exit = False
        self.process: subprocess.Popen[bytes] | None = None
        self.meter: processes.Meter | None = None
        self._places: list[tuple[str, int]] = []
        self._runs: dict[int, CellRun] = {}
        self._begun = 0.0
        self._done = threading.Event()

    def load(self, notebook: Any) -> None:
        """Take the notebook that will run; papermill may have put a cell of parameters into it."""
        self.notebook = notebook
        added = len(notebook.cells) - len(self.source.cells)
        number = 0
        for index, cell in enumerate(notebook.cells):
            injected = added and INJECTED in cell.metadata.get("tags", [])
            number += not injected
            self._places.append(
                (INJECTED if injected else self.source.cells[number - 1].id, max(number, 1))
            )
            if cell.cell_type == "code" and cell.source.strip():
                self._runs[index] = CellRun(*self._places[index], "not run", 0.0)

    def kernel_started(self, process: subprocess.Popen[bytes] | None, pid: int | None) -> None:
        """Take the kernel's process, and measure it from now on."""
        self.process, self.pid = process, pid
        if pid is not None:
            self.meter = processes.Meter(pid)
        self.channel.send("kernel", index=self.job.index, pid=pid)

    def kernel_ready(self, **_: Any) -> None:
        """Note that the kernel answered: the hook `on_notebook_start`."""
        self.ready = True

    def cell_begins(self, cell: Any, cell_index: int) -> None:
        """Note that a code cell was sent to the kernel: the hook `on_cell_execute`."""
        self._begun = time.perf_counter()
        self.current = self._runs[cell_index]
        done = sum(run.status == "passed" for run in self._runs.values())
        facts = {
            "id": self.current.id,
            "number": self.current.number,
            "done": done,
            "of": len(self._runs),
        }
        self.channel.send("cell", index=self.job.index, **facts)

    def cell_replied(self, cell: Any, cell_index: int, execute_reply: dict[str, Any]) -> None:
        """Note the kernel's reply to a cell: the hook `on_cell_executed`."""
        content = execute_reply["content"]
        passed = content.get("status") == "ok"
        if any(part.get("source") == "ask_exit" for part in content.get("payload") or ()):
            self.asked_to_exit, passed = True, False
        run = self._finish(cell_index, "passed" if passed else "failed")
        if passed:
            self.current = None
        elif self.reply is None:
            self.current, self.reply = run, content

    def _finish(self, index: int, status: str) -> CellRun:
        run = self._runs[index]
        self._runs[index] = CellRun(
            run.id, run.number, status, round(time.perf_counter() - self._begun, 4)
        )
        return self._runs[index]

    def close(self) -> None:
        """Note that the execution is over: the cell that never answered has failed."""
        self._done.set()
        for index, run in self._runs.items():
            if self.current is not None and run == self.current and run.status == "not run":
                self._finish(index, "failed")
        if self.meter is not None:
            self.meter.stop()

    def stop(self, reason: str, grace_s: float) -> None:
        """Stop the execution: interrupt the cell, and end the kernel if that does not help."""
        if self._done.is_set() or self.stopped:
            return
        self.stopped = reason
        if self.pid is not None and grace_s:
            processes.interrupt(self.pid)
        if not self._done.wait(grace_s):
            processes.end_marked(self.job.marker)

    @property
    def cells(self) -> tuple[CellRun, ...]:
        """The code cells, in order, as far as they came."""
        return tuple(self._runs.values())

    @property
    def complete(self) -> bool:
        """Whether every code cell was executed and answered without an error."""
        return all(run.status == "passed" for run in self._runs.values())

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """Id and number of each cell of the executed notebook, as the source notebook has them."""
        return tuple(self._places)

    @property
    def signal(self) -> int | None:
        """The signal that ended the kernel, or None."""
        code = self.process.poll() if self.process is not None else None
        return -code if code is not None and code < 0 else None
