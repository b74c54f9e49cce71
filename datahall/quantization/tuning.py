"""Train a Keras 3 network on weights that are changed before each use: rounded, masked, shared.

Reading order: `TuningPlan` (how long, how fast), `cropped_floats` (images as a network takes them),
`tune` (the loop). The gradient goes through the change to the weights themselves, which stay
float32. `straight_through`, `pruning`, `clustering` and `distilling` give the changes and losses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from datahall.errors import ParameterError, ShapeError
from datahall.training.core import OneCycle

Change = Callable[[Sequence[Any]], list[Any]]
"""Takes the trainable tensors in Keras' order and returns those that the network computes with."""
Loss = Callable[[Any, Any, Any], Any]
"""Takes a batch of images, labels and logits; returns one number."""
SIDE = 28


@dataclass(frozen=True)
class TuningPlan:
    """How a network is tuned.

    Attributes:
        steps: Of gradient descent.
        batch: Images a step.
        peak: Highest learning rate of the one cycle.
        weight_decay: Decoupled, of kernels.
        moved: Whether each half of a batch is moved at random within the margin of the crop.
        seed: Order and moves of the images.
    """

    steps: int
    batch: int = 128
    peak: float = 0.004
    weight_decay: float = 0.02
    moved: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.steps < 1 or self.batch < 2 or self.batch % 2:
            raise ParameterError(
                f"steps is {self.steps}, batch {self.batch}. Expected at least 1 step and an even "
                "batch from 2 on. Change one of them."
            )


def cropped_floats(images: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Return the middle of images as a network takes it.

    Input shape: (batch, 28, 28), uint8.

    Output shape: (batch, side, side, 1), float32, 0 … 1.

    Raises:
        ShapeError: They are not (batch, 28, 28) bytes, or the side does not fit evenly.

    Example:
        >>> cropped_floats(np.full((2, 28, 28), 255, np.uint8), 24)[1, 23, 23].tolist()
        [1.0]
    """
    images = np.asarray(images)
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or images.dtype != np.uint8:
        raise ShapeError(
            f"images are {images.dtype} of shape {images.shape}. Expected uint8 of shape "
            f"(batch, {SIDE}, {SIDE}). Give them as the data set has them."
        )
    margin = SIDE - side
    if margin < 0 or margin % 2:
        raise ShapeError(f"side is {side}. Expected an even number up to {SIDE}.")
    stop = SIDE - margin // 2
    middle = images[:, margin // 2 : stop, margin // 2 : stop, np.newaxis]
    return np.asarray(middle.astype(np.float32) / np.float32(255))


def tune(
    model: keras.Model,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    plan: TuningPlan,
    *,
    change: Change | None = None,
    loss: Loss | None = None,
    between: Callable[[int], None] | None = None,
    every: int = 50,
) -> NDArray[np.float32]:
    """Train a network in place with AdamW along one cycle; all steps run in a compiled loop.

    Args:
        model: Takes (batch, side, side, 1), float32, and gives logits. It may be trained already.
        images: (examples, 28, 28), uint8: what may be trained on.
        labels: (examples,), 0 … 9.
        plan: How long and how fast.
        change: Changes the weights before each use. Afterwards the model holds them unchanged.
        loss: What is made small; cross entropy if left out.
        between: Called after every `every` steps, with their number: to raise a sparsity.
        every: See `between`.

    Returns:
        (steps,), the loss before each step.

    Raises:
        ShapeError: Images and labels do not fit each other.
    """
    if len(labels) != len(images) or not len(labels):
        raise ShapeError(
            f"{len(images)} images, {len(labels)} labels. Expected as many, and at least one."
        )
    variables = model.trainable_variables
    optimizer = keras.optimizers.AdamW(
        OneCycle(plan.peak, plan.steps), weight_decay=plan.weight_decay, beta_2=0.99
    )
    optimizer.exclude_from_weight_decay(var_list=[each for each in variables if each.ndim < 2])
    optimizer.build(variables)
    step = _step(model, optimizer, change or list, loss or cross_entropy)
    run = _loop(step, _batches(images, labels, plan, int(model.input_shape[1])))
    losses = []
    for start in range(0, plan.steps, every):
        stop = min(start + every, plan.steps)
        losses.append(run(tf.constant(start), tf.constant(stop)).numpy())
        if between is not None:
            between(stop)
    return np.concatenate(losses)


def cross_entropy(images: Any, labels: Any, logits: Any) -> Any:
    """Return the mean cross entropy of logits; the images are not looked at.

    Args:
        images: Not looked at: a loss may need them.
        labels: (batch,), integers.
        logits: (batch, classes).
    """
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _step(model: keras.Model, optimizer: Any, change: Change, loss: Loss) -> Any:
    """Return one step of gradient descent through the changed weights."""
    variables = model.trainable_variables

    def step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            changed = change([tf.convert_to_tensor(each) for each in variables])
            logits, _ = model.stateless_call(
                changed, model.non_trainable_variables, images, training=True
            )
            value = loss(images, labels, logits)
        optimizer.apply(tape.gradient(value, [each.value for each in variables]), variables)
        return value

    return step


def _batches(images: NDArray[np.uint8], labels: NDArray[Any], plan: TuningPlan, side: int) -> Any:
    """Return a function of the step's number that gives its images and labels."""
    generator = np.random.default_rng([plan.seed, 3])
    epochs = -(-plan.steps * plan.batch // len(images))
    places = np.concatenate([generator.permutation(len(images)) for _ in range(epochs)])
    order = tf.constant(places[: plan.steps * plan.batch].reshape(-1, plan.batch), tf.int32)
    margin = SIDE - side
    corners = np.full((plan.steps, 2, 2), margin // 2, np.int32)
    if plan.moved:
        corners = generator.integers(0, margin + 1, corners.shape, dtype=np.int32)
    corner, kept = tf.constant(corners), tf.constant(images)
    digits = tf.constant(np.asarray(labels, np.int32))
    shape = [plan.batch // 2, side, side]

    def batch(now: Any) -> tuple[Any, Any]:
        halves = [
            tf.slice(tf.gather(kept, half), tf.concat([[0], corner[now, place]], 0), shape)
            for place, half in enumerate(tf.split(order[now], 2))
        ]
        some = tf.ensure_shape(tf.concat(halves, 0), (plan.batch, side, side))
        return tf.cast(some, tf.float32)[..., tf.newaxis] / 255, tf.gather(digits, order[now])

    return batch


def _loop(step: Any, batch: Any) -> Any:
    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def run(start: Any, stop: Any) -> Any:
        losses = tf.TensorArray(tf.float32, size=stop - start)

        def body(now: Any, losses: Any) -> tuple[Any, Any]:
            return now + 1, losses.write(now - start, step(*batch(now)))

        loop = tf.while_loop(
            lambda now, _: now < stop, body, [start, losses], parallel_iterations=1
        )
        return loop[1].stack()

    return run
