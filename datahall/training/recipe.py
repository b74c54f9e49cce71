"""What is trained, and how: a network as a few layers, and the numbers of its training.

Reading order: `Conv`, `Pool`, `Dense` (a network is a tuple of them), `Recipe`, `TO_98` and `TO_99`
(the two recipes of lecture 03_training_fast), `weights_of` and `operations` (what a step must
cost), `one_cycle`, `order` and `shifts` (rate and images of each step). `fast` trains a recipe.
Nothing here needs TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError, ShapeError

SIDE = 28
CLASSES = 10


@dataclass(frozen=True)
class Conv:
    """A convolution with a bias: `filters` square kernels, moved by `stride`."""

    filters: int
    kernel: int
    stride: int = 1
    padding: str = "same"


@dataclass(frozen=True)
class Pool:
    """The largest of each `size` × `size` square."""

    size: int = 2


@dataclass(frozen=True)
class Dense:
    """A dense layer with a bias; the last one of a network gives logits."""

    units: int


Layer = Conv | Pool | Dense

ARTICLE: tuple[Layer, ...] = (
    Conv(32, 3, padding="valid"),
    Pool(),
    Conv(64, 3, padding="valid"),
    Pool(),
    Conv(64, 3, padding="valid"),
    Dense(64),
    Dense(CLASSES),
)
"""The network of claim C03: 93,322 parameters."""

QUICK: tuple[Layer, ...] = (Conv(16, 6, 2, "valid"), Pool(), Conv(32, 3), Dense(64), Dense(CLASSES))
"""The network of the fast recipe: 57,146 parameters on a cropped image."""


@dataclass(frozen=True)
class Recipe:
    """All that decides how fast and how well a network is trained.

    Attributes:
        steps: Steps of the whole training.
        layers: The network; the last layer gives the logits.
        crop: Pixels cut from each border; the digits stand in the middle.
        batch: Images a step.
        peak_rate: Highest learning rate.
        warmup: Share of the steps in which the rate rises; 0 keeps it at its peak throughout.
        beta_1: Decay of Adam's mean of gradients.
        beta_2: Decay of Adam's mean of squared gradients.
        weight_decay: Decoupled decay of kernels (AdamW), as a share of the rate; not of biases.
        smoothing: Label smoothing: this share of the target is spread over all classes.
        jitter: Each half of a batch is moved by up to so many pixels each way, at random.
        compute: Type of activations and gradients; weights and averages stay float32.
        halves: Equal parts of a batch that are computed side by side, their gradients added.
    """

    steps: int
    layers: tuple[Layer, ...] = QUICK
    crop: int = 2
    batch: int = 128
    peak_rate: float = 0.014
    warmup: float = 0.2
    beta_1: float = 0.85
    beta_2: float = 0.93
    weight_decay: float = 0.1
    smoothing: float = 0.15
    jitter: int = 0
    compute: str = "bfloat16"
    halves: int = 2

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.steps < 1 or self.batch < 1 or self.halves < 1 or self.batch % self.halves:
            raise ParameterError(
                f"steps is {self.steps}, batch {self.batch}, halves {self.halves}. Expected at "
                "least 1 of each, and a batch that the halves divide. Change one of them."
            )
        if not 0 <= self.jitter <= self.crop < SIDE // 2:
            raise ParameterError(
                f"crop is {self.crop}, jitter {self.jitter}. Expected a crop from 0 to "
                f"{SIDE // 2 - 1} pixels, and a jitter within it. Crop more, or move less."
            )
        if not (0 <= self.warmup < 1 and 0 <= self.smoothing < 1):
            raise ParameterError(
                f"warmup is {self.warmup}, smoothing {self.smoothing}. Expected shares from 0 to "
                "below 1. Write 20 % as 0.2."
            )
        if self.compute not in ("float32", "bfloat16", "float16"):
            raise ParameterError(
                f"compute is {self.compute!r}. Expected float32, bfloat16 or float16. "
                "Choose bfloat16 where the processor has it (see `datahall doctor`)."
            )


TO_98 = Recipe(steps=260)
"""Beyond 98.30 % test accuracy: 33,280 images, little more than half an epoch."""

TO_99 = replace(TO_98, steps=1000, jitter=1)
"""Beyond 99.00 % test accuracy: 128,000 images, little more than two epochs."""


@dataclass(frozen=True)
class Weight:
    """One tensor of a network: its shape, the inputs of a unit (0 for a bias), and its uses.

    Attributes:
        shape: As Keras has it.
        fan_in: Inputs of one unit; sets the scale of the first values (He).
        places: How often each of its numbers is multiplied for one image.
    """

    shape: tuple[int, ...]
    fan_in: int
    places: int

    @property
    def size(self) -> int:
        """Numbers in the tensor."""
        return math.prod(self.shape)


def weights_of(recipe: Recipe) -> list[Weight]:
    """Return the tensors of a recipe's network in Keras' order: each kernel, then its bias.

    Raises:
        ShapeError: The image has shrunk to nothing before the last layer.

    Example:
        >>> sum(weight.size for weight in weights_of(TO_98))
        57146
        >>> sum(weight.size for weight in weights_of(Recipe(1, layers=ARTICLE, crop=0)))
        93322
    """
    return list(_weights(recipe))


def _weights(recipe: Recipe) -> Iterator[Weight]:
    side, channels = SIDE - 2 * recipe.crop, 1
    for layer in recipe.layers:
        if isinstance(layer, Conv):
            valid = layer.padding == "valid"
            side = (side - valid * (layer.kernel - 1) - 1) // layer.stride + 1
            fan_in, shape = layer.kernel**2 * channels, (layer.kernel, layer.kernel, channels)
            channels = layer.filters
            yield Weight((*shape, channels), fan_in, side**2)
        elif isinstance(layer, Pool):
            side //= layer.size
        else:
            fan_in, side, channels = side**2 * channels, 1, layer.units
            yield Weight((fan_in, channels), fan_in, 1)
        if side < 1:
            raise ShapeError(
                f"{layer} leaves no pixel of an image cropped by {recipe.crop}. Expected at least "
                "one place a layer. Crop less, or drop a pooling."
            )
        if not isinstance(layer, Pool):
            yield Weight((channels,), 0, 0)


def operations(recipe: Recipe) -> int:
    """Return the floating-point operations of one training step, a multiply-add as two.

    Forward once, backward twice, but for the first layer, whose input needs no gradient. Biases,
    ReLU, pooling and the optimizer are left out: together they are below 2 % here.

    Example:
        >>> operations(Recipe(1, layers=(Dense(10),), batch=1, halves=1, crop=0)) == 2 * 2 * 7840
        True
    """
    kernels = [weight.size * weight.places for weight in weights_of(recipe) if weight.fan_in]
    return 2 * recipe.batch * (3 * sum(kernels) - kernels[0])


def one_cycle(recipe: Recipe) -> NDArray[np.float32]:
    """Return the learning rate of every step: up along a line, down along a cosine to zero.

    Returns:
        (steps,), float32.

    Example:
        >>> one_cycle(replace(TO_98, steps=5, warmup=0.4, peak_rate=1.0)).round(2).tolist()
        [0.5, 1.0, 1.0, 0.5, 0.0]

    Source:
        Smith (2018), "A disciplined approach to neural network hyper-parameters", section 4.
    """
    if not recipe.warmup:
        return np.full(recipe.steps, recipe.peak_rate, np.float32)
    done, rising = np.arange(1, recipe.steps + 1), recipe.warmup * recipe.steps
    fall = np.clip((done - 1 - rising) / max(recipe.steps - 1 - rising, 1), 0, 1)
    cosine = (1 + np.cos(np.pi * fall)) / 2
    rate = recipe.peak_rate * np.where(done <= rising, done / rising, cosine)
    return rate.astype(np.float32)


def order(examples: int, recipe: Recipe, *, seed: int) -> NDArray[np.int32]:
    """Return which images each step takes: epochs one after the other, each shuffled anew.

    Args:
        examples: Images to choose from.
        recipe: Its steps and batch count.
        seed: Of the order.

    Returns:
        (steps, batch), int32. Within one epoch no image comes twice.

    Example:
        >>> places = order(4, replace(TO_98, steps=4, batch=2), seed=0)
        >>> sorted(places[:2].ravel().tolist()), sorted(places[2:].ravel().tolist())
        ([0, 1, 2, 3], [0, 1, 2, 3])
    """
    wanted, generator = recipe.steps * recipe.batch, np.random.default_rng([seed, 1])
    epochs = [generator.permutation(examples) for _ in range(math.ceil(wanted / examples))]
    places = np.concatenate(epochs)[:wanted].astype(np.int32)
    return places.reshape(recipe.steps, recipe.batch)


def shifts(recipe: Recipe, *, seed: int) -> NDArray[np.int32]:
    """Return where the image begins for each half of each step's batch: row, then column.

    Returns:
        (steps, halves, 2), int32, from 0 to 2 × jitter.

    Example:
        >>> shifts(replace(TO_98, steps=1), seed=0).tolist()
        [[[0, 0], [0, 0]]]
    """
    generator, size = np.random.default_rng([seed, 2]), (recipe.steps, recipe.halves, 2)
    return generator.integers(0, 2 * recipe.jitter + 1, size, dtype=np.int32)
