"""Right and typical wrong answers to the exercises of module 03, for the checks and their tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from datahall.checking import Bank, Slip, Wrong
from datahall.training import metrics

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
# That the solutions use.
_NAMES = {"np": np, "keras": keras, "tf": tf, "metrics": metrics, "Callable": Callable}


def _by_counting(confusion: NDArray[np.int64], digit: int) -> tuple[float, float, float]:
    right = int(confusion[digit, digit])
    alarms = sum(int(row[digit]) for row in confusion)
    there = sum(int(count) for count in confusion[digit])
    precision = right / alarms if alarms else 0.0
    recall = right / there if there else 0.0
    return precision, recall, 2 * right / (alarms + there) if right else 0.0


_SUMS = "confusion[:, digit].sum(), confusion[digit].sum()"

SCORES = Bank.of(
    "03.1",
    _NAMES,
    right=[_by_counting],
    wrong=[
        Slip({_SUMS: "confusion[digit].sum(), confusion[:, digit].sum()"},
             "Precision looks down the digit's column (what was called so), recall along its row.",
             "swaps precision and recall"),
        Slip({"2 * precision * recall / both": "both / 2"},
             "F1 is the harmonic mean, 2 p r / (p + r): it is low when either is.",
             "takes the arithmetic mean for F1"),
        Slip({" if called else 0.0": "", " if there else 0.0": "", " if both else 0.0": ""},
             "A class that was never predicted leaves nothing to divide by: return 0 there.",
             "forgets the class that was never predicted"),
        Slip({" if both else 0.0": ""},
             "Precision and recall may both be 0: F1 is 0 then.", "forgets that both may be 0"),
        Slip({_SUMS: "confusion.sum(), confusion.sum()"},
             "Divide by the images of this class (or called so), not by all images.",
             "divides by all images"),
        Slip({"2 * precision": "precision"}, "F1 has a 2: it is 1 where both are.",
             "forgets the 2"),
    ],
)


def _interval_from_the_end(right: int, total: int) -> tuple[float, float]:
    z, p = metrics.Z_95, right / total
    root = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    low, high = (p + z * z / (2 * total) - root), (p + z * z / (2 * total) + root)
    return low / (1 + z * z / total), high / (1 + z * z / total)


_UNDER = "p * (1 - p) / total + z**2 / (4 * total**2)"

INTERVAL = Bank.of(
    "03.2",
    _NAMES,
    right=[_interval_from_the_end],
    wrong=[
        Slip({"1 + z**2 / total": "1", "p + z**2 / (2 * total)": "p",
             _UNDER: "p * (1 - p) / total"},
             "That is p ± z √(p (1 − p) / n): with all answers right it claims to be certain. "
             "Wilson's interval adds z² / 2n to the middle and z² / 4n² under the root.",
             "takes the simple interval for Wilson's"),
        Slip({f"np.sqrt({_UNDER})": f"({_UNDER})"},
             "Half the width is z times the square root of the bracket.",
             "forgets the square root"),
        Slip({" / weight": ""}, "Divide both ends by 1 + z² / n.", "forgets the denominator"),
        Slip({_UNDER: "p * (1 - p) / total"}, "The term z² / 4n² is missing under the root.",
             "forgets the second term of the root"),
        Slip({"p + z**2 / (2 * total)": "p"},
             "The middle is p + z² / 2n: it moves towards one half.",
             "forgets the shift of the middle"),
        Slip({"half = z *": "half ="}, "Half the width has a z before the root.", "forgets the z"),
        Slip({"z**2 / (4": "z / (4"}, "z stands squared under the root.", "forgets a square"),
    ],
)


def _shift_by_padding(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    _, height, width = images.shape
    wide = np.pad(images, ((0, 0), (abs(down), abs(down)), (abs(right), abs(right))))
    top, left = abs(down) - down, abs(right) - right
    return wide[:, top : top + height, left : left + width]


def _shift_by_slices(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    moved = np.zeros_like(images)
    moved[:, down:, right:] = images[:, :-down, :-right]
    return moved


_BEGIN = "_, height, width = images.shape"

SHIFT = Bank.of(
    "03.3",
    _NAMES,
    right=[_shift_by_padding],
    wrong=[
        Slip({_BEGIN: "return np.roll(images, (down, right), axis=(1, 2))"},
             "np.roll brings back on one side what leaves on the other; set those pixels to 0.",
             "lets the image wrap round"),
        Slip({_BEGIN: f"down, right = -down, -right\n    {_BEGIN}"},
             "Down means that row 0 moves to row 1: the sign is turned round.",
             "moves the wrong way"),
        Slip({_BEGIN: f"down, right = right, down\n    {_BEGIN}"},
             "Axis 1 is height (down), axis 2 is width (right).", "swaps height and width"),
        Slip({_BEGIN: f"if down < 0 or right < 0:\n        return images.copy()\n    {_BEGIN}"},
             "A negative number moves up or to the left.", "forgets negative shifts"),
        Slip({"= images[:": "= np.clip(images, 0, 255)[:"}, "Values may be below 0 or above 255.",
             "takes every image for one of bytes"),
        Slip({"return moved": "images[:] = moved\n    return images"},
             "Work on a copy: images.copy().", "changes its input"),
        Slip({"zeros_like(images)": "zeros(images.shape, np.uint8)"},
             "Images of any number type may come: np.zeros_like(images) keeps it.",
             "writes uint8 into the code"),
        Slip({"np.zeros_like(images)": "images.copy()"},
             "What comes in is 0: begin from zeros, not from a copy.",
             "leaves the old pixels where nothing comes"),
        Wrong(_shift_by_slices, "[:-0] is empty: a shift of 0 needs a slice of its own.",
              "slices with a minus, which fails at 0"),
    ],
)


_TAPE = "with tf.GradientTape() as tape:"
_LOSS = "loss_function(labels, model(images, training=True))"
_VARIABLES = "model.trainable_variables"
_APPLY = f"optimizer.apply(gradients, {_VARIABLES})"

TRAIN_STEP = Bank.of(
    "03.4",
    _NAMES,
    right=["""
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        loss = loss_function(labels, model(images, training=True))
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    return loss
"""],
    wrong=[
        Slip({_APPLY: "pass"}, "Now let the optimizer apply the gradients to the weights.",
             "forgets the update"),
        Slip({"training=True": "training=False"}, "Call the network with training=True, or "
             "dropout is switched off.", "trains with the layers in the mode of use"),
        Slip({_LOSS: "loss_function(labels, outputs)",
              _TAPE: f"outputs = model(images, training=True)\n    {_TAPE}"},
             "The forward pass belongs inside the tape, or there is nothing to differentiate.",
             "runs the network before the tape records"),
        Slip({"return loss": f"return {_LOSS}"},
             "Return the loss of the forward pass; computing it again costs a second one.",
             "returns the loss after the update"),
        Slip({_VARIABLES: f"{_VARIABLES}[:1]"}, "Update every trainable variable, not the first "
             "one only.", "updates the first kernel only"),
        Slip({_VARIABLES: "model.layers[-1].trainable_variables"},
             "Update the variables of all layers, not of the last one only.", "the last layer"),
        Slip({_VARIABLES: f"[v for v in {_VARIABLES} if v.ndim > 1]"}, "Biases are trained too.",
             "leaves the biases out"),
        Slip({_VARIABLES: "[w for layer in model.layers for w in layer.weights]"},
             "A frozen layer stays as it is: take the trainable variables only.",
             "trains frozen layers too"),
        Slip({_APPLY: f"[w.assign_sub(0.5 * g) for w, g in zip({_VARIABLES}, gradients)]"},
             "Leave the rule to the optimizer: it may be Adam, with any rate.", "writes SGD"),
        Slip({_APPLY: f"type(optimizer).from_config(optimizer.get_config()){_APPLY[9:]}"},
             "Use the optimizer that came in: it remembers the steps before.",
             "makes a fresh optimizer at each call"),
    ],
)

_BETTER = 'logs["val_loss"] < self.best'
_PUT_BACK = "In on_train_end, put the weights of the best epoch back: a copy, from get_weights()."
_END = "self.model.stop_training |= self.waited"

STOP_EARLY = Bank.of(
    "03.5",
    _NAMES,
    right=["""
    def __init__(self, patience=2):
        super().__init__()
        self.patience, self.losses, self.kept = patience, [np.inf], [None]

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["val_loss"])
        self.kept.append(self.model.get_weights())
        self.best = int(np.nanargmin(self.losses))
        self.model.stop_training = epoch + 1 - self.best >= self.patience

    def on_train_end(self, logs=None):
        self.model.set_weights(self.kept[self.best] or self.kept[-1])
"""],
    wrong=[
        Slip({">= self.patience": "> 0"}, "Wait for `patience` bad epochs in a row.", "impatient"),
        Slip({"self.model.set_weights(self.weights)": "pass"}, _PUT_BACK, "keeps the last weights"),
        Slip({"self.waited += 1": f"self.waited += not {_BETTER}",
             "self.best, self.waited =": "self.best, _ ="},
             "A new best starts the count of bad epochs at 0 again.", "never resets the count"),
        Slip({">= self.p": "> self.p"}, "Stop as soon as the count is `patience`.", "one too long"),
        Slip({_END: f'self.best = logs["val_loss"]\n        {_END}'},
             "Compare with the best loss so far, not with the epoch before.", "the epoch before"),
        Slip({_BETTER: f"{_BETTER[:-11]}<= self.best"}, "As good is no new best: <.", "takes ties"),
        Slip({_BETTER: f"{_BETTER} - 0.01"}, "Any loss below the best is a new best.", "a margin"),
        Slip({_END: f"self.waited and self.model.set_weights(self.weights)\n        {_END}"},
             "Training goes on from where it is: put the best weights back at the end only.",
             "puts the weights back at every bad epoch"),
        Slip({"self.model.get_weights()": "self.model.weights",
             "set_weights(self": "set_weights([w.numpy() for w in self", "weights)": "weights])"},
             _PUT_BACK, "keeps the variables, not their values"),
        Slip({"val_loss": "loss"}, "Judge by the validation loss: val_loss.", "training loss"),
        Slip({"self.model.stop_training |=": "self.stop_training ="},
             "Keras looks at self.model.stop_training.", "sets stop_training on the callback"),
        Slip({_BETTER: 'not logs["val_loss"] >= self.best'},
             "nan is no new best: ask for < the best.", "takes nan for a new best"),
        Slip({"self.waited += 1": "self.waited += logs['val_loss'] == logs['val_loss']"},
             "An epoch of nan is a bad epoch: count it.", "does not count nan"),
        Slip({"weights(self.weights)": "weights(self.weights[:2] + self.model.get_weights()[2:])"},
             "Keep all weights, not the trainable ones only: get_weights().", "trainable only"),
        Slip({'logs["val_loss"]': 'abs(logs["val_loss"])'}, "A loss may be negative.", "abs"),
    ],
)
