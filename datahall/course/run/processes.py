"""The processes of one kernel: how much they use while they run, and their certain end.

A kernel's processes are its children, its session, those seen beside it while it ran, and whoever
carries its marker in the environment: also those that detached themselves. Only these are ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable

import psutil

MARKER = "DATAHALL_KERNEL"  # environment variable by which the run's processes are known
FIRST_S, LAST_S = 0.2, 1.0  # between two looks, when a kernel is young and later


class Meter:
    """Follows the memory and processor time of a kernel and its children, until it is stopped.

    Attributes:
        peak_memory_bytes: Greatest resident memory of all together that was seen, or the kernel's
            own peak as the system kept it, if that is more.
        cpu_seconds: User and system time of the kernel, of its children that ended and were waited
            for, and of those that run.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.peak_memory_bytes, self.cpu_seconds = 0, 0.0
        self._seen: set[tuple[int, float]] = set()
        self._root = psutil.Process(pid)
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        wait_s = FIRST_S
        while True:
            self.look()
            await asyncio.sleep(wait_s)
            wait_s = min(LAST_S, wait_s * 1.2)

    def look(self) -> None:
        """Look once."""
        memory, cpu_s = 0, 0.0
        with contextlib.suppress(psutil.Error):
            for process in (self._root, *self._root.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    memory += process.memory_info().rss
                    cpu_s += sum(process.cpu_times()[:4])  # its own, and its ended children's
                    self._seen.add((process.pid, process.create_time()))
        self.cpu_seconds = max(self.cpu_seconds, cpu_s)
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory, _peak_of(self.pid))

    def stop(self) -> None:
        """End the measurement; call it while the kernel still runs, where that is possible."""
        self._task.cancel()
        self.look()

    @property
    def session(self) -> int | None:
        """The kernel's session while the kernel lives; later its number may be another's."""
        with contextlib.suppress(psutil.Error, OSError):
            if self._root.is_running():
                return os.getsid(self.pid)
        return None

    @property
    def seen(self) -> list[psutil.Process]:
        """Every process that was ever seen and still lives; a number used again is not it."""
        found = []
        for pid, born in self._seen:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.create_time() == born:
                    found.append(process)
        return found


def _peak_of(pid: int) -> int:
    """Return the greatest memory of one process so far, in bytes; 0 where the system is silent."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123 (several times a second)
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration, ValueError):
        return 0


def marked(marker: str) -> list[psutil.Process]:
    """Return the processes that carry a marker in their environment, this one excepted."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            value = process.environ().get(MARKER, "")
            if process.pid != os.getpid() and (value == marker or value.startswith(f"{marker}/")):
                found.append(process)
    return found


def in_session(session: int) -> list[psutil.Process]:
    """Return the processes of a session, this one's own excepted."""
    if session == os.getsid(0):
        return []
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == session:
                found.append(process)
    return found


def end(processes: Iterable[psutil.Process], *, wait_s: float = 5.0) -> None:
    """Kill processes and wait until they are gone."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=wait_s)


def end_marked(marker: str, *, session: int | None = None, wait_s: float = 5.0) -> None:
    """End every process with a marker, until none is left: one may be born while others end.

    Args:
        marker: The value of the variable, or the run's part of it.
        session: A kernel's own session, whose processes are ended too.
        wait_s: Seconds to go on trying.
    """
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        found = marked(marker) + (in_session(session) if session is not None else [])
        alive = [process for process in found if is_alive(process)]
        if not alive:
            return
        end(alive, wait_s=1.0)


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs: one that has ended and was not yet waited for does not."""
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
