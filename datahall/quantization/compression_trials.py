"""What answers of module 06's second lab are held against: gradients, budgets, pruned networks.

What is tried is real: TensorFlow's tape, files on disk, and a network of 196, 16, 12, 10 units that
is trained on the course's digits when it is first needed, in a fraction of a second.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from datahall import datasets
from datahall.quantization import bitfile
from datahall.quantization.core import Array
from datahall.quantization.sensitivity import Bits

Trial = Callable[[Any], str | None]
"""Is called with an answer; returns None where it is right, else a sentence."""

PROBES = 100  # calls of a probe that an answer has
UNITS = (196, 16, 12, 10)


class Lazily:
    """TensorFlow, imported when an answer needs it: the other exercises of the module do not."""

    def __getattr__(self, name: str) -> Any:
        """Return what TensorFlow has by that name."""
        if name.startswith("__"):
            raise AttributeError(name)
        import tensorflow

        return getattr(tensorflow, name)


tf = Lazily()


# Gradients ----------------------------------------------------------------------------------------


def passes(x: Any, scale: Any, bits: int, *, weights: Any = 1.0, graph: bool = False) -> Trial:
    """Return a trial: are the codes' values right, and what the tape returns for x and the scale?

    Args:
        x: The values.
        scale: One, or one for each feature of the last axis.
        bits: Of a code.
        weights: What the result is multiplied by before it is summed up and differentiated.
        graph: Whether the answer is called inside a `tf.function`.
    """

    def test(answer: Any) -> str | None:
        import tensorflow as tf

        given, grid = (tf.constant(np.asarray(each, np.float32)) for each in (x, scale))

        def differentiated(given: Any, grid: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch([given, grid])
                found = answer(given, grid, bits)
                if not tf.is_tensor(found):
                    raise AssertionError(
                        f"fake_quantize returned {type(found).__name__}, no tensor"
                    )
                loss = tf.reduce_sum(found * tf.constant(weights, found.dtype))
            return (found, *tape.gradient(loss, [given, grid]))

        run = tf.function(differentiated) if graph else differentiated
        called = f"fake_quantize({given.numpy().tolist()}, {grid.numpy().tolist()}, {bits})"
        wanted = _straight_through(np.asarray(x, float), np.asarray(scale, float), bits, weights)
        for what, want, got in zip(_WHAT, wanted, run(given, grid), strict=True):
            if said := _unlike(want, got):
                return f"{called}{' in a tf.function' if graph else ''}: {what} {said}"
        return None

    return test


_WHAT = ("it returned", "the gradient of x is", "the gradient of scale is")


def _unlike(want: Array, got: Any) -> str | None:
    if got is None:
        return "None: nothing comes back through what you do"
    got = got.numpy()
    rounded = np.round(got.astype(float), 3) + 0.0
    if got.dtype != np.float32:
        return f"{got.dtype}, expected float32"
    if got.shape != want.shape or not np.allclose(got, want, atol=1e-4):
        return f"{rounded.tolist()}, expected {(np.round(want, 3) + 0.0).tolist()}"
    return None


def _straight_through(x: Array, scale: Array, bits: int, weights: Any) -> tuple[Array, ...]:
    largest = 2 ** (bits - 1) - 1
    steps = x / scale
    codes = np.clip(np.rint(steps), -largest, largest)
    inside, given = np.abs(steps) < largest, np.broadcast_to(weights, x.shape)
    each = given * np.where(inside, codes - steps, codes)
    whole = each.reshape(-1, scale.size).sum(axis=0).reshape(scale.shape)
    return codes * scale, given * inside, whole


# Budgets ------------------------------------------------------------------------------------------


def fits(sizes: Mapping[str, int], loss: Callable[[Bits], float], budget: int) -> Trial:
    """Return a trial: does a choice fit a budget, with no more loss than the search of the text?

    Here layers are so many weights, the file has 20 bytes beside them, and the loss is a formula.

    Args:
        sizes: Weights of each layer.
        loss: Returns the loss of a choice.
        budget: Bytes.
    """

    def size_of(bits: Bits) -> int:
        return 20 + sum(math.ceil(sizes[layer] * count / 8) for layer, count in bits.items())

    def test(answer: Any) -> str | None:
        return _judged(answer, sizes, budget, size_of, loss)

    return test


def fits_on_disk(share: float) -> Trial:
    """Return a trial as `fits`, for a trained network, its file on disk, and 500 digits.

    Args:
        share: Budget, as a share of the file with 8 bits everywhere.
    """

    def test(answer: Any) -> str | None:
        weights = digits_network()
        sizes = {layer: kernel.size for layer, (kernel, _) in weights.items()}

        def size_of(bits: Bits) -> int:
            return len(_file(*(bits[name] for name in weights)))

        def on_disk(bits: Bits) -> int:
            with tempfile.TemporaryDirectory() as folder:
                return bitfile.written(Path(folder) / "network.bits", weights, bits)

        budget = int(share * size_of(dict.fromkeys(weights, 8)))
        return _judged(answer, sizes, budget, size_of, loss_on_digits, on_disk)

    return test


def _judged(
    answer: Any,
    sizes: Mapping[str, int],
    budget: int,
    size_of: Callable[[Bits], int],
    loss: Callable[[Bits], float],
    on_disk: Callable[[Bits], int] | None = None,
) -> str | None:
    asked = 0

    def probe(bits: Bits) -> float:
        nonlocal asked
        asked += 1
        if asked > PROBES:
            raise AssertionError(f"spend called probe more than {PROBES} times")
        _known(bits, sizes)
        return loss(bits)

    def measured(bits: Bits) -> int:
        _known(bits, sizes)
        return size_of(bits)

    found = answer(dict(sizes), budget, measured, probe)
    called = f"spend({dict(sizes)}, {budget}, …) returned"
    if not isinstance(found, dict):
        return f"{called} {type(found).__name__}, expected a dict of bits"
    _known(found, sizes, called)
    size, bar = (on_disk or size_of)(found), _searched(sizes, budget, size_of, loss)
    if size > budget:
        return f"{called} {found}: the file has {size} bytes, {budget} are allowed"
    if loss(found) > loss(bar) * (1 + 1e-9):
        return (
            f"{called} {found}: loss {loss(found):.4g}, but {bar} fits too and has {loss(bar):.4g}"
        )
    return None


def _searched(
    sizes: Mapping[str, int],
    budget: int,
    size_of: Callable[[Bits], int],
    loss: Callable[[Bits], float],
) -> Bits:
    """Return what `sensitivity.spend` returns; while an answer runs, that one is out of reach."""
    bits = dict.fromkeys(sizes, 8)
    while (size := size_of(bits)) > budget:
        lower = [bits | {layer: count - 1} for layer, count in bits.items() if count > 2]
        now = loss(bits)
        prices = [(loss(each) - now) / (size - size_of(each)) for each in lower]
        bits = lower[int(np.argmin(prices))]
    return bits


def _known(bits: Bits, sizes: Mapping[str, int], called: str = "spend asked for") -> None:
    known = all(isinstance(n, (int, np.integer)) and n in bitfile.MENU for n in bits.values())
    if set(bits) != set(sizes) or not known:
        raise AssertionError(f"{called} {bits}, expected ints, 2 to 8, for {', '.join(sizes)}")


@cache
def digits_network() -> dict[str, tuple[Array, Array]]:
    """Return kernels and biases of a network that names digits of 14 × 14 pixels, float64."""
    images, labels = _digits(0, 4000)
    random = np.random.default_rng(0)
    shapes = list(pairwise(UNITS))
    kernels = [random.normal(0, (2 / m) ** 0.5, (m, n)) for m, n in shapes]
    biases = [np.zeros(n) for _, n in shapes]
    for _ in range(400):
        batch = random.integers(0, len(images), 100)
        values = _layers(images[batch], kernels, biases)
        error = _shares(values[-1])
        error[np.arange(100), labels[batch]] -= 1
        for layer in reversed(range(3)):
            slope = values[layer].T @ error / 100
            biases[layer] -= 0.2 * error.mean(axis=0)
            error = (error @ kernels[layer].T) * (values[layer] > 0)
            kernels[layer] -= 0.2 * slope
    names = ("first", "middle", "last")
    return {name: part for name, part in zip(names, zip(kernels, biases, strict=True), strict=True)}


def loss_on_digits(bits: Bits) -> float:
    """Return the mean cross-entropy on 500 digits that `digits_network` has not seen."""
    return _loss(*(bits[name] for name in digits_network()))


@cache
def _loss(*bits: int) -> float:
    images, labels = _digits(4000, 4500)
    kernels, biases = zip(*bitfile.restored(_file(*bits)).values(), strict=True)
    shares = _shares(_layers(images, kernels, biases)[-1])
    return float(-np.log(shares[np.arange(len(labels)), labels] + 1e-12).mean())


@cache
def _file(*bits: int) -> bytes:
    weights = digits_network()
    return bitfile.content(weights, dict(zip(weights, bits, strict=True)))


@cache
def _digits(begin: int, end: int) -> tuple[Array, Array]:
    mnist = datasets.load("mnist").train
    pooled = mnist.images[begin:end].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)) / 255
    return pooled.reshape(len(pooled), -1), np.array(mnist.labels[begin:end], int)


def _layers(images: Array, kernels: Sequence[Array], biases: Sequence[Array]) -> list[Array]:
    values = [images]
    for kernel, bias in zip(kernels, biases, strict=True):
        values.append(np.maximum(values[-1] @ kernel + bias, 0))
    values[-1] = values[-2] @ kernels[-1] + biases[-1]
    return values


def _shares(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


# Pruned networks ----------------------------------------------------------------------------------


def is_smaller(*, dense: bool) -> Trial:
    """Return a trial: does a pruned pair of layers compute what it should, with fewer products?

    Its outputs must be those of the old pair with the removed channels at 0.

    Args:
        dense: Whether a dense layer follows the convolution, after flattening, or a convolution.
    """

    def test(answer: Any) -> str | None:
        random = np.random.default_rng(3)
        images = random.normal(size=(2, 6, 5, 2))
        kernel, bias = random.normal(size=(3, 2, 2, 5)), random.normal(size=5)
        after = random.normal(size=(4 * 4 * 5, 3) if dense else (2, 3, 5, 4))
        keep = 3
        size = np.abs(kernel).sum(axis=(0, 1, 2))
        gone = np.argsort(-size, kind="stable")[keep:]
        silent = np.maximum(_convolved(images, kernel) + bias, 0)
        silent[..., gone] = 0
        smaller, shorter, next_ = answer(kernel, bias, after, keep)
        wanted = _followed(silent, after)
        got = _followed(np.maximum(_convolved(images, smaller) + shorter, 0), next_)
        if got.shape != wanted.shape or not np.allclose(got, wanted):
            return "the pruned pair of layers computes something else than the old one, silenced"
        products = [int(np.size(each)) for each in (kernel, after, smaller, next_)]
        if sum(products[2:]) > 0.61 * sum(products[:2]):
            return (
                f"the pruned pair has {sum(products[2:])} weights of {sum(products[:2])}: no fewer"
            )
        return None

    return test


def _convolved(images: Array, kernel: Array) -> Array:
    windows = sliding_window_view(images, kernel.shape[:2], axis=(1, 2))
    return np.asarray(np.einsum("bhwcij,ijcf->bhwf", windows, kernel))


def _followed(values: Array, after: Array) -> Array:
    if after.ndim == 4:
        return _convolved(values, after)
    return np.asarray(values.reshape(len(values), -1) @ after)


def falling(**harm: float) -> Callable[[Bits], float]:
    """Return a loss to which each layer adds its harm, a quarter of it for each bit more."""
    return lambda bits: sum(harm[name] * 4.0**-count for name, count in bits.items())


def covering(bits: Bits) -> float:
    """Return a loss for layers a and b that do the same work: the better one decides."""
    return 50 * 4.0 ** -max(bits["a"], bits["b"]) + 4.0 ** -bits["c"]
