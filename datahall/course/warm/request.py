"""What requesters and zygotes say to each other: small messages over a socket only they can open.

A requester sends one message with three file descriptors (standard input, output and error). The
answer is `{"pid": …}` from the new kernel, or `{"refused": why}`. The connection stays open as long
as the kernel shall live; when the kernel has ended, `{"exit": code, …}` comes over it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct("!I")
_MOST_BYTES = 16 * 2**20  # a message; an environment is far smaller


class Cold(Exception):  # noqa: N818 (a decision, not a fault)
    """Why a kernel cannot be forked; it is started cold instead."""


@dataclass(frozen=True)
class Request:
    """What a kernel shall be.

    Args:
        command: The whole command line, as a cold kernel would get it.
        arguments: The part after `-m ipykernel_launcher`.
        environment: All its environment variables.
        folder: Its working folder.
    """

    command: list[str]
    arguments: list[str]
    environment: dict[str, str]
    folder: str

    def message(self) -> dict[str, Any]:
        """Return the request as plain data."""
        return asdict(self)

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Request:
        """Read a request.

        Raises:
            ValueError: A part is missing or of another type.
        """
        try:
            command, arguments = message["command"], message["arguments"]
            environment, folder = message["environment"], message["folder"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{error} is missing") from error
        words = [*command, *arguments, *environment, *environment.values(), folder]
        if not all(isinstance(word, str) and "\0" not in word for word in words):
            raise ValueError("command, arguments, environment and folder must be strings")
        return cls(list(command), list(arguments), dict(environment), folder)


def send(channel: socket.socket, message: dict[str, Any], files: Sequence[int] = ()) -> None:
    """Send one message, and file descriptors with it.

    Args:
        channel: A Unix socket.
        message: What JSON can hold.
        files: Descriptors, which the receiver gets as its own.
    """
    content = json.dumps(message).encode()
    head = _LENGTH.pack(len(content))
    if files:
        socket.send_fds(channel, [head], list(files))
    else:
        channel.sendall(head)
    channel.sendall(content)


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return one message and the descriptors that came with it, which the caller must close.

    Raises:
        EOFError: The other side has closed the connection.
        ValueError: What came is no message.
        OSError: The connection is broken, or its time limit is over.
    """
    head, files, *_ = socket.recv_fds(channel, _LENGTH.size, 3)
    try:
        head += _exactly(channel, _LENGTH.size - len(head))
        (length,) = _LENGTH.unpack(head)
        if length > _MOST_BYTES:
            raise ValueError(f"a message of {length} bytes is too long")
        message = json.loads(_exactly(channel, length))
        if not isinstance(message, dict):
            raise ValueError("a message must be a JSON object")
    except BaseException:
        for file in files:
            os.close(file)
        raise
    return message, list(files)


def _exactly(channel: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = channel.recv(min(count, 2**16))
        if not part:
            raise EOFError("the connection was closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def connect(folder: Path, name: str, *, seconds: float = 10) -> socket.socket:
    """Connect to a socket in a folder, however long the folder's path is.

    Args:
        folder: Where the socket is.
        name: Its name.
        seconds: How long an answer may take, then and later.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        channel.settimeout(seconds)
        with _short(folder) as place:
            channel.connect(f"{place}/{name}")
    except BaseException:
        channel.close()
        raise
    return channel


def listen(folder: Path, name: str) -> socket.socket:
    """Listen on a new socket in a folder; only this user can connect."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as place:
            channel.bind(f"{place}/{name}")
        (folder / name).chmod(0o600)
        channel.listen(64)
    except BaseException:
        channel.close()
        raise
    return channel


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Give a short name of a folder: the address of a socket has 107 bytes."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def peer(channel: socket.socket) -> int:
    """Return the process number of the other side: who connected, or who listens."""
    pid, _, _ = struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)
