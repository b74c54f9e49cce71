"""Who keeps zygotes: a folder with their sockets, and a socket that tells whether the owner lives.

A zygote is started by the first request that needs it, wherever that comes from; it connects to the
owner's socket, which nobody ever accepts. When the owner ends, whatever ends it, the system closes
the socket and its zygotes end, with their kernels. Whether an owner lives is told by a lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

from datahall.course.warm import request
from datahall.course.warm.kinds import KIND

FOLDER = "DATAHALL_WARM"  # environment variable: the folder with the zygotes' sockets
OWNER = "owner"  # name of the owner's socket in it
_LOCK = "owner.lock"  # name of a file that the owner holds locked
FILES = (OWNER, _LOCK)
_END_S = 5.0


@contextlib.contextmanager
def zygotes(folder: Path | None = None, *, across_exec: bool = False) -> Iterator[dict[str, str]]:
    """Keep zygotes for a while; give the variables for the environments of kernels.

    None is started before the first kernel that needs it. Where forking is not possible, the
    variables say that kernels start cold.

    Args:
        folder: An empty folder for the sockets, which only this user can enter; a temporary one
            that is removed at the end if None.
        across_exec: Let the owner be the program that this process becomes by `exec`.
    """
    if sys.platform != "linux":
        yield {KIND: "cold"}
        return
    sockets = folder or Path(tempfile.mkdtemp(prefix="datahall-warm-"))
    owner = request.listen(sockets, OWNER)
    lock = (sockets / _LOCK).open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    for held in (owner, lock):
        os.set_inheritable(held.fileno(), across_exec)
    try:
        yield {FOLDER: str(sockets)}
    finally:
        lock.close()
        _end(owner, sockets)
        if folder is None:
            shutil.rmtree(sockets, ignore_errors=True)


def _end(owner: socket.socket, folder: Path) -> None:
    """Close the owner's socket, which ends the zygotes, and wait until they are gone."""
    from datahall.course.warm import starting

    owner.close()
    deadline = time.monotonic() + _END_S
    while any(folder.glob("*.socket")) and time.monotonic() < deadline:
        time.sleep(0.01)
    starting.reap()


def find() -> dict[str, str]:
    """Return the variables for kernels if the user's `datahall warm` is running, else none."""
    folder = well_known()
    return {FOLDER: str(folder)} if is_owned(folder) else {}


def well_known() -> Path:
    """Return the folder of `datahall warm`: in the user's runtime folder, or a temporary one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute() and Path(runtime).is_dir():
        return Path(runtime, "datahall-warm")
    user = os.getuid() if sys.platform != "win32" else ""
    return Path(tempfile.gettempdir(), f"datahall-warm-{user}")


def is_owned(folder: Path) -> bool:
    """Tell whether an owner of this folder lives."""
    if sys.platform != "linux":
        return False
    try:
        with (folder / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
