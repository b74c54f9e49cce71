"""What a kill leaves of a call's files: looked at after every builtin, and tried with SIGKILL.

A forked process makes the call under Python's own profiler, which stops after every builtin
(`write`, `replace`, …), also in libraries: only builtins change files. Where the folder has
changed, its content is noted: that is what a kill at this moment leaves, as the buffers of the
process go with it. `kill` does it for real: nothing is flushed, closed or cleaned up.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import pickle
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from datahall import guardian, programs

MOST = 16
"""Moments that are looked at, if files change more often."""

_LIMIT_S = 3.0
_PURE = (bytearray, bytes, dict, float, int, list, set, str, tuple)
_KIND = "kill"
Call = Callable[[Path], Callable[[], Any]]
"""Prepares in a folder what need not be killed, and returns the call."""
Listing = dict[str, tuple[int, int, int]]


def listing(folder: str | Path) -> Listing:
    """Return inode, size and time of change of all that a folder holds, by path."""
    found: Listing = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            seen = entry.stat(follow_symlinks=False)
            found[entry.path] = seen.st_ino, seen.st_size, seen.st_mtime_ns
            if entry.is_dir(follow_symlinks=False):
                found |= listing(entry.path)
    return found


def changes(before: Listing, after: Listing) -> str:
    """Say in words what has become of the files of a folder.

    Example:
        >>> changes({"a": (1, 5, 0), "b": (2, 5, 0)}, {"a": (1, 0, 9), "c": (3, 0, 9)})
        '1 file overwritten, 1 file removed, 1 file new'
    """
    became = Counter(
        "removed" if path not in after
        else "replaced" if after[path][0] != held[0]
        else "overwritten" if after[path] != held else "as before"
        for path, held in before.items()
    ) + Counter(new=len(set(after) - set(before)))  # fmt: skip
    order = ("as before", "overwritten", "replaced", "removed", "new")
    words = [f"{became[n]} file{'s' * (became[n] > 1)} {n}" for n in order if became[n]]
    return ", ".join(words) or "no file at all"


@dataclass(frozen=True)
class Snapshot:
    """A moment of a call at which its files have changed.

    Attributes:
        count: How many builtins had returned.
        where: After which one.
        became: What has become of the files since the call began, in words.
        held: What the folder holds: bytes and time of change by relative path, None for folders.
    """

    count: int
    where: str
    became: str
    held: dict[str, tuple[bytes, int] | None]


class _Trace:
    """Counts the builtins of a call, notes those that change files, may end it after one."""

    def __init__(self, watched: Path, kill_at: int | None) -> None:
        self.watched, self.kill_at, self.count = watched, kill_at, 0
        self.before = self.latest = listing(watched)
        self.moments: list[Snapshot] = []
        self.files: list[list[tuple[str, int]]] = []  # names and inodes at each moment

    def __call__(self, frame: FrameType, event: str, function: Any) -> None:
        if event not in ("c_return", "c_exception"):
            return
        self.count += 1
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kill_at is not None or _is_pure(function):
            return
        if (now := listing(self.watched)) != self.latest:
            self.latest = now
            self._note(f"after {getattr(function, '__name__', function)}()", now)

    def _note(self, where: str, now: Listing) -> None:
        files = sorted((path, inode) for path, (inode, _, _) in now.items())
        if self.files[-3:] == [files] * 3:  # a file grows: its first two lengths and the last do
            self.moments.pop()
            self.files.pop()
        became = changes(self.before, now)
        self.moments.append(Snapshot(self.count, where, became, _held(self.watched)))
        self.files.append(files)


def _is_pure(function: Any) -> bool:
    """Tell whether a builtin surely changes no file, as `len` does."""
    owner = getattr(function, "__self__", None)
    if owner is builtins:
        return getattr(function, "__name__", "open") not in ("open", "exec", "eval", "__import__")
    return type(owner) in _PURE


def _held(folder: Path) -> dict[str, tuple[bytes, int] | None]:
    return {
        str(path.relative_to(folder)): None
        if path.is_dir()
        else (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.exists()
    }


def restore(folder: Path, moment: Snapshot) -> None:
    """Make a folder hold what it held at a moment."""
    shutil.rmtree(folder)
    folder.mkdir()
    for name, held in moment.held.items():
        if held is None:
            (folder / name).mkdir()
            continue
        (folder / name).write_bytes(held[0])
        os.utime(folder / name, ns=(held[1], held[1]))


def moments(call: Call, watched: Path) -> list[Snapshot]:
    """Return when a call changes the files of a folder that is empty at first, in order.

    Raises:
        ChildProcessError: The call raised an error, or did not end.
    """
    told = _in_child(lambda: _traced(call, watched, None))
    if not told:
        raise ChildProcessError("it did not end by itself, or raised an error")
    found = pickle.loads(told)  # noqa: S301 (from a child of ours)
    many = min(MOST, len(found))
    return [found[n * len(found) // many] for n in range(many)]


def kill(call: Call, watched: Path, at: int | None) -> None:
    """Make a call in a process that is killed with SIGKILL.

    Args:
        call: Prepares, and returns what is called without arguments.
        watched: The folder that the call works in.
        at: After so many builtins of the call have returned; None after the whole call.
    """
    _in_child(lambda: _traced(call, watched, at) if at else _whole(call, watched))


def _traced(call: Call, watched: Path, at: int | None) -> bytes:
    prepared = call(watched)
    trace = _Trace(watched, at)
    sys.setprofile(trace)
    try:
        prepared()
    finally:
        sys.setprofile(None)
    return pickle.dumps(trace.moments)


def _whole(call: Call, watched: Path) -> bytes:
    call(watched)()
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def _in_child(work: Callable[[], bytes]) -> bytes | None:
    """Return what `work` returns in a forked process; None if it returned nothing."""
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = programs.fork()
    if pid == 0:
        try:
            programs.die_with(parent)
            os.close(reader)
            told = work()
            while told:
                told = told[os.write(writer, told) :]
        finally:
            os._exit(0)
    os.close(writer)
    try:
        return _all(reader) or None
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)  # harmless when it has ended: the number is ours until waited
        os.waitpid(pid, 0)


def _all(reader: int) -> bytes:
    told, until = b"", time.monotonic() + _LIMIT_S
    while select.select([reader], [], [], max(until - time.monotonic(), 0))[0]:
        part = os.read(reader, 65536)
        if not part:
            return told
        told += part
    return b""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Give an empty folder, and remove it afterwards; also those of processes that were killed."""
    prefix = f"{guardian.PREFIX}{_KIND}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*-*"):
        pid = left.name.removeprefix(prefix).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            guardian.remove(os.path.realpath(left))  # only what bears the mark of `make`
    made = guardian.make(f"{_KIND}-{os.getpid()}")
    watched = Path(made, "watched")
    watched.mkdir()
    try:
        yield watched
    finally:
        guardian.remove(made)
