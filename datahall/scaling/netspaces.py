"""A network of its own for each rank: namespaces, addresses, and links of a given bandwidth.

`run` starts ranks as `group.run` does. Each leaves the machine's network for an empty one of its
own (a network namespace of Linux), and is joined to a switch in software that one more process
holds: a bridge of the kernel, or `relay` where cables are to be long. The kernel's token bucket
(`tc … tbf`) limits what a rank sends. Namespaces and links vanish with the processes that hold
them: nothing is left, however they end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from datahall.errors import CourseError
from datahall.scaling import group, relay
from datahall.scaling.core import Link
from datahall.scaling.peers import Peers

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
SWITCH = 0  # the rank that holds the bridge
PORT = 5000
BURST_BYTES, BURST_S = 16_384, 4e-3  # that the token bucket lets through at once: at least
FRAME_BYTES, PAYLOAD_BYTES = 1514, 1448  # of a full Ethernet frame with TCP, timestamps included


class NetworkError(CourseError, OSError):
    """A command of the system that makes a network failed, or networks cannot be made here."""


@dataclass(frozen=True)
class Cable:
    """What joins a rank to the switch.

    Attributes:
        bytes_per_s: What a rank may send in a second, frames with their headers.
        latency_s: Seconds that a frame is under way besides, from rank to rank.

    Raises:
        ParameterError: The bandwidth is not positive, or the latency is negative.
    """

    bytes_per_s: float
    latency_s: float = 0.0

    def __post_init__(self) -> None:
        self.link()

    def link(self) -> Link:
        """Return the link that a model of scaling sees: the bandwidth of what the frames carry.

        Example:
            >>> round(Cable(1514e3).link().bytes_per_s)
            1448000
        """
        return Link(self.latency_s, self.bytes_per_s * PAYLOAD_BYTES / FRAME_BYTES)


def lacking() -> str:
    """Return why networks cannot be made here, in a sentence; empty if they can."""
    if sys.platform != "linux":
        return f"This system is {sys.platform}: network namespaces are Linux's."
    if missing := [name for name in ("ip", "tc") if shutil.which(name) is None]:
        return f"The commands {' and '.join(missing)} are missing: install iproute2."
    try:
        run(1, _here, Cable(1e6), limit_s=20)
    except group.GroupError as error:
        return f"Network namespaces are not allowed here, they need root: {error}"
    return ""


def run(
    ranks: int, function: Callable[..., Any], cable: Cable, *args: Any, limit_s: float = 60.0
) -> list[Any]:
    """Run `function(peers, *args)` in so many processes, each with a network of its own.

    Args:
        ranks: How many.
        function: Called in each with its connections, which go over the cables.
        cable: What each is joined to the switch by.
        args: What it is called with.
        limit_s: Seconds after which all are killed.

    Returns:
        What each rank returns, in order.

    Raises:
        GroupError: A rank failed, was killed or took too long, or no network could be made.
    """
    return group.run(ranks + 1, _part, function, cable, args, limit_s=limit_s)[1:]


def address(rank: int) -> str:
    """Return the address of a rank in the network.

    Example:
        >>> address(0), address(2)
        ('10.77.0.1', '10.77.0.3')
    """
    return f"10.77.0.{rank + 1}"


def _here(peers: Peers) -> None:
    """Do nothing: a network could be made."""


def _part(peers: Peers, function: Callable[..., Any], cable: Cable, args: tuple[Any, ...]) -> Any:
    """Be the switch, or a rank behind it; `peers` are the connections that started them."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK) != 0:
        raise NetworkError(
            f"a network namespace was refused: {os.strerror(ctypes.get_errno())}. Root's rights "
            "were expected. Ask whoever runs this machine, or go on without."
        )
    if peers.rank == SWITCH:
        with _switch(peers, cable.latency_s):
            peers.barrier()  # cables are in
            peers.barrier()  # all have listened
            peers.barrier()  # all is done
        return None
    peers.send(SWITCH, np.array([os.getpid()]))
    peers.barrier()
    _plug(peers.rank - 1, cable)
    with socket.create_server((address(peers.rank - 1), PORT)) as listening:
        peers.barrier()
        with _join(peers.rank - 1, peers.ranks - 1, listening, peers.limit_s) as joined:
            found = function(joined, *args)
            peers.barrier()
    return found


@contextlib.contextmanager
def _switch(peers: Peers, latency_s: float) -> Iterator[None]:
    """Put a cable into each rank's namespace, and join their other ends."""
    ranks = range(1, peers.ranks)
    for rank in ranks:
        number = np.empty(1, np.int64)
        peers.receive(rank, number)
        _command(f"ip link add port{rank} type veth peer name cable netns {number[0]}")
        _command(f"ip link set port{rank} up")
    if latency_s == 0:
        _command("ip link add bridge0 type bridge")
        _command("ip link set bridge0 up")
        for rank in ranks:
            _command(f"ip link set port{rank} master bridge0")
        yield
        return
    done, ports = threading.Event(), [relay.port(f"port{rank}") for rank in ranks]
    threading.Thread(target=relay.forward, args=(ports, latency_s, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _plug(rank: int, cable: Cable) -> None:
    """Give this end of the cable its address and its bandwidth."""
    _command("ip link set lo up")
    _command(f"ip addr add {address(rank)}/24 dev cable")
    if cable.latency_s > 0:
        relay.whole_frames("cable")
    _command("ip link set cable up")
    bits = round(8 * cable.bytes_per_s)
    burst = max(BURST_BYTES, round(BURST_S * cable.bytes_per_s))
    _command(f"tc qdisc add dev cable root tbf rate {bits}bit burst {burst} latency 400ms")


def _command(words: str) -> None:
    done = subprocess.run(words.split(), capture_output=True, text=True)  # noqa: S603 (ip and tc)
    if done.returncode != 0:
        raise NetworkError(
            f"`{words}` failed: {done.stderr.strip()}. A network was expected to be made. See "
            "whether this kernel has bridges, veth and tbf."
        )


def _join(rank: int, ranks: int, listening: socket.socket, limit_s: float) -> Peers:
    """Connect with every other rank over the cables; the lower ones are called, the higher call."""
    lines: dict[int, socket.socket] = {}
    for other in range(rank):
        lines[other] = _call(address(other), limit_s)
        lines[other].sendall(bytes([rank]))
    listening.settimeout(limit_s)
    while len(lines) < ranks - 1:
        line, _ = listening.accept()
        lines[line.recv(1)[0]] = line
    return Peers(rank, lines, limit_s=limit_s)


def _call(host: str, limit_s: float) -> socket.socket:
    """Connect; a bridge needs a moment until it forwards."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return socket.create_connection((host, PORT), timeout=1.0)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
