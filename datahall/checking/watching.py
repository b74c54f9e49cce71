"""Watch a judge: a forked child with limits, for C loops, memory bombs, crashes and litter.

Read `watch` first. It runs in a process that does nothing else: one that was forked from the kernel
(`child`) or that waits beside it (`forkserver`). All that a judge starts ends with it, because
orphans are handed to the watcher. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import secrets
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from datahall import programs
from datahall.checking.timing import REAL_PER_CPU

MEMORY_BYTES = 2 * 2**30  # what an answer may take beyond what the process already holds
_FILE_BYTES = 100 * 10**6
_SLACK_S = 1  # between the bell inside the judge and the end from outside
_MUTE = 70  # the exit code of a judge that could not report
_TAKE_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of Linux
Beat = Callable[[dict[str, Any]], None]
Work = Callable[[Beat], dict[str, Any]]


@dataclass(frozen=True)
class Died:
    """The judge ended without a result.

    Args:
        why: `time` (it was killed because nothing ended it), `crash` (a signal), `exit` (it left by
            itself), `mute` (its way to report was closed), `left` (nobody waits for it any more)
            or `broken` (`work` itself raised an error).
        last: The last beat: which call was on, and the points until then; for `broken`, the error.
        signal: The name of the signal, for a crash.
    """

    why: str
    last: dict[str, Any]
    signal: str = ""


def watch(work: Work, *, seconds: float, line: int) -> dict[str, Any] | Died:
    """Run `work` in a limited child and return its result (anything JSON can hold), or its death.

    Args:
        work: Called in the child with a `beat` function, which it calls with facts before each call
            of the answer; the fact `seconds` sets how long that call may take.
        seconds: CPU seconds after a beat after which the child is killed (or two and a half times
            as many real ones).
        line: The descriptor by which the watcher itself is asked: what comes in here, or its end,
            means that nobody waits any more.
    """
    _take_orphans()
    reader, writer = os.pipe()
    key = secrets.token_hex(8)  # what else is written into the pipe is no message
    here = os.getpid()
    pid = programs.fork()
    if pid == 0:
        _judge(work, writer, key, here)
    os.close(writer)
    try:
        result, last, why = _follow(pid, reader, line, key, seconds)
        if why == "exit" and not _ends(pid):
            why = "mute"
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)  # harmless when it has ended: the number is ours until waited
        _, status = os.waitpid(pid, 0)
        _end_what_it_left()
    if result is not None:
        return result
    if why == "exit" and os.WIFSIGNALED(status):
        return Died("crash", last, signal.Signals(os.WTERMSIG(status)).name)
    if why == "exit" and os.WEXITSTATUS(status) == _MUTE:
        return Died("mute", last)
    return Died(why, last)


def as_message(found: dict[str, Any] | Died) -> bytes:
    """Write what became of a judge for whoever asked the watcher."""
    return json.dumps(found if isinstance(found, dict) else {"died": vars(found)}).encode()


def from_message(message: bytes) -> dict[str, Any] | Died:
    """Read it again; an empty message is a watcher that has died itself."""
    found: dict[str, Any] = json.loads(message) if message else {"died": Died("exit", {}).__dict__}
    return Died(**found["died"]) if "died" in found else found


def _judge(work: Work, writer: int, key: str, watcher: int) -> None:
    code = _MUTE
    try:
        programs.die_with(watcher)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the watcher decides
        _limit()
        silence(writer)

        def send(message: dict[str, Any]) -> None:
            rest = f"\n{key}{json.dumps(message)}\n".encode()
            while rest:
                rest = rest[os.write(writer, rest) :]

        try:
            message: dict[str, Any] = {"result": work(lambda facts: send({"beat": facts}))}
        except Exception as error:
            from datahall.checking.showing import error_text

            message = {"broken": f"{type(error).__name__}: {error_text(error)}"}
        send(message)
        code = 0
    finally:
        os._exit(code)


def _take_orphans() -> None:
    """Become the parent of what a child leaves, on Linux; elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_TAKE_ORPHANS, 1, 0, 0, 0)


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


def silence(*kept: int) -> None:
    """Leave no way to the screen or into the kernel's connections, which are forked too."""
    logging.disable()  # Jupyter would log what an answer displays: it cannot be shown from here
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            kind = str(entry.readlink()).partition(":")[0]
            if int(entry.name) not in kept and kind in ("socket", "pipe"):
                os.close(int(entry.name))


def _follow(
    pid: int, reader: int, line: int, key: str, seconds: float
) -> tuple[dict[str, Any] | None, dict[str, Any], str]:
    """Return the result, the last beat, and why there is no result."""
    last: dict[str, Any] = {}
    pending, mark, cpu_mark = b"", time.monotonic(), 0.0
    child = psutil.Process(pid)
    while True:
        ready = select.select([reader, line], [], [], 0.1)[0]
        if line in ready:
            return None, last, "left"
        if not ready:
            most = float(last.get("seconds", seconds))
            real, cpu = time.monotonic() - mark, _cpu(child) - cpu_mark
            if real > REAL_PER_CPU * most + _SLACK_S or cpu > most + _SLACK_S:
                return None, last, "time"
            continue
        received = os.read(reader, 65536)
        if not received:
            return None, last, "exit"
        *lines, pending = (pending + received).split(b"\n")
        for message in _messages(lines, key):
            if "result" in message:
                return dict(message["result"]), last, ""
            if "broken" in message:
                return None, {"error": message["broken"]}, "broken"
            last, mark, cpu_mark = message["beat"], time.monotonic(), _cpu(child)


def _ends(pid: int) -> bool:
    """Whether a child whose line has ended ends, too; it is not yet waited for."""
    until = time.monotonic() + _SLACK_S
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def _messages(lines: list[bytes], key: str) -> list[dict[str, Any]]:
    ours = [each.removeprefix(key.encode()) for each in lines if each.startswith(key.encode())]
    return [dict(json.loads(each)) for each in ours]


def _cpu(child: psutil.Process) -> float:
    try:
        times = child.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _end_what_it_left() -> None:
    """Kill and bury what the judge has started, also what had left its group or session."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for left in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                left.kill()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:  # nothing is left
            return
        time.sleep(0.005)
