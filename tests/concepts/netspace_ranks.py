"""What the ranks of a test of networks run: a module of its own, because each imports it."""

from __future__ import annotations

import socket
import time

import numpy as np

from datahall.scaling import allreduce
from datahall.scaling.peers import Peers


def names(peers: Peers) -> tuple[list[str], list[str]]:
    """Return the interfaces that this rank sees, and the addresses it is connected with."""
    others = [r for r in range(peers.ranks) if r != peers.rank]
    seen = [peers.line(r).getpeername()[0] for r in others]
    return sorted(name for _, name in socket.if_nameindex()), seen


def ring_s(peers: Peers, size: int, repeat: int) -> tuple[float, float]:
    """Return the least seconds of a ring all-reduce, and the last sum's first number."""
    times = []
    for _ in range(repeat):
        array = np.full(size, peers.rank + 1, np.float32)
        peers.barrier()
        begin = time.perf_counter()
        allreduce.ring(peers, array)
        times.append(time.perf_counter() - begin)
    return min(times), float(array[0])
