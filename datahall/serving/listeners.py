"""Listening sockets of the loopback, and files that hold a secret."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from datahall.serving.gateway import GatewayError


def listening(port: int) -> socket.socket:
    """Return a socket that listens on the loopback.

    Args:
        port: Its number; 0 takes a free one.

    Raises:
        GatewayError: It is taken.
    """
    wire = socket.socket()
    try:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wire.bind(("127.0.0.1", port))
        wire.listen(1024)
    except OSError as error:
        wire.close()
        raise GatewayError(
            f"port {port} cannot be had ({error.strerror or error}). A free port of the loopback "
            "was expected. Choose another one, or 0."
        ) from error
    return wire


def close(wire: socket.socket) -> None:
    """Close a listening socket, also for forks of this process that hold it.

    Args:
        wire: The socket.
    """
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
    wire.close()


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only the user may read, from its first byte on; a reader sees it whole.

    Args:
        path: The file.
        content: What it holds.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)
