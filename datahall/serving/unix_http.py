"""One GET over a Unix socket: how the launcher reads health and metrics, which no port tells."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

TIMEOUT_S = 10.0


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in place of a port."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def get(path: Path, target: str) -> bytes:
    """Return the body of a page that is served on a Unix socket.

    Args:
        path: The socket.
        target: The page, `/metrics`.

    Raises:
        OSError: Nobody answers there, or not with status 200.
    """
    connection = _OverSocket(path)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{path.name} does not answer as HTTP demands.") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"{path.name} answers {answer.status}.")
    return body
