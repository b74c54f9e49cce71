"""Training as fast as this processor allows: whole epochs in one compiled TensorFlow loop.

Reading order: `tensorflow` (imported without Keras: half of a cold start is that import), `logits`
(a network of `recipe`), `train` (all steps in one call), `Trained` (what comes out; `to_keras`
hands it to the rest of the course), `peak_flop_per_s` (the limit to compare with).
"""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datahall import runtime
from datahall.errors import ParameterError, ShapeError
from datahall.training.recipe import (
    CLASSES,
    SIDE,
    TO_98,
    Conv,
    Layer,
    Pool,
    Recipe,
    Weight,
    one_cycle,
    order,
    shifts,
    weights_of,
)

if TYPE_CHECKING:
    import keras

EPSILON = 1e-7
"""Added to the root of Adam's mean square, as Keras does by default."""


def tensorflow() -> Any:
    """Return TensorFlow, imported without Keras if neither is there yet.

    `import tensorflow` loads all of Keras at its end, and Keras loads scikit-learn, SciPy, pandas
    and Matplotlib where they are installed. TensorFlow goes on when that import fails; so it is
    made to fail, once. `import keras` and `tf.keras` work afterwards as ever.
    """
    if "tensorflow" in sys.modules or "keras" in sys.modules:
        return importlib.import_module("tensorflow")
    sys.modules["keras.src"] = None  # type: ignore[assignment]  # documented: stops that import
    try:
        return importlib.import_module("tensorflow")
    finally:
        del sys.modules["keras.src"]


def cropped(images: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    """Return images without `crop` pixels at each border, in one piece of memory.

    Raises:
        ShapeError: They are not (batch, 28, 28) bytes.

    Example:
        >>> cropped(np.zeros((1, 28, 28), np.uint8), 2).shape
        (1, 24, 24)
    """
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8:
        raise ShapeError(
            f"images are {images.dtype} of shape {images.shape}. Expected uint8 of shape "
            f"(batch, {SIDE}, {SIDE}). Give them as the data set has them."
        )
    return np.ascontiguousarray(images[:, crop : SIDE - crop, crop : SIDE - crop])


def logits(layers: Sequence[Layer], weights: Sequence[Any], images: Any) -> Any:
    """Compute a network in the type of its weights.

    Args:
        layers: What stands in it.
        weights: Those of the layers, in order.
        images: The batch.

    Input shape: (batch, side, side), uint8, 0 … 255.

    Output shape: (batch, classes), float32.
    """
    tf, left = tensorflow(), iter(weights)
    values = tf.cast(images, weights[0].dtype)[..., tf.newaxis] / 255
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, Pool):
            values = tf.nn.max_pool2d(values, layer.size, layer.size, "VALID")
        elif isinstance(layer, Conv):
            values = tf.nn.conv2d(values, next(left), layer.stride, layer.padding.upper())
            values = tf.nn.bias_add(values, next(left))
        else:
            values = tf.reshape(values, (-1, math.prod(values.shape[1:])))
            values = tf.nn.bias_add(values @ next(left), next(left))
        if after is not None and not isinstance(after, Pool):
            values = tf.nn.relu(values)  # after a pooling, not before: fewer numbers, same result
    return tf.cast(values, tf.float32)


@dataclass(frozen=True)
class Trained:
    """A trained network: one vector of weights, and where the time went.

    Attributes:
        recipe: What was trained.
        vector: All weights one after the other, float32, in the order of `weights_of`.
        prepare_s: Seconds of wall time before the first step: images, weights, tracing.
        loop_s: Seconds of wall time of all steps, compilation at the first one included.
    """

    recipe: Recipe
    vector: NDArray[np.float32]
    prepare_s: float
    loop_s: float

    def weights(self) -> list[NDArray[np.float32]]:
        """Return the tensors in Keras' order and shapes."""
        shapes = weights_of(self.recipe)
        parts = np.split(self.vector, np.cumsum([shape.size for shape in shapes])[:-1])
        return [part.reshape(shape.shape) for part, shape in zip(parts, shapes, strict=True)]

    def predict(self, images: NDArray[np.uint8], *, batch: int = 2000) -> NDArray[np.int64]:
        """Return the class of each image, computed as in training.

        Input shape: (batch, 28, 28), uint8.

        Output shape: (batch,), int64.
        """
        tf, recipe = tensorflow(), self.recipe
        weights = [tf.cast(weight, recipe.compute) for weight in self.weights()]

        @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
        def classes(some: Any) -> Any:
            return tf.argmax(logits(recipe.layers, weights, some), axis=1)

        inputs = cropped(images, recipe.crop)
        parts = [inputs[start : start + batch] for start in range(0, len(inputs), batch)]
        return np.concatenate([classes(tf.constant(part)).numpy() for part in parts])

    def accuracy(self, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> float:
        """Return the share of images whose class is found.

        Input shape: images (images, side, side), labels (images,).
        """
        return float(np.mean(self.predict(images) == labels))

    def to_keras(self) -> keras.Sequential:
        """Return the same network in Keras: cropped float32 images from 0 to 1 in, logits out."""
        network = as_keras(self.recipe)
        network.set_weights(self.weights())
        return network


def as_keras(recipe: Recipe) -> keras.Sequential:
    """Build a recipe's network in Keras, untrained.

    Input shape: (batch, side, side, channels = 1), float32, 0 … 1; side is 28 − 2 × crop.

    Output shape: (batch, classes), float32, logits.
    """
    import keras

    side = SIDE - 2 * recipe.crop
    network: keras.Sequential = keras.Sequential([keras.Input((side, side, 1))])
    for place, layer in enumerate(recipe.layers):
        relu = None if place + 1 == len(recipe.layers) else "relu"
        if isinstance(layer, Pool):
            network.add(keras.layers.MaxPooling2D(layer.size))
        elif isinstance(layer, Conv):
            network.add(
                keras.layers.Conv2D(
                    layer.filters, layer.kernel, layer.stride, layer.padding, activation=relu
                )
            )
        else:
            if len(network.output_shape) > 2:
                network.add(keras.layers.Flatten())
            network.add(keras.layers.Dense(layer.units, activation=relu))
    return network


def first_weights(recipe: Recipe, *, seed: int) -> NDArray[np.float32]:
    """Return the weights before the first step, as one vector.

    Kernels are normal with variance 2 / inputs, of the last layer a quarter of it; biases are zero.

    Source:
        He et al. (2015), "Delving deep into rectifiers", equation 10.
    """
    generator, shapes = np.random.default_rng([seed, 0]), weights_of(recipe)

    def first(weight: Weight) -> NDArray[np.float32]:
        scale = math.sqrt(2 / weight.fan_in) if weight.fan_in else 0.0
        last = weight is shapes[-2]
        return generator.standard_normal(weight.size, np.float32) * (scale / 2 if last else scale)

    return np.concatenate([first(weight) for weight in shapes]).astype(np.float32)


def train(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    recipe: Recipe = TO_98,
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Trained:
    """Train a recipe from nothing, all steps inside one compiled loop.

    Same seed, same machine, same threads: the same weights, bit for bit.

    Args:
        images: (batch, 28, 28), uint8: what may be trained on, and nothing else.
        labels: (batch,), whole numbers from 0 to 9.
        recipe: What to train, and how.
        seed: First weights and order of the images.
        progress: Called about twenty times with the steps done; each call costs about 1 ms.

    Raises:
        ShapeError: Images and labels do not fit each other or the recipe.
        ParameterError: A label is not a class.
    """
    begin, tf = time.perf_counter(), tensorflow()
    inputs = cropped(images, recipe.crop - recipe.jitter)
    _check_labels(inputs, labels)
    state = _Adam(first_weights(recipe, seed=seed), recipe)
    loop = _compile(state, recipe)
    data = (
        tf.constant(inputs),
        tf.constant(np.asarray(labels, np.int32)),
        tf.constant(order(len(inputs), recipe, seed=seed)),
        tf.constant(shifts(recipe, seed=seed)),
        tf.constant(one_cycle(recipe)),
    )
    loop = loop.get_concrete_function(*[tf.TensorSpec([], tf.int32)] * 2, *data)
    ready = time.perf_counter()
    stops = range(0, recipe.steps, -(-recipe.steps // 20)) if progress else [0]
    for start, stop in zip(stops, [*stops[1:], recipe.steps], strict=True):
        loop(tf.constant(start), tf.constant(stop), *data)
        if progress:
            progress(stop)
    vector = state.weights.numpy()
    return Trained(recipe, vector, ready - begin, time.perf_counter() - ready)


def _check_labels(images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> None:
    if labels.shape != images.shape[:1] or not len(labels):
        raise ShapeError(
            f"labels have shape {labels.shape}, there are {len(images)} images. Expected one label "
            "an image, and at least one. Take both from the same split."
        )
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise ParameterError(
            f"labels go from {labels.min()} to {labels.max()}. Expected 0 to {CLASSES - 1}. "
            "Check that these are MNIST's labels."
        )


class _Adam:
    """All weights as one variable, with Adam's two averages: one update instead of one a tensor."""

    def __init__(self, vector: NDArray[np.float32], recipe: Recipe) -> None:
        tf = tensorflow()
        self.weights = tf.Variable(vector)
        self.mean = tf.Variable(tf.zeros_like(self.weights))
        self.square = tf.Variable(tf.zeros_like(self.weights))
        self.recipe = recipe
        decays = [np.full(each.size, each.fan_in > 0, np.float32) for each in weights_of(recipe)]
        self.decay = tf.constant(recipe.weight_decay * np.concatenate(decays))

    def update(self, gradient: Any, rate: Any, count: Any) -> Any:
        """Take one AdamW step: decay first, then Adam in one fused operation."""
        tf, recipe = tensorflow(), self.recipe
        with tf.control_dependencies([gradient]):
            shrunk = self.weights.assign_sub(rate * self.decay * self.weights)
        with tf.control_dependencies([shrunk]):
            return tf.raw_ops.ResourceApplyAdam(
                var=self.weights.handle,
                m=self.mean.handle,
                v=self.square.handle,
                beta1_power=recipe.beta_1**count,
                beta2_power=recipe.beta_2**count,
                lr=rate,
                beta1=recipe.beta_1,
                beta2=recipe.beta_2,
                epsilon=EPSILON,
                grad=gradient,
            )


def _compile(state: _Adam, recipe: Recipe) -> Any:
    """Return the loop `run(start, stop, images, …, rates)` as one TensorFlow graph."""
    tf, part = tensorflow(), recipe.batch // recipe.halves
    shapes = weights_of(recipe)
    sizes = [weight.size for weight in shapes]
    smooth = recipe.smoothing
    targets = tf.constant((1 - smooth) * np.eye(CLASSES, dtype=np.float32) + smooth / CLASSES)

    def gradient(weights: Any, some: Any, wanted: Any) -> Any:
        tensors = [
            tf.reshape(tensor, weight.shape)
            for tensor, weight in zip(tf.split(weights, sizes), shapes, strict=True)
        ]
        outputs = logits(recipe.layers, tensors, some)
        losses = tf.nn.softmax_cross_entropy_with_logits(tf.gather(targets, wanted), outputs)
        slopes = tf.gradients(losses, tensors, grad_ys=tf.fill([part], 1 / recipe.batch))
        return tf.cast(tf.concat([tf.reshape(slope, [-1]) for slope in slopes], 0), tf.float32)

    def seen(images: Any, places: Any, corner: Any) -> Any:
        some, side = tf.gather(images, places), SIDE - 2 * recipe.crop
        if recipe.jitter:
            some = tf.slice(some, tf.concat([[0], corner], 0), [part, side, side])
        return tf.ensure_shape(some, (part, side, side))

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(
        start: Any, stop: Any, images: Any, labels: Any, places: Any, corners: Any, rates: Any
    ) -> Any:
        def step(now: Any) -> list[Any]:
            weights = tf.cast(state.weights.read_value(), recipe.compute)
            slopes = [
                gradient(weights, seen(images, half, corners[now, place]), tf.gather(labels, half))
                for place, half in enumerate(tf.split(places[now], recipe.halves))
            ]
            done = state.update(tf.add_n(slopes), rates[now], tf.cast(now + 1, tf.float32))
            with tf.control_dependencies([done]):
                return [now + 1]

        return tf.while_loop(lambda now: now < stop, step, [start], parallel_iterations=1)[0]

    return run


def peak_flop_per_s(compute: str = "bfloat16") -> float:
    """Return the best rate of a TensorFlow matrix product in a type, in operations a second.

    The limit for a recipe in that type; `runtime.peak` is NumPy's, in float32.
    """
    tf, rates = tensorflow(), []
    product = tf.function(lambda a: a @ a, autograph=False, reduce_retracing=True)
    for size in (512, 1024, 2048):
        matrix = tf.cast(tf.random.normal((size, size)), compute)
        timing = runtime.measure(lambda m=matrix: product(m).numpy(), repeat=10, at_most_s=0.5)  # type: ignore[misc]
        rates.append(2 * size**3 / timing.best_s)
    return max(rates)
