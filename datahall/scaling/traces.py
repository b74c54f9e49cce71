"""Traces of synchronous training: when each rank computed, when it waited, and who held it up.

An all-reduce ends at the same moment for all, so every rank's step takes equally long. Who is slow
is seen in where the time goes: the slow rank computes long and waits little.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ShapeError
from datahall.scaling import allreduce
from datahall.scaling.peers import Peers

BEGIN, ARRIVE, END = 0, 1, 2


def straggler(times: NDArray[np.int64]) -> tuple[int, float] | None:
    """Return the rank that holds the others up, and what it costs; None if no rank does.

    Args:
        times: Shape (ranks, steps, 3), whole microseconds: when a rank began a step, arrived at the
            all-reduce, and left it. Every rank has a clock of its own, with its own zero.

    Returns:
        The rank that computes longest, alone, in more than half of the steps, and the microseconds
        by which the mean step would be shorter if it were no slower than the slowest other rank.

    Raises:
        ShapeError: The array has another shape, or fewer than two ranks.

    Example:
        >>> straggler(np.array([[[0, 2, 6]], [[90, 95, 96]]]))
        (1, 3.0)
    """
    if times.ndim != 3 or times.shape[2] != 3 or times.shape[0] < 2 or not times.shape[1]:
        raise ShapeError(
            f"times has the shape {times.shape}. (ranks, steps, 3) was expected, with two ranks or "
            "more. Stack the traces of the ranks."
        )
    computed = times[:, :, ARRIVE] - times[:, :, BEGIN]
    for rank, own in enumerate(computed):
        gain = np.maximum(own - np.delete(computed, rank, axis=0).max(axis=0), 0)
        if 2 * np.count_nonzero(gain) > len(gain):
            return rank, float(gain.mean())
    return None


def record(
    peers: Peers, steps: int, pass_s: float, slow: tuple[int, float], pause: tuple[int, float]
) -> NDArray[np.int64]:
    """Sum arrays with all ranks, step by step; return this rank's times, shape (steps, 3).

    A device is imitated: its pass takes as long as said, whatever this machine is doing.

    Args:
        peers: This rank's connections.
        steps: All-reduces.
        pass_s: Seconds that a rank computes in a step.
        slow: A rank, and its further seconds in every step.
        pause: A rank, and its further seconds in the second step only.
    """
    array, seen = np.ones(1000, np.float32), []
    peers.barrier()
    zero = time.perf_counter()
    for step in range(steps):
        begin = time.perf_counter()
        more = slow[1] * (peers.rank == slow[0]) + pause[1] * (peers.rank == pause[0] and step == 1)
        time.sleep(pass_s + more)
        arrive = time.perf_counter()
        allreduce.ring(peers, array)
        seen.append((begin, arrive, time.perf_counter()))
    return np.rint(1e6 * (np.array(seen) - zero)).astype(np.int64)
