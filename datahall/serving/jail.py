"""The inside of the sandbox: a program that shuts itself in, then runs another one.

It is started by `sandbox.run` with a plan (JSON) as its only argument. It leaves the machine's
network, processes, users and files for empty ones of its own, makes a root in memory that holds
what Python needs, read-only, and one writable folder, gives up its rights, and runs a module there.
Reading order: `main`, `_root`, `_worker`.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import resource
import select
import signal
import sys
from pathlib import Path
from typing import Any

from datahall import programs

ROOM = "/room"  # the only folder that can be written
NOBODY = 65_534
FIRST_BYTES = 4096  # of each file that is left in the room
MOST_FILES = 32

_NEW = {"mount": 0x20000, "ipc": 0x8000000, "pid": 0x20000000, "network": 0x40000000}
_NEW_USER, _NO_NEW_RIGHTS, _DIE_WITH_PARENT = 0x10000000, 38, 1
_READ_ONLY, _NO_SUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = (
    1, 2, 4, 32, 4096, 16384, 1 << 18,
)  # fmt: skip
_LIBC = ctypes.CDLL(None, use_errno=True)


def main(plan: dict[str, Any]) -> int:
    """Shut this process in and run the plan's module; print what came of it as JSON.

    Args:
        plan: `parent` (process number), `command` (list of words), `reads` (folders, read-only),
            `files` (name to base64), `limits` (as in `sandbox.SandboxLimits`).

    Returns:
        0; an exit code of 3 says that the system refused, on standard error.
    """
    programs.die_with(plan["parent"])
    try:
        _leave(os.getuid(), os.getgid())
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}")
        return 3
    heard, held = os.pipe()  # it closes when this process ends, however it ends
    first = programs.fork()  # the first process of the new room of processes: all die with it
    if first == 0:
        os.close(held)
        os._exit(_first(plan, heard))
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


def _leave(uid: int, gid: int) -> None:
    """Enter namespaces that are empty; without root's rights, in a user namespace of one's own."""
    flags = sum(_NEW.values()) | (0 if uid == 0 else _NEW_USER)
    _call(_LIBC.unshare(flags), "namespaces of its own were refused")
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _first(plan: dict[str, Any], heard: int) -> int:
    """Make the root, run the worker, and tell what it left."""
    try:
        _call(_LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0), "dying with it was refused")
        if select.select([heard], [], [], 0)[0]:
            return 3  # it ended before the system watched; its number is of no use in here
        _root(plan)
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}")
        return 3
    read, write = os.pipe()
    worker = programs.fork()
    if worker == 0:
        os.close(read)
        _worker(plan, write)
    os.close(write)
    said = _limited(read)
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    told = {"code": code, "said": said, "files": _left()}
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()
    return 0


def _root(plan: dict[str, Any]) -> None:
    """Change to a root in memory with the folders that may be read, and a room."""
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    root = "/tmp"  # noqa: S108 (covered at once by a file system of our own, in our own namespace)
    keep = {each: os.open(each, os.O_PATH) for each in plan["reads"] if Path(each).exists()}
    _mount("tmpfs", root, "tmpfs", _NO_SUID | _NO_DEVICES, "size=16m,mode=755")
    for each, opened in keep.items():
        inside = Path(root + each)
        source = f"/proc/self/fd/{opened}"
        if Path(source).is_dir():
            inside.mkdir(parents=True, exist_ok=True)
        else:
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.touch()
        _mount(source, str(inside), None, _BIND | _RECURSIVE)
        if not each.startswith("/dev/"):
            only = _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEVICES
            _mount(None, str(inside), None, only)
        os.close(opened)
    room = Path(root + ROOM)
    room.mkdir()
    size = plan["limits"]["room_bytes"]
    _mount("tmpfs", str(room), "tmpfs", _NO_SUID | _NO_DEVICES, f"size={size},mode=777")
    for name, content in plan["files"].items():
        (room / name).write_bytes(base64.b64decode(content))
    _mount(None, root, None, _REMOUNT | _READ_ONLY | _NO_SUID | _NO_DEVICES)
    os.chroot(root)
    os.chdir(ROOM)


def _worker(plan: dict[str, Any], out: int) -> None:
    """Give up all rights and become the module that is to be run."""
    limits = plan["limits"]
    for what, most in (
        (resource.RLIMIT_CPU, limits["cpu_s"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _call(_LIBC.prctl(_NO_NEW_RIGHTS, 1, 0, 0, 0), "the promise of no new rights was refused")
    empty = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(empty if stream == 0 else out, stream)
    os.closerange(3, 256)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    settings = {"HOME": ROOM, "TMPDIR": ROOM, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
                "CUDA_VISIBLE_DEVICES": "-1", "KERAS_HOME": ROOM}  # fmt: skip
    os.execve(plan["command"][0], plan["command"], settings)  # noqa: S606 (shut in by now)


def _limited(read: int) -> str:
    """Return the first bytes of what the worker says; a flood ends it."""
    parts, room = b"", 65_536
    while len(parts) < room and (part := os.read(read, room - len(parts))):
        parts += part
    os.close(read)
    return parts.decode(errors="replace")


def _left() -> dict[str, str]:
    """Return the files in the room, their first bytes in base64; links are not followed."""
    plain = sorted(
        each for each in Path(ROOM).iterdir() if each.is_file() and not each.is_symlink()
    )
    first = {}
    for each in plain[:MOST_FILES]:
        with each.open("rb") as file:
            first[each.name] = base64.b64encode(file.read(FIRST_BYTES)).decode()
    return first


def _mount(what: str | None, where: str, kind: str | None, flags: int, data: str = "") -> None:
    words = [each.encode() if each else None for each in (what, where, kind)]
    done = _LIBC.mount(*words, ctypes.c_ulong(flags), data.encode() or None)
    _call(done, f"mounting {where} was refused")


def _call(result: int, said: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{said}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.stdin.read())))
