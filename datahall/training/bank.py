"""Right and typical wrong answers to the exercises of module 03, for the checks and their tests."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from datahall.checking import Bank, Wrong
from datahall.training import callbacks, loop, metrics

Matrix = NDArray[np.int64]
Scores = tuple[float, float, float]


# 03.1 scores


def _scores_by_counting(confusion: Matrix, digit: int) -> Scores:
    right = int(confusion[digit, digit])
    alarms = sum(int(row[digit]) for row in confusion)
    there = sum(int(count) for count in confusion[digit])
    precision = right / alarms if alarms else 0.0
    recall = right / there if there else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


def _scores_rows_for_columns(confusion: Matrix, digit: int) -> Scores:
    precision, recall, f1 = _scores_by_counting(confusion, digit)
    return recall, precision, f1


def _scores_with_the_plain_mean(confusion: Matrix, digit: int) -> Scores:
    precision, recall, _ = _scores_by_counting(confusion, digit)
    return precision, recall, (precision + recall) / 2


def _scores_dividing_by_nothing(confusion: Matrix, digit: int) -> Scores:
    right = confusion[digit, digit]
    precision, recall = right / confusion[:, digit].sum(), right / confusion[digit].sum()
    return float(precision), float(recall), float(2 * precision * recall / (precision + recall))


def _scores_of_all_images(confusion: Matrix, digit: int) -> Scores:
    share = float(confusion[digit, digit] / confusion.sum())
    return share, share, share


SCORES = Bank(
    right=[metrics.scores, _scores_by_counting],
    wrong=[
        Wrong(
            _scores_rows_for_columns,
            says="Precision looks down a column (what was called 3), recall along a row "
            "(what is a 3).",
            idea="swaps precision and recall",
        ),
        Wrong(
            _scores_with_the_plain_mean,
            says="F1 is the harmonic mean, 2 p r / (p + r): it is low when either is.",
            idea="takes the arithmetic mean for F1",
        ),
        Wrong(
            _scores_dividing_by_nothing,
            says="A class that was never predicted leaves nothing to divide by: return 0 there.",
            idea="forgets the class that was never predicted",
        ),
        Wrong(
            _scores_of_all_images,
            says="Divide by the images of this class (or called so), not by all images.",
            idea="divides by all images",
        ),
    ],
)


# 03.2 interval


def _interval_from_the_end(right: int, total: int) -> tuple[float, float]:
    z, p = metrics.Z_95, right / total
    root = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    low, high = (p + z * z / (2 * total) - root), (p + z * z / (2 * total) + root)
    return low / (1 + z * z / total), high / (1 + z * z / total)


def _interval_of_wald(right: int, total: int) -> tuple[float, float]:
    p = right / total
    half = metrics.Z_95 * math.sqrt(p * (1 - p) / total)
    return p - half, p + half


def _interval_without_the_root(right: int, total: int) -> tuple[float, float]:
    z, p = metrics.Z_95, right / total
    middle, weight = p + z * z / (2 * total), 1 + z * z / total
    half = z * (p * (1 - p) / total + z * z / (4 * total * total))
    return (middle - half) / weight, (middle + half) / weight


def _interval_unweighted(right: int, total: int) -> tuple[float, float]:
    low, high = _interval_from_the_end(right, total)
    weight = 1 + metrics.Z_95**2 / total
    return low * weight, high * weight


INTERVAL = Bank(
    right=[metrics.wilson_interval, _interval_from_the_end],
    wrong=[
        Wrong(
            _interval_of_wald,
            says="That is p ± z √(p (1 − p) / n): with all answers right it claims to be certain. "
            "Wilson's interval adds z² / 2n to the middle and z² / 4n² under the root.",
            idea="takes the simple interval for Wilson's",
        ),
        Wrong(
            _interval_without_the_root,
            says="Half the width is z times the square root of the bracket.",
            idea="forgets the square root",
        ),
        Wrong(
            _interval_unweighted,
            says="Divide both ends by 1 + z² / n.",
            idea="forgets the denominator",
        ),
    ],
)


# 03.3 shift


def _shift_pixel_by_pixel(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    moved = np.zeros_like(images)
    _, height, width = images.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                moved[:, row, column] = images[:, row - down, column - right]
    return moved


def _shift_wrapping(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    return np.roll(images, (down, right), axis=(1, 2))


def _shift_the_other_way(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    return _shift_pixel_by_pixel(images, -down, -right)


def _shift_axes_swapped(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    return _shift_pixel_by_pixel(images, right, down)


def _shift_only_forward(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    if down < 0 or right < 0:
        return images.copy()
    return _shift_pixel_by_pixel(images, down, right)


def _shift_in_place(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    images[:] = _shift_pixel_by_pixel(images, down, right)
    return images


SHIFT = Bank(
    right=[callbacks.shift, _shift_pixel_by_pixel],
    wrong=[
        Wrong(
            _shift_wrapping,
            says="np.roll brings back on one side what leaves on the other; set those pixels to 0.",
            idea="lets the image wrap round",
        ),
        Wrong(
            _shift_the_other_way,
            says="Down means that row 0 moves to row 1: the sign is turned round.",
            idea="moves the wrong way",
        ),
        Wrong(
            _shift_axes_swapped,
            says="Axis 1 is height (down), axis 2 is width (right).",
            idea="swaps height and width",
        ),
        Wrong(
            _shift_only_forward,
            says="A negative number moves up or to the left.",
            idea="forgets negative shifts",
        ),
        Wrong(
            _shift_in_place,
            says="Work on a copy: images.copy().",
            idea="changes its input",
        ),
    ],
)


# 03.4 train_step


def _step_with_assign(
    model: keras.Model, optimizer: Any, loss_function: Any, images: Any, labels: Any
) -> Any:
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        loss = loss_function(labels, model(images, training=True))
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    return loss


def _step_without_update(
    model: keras.Model, optimizer: Any, loss_function: Any, images: Any, labels: Any
) -> Any:
    with tf.GradientTape() as tape:
        loss = loss_function(labels, model(images, training=True))
    tape.gradient(loss, model.trainable_variables)
    return loss


def _step_as_in_use(
    model: keras.Model, optimizer: Any, loss_function: Any, images: Any, labels: Any
) -> Any:
    with tf.GradientTape() as tape:
        loss = loss_function(labels, model(images, training=False))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


def _step_outside_the_tape(
    model: keras.Model, optimizer: Any, loss_function: Any, images: Any, labels: Any
) -> Any:
    outputs = model(images, training=True)
    with tf.GradientTape() as tape:
        loss = loss_function(labels, outputs)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


def _step_arguments_swapped(
    model: keras.Model, optimizer: Any, loss_function: Any, images: Any, labels: Any
) -> Any:
    with tf.GradientTape() as tape:
        loss = loss_function(model(images, training=True), labels)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


def _step_telling_the_loss_after(
    model: keras.Model, optimizer: Any, loss_function: Any, images: Any, labels: Any
) -> Any:
    loop.train_step(model, optimizer, loss_function, images, labels)
    return loss_function(labels, model(images, training=True))


TRAIN_STEP = Bank(
    right=[loop.train_step, _step_with_assign],
    wrong=[
        Wrong(
            _step_without_update,
            says="The gradients are there; now let the optimizer apply them to the weights.",
            idea="forgets the update",
        ),
        Wrong(
            _step_as_in_use,
            says="Call the network with training=True, or dropout is switched off.",
            idea="trains with the layers in the mode of use",
        ),
        Wrong(
            _step_outside_the_tape,
            says="The forward pass belongs inside the tape, or there is nothing to differentiate.",
            idea="runs the network before the tape records",
        ),
        Wrong(
            _step_arguments_swapped,
            says="A Keras loss takes the labels first, then the outputs.",
            idea="swaps labels and outputs",
        ),
        Wrong(
            _step_telling_the_loss_after,
            says="Return the loss of the forward pass; computing it again costs a second one.",
            idea="returns the loss after the update",
        ),
    ],
)


# 03.5 StopEarly


class _StopWithAList(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, patience: int = 2) -> None:
        super().__init__()
        self.patience = patience
        self.losses: list[float] = []
        self.kept: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.losses.append(logs["val_loss"])
        self.kept.append(self.model.get_weights())
        if len(self.losses) - 1 - self.losses.index(min(self.losses)) >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        self.model.set_weights(self.kept[self.losses.index(min(self.losses))])


class _StopAtOnce(callbacks.StopEarly):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self.model.stop_training = self.waited > 0


class _StopKeepingTheLast(callbacks.StopEarly):
    def on_train_end(self, logs: Any = None) -> None:
        pass


class _StopNeverForgiving(callbacks.StopEarly):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        waited = self.waited
        super().on_epoch_end(epoch, logs)
        self.waited = max(self.waited, waited)


class _StopTooLate(callbacks.StopEarly):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self.model.stop_training = self.waited > self.patience


class _StopAgainstTheLast(callbacks.StopEarly):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self.best = logs["val_loss"]


STOP_EARLY = Bank(
    right=[callbacks.StopEarly, _StopWithAList],
    wrong=[
        Wrong(
            _StopAtOnce,
            says="One worse epoch is often noise: wait for `patience` of them in a row.",
            idea="has no patience",
        ),
        Wrong(
            _StopKeepingTheLast,
            says="Put the weights of the best epoch back in on_train_end.",
            idea="keeps the last weights",
        ),
        Wrong(
            _StopNeverForgiving,
            says="A new best starts the count of bad epochs at 0 again.",
            idea="never resets the count",
        ),
        Wrong(
            _StopTooLate,
            says="Stop as soon as the count reaches `patience` (at least, not more than).",
            idea="waits one epoch too long",
        ),
        Wrong(
            _StopAgainstTheLast,
            says="Compare with the best loss so far, not with the epoch before.",
            idea="compares with the previous epoch",
        ),
    ],
)
