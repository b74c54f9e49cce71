"""HTTP as bytes: a request that no client library would send, and what comes back.

Reading order: `Sent` (a request as data), `call` (sends it to a target), `replies` (what came,
taken apart). Only services that this process has started can be called (`guarded_socket`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from datahall.errors import CourseError
from datahall.serving import guarded_socket
from datahall.serving.client import Replied
from datahall.serving.protocol import JSON_TYPE, model_path
from datahall.serving.repository import MODEL_NAME
from datahall.serving.target import Target

INFER = model_path(MODEL_NAME, action="infer")
SILENCE_S = 30.0  # after which no more is expected

Headers = tuple[tuple[str, str], ...]


class SilenceError(CourseError, OSError):
    """The service closed the connection without a word."""


@dataclass(frozen=True)
class Sent:
    """A request, as it goes over the wire.

    Attributes:
        body: Its bytes.
        path: As it is written in the first line.
        method: `POST`, …
        headers: In order; a name may come twice. `Host`, `Connection` and the token are added, and
            the length of the body where no other length is said.
        kind: The content type; empty: none.
        token: Of the caller; None: none.
        length: Whether a length may be added.
    """

    body: bytes = b""
    path: str = INFER
    method: str = "POST"
    headers: Headers = ()
    kind: str = JSON_TYPE
    token: str | None = None
    length: bool = True

    def wire(self) -> bytes:
        """Return the bytes.

        Example:
            >>> Sent(b"{}", "/v2", token="t").wire().splitlines()[0]
            b'POST /v2 HTTP/1.1'
        """
        given = {name.lower() for name, _ in self.headers}
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [] if "host" in given else ["Host: 127.0.0.1"]
        lines += [] if self.token is None else [f"Authorization: Bearer {self.token}"]
        lines += [f"Content-Type: {self.kind}"] if self.kind and self.method == "POST" else []
        if self.length and self.method == "POST" and "content-length" not in given:
            lines.append(f"Content-Length: {len(self.body)}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append("Connection: close")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + self.body


def call(target: Target, sent: Sent) -> Replied:
    """Send a request to a target; return its first reply.

    Args:
        target: A service that this process has started.
        sent: What is sent.

    Raises:
        SilenceError: Nothing came back.
        ParameterError: It is no service of this process.
    """
    return slowly(target, [sent.wire()], pause_s=0.0)


def slowly(target: Target, parts: Iterable[bytes], *, pause_s: float) -> Replied:
    """Send bytes in parts, with pauses; return the first reply.

    Args:
        target: A service that this process has started.
        parts: The bytes.
        pause_s: Between two parts.

    Raises:
        SilenceError: Nothing came back.
    """
    came = guarded_socket.raw(
        target.address, parts, ca_pem=target.ca_pem, pause_s=pause_s, timeout_s=SILENCE_S
    )
    found = replies(came)
    if not found:
        raise SilenceError("The service closed the connection without a word.")
    return found[0]


def replies(came: bytes) -> list[Replied]:
    """Take what came over a connection apart, by the lengths that the replies say.

    Args:
        came: All bytes.
    """
    found = []
    while came.startswith(b"HTTP/1."):
        head, gap, rest = came.partition(b"\r\n\r\n")
        if not gap:
            break
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        size = int(headers.get("content-length", len(rest)))
        found.append(Replied(int(first.split()[1]), headers, rest[:size]))
        came = rest[size:]
    return found
