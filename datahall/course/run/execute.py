"""The one way a notebook is executed: an order, an execution that is watched, and what was seen.

`execute` is the core of `datahall run`, `datahall check`, `make notebook`, the papermill engine and
the tests. It is a coroutine: several notebooks run at once in one process, each kernel with its own
working folder and environment. It judges nothing: `outcome` draws from what was seen, never from
what papermill or nbclient leave in the file (after `sys.exit(0)` they raise nothing).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from datahall.course.run import processes
from datahall.course.run.kernel import Client
from datahall.course.run.results import CellRun

STOP_GRACE_S = 3.0  # between the interrupt that shows where a cell hangs and the end of its kernel
SAVE_EVERY_S = 1.0
Result = TypeVar("Result")
INJECTED = "injected-parameters"
_NOISE = (
    "without encryption",
    "frozen modules",
    "PYDEVD_DISABLE",
    "-Xfrozen_modules",
    "to python to disable",
)


class StoppedError(Exception):
    """The execution was stopped from outside; no further cell runs."""


@dataclass(frozen=True)
class Order:
    """One notebook to execute.

    Attributes:
        notebook: The notebook with its parameters in it; executed in place.
        positions: Id and number of each cell as the source file has them.
        kernel: Name of the kernel.
        folder: Working folder of the kernel.
        environment: Its whole environment, with the marker by which its processes are known.
        log: Where its process writes what it says outside of cells.
        timeout_s: Seconds for the whole notebook, or None.
        cell_timeout_s: Seconds for one cell, or None.
        on_after_error: Whether the next cells run after a failed one, or one that took too long:
            for labs, whose exercises are independent.
        save: Writes what was executed so far; called every few seconds.
        warm: Whether the kernel may be forked from a warm one.
        connection: Where the kernel's connection file goes, or None for Jupyter's own place.
        observed: Where the kernel writes what it opened, imported and started, or None.
    """

    notebook: NotebookNode
    positions: Sequence[tuple[str, int]]
    kernel: str
    folder: Path
    environment: Mapping[str, str]
    log: Path
    timeout_s: float | None = None
    cell_timeout_s: float | None = None
    on_after_error: bool = False
    save: Callable[[], None] | None = None
    warm: bool = False
    connection: Path | None = None
    observed: Path | None = None


@dataclass
class Execution:
    """What was seen of one execution.

    Attributes:
        order: What was asked for.
        ready: Whether the kernel answered.
        stopped: Why it was stopped from outside: `timeout`, `interrupt`; or None.
        current: The code cell that runs now, or in which the execution came to its end.
        reply: The kernel's reply to the first cell that failed, or the error that it hid.
        asked_to_exit: Whether a cell asked the kernel to end: `exit` or `quit`.
        error: What nbclient or the system raised, or None.
        exit_code: The kernel's exit code if it ended by itself, negative for a signal; else None.
        meter: Memory and processor time, once the kernel ran.
        log: The end of what the kernel's process said outside of cells.
        warm: Whether the kernel was forked from a warm one.
        why_cold: Why not, where it might have been.
    """

    order: Order
    ready: bool = False
    stopped: str | None = None
    current: CellRun | None = None
    reply: Mapping[str, Any] | None = None
    asked_to_exit: bool = False
    error: BaseException | None = None
    exit_code: int | None = None
    meter: processes.Meter | None = None
    log: str = ""
    warm: bool = False
    why_cold: str = ""
    seconds: float = 0.0
    runs: dict[int, CellRun] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[CellRun, ...]:
        """The code cells, in order, as far as they came."""
        return tuple(self.runs.values())

    @property
    def complete(self) -> bool:
        """Whether every code cell was executed and answered without an error, shown or hidden."""
        return all(run.status == "passed" for run in self.runs.values())


async def execute(
    order: Order,
    *,
    tell: Callable[[CellRun, int, int], None] | None = None,
    stop: Stop | None = None,
) -> Execution:
    """Execute a notebook and return what was seen; nothing of the kernel is left afterwards.

    Args:
        order: What to execute, and how.
        tell: Called when a cell begins: with the cell, how many passed, how many there are.
        stop: By which somebody else stops it.
    """
    watched = _Watched(order, tell or (lambda *_: None))
    stop = stop or Stop()
    stop.attach(watched)
    try:
        return await watched.run()
    finally:
        stop.detach(watched)


def complete(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end, also from within a running loop such as a notebook's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Stop:
    """Stops executions: those that run, and those that would begin later."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._running: list[_Watched] = []

    def attach(self, execution: _Watched) -> None:
        """Take an execution that begins."""
        self._running.append(execution)
        if self.reason is not None:
            execution.stop(self.reason)

    def detach(self, execution: _Watched) -> None:
        """Let go of an execution that is over."""
        self._running.remove(execution)

    def __call__(self, reason: str, *, at_once: bool = False) -> None:
        """Interrupt what runs; with `at_once`, end it."""
        self.reason = reason
        for execution in self._running:
            execution.stop(reason, at_once=at_once)


class _Watched:
    """One execution while it goes on."""

    def __init__(self, order: Order, tell: Callable[[CellRun, int, int], None]) -> None:
        self.seen, self._tell = Execution(order), tell
        self._order, self._begun, self._dirty = order, 0.0, False
        self._late: CellRun | None = None
        self._hidden: dict[int, dict[str, Any]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._client: Client | None = None
        self._work: asyncio.Task[Any] | None = None
        for index, cell in enumerate(order.notebook.cells):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
                if cell.source.strip():
                    self.seen.runs[index] = CellRun(*order.positions[index], "not run", 0.0)

    async def run(self) -> Execution:
        """Execute to the end, whatever that is."""
        loop, begin = asyncio.get_running_loop(), time.perf_counter()
        self._work = loop.create_task(self._execute())
        self._start(self._save_now_and_then())
        limit = self._order.timeout_s
        timer = loop.call_later(limit, self.stop, "timeout") if limit else None
        try:
            await asyncio.shield(self._work)
        except (asyncio.CancelledError, Exception) as raised:
            self.seen.error = raised
            if not self._work.done():  # we are cancelled, not it
                await self._end_kernel()
                self._work.cancel()
                await asyncio.wait([self._work])
                raise
        finally:
            if timer is not None:
                timer.cancel()
            await self._close()
            self.seen.seconds = time.perf_counter() - begin
        return self.seen

    def _start(self, work: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _execute(self) -> None:
        order = self._order
        order.log.parent.mkdir(parents=True, exist_ok=True)
        with order.log.open("ab") as log:
            self._client = Client(
                order.notebook,
                started=self._kernel_started,
                hidden=self._error_hidden,
                warm=order.warm,
                observed=order.observed,
                kernel_name=order.kernel,
                timeout=order.cell_timeout_s,
                allow_errors=order.on_after_error,
                force_raise_errors=not order.on_after_error,
                interrupt_on_timeout=order.on_after_error,
                resources={"metadata": {"path": str(order.folder)}},
                on_notebook_start=self._kernel_ready,
                on_cell_execute=self._cell_begins,
                on_cell_executed=self._cell_replied,
            )
            connection = str(order.connection) if order.connection else None
            await self._client.async_execute(
                env=dict(order.environment), stdout=log, stderr=log, connection_file=connection
            )

    # What the client tells, in the order in which it happens.

    def _kernel_started(self, client: Client) -> None:
        self.seen.meter = client.meter
        self.seen.warm = bool(getattr(client.provisioner, "warm", False))
        self.seen.why_cold = str(getattr(client.provisioner, "why_cold", "") or "")

    def _kernel_ready(self, **_: Any) -> None:
        self.seen.ready = True

    def _cell_begins(self, cell: NotebookNode, cell_index: int) -> None:
        if self.seen.stopped:
            raise StoppedError
        self._begun = time.perf_counter()
        self.seen.current = self.seen.runs[cell_index]
        done = sum(run.status == "passed" for run in self.seen.cells)
        self._tell(self.seen.current, done, len(self.seen.runs))

    def _error_hidden(self, index: int, error: dict[str, Any]) -> None:
        self._hidden.setdefault(index, error)

    def _cell_replied(
        self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]
    ) -> None:
        content: Mapping[str, Any] = execute_reply["content"]
        seen, self._dirty = self.seen, True
        passed = content.get("status") == "ok" and seen.stopped is None
        if any(part.get("source") == "ask_exit" for part in content.get("payload") or ()):
            seen.asked_to_exit, passed = True, False
        if passed and cell_index in self._hidden:
            content, passed = {**self._hidden[cell_index], "hidden": True}, False
        run = self._finish(cell_index, "passed" if passed else "failed")
        if passed:
            seen.current = None
        elif seen.reply is None:
            seen.current, seen.reply = run, content
        if seen.stopped or (not passed and not self._order.on_after_error):
            raise StoppedError

    def _finish(self, index: int, status: str) -> CellRun:
        run, took_s = self.seen.runs[index], time.perf_counter() - self._begun
        self.seen.runs[index] = CellRun(run.id, run.number, status, round(took_s, 4))
        return self.seen.runs[index]

    # Stopping.

    def stop(self, reason: str, *, at_once: bool = False) -> None:
        """Interrupt the cell that runs, and end the kernel if that does not help."""
        if (self._work is not None and self._work.done()) or (
            self.seen.ready and self.seen.complete
        ):
            return  # it has come to its end by itself
        if self.seen.stopped is None:
            self.seen.stopped = reason
            self._start(self._stop(0.0 if at_once else STOP_GRACE_S))
        elif at_once:
            self._start(self._end_kernel())

    async def _stop(self, grace_s: float) -> None:
        if self._client is not None:
            self._client.given_up = True
            if grace_s:
                await self._client.interrupt()
        if self._work is not None and grace_s:
            await asyncio.wait([self._work], timeout=grace_s)
        if self._work is None or not self._work.done():
            await self._end_kernel()

    async def _end_kernel(self) -> None:
        """Kill the kernel's processes; nbclient notices, and if not, is cancelled."""
        await asyncio.to_thread(self._end_processes)
        if self._work is not None:
            await asyncio.wait([self._work], timeout=2 * STOP_GRACE_S)
            self._work.cancel()

    def _end_processes(self) -> None:
        marker = self._order.environment.get(processes.MARKER)
        meter, session = self.seen.meter, None
        if meter is not None:
            session = meter.session
            processes.end([process for process in meter.seen if processes.is_alive(process)])
        if marker is not None:
            processes.end_marked(marker, session=session)

    # The end.

    async def _close(self) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        seen = self.seen
        await asyncio.to_thread(self._end_processes)
        for index, run in seen.runs.items():
            if seen.current is not None and run == seen.current and run.status == "not run":
                seen.current = self._finish(index, "failed")
        if self._client is not None and seen.reply is None and seen.stopped is None:
            code = getattr(self._client.process, "returncode", None)
            seen.exit_code = code if isinstance(seen.error, DeadKernelError) else None
        if isinstance(seen.error, StoppedError | CellExecutionError):
            seen.error = None  # the reply says it better
        seen.log = tidy_log(self._order.log)

    async def _save_now_and_then(self) -> None:
        """Keep what was executed so far on the disk, at a small share of the time."""
        wait_s = SAVE_EVERY_S
        while self._order.save is not None:
            await asyncio.sleep(wait_s)
            if self._dirty:
                self._dirty, begin = False, time.perf_counter()
                with contextlib.suppress(OSError):  # the last write, after the verdict, tells
                    self._order.save()
                wait_s = max(SAVE_EVERY_S, 20 * (time.perf_counter() - begin))


def tidy_log(path: Path) -> str:
    """Drop a log's lines that say nothing, or the whole log; return its last lines."""
    try:
        lines = path.read_text(errors="replace").splitlines()
        kept = [line for line in lines if line.strip() and not any(word in line for word in _NOISE)]
        if kept:
            path.write_text("\n".join(kept) + "\n")
        else:
            path.unlink()
    except OSError:
        return ""
    return "\n".join(kept[-20:])
