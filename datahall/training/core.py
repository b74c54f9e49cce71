"""The networks of the course, the schedule that trains them, and the images as they like them.

Reading order: `as_floats` and `split` (data), `travelling_network` (the artifact of the course),
`OneCycle` and `optimizer` (how it is trained), `article_cnn` and `dense_network` (claims C03, C04,
C16, C17), `steps_per_epoch` (claim C18), `digest` (are two networks the same, bit for bit?).
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from datahall.errors import ParameterError, ShapeError, UnitError

SHAPE = (28, 28, 1)
CLASSES = 10
PEAK_RATE = 0.006
"""Peak learning rate of the travelling network."""
WEIGHT_DECAY = 0.1
"""Weight decay of AdamW for it: eight epochs end at 99.1 %, with Keras' default at 99.0 %."""


def as_floats(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images as a network takes them: one channel, values from 0 to 1.

    Args:
        images: (batch, height, width), uint8, 0 … 255.

    Returns:
        (batch, height, width, 1), float32, 0 … 1.

    Raises:
        ShapeError: The array has another number of axes.
        UnitError: The values are no bytes; dividing by 255 twice would leave an almost black image.

    Example:
        >>> as_floats(np.full((1, 2, 2), 255, np.uint8)).ravel().tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    if images.ndim != 3:
        raise ShapeError(
            f"images have shape {images.shape}. Expected (batch, height, width). "
            "Put one image into a batch with images[np.newaxis]."
        )
    if images.dtype != np.uint8:
        raise UnitError(
            f"images hold {images.dtype}. Expected uint8 from 0 to 255. "
            "Give the images as the data set has them; they are scaled here, once."
        )
    return np.asarray(images[..., np.newaxis] / np.float32(255), np.float32)


def split(count: int, *, validation: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the places of training and of validation examples: no example in both.

    Args:
        count: Examples in all.
        validation: Examples kept for validation.
        seed: Which shuffle.

    Returns:
        Two sorted arrays of places, (count − validation,) and (validation,), int64.

    Raises:
        ParameterError: Nothing would be left to train on, or to validate with.

    Example:
        >>> train, validation = split(5, validation=2)
        >>> sorted([*train.tolist(), *validation.tolist()]), len(validation)
        ([0, 1, 2, 3, 4], 2)
    """
    if not 0 < validation < count:
        raise ParameterError(
            f"validation is {validation} of {count} examples. Expected 1 to {count - 1}. "
            "Keep something for both sides."
        )
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[validation:]), np.sort(order[:validation])


def steps_per_epoch(examples: int, batch: int) -> int:
    """Return the number of steps in one pass over the data; a last, smaller batch is a step too.

    Args:
        examples: Training examples.
        batch: Examples a step.

    Raises:
        ParameterError: A count is not positive.

    Example:
        >>> steps_per_epoch(60_000, 128)
        469
    """
    if examples < 1 or batch < 1:
        raise ParameterError(
            f"{examples} examples in batches of {batch}. Expected at least 1 of each. "
            "Check which is which."
        )
    return math.ceil(examples / batch)


def travelling_network(*, name: str = "mnist_cnn") -> keras.Sequential:
    """Build the network that serves modules 03 to 14: 106,122 parameters, 10 logits out.

    Two strided convolutions halve the image twice, so that the dense layer sees 7 × 7 × 32 values.
    The output is logits: probabilities are `keras.ops.softmax` of them.

    Input shape: (batch, height = 28, width = 28, channels = 1), float32, 0 … 1.

    Output shape: (batch, classes = 10), float32, logits.

    Example:
        >>> travelling_network().count_params()
        106122
    """
    return keras.Sequential(
        [
            layers.Input(SHAPE, name="image"),
            layers.Conv2D(16, 5, strides=2, padding="same", activation="relu", name="conv_1"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="conv_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(CLASSES, name="logits"),
        ],
        name=name,
    )


def article_cnn(*, dense: int = 64, third: bool = True) -> keras.Sequential:
    """Build the convolutional network of claim C03, or with `dense=128, third=False` of claim C16.

    Args:
        dense: Units of the hidden dense layer.
        third: Keep the third convolution.

    Input shape: (batch, height = 28, width = 28, channels = 1), float32, 0 … 1.

    Output shape: (batch, classes = 10), float32, probabilities.

    Example:
        >>> article_cnn().count_params()
        93322
        >>> article_cnn(dense=128, third=False).count_params()
        225034
    """
    relu: dict[str, Any] = {"activation": "relu"}
    return keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(32, 3, **relu),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, **relu),
            layers.MaxPooling2D(),
            *([layers.Conv2D(64, 3, **relu)] if third else []),
            layers.Flatten(),
            layers.Dense(dense, **relu),
            layers.Dense(CLASSES, activation="softmax"),
        ],
        name="article_cnn",
    )


def dense_network(hidden: int) -> keras.Sequential:
    """Build the network with one hidden layer of claims C04 (128 units) and C17 (64 units).

    Args:
        hidden: Units of the hidden layer.

    Input shape: (batch, height = 28, width = 28, channels = 1), float32, 0 … 1.

    Output shape: (batch, classes = 10), float32, probabilities.

    Raises:
        ParameterError: `hidden` is not positive.

    Example:
        >>> dense_network(128).count_params()
        101770
    """
    if hidden < 1:
        raise ParameterError(f"hidden is {hidden}. Expected at least 1 unit. Try 64.")
    return keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Flatten(),
            layers.Dense(hidden, activation="relu"),
            layers.Dense(CLASSES, activation="softmax"),
        ],
        name=f"dense_{hidden}",
    )


@keras.saving.register_keras_serializable(package="datahall")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The one-cycle schedule: the learning rate rises linearly, then falls along a cosine.

    Args:
        peak: Highest learning rate.
        steps: Steps of the whole training.
        warmup: Share of the steps spent rising.
        floor: Last rate as a share of the peak.

    Raises:
        ParameterError: `steps` is not positive, or a share lies outside 0 … 1.

    Example:
        >>> rate = OneCycle(0.006, steps=100)
        >>> [round(float(rate(step)), 5) for step in (0, 24, 25, 99, 100)]
        [0.00024, 0.006, 0.006, 6e-05, 6e-05]

    Source:
        Smith (2018), "A disciplined approach to neural network hyper-parameters", section 4, with
        a cosine as in Loshchilov and Hutter (2017), "SGDR".
    """

    def __init__(
        self, peak: float, steps: int, *, warmup: float = 0.25, floor: float = 0.01
    ) -> None:
        """Keep the four numbers."""
        if steps < 1 or not (0 < warmup < 1 and 0 <= floor <= 1):
            raise ParameterError(
                f"steps is {steps}, warmup {warmup}, floor {floor}. Expected at least 1 step and "
                "shares between 0 and 1. Count the steps with steps_per_epoch."
            )
        self.peak, self.steps, self.warmup, self.floor = peak, steps, warmup, floor

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, counted from 0; after the last step the floor."""
        done = keras.ops.cast(step, "float32") + 1
        rising = self.warmup * self.steps
        fall = keras.ops.clip((done - 1 - rising) / max(self.steps - 1 - rising, 1), 0, 1)
        cosine = self.floor + (1 - self.floor) * (1 + keras.ops.cos(math.pi * fall)) / 2
        return self.peak * keras.ops.where(done <= rising, done / rising, cosine)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the schedule again."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup": self.warmup,
            "floor": self.floor,
        }


def prepare(model: keras.Model, steps: int, *, peak: float = PEAK_RATE) -> keras.Model:
    """Compile a network with logits for the course's own recipe: AdamW along one cycle.

    Args:
        model: A network with 10 logits out.
        steps: Steps of the whole training.
        peak: Highest learning rate.

    Returns:
        The same network, compiled.

    Example:
        >>> prepare(travelling_network(), steps=469).optimizer.beta_2
        0.99
    """
    model.compile(
        keras.optimizers.AdamW(OneCycle(peak, steps), weight_decay=WEIGHT_DECAY, beta_2=0.99),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def digest(model: keras.Model) -> str:
    """Return the SHA-256 of a network's weights: equal only if every bit is equal.

    Example:
        >>> model = dense_network(2)
        >>> digest(model) == digest(model), len(digest(model))
        (True, 64)
    """
    state = hashlib.sha256()
    for weight in model.get_weights():
        state.update(f"{weight.dtype}{weight.shape}".encode())
        state.update(np.ascontiguousarray(weight).tobytes())
    return state.hexdigest()
