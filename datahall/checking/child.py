"""Judge an answer in a child that is forked from the kernel.

Forking copies the learner's functions without pickling them and takes some milliseconds. It is not
safe once TensorFlow (or another library with its own threads) is loaded, and does not exist on
Windows: `forkserver` then, or the kernel itself with the timer only.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import Any

from datahall import programs
from datahall.checking.watching import Died, Work, as_message, from_message, watch

_THREADED = ("tensorflow", "torch", "jax")  # their threads do not survive a fork


def can_fork() -> bool:
    """Tell whether forking is safe here and now."""
    return (
        sys.platform == "linux"
        and threading.current_thread() is threading.main_thread()
        and not any(name in sys.modules for name in _THREADED)
    )


def run(work: Work, *, seconds: float) -> dict[str, Any] | Died:
    """Run `work` in a watched child; return its result (anything JSON can hold), or its death.

    Args:
        work: Called in the child, see `watching.watch`.
        seconds: CPU seconds that one call of the answer may take.
    """
    ours, theirs = socket.socketpair()
    pid = programs.fork()
    if pid == 0:
        try:
            ours.close()
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the kernel decides
            theirs.sendall(as_message(watch(work, seconds=seconds, line=theirs.fileno())))
        finally:
            os._exit(0)
    theirs.close()
    try:
        return from_message(_all(ours))
    finally:
        ours.close()  # after Ctrl-C the watcher meets the end of its line, and ends the child
        os.waitpid(pid, 0)


def _all(line: socket.socket) -> bytes:
    parts = []
    while part := line.recv(65536):
        parts.append(part)
    return b"".join(parts)
