"""What real processes say of an answer: what checks of the labs hold it against.

Each returns None where the answer is right, else a sentence. Apart from the checks because every
rank imports the module of the function that it runs, and a module of checks is slow to import.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from datahall.errors import CourseError
from datahall.scaling import allreduce, group, memory, zero
from datahall.scaling.peers import Peers

_RANKS = 3
_CASES = ((0, 11, 1), (2, 7, 2), (3, 10, 3))  # stage, numbers, microbatches
_ALLOCATED: Any = ((50_000, 80_000, 20_000, 90_000), 2, 3, 1, 200_000, 4)


def _schedule(answer: Callable[..., tuple[int, int]], ranks: int) -> allreduce.Schedule:
    """Ask an answer for all its steps here, so that none of its code runs in the ranks."""
    return [
        [
            (phase, *answer(rank, ranks, step, phase))
            for phase in ("reduce", "gather")
            for step in range(ranks - 1)
        ]
        for rank in range(ranks)
    ]


def sums_on_processes(answer: Callable[..., tuple[int, int]]) -> str | None:
    """Let 2 and 4 processes reduce an array by an answer to 05.3; compare sums and bytes."""
    for ranks in (2, 4):
        size = 4 * ranks + 1  # does not divide
        try:
            found = group.run(ranks, allreduce.follow, _schedule(answer, ranks), size, limit_s=5)
        except group.GroupError as error:
            return f"on {ranks} processes: {error}"
        expected = np.arange(size, dtype=np.float32) * sum(range(1, ranks + 1))
        for rank, (array, _) in enumerate(found):
            if not np.array_equal(array, expected):
                return f"on {ranks} processes rank {rank} holds {array.tolist()} in the end"
        sent = sum(count for _, count in found)
        if sent != 2 * (ranks - 1) * 4 * size:
            return f"{ranks} processes sent {sent} bytes, not 2 (n − 1) · S"
    return None


def _sent(peers: Peers) -> list[float]:
    """Train a step of each case; return the bytes that this rank sent."""
    return [zero.train(peers, *case[:2], microbatches=case[2]).sent_bytes for case in _CASES]


@cache
def _counted() -> list[int]:
    """Return what real processes send in a step of each case, counted on their sockets."""
    return [round(sum(sent)) for sent in zip(*group.run(_RANKS, _sent, limit_s=30), strict=True)]


def equals_the_sockets(answer: Callable[..., int]) -> str | None:
    """Hold an answer to 05.9 against the bytes that real processes send."""
    try:
        counts = _counted()
    except CourseError as error:
        return f"the processes that count did not come up: {error}"
    for (stage, numbers, microbatches), counted in zip(_CASES, counts, strict=True):
        told = answer(stage, numbers, _RANKS, 4, microbatches)
        if told != counted:
            return (
                f"for stage {stage}, {numbers} numbers of 4 bytes, {_RANKS} ranks, {microbatches} "
                f"microbatches the sockets sent {counted} bytes; your answer is {told}"
            )
    return None


@cache
def _allocated() -> int:
    """Return what a process allocates; cached, so that all answers meet the same number."""
    layers, stages, data, stage, outputs, microbatches = _ALLOCATED
    return memory.measured(layers, stages, data, stage, outputs=outputs, microbatches=microbatches)


def equals_this_process(answer: Callable[..., int]) -> str | None:
    """Hold an answer to 05.10 against the bytes that this process allocates."""
    layers, *others = _ALLOCATED
    told, held = answer(list(layers), *others), _allocated()
    if abs(told - held) > 0.02 * held:
        return f"for {_ALLOCATED} a process allocated {held} bytes; your answer is {told}"
    return None
