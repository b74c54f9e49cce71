"""What the runner and its workers say to each other: one notebook to execute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """One notebook to execute.

    Attributes:
        index: Its place in the run's plan.
        path: The notebook file.
        output: Where the executed notebook goes.
        folder: Working folder of its kernel.
        log: Where the kernel's process writes what it says outside of cells.
        marker: Value of `DATAHALL_KERNEL` by which its processes are known.
        parameters: Checked values.
        timeout_s: Seconds for the whole notebook, or None.
        page: Where the executed notebook goes as a page, or None.
    """

    index: int
    path: str
    output: str
    folder: str
    log: str
    marker: str
    parameters: dict[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    page: str | None = None
