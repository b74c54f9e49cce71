"""Extraction: a copy of a served model, trained on nothing but its replies to so many queries.

Reading order: `queries` (what the thief asks with), `Oracle` (the service, counted), `surrogate`
(the copy), `agreement` (how often the two say the same).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import CourseError, ParameterError

if TYPE_CHECKING:
    import keras

Pixels = NDArray[np.uint8]
Ask = Callable[[Pixels], tuple[NDArray[Any], NDArray[Any]]]
"""Takes images (n, 28, 28, 1), uint8; returns labels (n,) and scores (n, 10)."""


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

    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    targets = np.eye(10)[labels] if scores is None else scores
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, jit_compile=False)
    random = np.random.default_rng(seed)
    rounds = 1 + 64 * steps // len(images)
    chosen = np.concatenate([random.permutation(len(images)) for _ in range(rounds)])[: 64 * steps]
    inputs = images[chosen].astype(np.float32) / 255
    model.fit(inputs, targets[chosen], batch_size=64, epochs=1, shuffle=False, verbose=0)
    return model


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
