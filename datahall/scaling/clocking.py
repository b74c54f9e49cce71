"""How long an all-reduce takes here: the least of several runs, each to the last rank's end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.scaling import allreduce, group
from datahall.scaling.peers import Peers
from datahall.units import BYTES_PER_FLOAT32

BARE = "bare stream"
"""Not an all-reduce: two ranks send each other the bytes of one, and do nothing with them."""


def least_s(
    ranks: int,
    name: str,
    sizes: Sequence[int],
    *,
    repeat: int,
    link_bytes_per_s: float | None = None,
    limit_s: float = 60.0,
) -> dict[int, float]:
    """Measure an all-reduce; return the least seconds by the bytes of the array.

    A run ends with its last rank: a tree's root is done before the leaves are. The least of many
    runs is what the machine can do; the others were disturbed.

    Args:
        ranks: How many processes take part.
        name: "ring", "tree", or "bare stream" (for two ranks).
        sizes: Bytes of the arrays, multiples of four.
        repeat: Runs of each size.
        link_bytes_per_s: Bandwidth that each rank has to each other one; None leaves the loopback
            address as it is, where all share the machine's memory and cores.
        limit_s: Seconds that all of it may take.

    Raises:
        GroupError: A rank failed or it took too long.
    """
    runs = group.run(ranks, clock, name, list(sizes), repeat, link_bytes_per_s, limit_s=limit_s)
    return {size: min(map(max, zip(*[rank[size] for rank in runs], strict=True))) for size in sizes}


def clock(
    peers: Peers,
    name: str,
    sizes: Sequence[int],
    repeat: int,
    link_bytes_per_s: float | None = None,
) -> dict[int, list[float]]:
    """Return the seconds of each run on this rank, by the bytes of the array.

    Args:
        peers: The group.
        name: Of the algorithm.
        sizes: Bytes of the arrays.
        repeat: Runs of each.
        link_bytes_per_s: Bandwidth of each link, in B/s; None for what the machine has.
    """
    if link_bytes_per_s is not None:
        peers.pace(link_bytes_per_s)
    reduce = bare_stream if name == BARE else allreduce.algorithm(name)
    took: dict[int, list[float]] = {size: [] for size in sizes}
    for size in sizes:
        array = np.zeros(size // BYTES_PER_FLOAT32, np.float32)
        for _ in range(repeat):
            peers.barrier()
            begin = perf_counter()
            reduce(peers, array)
            took[size].append(perf_counter() - begin)
    return took


def bare_stream(peers: Peers, array: NDArray[Any]) -> None:
    """Send the array to the other of two ranks while its own comes in, by the shortest program.

    A blocking `sendall` in a thread and a blocking `recv_into` beside it: no headers, no sums, none
    of the code of `Peers`. Two ranks send S bytes each in a ring, so this is its limit.

    Input shape: any, contiguous, the same on both ranks.
    """
    line: socket.socket = peers.line(1 - peers.rank)
    out = array.view(np.uint8).data
    if peers.scratch.nbytes < len(out):
        peers.scratch = np.empty(len(out), np.uint8)  # once: fresh memory costs time
    into = peers.scratch.data[: len(out)]
    line.settimeout(peers.limit_s)
    sender = threading.Thread(target=line.sendall, args=(out,))
    sender.start()
    while into:
        into = into[line.recv_into(into) :]
    sender.join()
    line.setblocking(False)
