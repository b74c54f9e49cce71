"""ZeRO for real: ranks that keep a piece of the training state each, and fetch what they lack.

Reduce-scatter and all-gather are the two halves of a ring all-reduce. `train` runs the four stages
on real processes, every byte counted: nothing sharded (0), the optimizer's state (1), the gradients
too (2), the weights too (3).
"""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError
from datahall.scaling import allreduce
from datahall.scaling.allreduce import Phase
from datahall.scaling.peers import Peers

Array = NDArray[Any]
STAGES = {
    0: "nothing",
    1: "optimizer",
    2: "optimizer, gradients",
    3: "optimizer, gradients, weights",
}
EXAMPLES = 6
"""Examples of one rank in one microbatch."""


def own(rank: int, ranks: int, numbers: int) -> slice:
    """Return the piece that a rank owns: the one that a reduce-scatter completes there.

    Args:
        rank: Whose piece.
        ranks: How many share the array.
        numbers: Its length.
    """
    return allreduce.chunks(numbers, ranks)[(rank + 1) % ranks]


def reduce_scatter(peers: Peers, array: Array) -> None:
    """Sum an array over all ranks; only the own piece is whole afterwards, the rest is spoilt.

    Input shape: (numbers,), contiguous, the same on every rank; changed in place.
    """
    _half(peers, array, "reduce")


def all_gather(peers: Peers, array: Array) -> None:
    """Fill an array with the pieces that the ranks own.

    Input shape: (numbers,), contiguous, the same on every rank; changed in place.
    """
    _half(peers, array, "gather")


def _half(peers: Peers, array: Array, phase: Phase) -> None:
    pieces = [array[piece] for piece in allreduce.chunks(array.size, peers.ranks)]
    on, back = (peers.rank + 1) % peers.ranks, (peers.rank - 1) % peers.ranks
    for step in range(peers.ranks - 1):
        out, into = allreduce.ring_step(peers.rank, peers.ranks, step, phase)
        peers.exchange(on, pieces[out], back, pieces[into], add=phase == "reduce")


@dataclass(frozen=True)
class Sharded:
    """What a rank did.

    Attributes:
        piece: Its own weights afterwards, float32.
        sent_bytes: What it sent in a step, on the average of the steps.
        held_bytes: What it holds between steps, by Python's own count of allocated memory.
    """

    piece: Array
    sent_bytes: float
    held_bytes: int


def train(
    peers: Peers, stage: int, numbers: int, *, microbatches: int = 1, steps: int = 1,
    number: str = "f4", seed: int = 0,
) -> Sharded:  # fmt: skip
    """Train a linear model with Adam, its state sharded; every rank calls with the same arguments.

    Args:
        peers: The connections.
        stage: 0 to 3.
        numbers: Weights of the model.
        microbatches: Passes of each rank in a step; their gradients are added.
        steps: Updates.
        number: Type of the weights to compute with and of the gradients: "f4", or "f2" beside
            float32 weights for the optimizer.
        seed: Of weights and data.

    Raises:
        ParameterError: There is no such stage.
    """
    if stage not in STAGES:
        raise ParameterError(f"stage is {stage!r}. One of {list(STAGES)} was expected. Choose one.")
    _batch(seed, 0, 0, 1)  # so that what NumPy loads when it first draws is not counted
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    state = _State(peers, stage, numbers, number, seed)
    sent = peers.sent_bytes
    for step in range(steps):
        for microbatch in range(microbatches):
            weights = state.gathered()  # for the forward pass
            batch = _batch(seed, step, peers.rank * microbatches + microbatch, numbers)
            error = batch[0] @ weights.astype("f4") - batch[1]
            if stage == 3:
                weights = state.gathered()  # they were dropped: once more for the backward pass
            gradient = 2 * error @ batch[0] / (EXAMPLES * peers.ranks * microbatches)
            del weights
            state.add(gradient)
            del gradient, batch, error
        state.update(step)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return Sharded(state.master[state.mine], (peers.sent_bytes - sent) / steps, held)


def _batch(seed: int, step: int, source: int, numbers: int) -> tuple[Array, Array]:
    draw = np.random.default_rng([seed, step, source])
    inputs = draw.normal(size=(EXAMPLES, numbers)).astype("f4")
    return inputs, inputs.sum(1) / 10


class _State:
    """The weights, gradients and optimizer state that a rank keeps."""

    def __init__(self, peers: Peers, stage: int, numbers: int, number: str, seed: int) -> None:
        self.peers, self.stage, self.numbers, self.number = peers, stage, numbers, number
        piece = own(peers.rank, peers.ranks, numbers)
        self.part = piece if stage else slice(0, numbers)  # what the optimizer updates here
        self.mine = slice(None) if stage else piece
        first = np.random.default_rng(seed).normal(size=numbers).astype("f4")
        self.master = first[self.part].copy()
        self.moments = np.zeros((2, self.master.size), "f4")
        kept = first[piece] if stage == 3 else first
        self.weights = kept.astype(number)
        length = self.master.size if stage >= 2 else numbers
        self.gradient = np.zeros(length, number)

    def gathered(self) -> Array:
        """Return all weights, fetched from their owners if need be."""
        if self.stage < 3:
            return self.weights
        whole = np.empty(self.numbers, self.number)
        whole[self.part] = self.weights
        all_gather(self.peers, whole)
        return whole

    def add(self, gradient: Array) -> None:
        """Keep a microbatch's gradient: all of it, or the own piece of the sum over ranks."""
        if self.stage < 2:
            self.gradient += gradient.astype(self.number)
            return
        whole = gradient.astype(self.number)
        reduce_scatter(self.peers, whole)
        self.gradient += whole[self.part]

    def update(self, step: int) -> None:
        """Make a step of Adam on the own part, and hand the new weights round."""
        if self.stage == 0:
            allreduce.ring(self.peers, self.gradient)
        elif self.stage == 1:
            reduce_scatter(self.peers, self.gradient)
        gradient = (self.gradient[self.part] if self.stage == 1 else self.gradient).astype("f4")
        self.moments[0] += 0.1 * (gradient - self.moments[0])
        self.moments[1] += 0.01 * (np.square(gradient) - self.moments[1])
        mean, square = self.moments[0] / (1 - 0.9 ** (step + 1)), self.moments[1]
        self.master -= 0.05 * mean / (np.sqrt(square / (1 - 0.99 ** (step + 1))) + 1e-6)
        self.gradient[:] = 0
        if self.stage == 3:
            self.weights[:] = self.master
            return
        self.weights[self.part] = self.master
        if self.stage:
            all_gather(self.peers, self.weights)


def trained_alone(numbers: int, *, sources: int, steps: int, seed: int = 0) -> Array:
    """Return the weights of the same training on one rank, from the same examples at once.

    Args:
        numbers: Weights.
        sources: Ranks times microbatches.
        steps: Updates.
        seed: Of weights and data.
    """

    class _Alone:
        rank, ranks, sent_bytes = 0, 1, 0

    return train(
        cast("Peers", _Alone()), 0, numbers, microbatches=sources, steps=steps, seed=seed
    ).piece
