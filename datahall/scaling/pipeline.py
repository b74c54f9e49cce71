"""Pipeline parallel: stages of a network work on microbatches one after the other, like a line.

A schedule says in which order each stage runs its forward (F) and backward (B) passes; `run` works
out when each begins, how long stages are idle (the bubble), and what they have to keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from datahall.errors import ParameterError

Pass = tuple[Literal["F", "B"], int]
Schedule = Literal["GPipe", "1F1B"]
SCHEDULES: tuple[Schedule, ...] = ("GPipe", "1F1B")


def bubble(stages: int, microbatches: int) -> float:
    """Return the share of time in which a stage is idle: (p − 1) / (m + p − 1).

    Example:
        >>> bubble(4, 1), bubble(4, 9)
        (0.75, 0.25)

    Source:
        Huang and others (2019), "GPipe", section 2.3; Narayanan and others (2021), section 2.2,
        give it relative to the time of the work: (p − 1) / m.
    """
    return (stages - 1) / (microbatches + stages - 1)


def order(schedule: Schedule, stage: int, stages: int, microbatches: int) -> list[Pass]:
    """Return the passes of a stage, in order.

    Args:
        schedule: "GPipe": all forward, then all backward. "1F1B": after a warm-up, one forward and
            one backward in turn.
        stage: From 0.
        stages: How many.
        microbatches: Pieces of the batch.

    Example:
        >>> order("1F1B", 0, 2, 3)
        [('F', 0), ('F', 1), ('B', 0), ('F', 2), ('B', 1), ('B', 2)]

    Source:
        Huang and others (2019), "GPipe"; Narayanan and others (2019), "PipeDream" (1F1B).
    """
    ahead = microbatches if schedule == "GPipe" else min(stages - 1 - stage, microbatches)
    passes: list[Pass] = [("F", number) for number in range(ahead)]
    for number in range(ahead, microbatches):
        passes += [("F", number), ("B", number - ahead)]
    return passes + [("B", number) for number in range(microbatches - ahead, microbatches)]


@dataclass(frozen=True)
class Timeline:
    """When each pass runs.

    Attributes:
        spans: Of each stage, (pass, start, end) in order.
        total: When the last pass ends.
        idle: Share of all stages' time without work.
        stored: Of each stage, the most microbatches whose layer outputs it keeps at once.
    """

    spans: tuple[tuple[tuple[Pass, float, float], ...], ...]
    total: float
    idle: float
    stored: tuple[int, ...]


def run(
    orders: Sequence[Sequence[Pass]], *, forward: float = 1.0, backward: float = 2.0
) -> Timeline:
    """Run a schedule: each pass begins when its stage is free and what it needs has come.

    A forward pass needs that of the stage before, a backward pass that of the stage after and its
    own forward pass. Sending takes no time.

    Args:
        orders: The passes of each stage, in order.
        forward: Time of a forward pass of one stage, above 0.
        backward: Time of a backward pass, above 0; about twice a forward pass.

    Raises:
        ParameterError: The stages wait for each other for ever, or one lacks a pass.

    Example:
        >>> one = run([order("GPipe", stage, 4, 8) for stage in range(4)])
        >>> one.total, round(one.idle, 3), one.stored
        (33.0, 0.273, (8, 8, 8, 8))
        >>> run([order("1F1B", stage, 4, 8) for stage in range(4)]).stored
        (4, 3, 2, 1)
    """
    ends: dict[tuple[int, Pass], float] = {}
    spans: list[list[tuple[Pass, float, float]]] = [[] for _ in orders]
    waiting = sum(map(len, orders))
    while waiting:
        made = 0
        for stage, passes in enumerate(orders):
            made += _advance(stage, passes, spans[stage], ends, len(orders), (forward, backward))
        if not made:
            raise ParameterError(
                f"{waiting} passes never begin: each stage waits for another one. Every pass was "
                "expected to come after what it needs. Look at the first pass that each waits for."
            )
        waiting -= made
    total = max(ends.values(), default=0.0)
    busy = sum(end - start for row in spans for _, start, end in row)
    idle = 1 - busy / (total * len(orders)) if total else 0.0
    return Timeline(tuple(map(tuple, spans)), total, idle, tuple(map(_most, orders)))


def _advance(
    stage: int, passes: Sequence[Pass], row: list[tuple[Pass, float, float]],
    ends: dict[tuple[int, Pass], float], stages: int, took: tuple[float, float],
) -> int:  # fmt: skip
    """Begin whatever of a stage can begin; return how many passes that are."""
    before = len(row)
    for kind, number in passes[before:]:
        needs: list[tuple[int, Pass]] = []
        if kind == "F" and stage:
            needs = [(stage - 1, ("F", number))]
        elif kind == "B":
            needs = [(stage, ("F", number))]
            needs += [(stage + 1, ("B", number))] if stage + 1 < stages else []
        if any(need not in ends for need in needs):
            break
        start = max([row[-1][2] if row else 0.0, *(ends[need] for need in needs)])
        end = start + took[kind == "B"]
        row.append(((kind, number), start, end))
        ends[stage, (kind, number)] = end
    return len(row) - before


def _most(passes: Sequence[Pass]) -> int:
    """Return the most forward passes whose backward pass is yet to come."""
    held = most = 0
    for kind, _ in passes:
        held += 1 if kind == "F" else -1
        most = max(most, held)
    return most
