"""All-reduce: every rank has an array; afterwards every rank has their sum.

`ring` (reduce-scatter, then all-gather) moves the least bytes, `tree` takes the fewest steps. Both
work in place, on NumPy arrays, over the connections of a `Peers`, and leave the same bits on every
rank: each number is summed once, in one order, and its sum is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError, ShapeError
from datahall.scaling.peers import Peers

Phase = Literal["reduce", "gather"]
Schedule = list[list[tuple[str, int, int]]]
"""Of each rank, its steps: phase, piece to send, piece to receive."""

AllReduce = Callable[[Peers, NDArray[Any]], None]


def chunks(size: int, ranks: int) -> list[slice]:
    """Cut an array into one piece a rank; the first ones are one element longer if need be.

    Args:
        size: Elements of the array.
        ranks: Pieces.

    Example:
        >>> [piece.stop - piece.start for piece in chunks(10, 4)]
        [3, 3, 2, 2]
    """
    short, longer = divmod(size, ranks)
    ends = [short * rank + min(rank, longer) for rank in range(ranks + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def ring_step(rank: int, ranks: int, step: int, phase: Phase) -> tuple[int, int]:
    """Return which piece a rank sends to the next one, and which it receives from the one before.

    Args:
        rank: Who asks, from 0.
        ranks: How many stand in the ring.
        step: From 0 to ranks − 2.
        phase: "reduce": what comes is added; "gather": what comes replaces.

    Returns:
        The piece to send and the piece to receive, from 0 to ranks − 1.

    Example:
        >>> [ring_step(0, 3, step, "reduce") for step in (0, 1)]
        [(0, 2), (2, 1)]
        >>> [ring_step(0, 3, step, "gather") for step in (0, 1)]
        [(1, 0), (0, 2)]

    Source:
        Patarasuk and Yuan (2009), "Bandwidth optimal all-reduce algorithms for clusters of
        workstations"; the order of the pieces is derived here.
    """
    first = rank if phase == "reduce" else rank + 1  # after reducing, rank + 1 is whole here
    return (first - step) % ranks, (first - step - 1) % ranks


@dataclass(frozen=True)
class Moment:
    """What all ranks hold after some steps of a ring.

    Attributes:
        phase: Of the step just made; "start" before the first.
        step: Its number within the phase.
        moves: Of each rank, the piece that it has just sent to the next one.
        holds: `holds[rank][piece]`: whose numbers are summed there, by rank, sorted.
    """

    phase: Phase | Literal["start"]
    step: int
    moves: tuple[int, ...]
    holds: tuple[tuple[tuple[int, ...], ...], ...]


def trace(ranks: int) -> list[Moment]:
    """Return what all ranks hold before the first and after each step of a ring.

    Example:
        >>> trace(2)[1].holds  # rank 0 has sent piece 0, rank 1 piece 1
        (((0,), (0, 1)), ((0, 1), (1,)))
        >>> trace(2)[2].holds[0]
        ((0, 1), (0, 1))
    """
    holds: list[list[tuple[int, ...]]] = [[(rank,)] * ranks for rank in range(ranks)]
    moments = [Moment("start", 0, (), _frozen(holds))]
    phases: tuple[Phase, ...] = ("reduce", "gather")
    for phase in phases:
        for step in range(ranks - 1):
            moves = tuple(ring_step(rank, ranks, step, phase)[0] for rank in range(ranks))
            sent = [holds[rank][piece] for rank, piece in enumerate(moves)]
            for rank, piece in enumerate(moves):
                on, kept = (rank + 1) % ranks, holds[(rank + 1) % ranks][piece]
                came = (*kept, *sent[rank]) if phase == "reduce" else sent[rank]
                holds[on][piece] = tuple(sorted(came))
            moments.append(Moment(phase, step, moves, _frozen(holds)))
    return moments


def _frozen(holds: list[list[tuple[int, ...]]]) -> tuple[tuple[tuple[int, ...], ...], ...]:
    return tuple(tuple(row) for row in holds)


def ring(peers: Peers, array: NDArray[Any]) -> None:
    """Replace an array by the sum over all ranks, in 2 (ranks − 1) steps round a ring.

    Each rank sends all but one piece in each phase: 2 (ranks − 1) / ranks of the array's bytes, on
    the average of the ranks exactly.

    Args:
        peers: The connections; every rank calls with an array of the same shape and type.
        array: Contiguous; changed in place.

    Raises:
        PeerError: A rank has gone, is silent, or has an array of another size.
        ShapeError: The array is not contiguous.
    """
    pieces = [_flat(array)[piece] for piece in chunks(array.size, peers.ranks)]
    on, back = (peers.rank + 1) % peers.ranks, (peers.rank - 1) % peers.ranks
    phases: tuple[Phase, ...] = ("reduce", "gather")
    for phase in phases:
        for step in range(peers.ranks - 1):
            out, into = ring_step(peers.rank, peers.ranks, step, phase)
            peers.exchange(on, pieces[out], back, pieces[into], add=phase == "reduce")


def follow(peers: Peers, schedule: Schedule, size: int) -> tuple[NDArray[Any], int]:
    """Sum whole numbers over the ranks by a schedule, right or wrong.

    Args:
        peers: The connections.
        schedule: What each rank sends and receives.
        size: Numbers of each array: rank r brings (r + 1) · (0, 1, 2, …).

    Returns:
        What this rank holds in the end, and the bytes that it sent.
    """
    array = np.arange(size, dtype=np.float32) * (peers.rank + 1)
    pieces = np.array_split(array, peers.ranks)
    on, back = (peers.rank + 1) % peers.ranks, (peers.rank - 1) % peers.ranks
    for phase, out, into in schedule[peers.rank]:
        peers.exchange(on, pieces[out], back, pieces[into], add=phase == "reduce")
    return array, peers.sent_bytes


def tree(peers: Peers, array: NDArray[Any]) -> None:
    """Replace an array by the sum over all ranks: up a binomial tree to rank 0, and down again.

    2 ⌈log₂ ranks⌉ steps, each with the whole array. Arguments and errors are those of `ring`.

    Input shape: any, contiguous, the same on every rank; changed in place.
    """
    flat = _flat(array)
    rounds = list(tree_rounds(peers.rank, peers.ranks))
    for other, sends in rounds:
        if sends:
            peers.send(other, flat)
        else:
            peers.receive(other, flat, add=True)
    for other, sends in reversed(rounds):  # down: who has sent, receives
        if sends:
            peers.receive(other, flat)
        else:
            peers.send(other, flat)


def tree_rounds(rank: int, ranks: int) -> Iterator[tuple[int, bool]]:
    """Yield the partners of a rank on the way up, each with whether this rank sends to it.

    In round k, ranks that are odd multiples of 2ᵏ send to the one 2ᵏ below, and are done.

    Example:
        >>> list(tree_rounds(0, 4)), list(tree_rounds(3, 4))
        ([(1, False), (2, False)], [(2, True)])
    """
    distance = 1
    while distance < ranks:
        if rank % (2 * distance):
            yield rank - distance, True
            return
        if rank + distance < ranks:
            yield rank + distance, False
        distance *= 2


def ring_bytes(size_bytes: float, ranks: int) -> float:
    """Return the bytes that a rank sends in a ring all-reduce, on average: 2 (n − 1) / n · S.

    Example:
        >>> ring_bytes(1000, 4)
        1500.0
    """
    return 2 * (ranks - 1) / ranks * size_bytes


ALGORITHMS: dict[str, AllReduce] = {"ring": ring, "tree": tree}


def algorithm(name: str) -> AllReduce:
    """Return an all-reduce by its name.

    Raises:
        ParameterError: There is none of that name.
    """
    if name not in ALGORITHMS:
        raise ParameterError(
            f"there is no all-reduce {name!r}. One of {sorted(ALGORITHMS)} was expected. Choose "
            "one of these."
        )
    return ALGORITHMS[name]


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of the array with one axis."""
    if not array.flags.c_contiguous:
        raise ShapeError(
            f"an array of shape {array.shape} is not contiguous. Bytes that lie side by side were "
            "expected. Pass np.ascontiguousarray(array), and keep it: the sum stands there."
        )
    return array.reshape(-1)
