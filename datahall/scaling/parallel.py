"""Data-parallel training for real: each rank computes on its share, and the gradients are summed.

The network is the dense one of module 02, in NumPy, so that a group of ranks costs little. What is
sent can be less than the whole gradient every step: several batches at once, half the bits, or the
largest numbers only, with what was left out kept for later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datahall import datasets
from datahall.errors import ParameterError
from datahall.optimization import losses, network
from datahall.scaling import allreduce
from datahall.scaling.peers import Peers

Array = NDArray[Any]
Send = Literal["float32", "float16", "largest"]
SENDS: tuple[Send, ...] = ("float32", "float16", "largest")


@dataclass(frozen=True)
class Plan:
    """How a training runs.

    Attributes:
        steps: Updates of the weights.
        batch: Images of one rank in one pass.
        accumulate: Passes of each rank before gradients are summed over ranks.
        send: "float32": the gradient; "float16": its half; "largest": its largest numbers only.
        share: The share of numbers that "largest" sends.
        rate: Learning rate of plain gradient descent.
        hidden: Units of the hidden layer.
        link_bytes_per_s: Bandwidth between ranks; None leaves the loopback as it is.
        seed: Of first weights and order of the images.
    """

    steps: int
    batch: int = 64
    accumulate: int = 1
    send: Send = "float32"
    share: float = 0.01
    rate: float = 0.1
    hidden: int = 64
    link_bytes_per_s: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        least = min(self.steps, self.batch, self.accumulate, self.hidden)
        if least < 1 or self.send not in SENDS or not 0 < self.share <= 1:
            raise ParameterError(
                f"{self} cannot run. Counts of at least 1, a share above 0 and at most 1, and send "
                f"of {SENDS} were expected. Correct the one that is not."
            )


@dataclass(frozen=True)
class Course:
    """What a rank has seen of a training.

    Attributes:
        weights: At the end.
        sent_bytes: By this rank.
        compute_s: Least seconds of the passes of a step.
        step_s: Least seconds of a whole step.
        reduce_s: Least seconds of the summing over ranks, until it is done here.
    """

    weights: Array
    sent_bytes: int
    compute_s: float
    step_s: float
    reduce_s: float


def digits(count: int, *, test: bool = False) -> tuple[Array, Array]:
    """Return the first images of MNIST, `(count, 784)` from 0 to 1, and their labels."""
    data = datasets.load("mnist")
    split = data.test if test else data.train
    return split.images[:count].reshape(count, -1) / np.float32(255), split.labels[:count]


def train_on_digits(peers: Peers, plan: Plan, count: int) -> Course:
    """Train on the first images of MNIST, which each rank reads for itself.

    Args:
        peers: The group.
        plan: What is trained, and how.
        count: Images.
    """
    return train(peers, plan, *digits(count))


def first_network(plan: Plan, inputs: int = 784) -> network.Network:
    """Return the network that all ranks begin with."""
    return network.new_network(inputs=inputs, hidden=plan.hidden, outputs=10, seed=plan.seed)


def gradient(weights: Array, like: network.Network, images: Array, labels: Array) -> Array:
    """Return the gradient of the mean cross-entropy, as one vector.

    Args:
        weights: The network as one vector.
        like: A network of the same shape.
        images: `(batch, inputs)`, 0 to 1.
        labels: `(batch,)`, 0 to 9.
    """
    now = network.unflatten(weights, like)
    trace = network.forward(now, images)
    found: Array = network.flatten(network.backward(now, trace, losses.one_hot(labels, 10)))
    return found


def accuracy(weights: Array, like: network.Network, images: Array, labels: Array) -> float:
    """Return the share of images that are read correctly.

    Args:
        weights: (numbers,), the network flattened.
        like: A network of the same layers.
        images: (images, pixels).
        labels: (images,).
    """
    logits = network.forward(network.unflatten(weights, like), images).logits
    return float(np.mean(logits.argmax(1) == labels))


def train(peers: Peers, plan: Plan, images: Array, labels: Array) -> Course:
    """Train on this rank's share of the images, in step with all others.

    In each step the ranks take the next batches of one common order, so that n ranks with a batch
    of b do what one rank does with n · b.

    Args:
        peers: The connections.
        plan: The same on all ranks.
        images: `(images, inputs)`, 0 to 1; the same on all ranks.
        labels: `(images,)`.
    """
    if plan.link_bytes_per_s is not None:
        peers.pace(plan.link_bytes_per_s)
    like = first_network(plan, images.shape[1])
    weights = network.flatten(like)
    order = np.random.default_rng(plan.seed).permutation(len(images))
    add = _sender(plan, weights.size)
    per_step = plan.batch * plan.accumulate * peers.ranks
    least = [np.inf] * 3
    for step in range(plan.steps):
        peers.barrier()
        begin = perf_counter()
        place = step * per_step + peers.rank * plan.batch * plan.accumulate
        total = np.zeros_like(weights)
        for _ in range(plan.accumulate):
            mine = order[np.arange(place, place + plan.batch) % len(order)]
            total += gradient(weights, like, images[mine], labels[mine])
            place += plan.batch
        computed = perf_counter()
        total = add(peers, total)
        done = perf_counter()
        weights = weights - plan.rate * total / (plan.accumulate * peers.ranks)
        spans = (computed - begin, perf_counter() - begin, done - computed)
        least = [min(pair) for pair in zip(least, spans, strict=True)]
    return Course(weights, peers.sent_bytes, *map(float, least))


def overlap_s(
    peers: Peers, size: int, passes: int, link_bytes_per_s: float | None, *, together: bool
) -> float:
    """Return the least seconds of a ring and of some passes, together or one after the other.

    Args:
        peers: The connections.
        size: Numbers (float32) that travel, in a thread.
        passes: Gradients of 256 images that this thread computes.
        link_bytes_per_s: Bandwidth between ranks; None leaves the loopback as it is.
        together: Whether it computes while the numbers travel.
    """
    if link_bytes_per_s is not None:
        peers.pace(link_bytes_per_s)
    like = first_network(Plan(1))
    weights, (images, labels), runs = network.flatten(like), digits(256), []
    for _ in range(10):
        array = np.zeros(size, np.float32)
        travelling = threading.Thread(target=allreduce.ring, args=(peers, array))
        peers.barrier()
        begin = perf_counter()
        travelling.start()
        if not together:
            travelling.join()
        for _ in range(passes):
            gradient(weights, like, images, labels)
        travelling.join()
        runs.append(perf_counter() - begin)
    return min(runs)


def _sender(plan: Plan, size: int) -> Callable[[Peers, Array], Array]:
    """Return the function that sums an array over ranks, in the plan's way."""
    if plan.send == "largest":
        return Largest(max(1, round(plan.share * size)), size)
    kind = np.dtype(plan.send)

    def whole(peers: Peers, array: Array) -> Array:
        sent = array.astype(kind)
        allreduce.ring(peers, sent)
        return sent.astype(array.dtype)

    return whole


class Largest:
    """Sums the largest numbers of each rank's array; the rest is added to the next array.

    Args:
        count: How many numbers each rank sends.
        size: Numbers of the array.

    Source:
        Aji and Heafield (2017), "Sparse communication for distributed gradient descent".
    """

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.left = np.zeros(size)

    def __call__(self, peers: Peers, array: Array) -> Array:
        """Return the sum over ranks of what they send."""
        self.left += array
        mine = np.argpartition(np.abs(self.left), -self.count)[-self.count :]
        pairs = np.empty(self.count, [("place", "u4"), ("value", "f4")])
        pairs["place"], pairs["value"] = mine, self.left[mine]
        self.left[mine] -= pairs["value"]
        parts = {peers.rank: pairs}
        for step in range(peers.ranks - 1):  # once round the ring, so that all have all
            came = np.empty_like(pairs)
            out = parts[(peers.rank - step) % peers.ranks]
            on, back = (peers.rank + 1) % peers.ranks, (peers.rank - 1) % peers.ranks
            peers.exchange(on, out, back, came)
            parts[(peers.rank - step - 1) % peers.ranks] = came
        total = np.zeros_like(array)
        for rank in sorted(parts):  # in one order, so that all ranks have the same bits
            np.add.at(total, parts[rank]["place"], parts[rank]["value"])
        return total


def noise_scale(small: int, large: int, small_square: float, large_square: float) -> float:
    """Return the batch size at which noise and signal of a gradient are equal.

    Much smaller batches gain almost a factor of n from n times more images, much larger ones
    almost nothing: it estimates the **critical batch**.

    Args:
        small: Images of the small batch.
        large: Images of the large batch.
        small_square: Mean squared length of the gradients of small batches.
        large_square: The same of large batches.

    Raises:
        ParameterError: The large batch is not larger, or the squares leave no signal or no noise.

    Example:
        >>> round(noise_scale(10, 100, 4 + 20 / 10, 4 + 20 / 100), 6)  # signal 4, noise 20
        5.0

    Source:
        McCandlish, Kaplan and Amodei (2018), "An empirical model of large-batch training",
        arXiv:1812.06162, appendix A.1.
    """
    if not 0 < small < large:
        raise ParameterError(
            f"batches of {small!r} and {large!r} do not tell noise from signal. A smaller and a "
            "larger one were expected. Swap them, or choose others."
        )
    signal = (large * large_square - small * small_square) / (large - small)
    noise = (small_square - large_square) / (1 / small - 1 / large)
    if signal <= 0 or noise <= 0:
        raise ParameterError(
            f"squares {small_square!r} and {large_square!r} leave a signal of {signal:g} and a "
            f"noise of {noise:g}. Both were expected above 0. Average over more batches."
        )
    return noise / signal


def critical_batch(batches: tuple[int, int], steps: tuple[float, float]) -> float:
    """Return the critical batch from two runs to the same loss: its steps are twice the least.

    Args:
        batches: Images of a batch in each run.
        steps: Steps that each run took.

    Raises:
        ParameterError: The larger batch did not take fewer steps, or the smaller one no more than
            proportionally more.

    Example:
        >>> critical_batch((100, 400), (500, 200))  # 100 steps at least, and 40,000 / batch more
        400.0

    Source:
        McCandlish, Kaplan and Amodei (2018), arXiv:1812.06162, section 2: the
        steps are S_min (1 + B_crit / B).
    """
    slope = (steps[0] - steps[1]) / (1 / batches[0] - 1 / batches[1])
    least = steps[0] - slope / batches[0]
    if not (slope > 0 and least > 0):
        raise ParameterError(
            f"batches {batches} and steps {steps} have no critical batch: {least:g} steps at "
            f"least, and {slope:g} / batch more. Both were expected above 0. Take runs further "
            "apart."
        )
    return slope / least
