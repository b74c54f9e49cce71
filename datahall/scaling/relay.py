"""A switch that delays: forwards Ethernet frames between ports, each a given time after it came.

The kernel's own delay, `tc … netem`, is not in every kernel; this is the small relay in its place.
It reads frames from raw sockets and sends each on when it is due, to the port where its receiver
has been heard, or to all others.
"""

from __future__ import annotations

import ctypes
import fcntl
import select
import socket
import struct
from collections import deque
from collections.abc import Sequence
from threading import Event
from time import monotonic

from datahall.units import MIB

_ALL_FRAMES = 0x0003  # ETH_P_ALL
_ROOM_BYTES = 4 * MIB  # of frames that wait in a port
_LARGEST_FRAME = 65_536
_ETHTOOL = 0x8946  # SIOCETHTOOL
_SET_CHECKSUMS = 0x17  # ETHTOOL_STXCSUM
_LOOK_S = 0.05  # how often the relay looks whether it is to end


def port(name: str) -> socket.socket:
    """Return a raw socket on an interface, which hears all frames that come in by it.

    Raises:
        OSError: There is no such interface, or root's rights are missing.
    """
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_FRAMES))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM_BYTES)
    made.bind((name, 0))
    made.setblocking(False)
    return made


def whole_frames(name: str) -> None:
    """Let the kernel finish the frames of an interface itself: cut to size, with their checksums.

    A virtual cable leaves both to a card that is not there; who reads frames as they are, as the
    relay does, would pass on frames that the receiver drops.

    Raises:
        OSError: There is no such interface, or root's rights are missing.
    """
    wanted = ctypes.create_string_buffer(struct.pack("II", _SET_CHECKSUMS, 0))
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(wanted))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _ETHTOOL, request)


def forward(ports: Sequence[socket.socket], latency_s: float, done: Event) -> None:
    """Forward frames between ports until `done` is set.

    Args:
        ports: Raw sockets, of `port`.
        latency_s: Seconds between a frame's coming in and its going out.
        done: Set when nothing is to be forwarded any more.
    """
    heard: dict[bytes, socket.socket] = {}
    waiting: deque[tuple[float, socket.socket, bytes]] = deque()
    while not done.is_set():
        left_s = waiting[0][0] - monotonic() if waiting else _LOOK_S
        for each in select.select(ports, [], [], min(max(left_s, 0.0), _LOOK_S))[0]:
            frame, sender = each.recvfrom(_LARGEST_FRAME)
            if sender[2] != socket.PACKET_OUTGOING:  # not what went out here
                heard[frame[6:12]] = each
                waiting.append((monotonic() + latency_s, each, frame))
        while waiting and waiting[0][0] <= monotonic():
            _, came, frame = waiting.popleft()
            _send(frame, came, heard.get(frame[:6]), ports)


def _send(
    frame: bytes,
    came: socket.socket,
    known: socket.socket | None,
    ports: Sequence[socket.socket],
) -> None:
    for each in (known,) if known else ports:
        if each is not came:
            try:
                each.send(frame)
            except OSError:  # no room, or its rank has gone: a lost frame, TCP sends it again
                continue
