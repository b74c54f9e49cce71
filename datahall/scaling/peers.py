"""A rank's connections to the others: TCP on the loopback address, every byte counted.

`connect` joins ranks that hold a listening socket each; `Peers` sends and receives NumPy arrays.
A message is its length (8 bytes) and its bytes. Several transfers move at once in one thread: a
poll loop pushes and pulls whatever the sockets take, so both directions of a link are busy.
"""

from __future__ import annotations

import hmac
import select
import socket
import struct
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import CourseError, ParameterError, ShapeError
from datahall.units import KIB, MIB

HOST = "127.0.0.1"
HEADER = struct.Struct("<Q")
"""What precedes each message: the number of its bytes."""

BUFFER = MIB
"""Bytes asked for as each socket's send and receive buffer; the system may grant less."""

SEGMENT = 128 * KIB
"""Bytes received at a time where they are added on arrival: they are still in the cache then."""

_TCP_INFO = struct.Struct("<200xQQ")  # bytes_sent and bytes_retrans; Linux 4.19 and later
_PIECE_S = 1e-3  # of a link's time: what goes over a paced link at once
_GREETING = struct.Struct("<16sI")


class PeerError(CourseError, ConnectionError):
    """Another rank has gone, is silent for too long, or sent what nobody expected."""


class GoneError(PeerError):
    """Another rank has ended: a consequence, its own error is the cause."""


def listener() -> socket.socket:
    """Return a socket that listens on a free port of the loopback address."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    _widen(made)  # before listen: the window's scale is agreed on when a connection is made
    made.bind((HOST, 0))
    made.listen(64)
    return made


def connect(
    rank: int, listening: socket.socket, ports: Sequence[int], token: bytes, *, limit_s: float
) -> Peers:
    """Connect this rank with every other, and return the connections.

    Args:
        rank: Who this is, from 0.
        listening: This rank's listening socket; it is closed once all are connected.
        ports: The listening port of each rank, in order.
        token: Sixteen bytes that all ranks know: whoever connects without them is refused.
        limit_s: Seconds that connecting, and later each wait for another rank, may take.

    Raises:
        PeerError: A rank did not connect in time.
    """
    deadline = monotonic() + limit_s
    lines: dict[int, socket.socket] = {}
    try:
        for other in range(rank):
            lines[other] = socket.create_connection((HOST, ports[other]), timeout=limit_s)
            lines[other].sendall(_GREETING.pack(token, rank))
        while len(lines) < len(ports) - 1:
            listening.settimeout(max(deadline - monotonic(), 0.001))
            line, _ = listening.accept()
            greeted = _greeted(line, token)
            if greeted is None or greeted in lines:
                line.close()
            else:
                lines[greeted] = line
    except OSError as error:
        for line in lines.values():
            line.close()
        missing = sorted(set(range(len(ports))) - set(lines) - {rank})
        raise PeerError(
            f"rank {rank} is not connected with {missing} ({error}). All ranks were expected to "
            f"connect within {limit_s:g} s. See whether they have started."
        ) from error
    finally:
        listening.close()
    return Peers(rank, lines, limit_s=limit_s)


class Peers:
    """This rank's connections, with what has gone over them.

    Args:
        rank: Who this is, from 0.
        lines: A connected socket to each other rank.
        limit_s: Seconds that a wait for another rank may take.

    Attributes:
        rank: Who this is.
        ranks: How many there are.
        messages: Messages sent so far.
        wire_bytes: Bytes that the sockets took, headers included.
        scratch: Room for a segment that is added on arrival.
        tell: Sends a value to whoever started the group, at once.
    """

    def __init__(
        self, rank: int, lines: dict[int, socket.socket], *, limit_s: float = 30.0
    ) -> None:
        self.rank, self.ranks, self.limit_s = rank, len(lines) + 1, limit_s
        self.messages = self.wire_bytes = 0
        self.tell: Callable[[Any], None] = lambda value: None
        self._lines = lines
        self._byte_s = 0.0  # of a paced link
        self._free_at: dict[int, float] = {}  # when each paced link has passed all that was sent
        self.scratch = np.empty(SEGMENT, np.uint8)
        for line in lines.values():
            _widen(line)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small messages do not wait
            line.setblocking(False)

    @property
    def sent_bytes(self) -> int:
        """Bytes of arrays sent so far: what the sockets took, without the headers."""
        return self.wire_bytes - HEADER.size * self.messages

    def kernel_bytes(self) -> int:
        """Return the bytes sent by the system's own count, headers included (Linux only).

        What the system sent again because a packet was lost is not counted.
        """
        counts = [
            _TCP_INFO.unpack(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
            for line in self._lines.values()
        ]
        greeted = _GREETING.size * self.rank  # to each lower rank, when connecting
        return int(sum(sent - again for sent, again in counts) - greeted)

    def pace(self, bytes_per_s: float) -> None:
        """Give each of this rank's outgoing connections a bandwidth of its own.

        From now on bytes are handed to a socket no sooner than they would have passed a link of
        this bandwidth, so that connections behave like links of a network instead of sharing the
        machine's memory. Small messages wait too, by their few bytes.

        Args:
            bytes_per_s: From this rank to each other one, above 0.

        Raises:
            ParameterError: The bandwidth is not above 0.
        """
        if not bytes_per_s > 0:
            raise ParameterError(
                f"bytes_per_s is {bytes_per_s!r}. A bandwidth above 0 was expected. Leave the "
                "links as they are, or choose one, for example 1e8."
            )
        self._byte_s = 1 / bytes_per_s

    def send(self, to: int, array: NDArray[Any]) -> None:
        """Send an array's bytes to a rank.

        Args:
            to: The rank.
            array: Of any shape; contiguous.
        """
        self._pump([_Sending(self, to, array)])

    def receive(self, source: int, into: NDArray[Any], *, add: bool = False) -> None:
        """Receive an array of exactly this size from a rank.

        Args:
            source: The rank that sends.
            into: Where the values go, of any shape; contiguous.
            add: Add them to what stands there instead of replacing it.

        Raises:
            PeerError: The message has another length, or the rank has gone or is silent.
        """
        self._pump([_Receiving(self, source, into, add=add)])

    def exchange(
        self, to: int, array: NDArray[Any], source: int, into: NDArray[Any], *, add: bool = False
    ) -> None:
        """Send to one rank while receiving from another (or the same one).

        Args:
            to: The rank that is sent to.
            array: What is sent, of any shape; contiguous.
            source: The rank that sends.
            into: Where the values go, of any shape; contiguous.
            add: Add them to what stands there instead of replacing it.

        Raises:
            PeerError: As in `receive`.
        """
        self._pump([_Sending(self, to, array), _Receiving(self, source, into, add=add)])

    def barrier(self) -> None:
        """Return once every rank has come here.

        In round k each rank signals the one 2ᵏ places on: after ⌈log₂ ranks⌉ rounds all have heard
        of all (Hensgen, Finkel and Manber, 1988).
        """
        nothing, distance = np.empty(0, np.uint8), 1
        while distance < self.ranks:
            on, back = (self.rank + distance) % self.ranks, (self.rank - distance) % self.ranks
            self.exchange(on, nothing, back, nothing)
            distance *= 2

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines.values():
            line.close()

    def line(self, other: int) -> socket.socket:
        """Return the socket to a rank.

        Raises:
            ShapeError: There is no such other rank.
        """
        if other not in self._lines:
            others = sorted(self._lines)
            raise ShapeError(
                f"rank {self.rank} has no connection to rank {other!r}. One of {others} was "
                "expected. Count ranks from 0, modulo their number."
            )
        return self._lines[other]

    def _pump(self, transfers: list[_Sending | _Receiving]) -> None:
        """Move all transfers on until they are done."""
        while transfers := [each for each in transfers if not each.step()]:
            waits = [each.wait_s for each in transfers if each.wait_s > 0]
            reading = [each.line for each in transfers if isinstance(each, _Receiving)]
            writing = [
                each.line for each in transfers if isinstance(each, _Sending) and not each.wait_s
            ]
            ready = select.select(reading, writing, [], min([self.limit_s, *waits]))
            if not any(ready) and not waits:
                raise PeerError(
                    f"rank {self.rank} waits for rank {transfers[0].other} since {self.limit_s:g} "
                    "s. A message was expected. See whether each message sent has one who receives "
                    "it."
                )


class _Sending:
    """A message on its way out; over a paced link in pieces, each when it would have passed."""

    def __init__(self, peers: Peers, to: int, array: NDArray[Any]) -> None:
        self.peers, self.other, self.line = peers, to, peers.line(to)
        data = _bytes_of(array)
        self.left = [memoryview(HEADER.pack(len(data))), data]
        self.wait_s, self.due, self.passed = 0.0, 0.0, max(monotonic(), peers._free_at.get(to, 0))
        peers.messages += 1

    def step(self) -> bool:
        """Send what socket and link take; return whether all is sent."""
        while self.left:
            views = self.left if not self.peers._byte_s else self._piece()
            self.wait_s = max(self.due - monotonic(), 0.0)
            if self.wait_s:
                return False
            try:
                sent = self.line.sendmsg(views)
            except BlockingIOError:
                return False
            except OSError as error:
                raise _gone(self) from error
            self.passed = self.due
            self.peers._free_at[self.other] = self.due
            self.peers.wire_bytes += sent
            while self.left and sent >= len(self.left[0]):
                sent -= len(self.left.pop(0))
            if sent:
                self.left[0] = self.left[0][sent:]
        return True

    def _piece(self) -> list[memoryview]:
        """Return what goes next over a paced link, and note when it will have passed."""
        size = max(int(_PIECE_S / self.peers._byte_s), 1)
        views = [view[:size] for view in self.left[:2]]
        self.due = self.passed + self.peers._byte_s * sum(map(len, views))
        return views


class _Receiving:
    """A message on its way in; added to what stands there, segment by segment, if asked."""

    wait_s = 0.0

    def __init__(self, peers: Peers, source: int, into: NDArray[Any], *, add: bool) -> None:
        self.peers, self.other, self.line = peers, source, peers.line(source)
        self.into, self.add = into, add
        self.target = _bytes_of(into)
        self.head, self.got, self.done = bytearray(), 0, 0  # done: bytes that stand in `into`

    def step(self) -> bool:
        """Take what the socket has; return whether all is here."""
        try:
            if len(self.head) < HEADER.size and not self._header():
                return False
            while self.done < len(self.target):
                self._fill()
        except BlockingIOError:
            return False
        except OSError as error:
            raise error if isinstance(error, PeerError) else _gone(self) from error
        return True

    def _header(self) -> bool:
        self.head += self._some(self.line.recv(HEADER.size - len(self.head)))
        if len(self.head) < HEADER.size:
            return False
        (length,) = HEADER.unpack(self.head)
        if length != len(self.target):
            raise PeerError(
                f"rank {self.other} sent {length} bytes to rank {self.peers.rank}. "
                f"{len(self.target)} bytes were expected. See whether both ranks mean the same "
                "piece, in the same order."
            )
        return True

    def _fill(self) -> None:
        if not self.add:
            self.done += self._some(self.line.recv_into(self.target[self.done :]))
            return
        segment = min(SEGMENT, len(self.target) - self.done)
        scratch = self.peers.scratch.data[self.got : segment]
        self.got += self._some(self.line.recv_into(scratch))
        if self.got == segment:  # whole: add it while it is in the cache
            item = self.into.itemsize
            here = self.into.reshape(-1)[self.done // item : (self.done + segment) // item]
            here += self.peers.scratch[:segment].view(self.into.dtype)
            self.done, self.got = self.done + segment, 0

    def _some(self, received: Any) -> Any:
        if not received:
            raise _gone(self)
        return received


def _gone(transfer: _Sending | _Receiving) -> GoneError:
    return GoneError(
        f"rank {transfer.other} has gone: its connection to rank {transfer.peers.rank} is closed. "
        "It was expected to stay until all messages have arrived. See what ended it."
    )


def _bytes_of(array: NDArray[Any]) -> memoryview:
    if not array.flags.c_contiguous:
        raise ShapeError(
            f"an array of shape {array.shape} is not contiguous. Bytes that lie side by side were "
            "expected. Pass np.ascontiguousarray(array)."
        )
    return array.reshape(-1).view(np.uint8).data


def _widen(line: socket.socket) -> None:
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        line.setsockopt(socket.SOL_SOCKET, option, BUFFER)


def _greeted(line: socket.socket, token: bytes) -> int | None:
    """Return the rank that greets on a new connection; None for a stranger."""
    line.settimeout(5.0)
    try:
        given, other = _GREETING.unpack(line.recv(_GREETING.size, socket.MSG_WAITALL))
    except (OSError, struct.error):
        return None
    return int(other) if hmac.compare_digest(given, token) else None
