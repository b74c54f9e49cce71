"""Run what may be hostile: in a child without network, with nobody's rights and a root of its own.

`lacking` says why that cannot be had here; `run` refuses then. What runs in the sandbox sees no
network (not even loopback), no process but its own, no file of yours but Python's, all read-only,
and one small folder in memory. It has limits of time, memory and bytes, and ends with its parent.
It is no virtual machine: a hole in the kernel is a hole in it.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import datahall
from datahall import programs
from datahall.errors import CourseError

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")


class SandboxError(CourseError, OSError):
    """No sandbox is to be had here, or it ended without a word."""


@dataclass(frozen=True)
class SandboxLimits:
    """What a program in the sandbox may use.

    Attributes:
        cpu_s: Seconds of processor time.
        wall_s: Seconds by the clock, after which all of it is killed.
        memory_bytes: Addresses that it may map.
        file_bytes: Of one file.
        room_bytes: Of its folder, which is in memory.
    """

    cpu_s: int = 60
    wall_s: float = 240.0
    memory_bytes: int = 12 << 30
    file_bytes: int = 16 << 20
    room_bytes: int = 64 << 20


@dataclass(frozen=True)
class SandboxRun:
    """What came of a program in the sandbox.

    Attributes:
        code: Its exit code; negative: the signal that ended it.
        said: The first 64 kB of what it wrote to standard output and error.
        files: The first bytes of each file in its folder, by name.
    """

    code: int
    said: str
    files: dict[str, bytes] = field(default_factory=dict)


@cache
def lacking() -> str:
    """Return why there is no sandbox here, in a sentence; empty if there is one."""
    if sys.platform != "linux":
        return f"This system is {sys.platform}: the sandbox is made of Linux's namespaces."
    try:
        found = _run("this", (), {}, SandboxLimits(cpu_s=10, wall_s=60))
    except SandboxError as error:
        return str(error)
    return "" if found.code == 0 else f"A first try in the sandbox failed: {found.said[-200:]!r}."


def run(
    module: str,
    *arguments: str,
    files: Mapping[str, bytes] | None = None,
    limits: SandboxLimits | None = None,
) -> SandboxRun:
    """Run `python -m module arguments` in a sandbox, or refuse.

    Args:
        module: Name of a module.
        arguments: Its arguments.
        files: What lies in its folder, by name without a folder.
        limits: What it may use.

    Returns:
        What came of it.

    Raises:
        SandboxError: There is no sandbox here; nothing was run.
    """
    if why := lacking():
        raise SandboxError(
            f"{why} Files with code in them are run in a sandbox or not at all. Use Linux with "
            "user namespaces, or root's rights."
        )
    return _run(module, arguments, files or {}, limits or SandboxLimits())


def _run(
    module: str, arguments: tuple[str, ...], files: Mapping[str, bytes], limits: SandboxLimits
) -> SandboxRun:
    if bad := [name for name in files if Path(name).name != name]:
        raise SandboxError(
            f"{bad[0]!r} is no plain file name. Names without a folder are expected."
        )
    plan = {
        "parent": os.getpid(),
        "command": [sys.executable, "-m", module, *arguments],
        "reads": _readable(),
        "files": {name: base64.b64encode(each).decode() for name, each in files.items()},
        "limits": asdict(limits),
    }
    with subprocess.Popen(  # noqa: S603 (our own module)
        programs.command("datahall.serving.jail"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as jail:
        try:
            out, err = jail.communicate(json.dumps(plan).encode(), timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            jail.kill()  # the rest dies with it
            raise SandboxError(
                f"What ran in the sandbox took more than {limits.wall_s:g} s and was ended. Give "
                "it more, or look at what it does."
            ) from None
        except BaseException:
            jail.kill()
            raise
    if jail.returncode != 0 or not out:
        raise SandboxError(f"No sandbox here: {err.decode(errors='replace')[-300:].strip()}.")
    told = json.loads(out)
    left = {name: base64.b64decode(each) for name, each in told["files"].items()}
    return SandboxRun(told["code"], told["said"], left)


def _readable() -> list[str]:
    """Return what Python needs, each folder once: the system's, the interpreter's, the package."""
    package = Path(datahall.__file__).resolve().parent
    pythons = {Path(each).resolve() for each in (sys.prefix, sys.base_prefix)}
    real = Path(sys.executable).resolve().parent.parent
    links = {Path(sys.executable).parent.parent}
    found = dict.fromkeys([*_SYSTEM, *map(str, sorted({*pythons, real, *links})), str(package)])
    return [each for each in found if not any(_within(each, other) for other in found)]


def _within(inner: str, outer: str) -> bool:
    return inner != outer and inner.startswith(outer.rstrip(os.sep) + os.sep)
