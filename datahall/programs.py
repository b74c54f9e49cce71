"""Processes: programs that a lecture starts, forks, and children that end with their parent.

A run of a lecture is given back from the cache only if all that it read is as it was. A process
that it starts reads unseen; a program that is started by `command` is seen too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import warnings

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


def command(module: str, *arguments: str) -> list[str]:
    """Return the command by which this interpreter runs a module, for `subprocess`.

    Where the run is observed for the cache, the command is another one that does the same; it is
    good for one process.

    Args:
        module: Name of a module that does something when it is run: `datahall.training.crash`.
        arguments: Its arguments.

    Example:
        >>> command("this")[1:]
        ['-m', 'this']
    """
    observing = sys.modules.get("datahall_observing")
    if observing is None:
        return [sys.executable, "-m", module, *arguments]
    found: list[str] = observing.observer.command(module, arguments)
    return found


def fork() -> int:
    """Fork without Python 3.12's warning of threads: whoever calls has seen that none holds a lock.

    Returns:
        0 in the child, the child's process number in the parent.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def die_with(parent: int) -> None:
    """Let Linux kill this process when its parent ends; end it now if that has just happened.

    The system watches from now on: of a parent that ended between fork and here it says nothing.
    On another system nothing happens.

    Args:
        parent: Process number of the parent, taken before the fork.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
