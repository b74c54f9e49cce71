"""How a requester gets a kernel: from a zygote that serves, else from one that it starts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from datahall.course.warm import key, request
from datahall.course.warm.process import Forked

START_S = 120.0  # for the imports, on a machine where much starts at once
MOST = 4  # zygotes in one folder: each holds its libraries in memory
_started: list[subprocess.Popen[bytes]] = []  # ours to wait for


def fork(
    wish: request.Request, files: Sequence[int], *, kind: str, options: Sequence[str], folder: Path
) -> Forked:
    """Fork a kernel from the zygote of its key, which is started if there is none.

    Args:
        wish: What the kernel shall be.
        files: Its standard input, output and error.
        kind: `plain` or `tensorflow`.
        options: Options of the interpreter.
        folder: The folder of an owner that lives.

    Raises:
        Cold: It cannot be forked; says why.
    """
    with reached(folder, kind, options, wish.environment) as channel:
        channel.settimeout(START_S)
        request.send(channel, wish.message(), files)
        answer, _ = request.receive(channel)
        if "pid" not in answer:
            raise request.Cold(str(answer.get("refused", "the zygote gave no kernel")))
        return Forked(int(answer["pid"]), channel.dup())


@contextlib.contextmanager
def reached(
    folder: Path, kind: str, options: Sequence[str], environment: dict[str, str]
) -> Iterator[socket.socket]:
    """Give a connection to the zygote of a key, which is started if there is none.

    Args:
        folder: Where the zygotes' sockets are.
        kind: What it has imported.
        options: The interpreter's options.
        environment: The environment of the kernel.

    Raises:
        Cold: There is none, or it does not answer; says why.
    """
    name = f"{key.key(kind, options, environment)}.socket"
    try:
        channel = _reach(folder, name) or _start(folder, name, kind, options, environment)
        with channel:
            yield channel
    except (OSError, EOFError, ValueError) as error:
        raise request.Cold(f"its zygote did not answer ({error})") from error


def _reach(folder: Path, name: str) -> socket.socket | None:
    try:
        return request.connect(folder, name)
    except (FileNotFoundError, ConnectionRefusedError):
        return None


def _start(
    folder: Path, name: str, kind: str, options: Sequence[str], environment: dict[str, str]
) -> socket.socket:
    """Start a zygote, or wait for the one that another requester starts; connect to it."""
    reason = folder / f"{name}.refused"
    with _lock(folder / f"{name}.lock"):
        if channel := _reach(folder, name):
            return channel
        if (folder / name).exists():
            raise request.Cold("its zygote has died")
        if reason.exists():
            raise request.Cold(reason.read_text(encoding="utf-8"))
        if len(list(folder.glob("*.socket"))) >= MOST:
            raise request.Cold(f"{MOST} zygotes are held already, each for other settings")
        report = _run(folder, name, kind, options, environment)
        if report != "ready":
            reason.write_text(report, encoding="utf-8")
            raise request.Cold(report)
        return request.connect(folder, name)


def _run(
    folder: Path, name: str, kind: str, options: Sequence[str], environment: dict[str, str]
) -> str:
    """Start a zygote and return what it reports."""
    reader, writer = os.pipe()
    module = "datahall.course.warm.zygote"
    command = [sys.executable, *options, "-m", module, kind, str(folder), name, str(writer)]
    variables = key.read_at_import(environment) | {"PATH": environment.get("PATH", os.defpath)}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (our own words)
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=variables,
            pass_fds=[writer],
            start_new_session=True,
        )
    _started.append(process)
    os.close(writer)
    try:
        if not select.select([reader], [], [], START_S)[0]:
            process.kill()
            return f"its zygote was not ready after {START_S:.0f} s"
        report = os.read(reader, 10_000).decode(errors="replace")
        return report or "its zygote died when it imported the libraries"
    finally:
        os.close(reader)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one requester at a time start a zygote of one key."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def reap() -> None:
    """Wait for the zygotes that this process started and that have ended."""
    for process in [*_started]:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            _started.remove(process)
