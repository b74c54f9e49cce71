"""Judge an answer in a forked child with limits: for C loops, memory bombs and crashes.

Forking copies the learner's functions without pickling them and takes some milliseconds. It is not
safe once TensorFlow (or another library with its own threads) is loaded, and does not exist on
Windows; there the answer is judged in the kernel, with the timer only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from datahall.checking.timing import PATIENCE

_THREADED = ("tensorflow", "torch", "jax")  # their threads do not survive a fork
MEMORY_BYTES = 2 * 2**30  # what an answer may take beyond what the kernel already holds
_FILE_BYTES = 100 * 10**6
Beat = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Died:
    """The child ended without a result.

    Args:
        why: `time` (it was killed because nothing ended it), `crash` (a signal), `exit` (it left by
            itself) or `broken` (`work` itself raised an error).
        last: The last beat: which call was on, and the points until then; for `broken`, the error.
        signal: The name of the signal, for a crash.
    """

    why: str
    last: dict[str, Any]
    signal: str = ""


def can_fork() -> bool:
    """Tell whether forking is safe here and now."""
    return (
        sys.platform == "linux"
        and threading.current_thread() is threading.main_thread()
        and not any(name in sys.modules for name in _THREADED)
    )


def run(work: Callable[[Beat], dict[str, Any]], *, seconds: float) -> dict[str, Any] | Died:
    """Run `work` in a child and return its result (anything JSON can hold), or how the child died.

    Args:
        work: Called in the child with a `beat` function, which it calls with facts before each call
            of the answer; the fact `seconds` sets how long that call may take.
        seconds: CPU seconds after a beat after which the child is killed (or three times as many
            real ones).
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python 3.12 warns of threads; see can_fork
        pid = os.fork()
    if pid == 0:
        _child(work, reader, writer)
    os.close(writer)
    try:
        result, last, why = _watch(pid, reader, seconds)
    finally:
        os.close(reader)
        _kill(pid)
        _, status = os.waitpid(pid, 0)
    if result is not None:
        return result
    if why == "exit" and os.WIFSIGNALED(status):
        return Died("crash", last, signal.Signals(os.WTERMSIG(status)).name)
    return Died(why, last)


def _child(work: Callable[[Beat], dict[str, Any]], reader: int, writer: int) -> None:
    try:
        os.close(reader)
        os.setpgid(0, 0)  # what the answer starts is killed with it
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        _limit()
        _silence()

        def beat(facts: dict[str, Any]) -> None:
            os.write(writer, json.dumps({"beat": facts}).encode() + b"\n")

        try:
            message: dict[str, Any] = {"result": work(beat)}
        except Exception as error:
            message = {"broken": f"{type(error).__name__}: {error}"}
        rest = json.dumps(message).encode() + b"\n"
        while rest:
            rest = rest[os.write(writer, rest) :]
    finally:
        os._exit(0)


def _kill(pid: int) -> None:
    # Harmless when it has ended: the number stays ours until it is waited for.
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _limit() -> None:
    import resource

    in_use = psutil.Process().memory_info().vms
    for what, most in (
        (resource.RLIMIT_AS, in_use + MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):  # the system knows better
            resource.setrlimit(what, (most, hard))


def _silence() -> None:
    logging.disable()  # Jupyter would log what an answer displays: it cannot be shown from here
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def _watch(
    pid: int, reader: int, seconds: float
) -> tuple[dict[str, Any] | None, dict[str, Any], str]:
    """Return the result, the last beat, and why there is no result."""
    last: dict[str, Any] = {}
    pending, mark, cpu_mark = b"", time.monotonic(), 0.0
    child = psutil.Process(pid)
    while True:
        if not select.select([reader], [], [], 0.1)[0]:
            most = float(last.get("seconds", seconds))
            if time.monotonic() - mark > PATIENCE * most + 2 or _cpu(child) - cpu_mark > most + 1:
                return None, last, "time"
            continue
        received = os.read(reader, 65536)
        if not received:
            return None, last, "exit"
        *lines, pending = (pending + received).split(b"\n")
        for message in map(json.loads, lines):
            if "result" in message:
                return dict(message["result"]), last, ""
            if "broken" in message:
                return None, {"error": message["broken"]}, "broken"
            last, mark, cpu_mark = message["beat"], time.monotonic(), _cpu(child)


def _cpu(child: psutil.Process) -> float:
    try:
        times = child.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
