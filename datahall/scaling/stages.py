"""A pipeline for real: each stage is a process, and messages carry outputs and gradients.

`run` starts one process a stage, which makes its passes in the order it is given. A pass computes a
layer of a small network; then the process waits until a device of a chosen speed would be done, so
that stages do not compete for this machine's cores. What is measured: when each pass ran, how many
microbatches a stage kept, the bytes it sent, and the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.scaling import group, pipeline
from datahall.scaling.peers import Peers
from datahall.scaling.pipeline import Pass

Array = NDArray[np.float64]
WIDTH, ROWS = 8, 4
"""Units of each layer, and examples in a microbatch."""


@dataclass(frozen=True)
class StageRun:
    """What a stage has done.

    Attributes:
        spans: (pass, start, end) in order, in seconds after the first pass of all stages.
        kept: The most microbatches whose layer inputs and outputs it kept at once.
        sent_bytes: Of outputs, gradients and the number of the microbatch before each.
        gradient: Of its layer, for the whole batch.
    """

    spans: tuple[tuple[Pass, float, float], ...]
    kept: int
    sent_bytes: int
    gradient: Array


def run(
    orders: Sequence[Sequence[Pass]], *, pass_s: float = 0.0, limit_s: float = 20.0
) -> list[StageRun]:
    """Run a schedule as real processes.

    Args:
        orders: The passes of each stage, in order.
        pass_s: Seconds of a forward pass; a backward pass takes two of them. At 0 a pass takes what
            it takes.
        limit_s: Seconds after which the processes are ended.

    Raises:
        ParameterError: The stages would wait for each other for ever.
        GroupError: A process failed or took too long.
    """
    pipeline.run(orders)
    plain = [[(kind, int(number)) for kind, number in passes] for passes in orders]
    return group.run(len(orders), work, plain, pass_s, limit_s=limit_s)


def work(peers: Peers, orders: list[list[Pass]], pass_s: float) -> StageRun:
    """Be a stage: make its passes in order.

    Args:
        peers: The connections with the other stages.
        orders: Of each stage, its passes in order.
        pass_s: Seconds that a forward pass takes at least; a backward pass takes twice as long.
    """
    stage, spans, kept = _Stage(peers), [], 0
    peers.barrier()
    zero = monotonic()  # one clock for all processes of a machine
    for kind, number in orders[peers.rank]:
        given = stage.wait_for(kind, number)
        begin = monotonic()
        made = stage.forward(number, given) if kind == "F" else stage.backward(number, given)
        sleep(max(begin + pass_s * (1 + (kind == "B")) - monotonic(), 0))
        spans.append(((kind, number), begin - zero, monotonic() - zero))
        stage.send(kind, number, made)
        kept = max(kept, len(stage.kept))
    return StageRun(tuple(spans), kept, peers.sent_bytes, stage.gradient)


def layer(stage: int) -> Array:
    """Return the first weights of a stage's layer."""
    drawn: Array = np.random.default_rng(stage).normal(scale=WIDTH**-0.5, size=(WIDTH, WIDTH))
    return drawn


def examples(number: int) -> tuple[Array, Array]:
    """Return the inputs and the targets of a microbatch."""
    drawn = np.random.default_rng(1000 + number).normal(size=(2, ROWS, WIDTH))
    return drawn[0], drawn[1]


class _Stage:
    """One layer, the microbatches it keeps, and its neighbours."""

    def __init__(self, peers: Peers) -> None:
        self.peers, self.weights = peers, layer(peers.rank)
        self.gradient = np.zeros_like(self.weights)
        self.kept: dict[int, tuple[Array, Array]] = {}
        self.come: dict[tuple[str, int], Array] = {}
        self.last = peers.rank == peers.ranks - 1

    def wait_for(self, kind: str, number: int) -> Array:
        """Return what a pass needs: the outputs of the stage before, or the gradient after."""
        if kind == "F" and not self.peers.rank:
            return examples(number)[0]
        if kind == "B" and self.last:
            return 2 * (self.kept[number][1] - examples(number)[1])
        source = self.peers.rank + (1 if kind == "B" else -1)
        while (kind, number) not in self.come:
            message = np.empty(1 + ROWS * WIDTH)
            self.peers.receive(source, message)
            self.come[kind, int(message[0])] = message[1:].reshape(ROWS, WIDTH)
        return self.come.pop((kind, number))

    def forward(self, number: int, given: Array) -> Array:
        self.kept[number] = given, np.tanh(given @ self.weights)
        return self.kept[number][1]

    def backward(self, number: int, given: Array) -> Array:
        inputs, outputs = self.kept.pop(number)
        inside = given * (1 - outputs**2)
        self.gradient += inputs.T @ inside
        return inside @ self.weights.T

    def send(self, kind: str, number: int, made: Array) -> None:
        to = self.peers.rank + (1 if kind == "F" else -1)
        if 0 <= to < self.peers.ranks:
            self.peers.send(to, np.concatenate([[number], made.ravel()]))


def gradients(stages: int, microbatches: int) -> list[Array]:
    """Return the gradient of each layer from the whole batch at once, in this process."""
    batches = [examples(number) for number in range(microbatches)]
    inputs, targets = (np.concatenate(part) for part in zip(*batches, strict=True))
    outputs = [inputs]
    for stage in range(stages):
        outputs.append(np.tanh(outputs[-1] @ layer(stage)))
    given: Any = 2 * (outputs[-1] - targets)
    found = []
    for stage in reversed(range(stages)):
        inside = given * (1 - outputs[stage + 1] ** 2)
        found.append(outputs[stage].T @ inside)
        given = inside @ layer(stage).T
    return found[::-1]
