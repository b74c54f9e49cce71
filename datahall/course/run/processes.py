"""The processes of one kernel: how much they use while they run, and their certain end.

A kernel's processes are its children and whoever carries its marker in the environment: also those
that detached themselves. Only these are ever ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable

import psutil

if sys.platform != "win32":
    import resource

MARKER = "DATAHALL_KERNEL"  # environment variable by which a kernel's processes are known
INTERVAL_S = 0.2


class Meter:
    """Follows the memory and processor time of a kernel and its children, until it is stopped."""

    def __init__(self, pid: int) -> None:
        self.peak_memory_bytes = 0
        self._cpu: dict[tuple[int, float], float] = {}
        self._root = psutil.Process(pid)
        self._before = _children_cpu_s()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._done.is_set():
            self.sample()
            self._done.wait(INTERVAL_S)

    def sample(self) -> None:
        """Look once."""
        memory = 0
        with contextlib.suppress(psutil.Error):
            for process in (self._root, *self._root.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    memory += process.memory_info().rss
                    times = process.cpu_times()
                    self._cpu[process.pid, process.create_time()] = times.user + times.system
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory, _peak_of(self._root.pid))

    def stop(self) -> None:
        """End the measurement; call it when the kernel has ended."""
        self._done.set()
        self._thread.join()

    @property
    def cpu_seconds(self) -> float:
        """User and system time: what the system accounts for, or what was seen if it is more."""
        return max(_children_cpu_s() - self._before, sum(self._cpu.values()))


def _children_cpu_s() -> float:
    """Return the processor time of this process' ended children and theirs, in seconds."""
    if sys.platform == "win32":
        return 0.0
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _peak_of(pid: int) -> int:
    """Return the greatest memory of one process so far, in bytes; 0 where the system is silent."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123 (five times a second)
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


def interrupt(pid: int) -> None:
    """Interrupt a kernel as the *Interrupt* button does."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGINT)


def end(processes: Iterable[psutil.Process], *, wait_s: float = 5.0) -> None:
    """Kill processes and wait until they are gone."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=wait_s)


def end_marked(marker: str, *, wait_s: float = 5.0) -> None:
    """End every process with a marker, until none is left: one may be born while others end."""
    deadline = time.monotonic() + wait_s
    while (alive := [p for p in marked(marker) if _alive(p)]) and time.monotonic() < deadline:
        end(alive, wait_s=1.0)


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
