"""The offline guard: refuses every socket to another machine.

It is on where `DATAHALL_OFFLINE_GUARD=1`. `prepare` puts it into the start-up of every IPython
kernel that is started with the returned folder as `IPYTHONDIR`: before the first cell, whatever the
notebook does. `datahall.runtime.start` calls `install` as well. It is a Python audit hook: it
cannot be removed again, and it sees `connect`, `connect_ex`, `sendto`, `sendmsg` and the look-up of
names by any Python library of that process. Child processes and libraries that open sockets in C
are outside its reach; the test in an empty network namespace covers them.

This file uses nothing but the standard library: a kernel runs it by its path.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Any

_HERE = ("localhost", "localhost.localdomain", "ip6-localhost", "")
_installed = False


class OfflineError(PermissionError):
    """A connection to another machine, refused by the offline guard."""


def is_here(host: Any) -> bool:
    """Tell whether a host is this machine itself: by address, by name, or none given.

    Example:
        >>> [is_here(host) for host in ("127.0.0.1", "::1", "localhost", None)]
        [True, True, True, True]
        >>> [is_here(host) for host in ("192.0.2.1", "example.org")]
        [False, False]
    """
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name.lower() in (*_HERE, socket.gethostname().lower())
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse an event that would reach another machine; the audit hook.

    Raises:
        OfflineError: The address is not this machine's own.
    """
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        channel, address = arguments[:2]
        internet = getattr(channel, "family", None) in (socket.AF_INET, socket.AF_INET6)
        if internet and isinstance(address, tuple) and address and not is_here(address[0]):
            raise OfflineError(
                _message(
                    f"a connection to {address[0]} port {address[1] if len(address) > 1 else '?'}"
                )
            )
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and _asks_outside(arguments[0]):
        raise OfflineError(_message(f"the look-up of {arguments[0]!r}"))


def _asks_outside(host: Any) -> bool:
    """Tell whether a host is a name that somebody else must be asked for; an address is not."""
    try:
        ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return not is_here(host)
    return False


def _message(what: str) -> str:
    return (
        f"The offline guard refused {what}. The course runs without a network: only this "
        "machine's own addresses "
        "(127.0.0.1, ::1, localhost) are allowed. Load the data from the repository instead."
    )


def install() -> None:
    """Switch the guard on in this process, once and for good."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(refuse)


def wanted() -> bool:
    """Tell whether the environment asks for the guard."""
    return os.environ.get("DATAHALL_OFFLINE_GUARD") == "1"


def prepare(folder: Path) -> Path:
    """Make an IPython folder whose kernels start with the guard; set `IPYTHONDIR` to it.

    They also write NaN and infinity into their messages as they are.

    Kernels look at `DATAHALL_OFFLINE_GUARD` when they start. The user's own IPython start-up files
    are not read from it.
    """
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    this = str(Path(__file__).resolve())
    line = f"__import__('runpy').run_path({this!r}, run_name='datahall_offline_guard')\n"
    (startup / "00-datahall-offline-guard.py").write_text(line, encoding="utf-8")
    # Where orjson is installed, Jupyter writes messages with it, and NaN becomes null.
    packer = 'get_config().Session.packer = "json"\n'
    (startup.parent / "ipython_kernel_config.py").write_text(packer, encoding="utf-8")
    return folder


if __name__ == "datahall_offline_guard" and wanted():
    install()
