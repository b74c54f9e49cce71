"""One notebook in a fresh kernel, outside of any run: for authors, for learners, for papermill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from datahall.course import warm
from datahall.course.run import environment
from datahall.course.run.execute import Execution, Order, complete, execute
from datahall.course.run.kernel import ALIAS, NATIVE
from datahall.course.run.prepare import Prepared
from datahall.course.run.results import CellRun
from datahall.course.run.scratch import Scratch


def execute_alone(
    prepared: Prepared,
    *,
    kernel: str | None = None,
    folder: Path | None = None,
    home: Path | None = None,
    offline: bool = False,
    timeout_s: float | None = None,
    cell_timeout_s: float | None = None,
    on_after_error: bool = False,
    cold: bool = False,
    save: Callable[[], None] | None = None,
    tell: Callable[[CellRun, int, int], None] | None = None,
) -> Execution:
    """Execute one notebook in place and return what was seen; nothing is left behind.

    Args:
        prepared: The notebook.
        kernel: Its kernel; this environment's own if None.
        folder: Working folder of the kernel; an empty one, removed afterwards, if None.
        home: The kernel's data folder; a fresh one, removed afterwards, if None.
        offline: Whether the kernel refuses every socket to another machine.
        timeout_s: Seconds for the whole notebook, or None.
        cell_timeout_s: Seconds for one cell, or None.
        on_after_error: Whether later cells run after one that failed or took too long.
        cold: Whether the kernel is a fresh one even if the user keeps warm ones: for outputs that
            are stored.
        save: Writes what was executed so far.
        tell: Called when a cell begins.
    """
    zygotes = {} if cold else warm.find()
    with Scratch() as scratch:
        kernels = environment.of_kernels(scratch.path, home=home, offline=offline) | zygotes
        order = Order(
            notebook=prepared.notebook,
            positions=prepared.positions,
            kernel=NATIVE if kernel in (None, ALIAS) else str(kernel),
            folder=folder or scratch.folder("work"),
            environment=kernels | environment.marked(scratch.id, "0"),
            log=scratch.path / "log.txt",
            timeout_s=timeout_s,
            cell_timeout_s=cell_timeout_s,
            on_after_error=on_after_error,
            save=save,
            warm=bool(zygotes),
            connection=scratch.folder("runtime") / "kernel.json",
        )
        return complete(execute(order, tell=tell))
