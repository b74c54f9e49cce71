"""Raw bytes to a service of this process, and to nobody else.

An attack is a request that no client library would send. `raw` sends it; it refuses every address
but the loopback ports of services that this very process has started. That is all the difference
between an exercise and an offence.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from datahall.errors import ParameterError

_OURS: set[int] = set()
LIMIT_S = 30.0


def started(port: int) -> None:
    """Note that a service of this process listens on a port of the loopback.

    Args:
        port: Its number.
    """
    _OURS.add(port)


def stopped(port: int) -> None:
    """Note that it does so no more.

    Args:
        port: Its number.
    """
    _OURS.discard(port)


def place(address: str) -> tuple[str, int]:
    """Return host and port of a loopback address.

    Args:
        address: `https://127.0.0.1:8443`, `http://localhost:8080` or `[::1]:8443`.

    Raises:
        ParameterError: It is no address of this machine's loopback.

    Example:
        >>> place("https://127.0.0.1:8443")
        ('127.0.0.1', 8443)
    """
    parts = urlsplit(address if "//" in address else f"//{address}")
    try:
        host, port = parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)
    except ValueError:
        host, port = "", 0
    if not _is_loopback(host):
        raise ParameterError(
            f"the address is {address!r}. An address of this machine's loopback was expected: "
            "127.0.0.1, ::1 or localhost. Start a service here and use its address."
        )
    return host, port


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def connect(address: str, *, ca_pem: str = "", timeout_s: float = LIMIT_S) -> socket.socket:
    """Return a connection to a service that this process has started.

    Args:
        address: Of the service; `https` is spoken over TLS.
        ca_pem: The authority's root, PEM, for `https`.
        timeout_s: For each reading and writing, in seconds.

    Raises:
        ParameterError: It is no loopback address, or none of this process's services.
        OSError: Nobody listens, or TLS fails.
    """
    host, port = place(address)
    if port not in _OURS:
        raise ParameterError(
            f"port {port} is of no service of this process. A service that it has started was "
            "expected: attacks go nowhere else. Start one with service.serve."
        )
    # The name could be led elsewhere; the number cannot.
    wire = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
    if not address.startswith("https:"):
        return wire
    try:
        context = ssl.create_default_context(cadata=ca_pem or None)
        return context.wrap_socket(wire, server_hostname=host)
    except BaseException:
        wire.close()
        raise


def raw(
    address: str,
    sent: bytes | Iterable[bytes],
    *,
    ca_pem: str = "",
    pause_s: float = 0.0,
    timeout_s: float = LIMIT_S,
) -> bytes:
    """Send bytes as they are; return all that comes back until the service closes or is silent.

    Args:
        address: Of a service that this process has started.
        sent: The bytes, or parts of them.
        ca_pem: The authority's root, PEM, for `https`.
        pause_s: Between two parts.
        timeout_s: How long silence may last.

    Returns:
        What came back; empty if the service closed without a word.

    Raises:
        ParameterError: It is no such service.
        OSError: Nobody listens, or TLS fails.
    """
    parts = [sent] if isinstance(sent, bytes) else sent
    with connect(address, ca_pem=ca_pem, timeout_s=timeout_s) as wire:
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # it may close before the end
            for number, part in enumerate(parts):
                time.sleep(pause_s if number else 0)
                wire.sendall(part)
        return received(wire)


def received(wire: socket.socket) -> bytes:
    """Return what comes over a connection until it is closed or silent for its time-out.

    Args:
        wire: The connection.
    """
    found = b""
    with contextlib.suppress(OSError):
        while part := wire.recv(65_536):
            found += part
    return found
