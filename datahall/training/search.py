"""Searching for hyper-parameters: what is tried, what is found, and what it costs.

Reading order: `grid_settings` and `random_settings` (what to try), `Trial`, `run` (one training a
setting), `best`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.model_selection import ParameterGrid, ParameterSampler

from datahall.errors import ParameterError
from datahall.training import core, loop

DEFAULT: dict[str, Any] = {"rate": 0.001, "hidden": 64}
"""What one would take without any search: Adam's default rate, and the 64 units of claim C17."""


@dataclass(frozen=True)
class Trial:
    """One setting, trained once.

    Attributes:
        setting: Learning rate and hidden units.
        validation_accuracy: On the held-out images, 0 … 1.
        seconds: Wall time of building and training.
        model: The trained network.
    """

    setting: dict[str, Any]
    validation_accuracy: float
    seconds: float
    model: keras.Model


def grid_settings(trials: int) -> list[dict[str, Any]]:
    """Return every pair of a learning rate and one of two widths.

    Args:
        trials: How many settings, an even number; half of it rates, evenly spaced in the exponent.

    Raises:
        ParameterError: `trials` is odd or below 4.

    Example:
        >>> [(round(s["rate"], 4), s["hidden"]) for s in grid_settings(4)]
        [(0.0003, 32), (0.03, 32), (0.0003, 128), (0.03, 128)]
    """
    if trials < 4 or trials % 2:
        raise ParameterError(
            f"trials is {trials}. Expected an even number of at least 4: half of it learning "
            "rates, times two widths. Try 6."
        )
    rates = np.logspace(np.log10(0.0003), np.log10(0.03), trials // 2).tolist()
    return list(ParameterGrid({"rate": rates, "hidden": [32, 128]}))


def random_settings(trials: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Draw settings: the rate evenly in its exponent, the width evenly.

    Args:
        trials: How many.
        seed: Which draw.

    Example:
        >>> settings = random_settings(3)
        >>> len(settings), all(0.0003 <= s["rate"] <= 0.03 for s in settings)
        (3, True)

    Source:
        Bergstra and Bengio (2012), "Random search for hyper-parameter optimization".
    """
    space = {"rate": stats.loguniform(0.0003, 0.03), "hidden": stats.randint(32, 129)}
    drawn = ParameterSampler(space, trials, random_state=seed)
    return [{"rate": float(one["rate"]), "hidden": int(one["hidden"])} for one in drawn]


def accuracy(model: keras.Model, images: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """Return the share of images that a network reads rightly.

    Args:
        model: Gives one number a class; the largest is the answer.
        images: (batch, height, width, channels), float32.
        labels: (batch,), integers.
    """
    answers = np.asarray(model(images, training=False)).argmax(axis=1)
    return float((answers == labels).mean())


def run(
    settings: Iterable[dict[str, Any]],
    training: tuple[NDArray[np.float32], NDArray[Any]],
    validation: tuple[NDArray[np.float32], NDArray[Any]],
    *,
    epochs: int = 2,
    batch: int = 128,
    seed: int = 0,
) -> list[Trial]:
    """Train one network with a hidden layer for each setting, all from the same seed.

    Args:
        settings: Learning rates and hidden units.
        training: Images (batch, height, width, channels) and labels (batch,).
        validation: The same, held out.
        epochs: Passes over the training images.
        batch: Images a step.
        seed: First weights and shuffles, the same for every setting.

    Returns:
        One trial a setting, in their order.
    """
    trials = []
    for setting in settings:
        begin = time.perf_counter()
        keras.utils.set_random_seed(seed)
        model = core.dense_network(int(setting["hidden"]))
        model.compile(keras.optimizers.Adam(setting["rate"]), "sparse_categorical_crossentropy")
        steps = epochs * core.steps_per_epoch(len(training[0]), batch)
        loop.train(model, *training, steps=steps, batch=batch, seed=seed)
        share = accuracy(model, *validation)
        trials.append(Trial(dict(setting), share, time.perf_counter() - begin, model))
    return trials


def best(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the highest validation accuracy; the first of equals."""
    return max(trials, key=lambda trial: trial.validation_accuracy)
