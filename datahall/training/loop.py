"""The training loop in the open: which examples a step sees, what a step does, many steps.

Reading order: `places` (the order of the data, known for every step in advance), `train_step`
(forward, loss, gradients, update), `train` (the loop, which stops cleanly on Interrupt).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from datahall.errors import ParameterError
from datahall.training.core import steps_per_epoch


def batch_indices(step: int, *, examples: int, batch: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the places of the examples that one step sees.

    Every epoch has its own shuffle, drawn from seed and epoch alone. So step 700 is the same batch
    whether the steps before it ran in this process, in another, or not at all: what makes a
    resumed training equal to an uninterrupted one.

    Args:
        step: Counted from 0 over all epochs.
        examples: Training examples.
        batch: Examples a step; the last step of an epoch may see fewer.
        seed: Which shuffles.

    Returns:
        (batch,), int64.

    Raises:
        ParameterError: `step` is negative, or a count is not positive.

    Example:
        >>> epoch = [batch_indices(step, examples=5, batch=2) for step in range(3)]
        >>> [len(part) for part in epoch], sorted(np.concatenate(epoch).tolist())
        ([2, 2, 1], [0, 1, 2, 3, 4])
    """
    if step < 0:
        raise ParameterError(f"step is {step}. Expected 0 or more. Steps are counted from 0.")
    epoch, position = divmod(step, steps_per_epoch(examples, batch))
    # A copy: the shuffle is kept for the next step, whatever a caller does with its part.
    return _shuffle(examples, epoch, seed)[position * batch : (position + 1) * batch].copy()


@lru_cache(maxsize=4)
def _shuffle(examples: int, epoch: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(examples)


def train_step(
    model: keras.Model, optimizer: Any, loss_function: Any, images: Any, labels: Any
) -> Any:
    """Take one step of gradient descent: forward, loss, gradients, update.

    Args:
        model: The network.
        optimizer: A Keras optimizer.
        loss_function: Called with labels and outputs, in this order.
        images: (batch, height, width, channels), float32.
        labels: (batch,), integers.

    Returns:
        The loss before the update, a float32 scalar.
    """
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)  # (batch, classes)
        loss = loss_function(labels, outputs)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return loss


def make_step(model: keras.Model) -> Callable[[Any, Any], Any]:
    """Return `train_step` of a compiled network as one TensorFlow function of images and labels.

    Args:
        model: A compiled network; its loss and optimizer are used.

    Raises:
        ParameterError: The network is not compiled.
    """
    if getattr(model, "optimizer", None) is None:
        raise ParameterError(
            f"the network {model.name!r} has no optimizer. A compiled network was expected. "
            "Call core.prepare(model, steps) or model.compile first."
        )
    of_each, optimizer = keras.losses.get(model.loss), model.optimizer
    optimizer.build(model.trainable_variables)

    def loss_function(labels: Any, outputs: Any) -> Any:
        return keras.ops.mean(of_each(labels, outputs))  # a loss named by a string is per image

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(images: Any, labels: Any) -> Any:
        return train_step(model, optimizer, loss_function, images, labels)

    return step  # type: ignore[no-any-return]


@dataclass
class History:
    """What a training has done.

    Attributes:
        start: The step it began with.
        step: The next step; equal to the plan's steps when it is complete.
        losses: The loss of each step of this run.
        interrupted: Whether somebody asked it to stop.
    """

    start: int
    step: int
    losses: list[float] = field(default_factory=list)
    interrupted: bool = False


def train(
    model: keras.Model,
    images: NDArray[np.float32],
    labels: NDArray[Any],
    *,
    steps: int,
    batch: int = 128,
    seed: int = 0,
    start: int = 0,
    after_step: Callable[[int, float], None] | None = None,
) -> History:
    """Run steps `start` … `steps` − 1, and stop between two of them if Interrupt is pressed.

    Args:
        model: A compiled network.
        images: (examples, height, width, channels), float32, 0 … 1.
        labels: (examples,), integers.
        steps: Steps of the whole training.
        batch: Examples a step.
        seed: Order of the data, see `batch_indices`.
        start: First step to run; more than 0 when a training is resumed.
        after_step: Called with the number of steps done and the step's loss.

    Returns:
        What was done. After an Interrupt `interrupted` is True, and the network is whole.
    """
    step_function, history = make_step(model), History(start, start)
    with DeferredInterrupt() as interrupt:
        for step in range(start, steps):
            chosen = batch_indices(step, examples=len(images), batch=batch, seed=seed)
            loss = float(step_function(images[chosen], labels[chosen]))
            history.step = step + 1
            history.losses.append(loss)
            if after_step is not None:
                after_step(history.step, loss)
            if interrupt.requested:
                history.interrupted = True
                break
    return history


class DeferredInterrupt:
    """Turn Interrupt (SIGINT, the stop button) into a request that is met between two steps.

    A KeyboardInterrupt may strike half-way through an update and leave some weights new and some
    old. Inside this context the first Interrupt only sets `requested`; a second one, of somebody
    in a hurry, raises KeyboardInterrupt as usual. Outside the main thread it does nothing.

    Attributes:
        requested: Whether Interrupt was pressed.
    """

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.requested = False
        self._before: Any = None

    def __enter__(self) -> DeferredInterrupt:
        """Take over the signal."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signal back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
