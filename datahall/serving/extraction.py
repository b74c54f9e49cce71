"""Extraction: a copy of a served model, trained on nothing but its replies to so many queries.

Reading order: `queries` (what the thief asks with), `Oracle` (the service, counted), `surrogate`
(the copy), `agreement` (how often the two say the same).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from datahall.errors import CourseError, ParameterError

if TYPE_CHECKING:
    import keras

Pixels = NDArray[np.uint8]
Ask = Callable[[Pixels], tuple[NDArray[Any], NDArray[Any]]]
"""Takes images (n, 28, 28, 1), uint8; returns labels (n,) and scores (n, 10)."""


HIDDEN, CLASSES = 64, 10  # units of a copy
BATCH, RATE = 64, 2e-3  # of its training


class BudgetError(CourseError, RuntimeError):
    """The service has answered as many queries as it does."""


class Oracle:
    """A service that is asked in batches, counts, and stops when its budget is spent.

    Args:
        ask: The service.
        budget: Images that it answers for, in all.
        at_once: Images that one request may carry.

    Attributes:
        asked: Images that it has answered for.
    """

    def __init__(self, ask: Ask, *, budget: int, at_once: int = 32) -> None:
        if budget < 1 or at_once < 1:
            raise ParameterError(f"budget is {budget}, at_once {at_once}. Expected 1 or more.")
        self._ask, self._budget, self._at_once = ask, budget, at_once
        self.asked = 0

    def __call__(self, images: Pixels) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return labels and scores of images, or refuse those beyond the budget.

        Args:
            images: (n, 28, 28, 1), uint8.

        Raises:
            BudgetError: The budget does not reach for all of them; none is answered.
        """
        if self.asked + len(images) > self._budget:
            raise BudgetError(
                f"{self.asked} images were answered and {len(images)} more are asked for. The "
                f"budget is {self._budget}. Ask for fewer, or wait for the next day."
            )
        self.asked += len(images)
        starts = range(0, len(images), self._at_once)
        parts = [self._ask(images[at : at + self._at_once]) for at in starts]
        labels, scores = zip(*parts, strict=True)
        return np.concatenate(labels), np.concatenate(scores)


def surrogate(
    images: Pixels,
    labels: NDArray[Any],
    scores: NDArray[Any] | None = None,
    *,
    steps: int = 300,
    seed: int = 0,
) -> keras.Model:
    """Train a copy on a service's replies.

    Args:
        images: (n, 28, 28, 1), uint8: what was asked.
        labels: (n,): what came back.
        scores: (n, 10): the probabilities that came back; None: learn from the labels alone.
        steps: Of training, 64 images each.
        seed: Of the weights and the order.

    Returns:
        A network of 784, 64 and 10 units; it gives logits for (n, 28, 28, 1), float32, 0 to 1.
    """
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(HIDDEN, activation="relu"),
            keras.layers.Dense(CLASSES),
        ]
    )
    inputs = np.asarray(images.reshape(len(images), -1) / 255, np.float32)  # (n, 784)
    targets = np.eye(CLASSES)[labels] if scores is None else scores
    with threadpool_limits(1):  # products so small that threads only wait for each other
        model.set_weights(_trained(inputs, np.asarray(targets, np.float32), steps, seed))
    return model


def _trained(
    inputs: NDArray[np.float32], targets: NDArray[np.float32], steps: int, seed: int
) -> list[NDArray[np.float32]]:
    """Return kernels and biases after training by Adam, in NumPy.

    Keras takes longer to prepare a training step than such a small network takes to train; a thief
    trains many copies.
    """
    random = np.random.default_rng(seed)
    sizes = [(inputs.shape[1], HIDDEN), (HIDDEN, CLASSES)]
    weights = [
        made.astype(np.float32)
        for size in sizes
        for made in (random.normal(0, (2 / size[0]) ** 0.5, size), np.zeros(size[1]))
    ]
    means = [np.zeros_like(each) for each in weights]
    squares = [np.zeros_like(each) for each in weights]
    rounds = 1 + BATCH * steps // len(inputs)
    order = np.concatenate([random.permutation(len(inputs)) for _ in range(rounds)])
    for step in range(steps):
        chosen = order[BATCH * step : BATCH * (step + 1)]
        slopes = _slopes(weights, inputs[chosen], targets[chosen])
        for weight, mean, square, slope in zip(weights, means, squares, slopes, strict=True):
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope**2 - square)
            fair = np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-7
            weight -= RATE * mean / (1 - 0.9 ** (step + 1)) / fair
    return weights


def _slopes(
    weights: list[NDArray[np.float32]], inputs: NDArray[Any], targets: NDArray[Any]
) -> list[NDArray[Any]]:
    """Return the gradient of the mean cross-entropy by each weight."""
    first, first_bias, last, last_bias = weights
    hidden = np.maximum(inputs @ first + first_bias, 0)  # (batch, hidden)
    error = (softmax(hidden @ last + last_bias, axis=1) - targets) / len(inputs)
    back = (error @ last.T) * (hidden > 0)
    return [inputs.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]


def labels_of(model: keras.Model, images: Pixels) -> NDArray[np.int64]:
    """Return the labels that a Keras model gives to images.

    Args:
        model: Gives logits for (n, 28, 28, 1), float32, 0 to 1.
        images: (n, 28, 28, 1), uint8.
    """
    logits = np.asarray(model(images.astype(np.float32) / 255, training=False))
    return np.asarray(np.argmax(logits, axis=1), np.int64)


def agreement(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the share of images for which two models say the same, right or wrong.

    Args:
        one: Labels (n,).
        other: Labels (n,).

    Example:
        >>> agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5]))
        0.75
    """
    return float(np.mean(one == other))
