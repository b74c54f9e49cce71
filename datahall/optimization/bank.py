"""Right and typical wrong answers to the exercises of module 02, for the checks and their tests."""

from __future__ import annotations

import numpy as np

from datahall.checking import Bank, Slip
from datahall.optimization import core
from datahall.optimization.activations import Array

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
_NAMES = {"np": np, "core": core}  # that the solutions use


def _softmax_row_by_row(logits: Array) -> Array:
    rows = []
    for row in logits:
        powers = np.exp(row - max(row))
        rows.append(powers / sum(powers))
    return np.array(rows)


_LARGEST = "logits.max(axis=-1, keepdims=True)"

SOFTMAX = Bank.of(
    "02.1",
    _NAMES,
    right=[_softmax_row_by_row],
    wrong=[
        Slip({"logits - largest": "logits"},
             "Take the largest logit of each row from the row first: no power is above 1 then.",
             "raises e to a logit of 1000"),
        Slip({"powers.sum(axis=-1, keepdims=True)": "powers.sum()"},
             "Each row sums to one by itself: sum over the last axis only.",
             "sums over the whole batch"),
        Slip({"axis=-1": "axis=0"}, "Classes lie along the last axis; the first one is the batch.",
             "takes the batch for the classes"),
        Slip({_LARGEST: "logits.max()"},
             "Each row needs its own largest logit, or a row of small ones becomes 0 / 0.",
             "shifts every row by the largest logit of the batch"),
        Slip({"np.exp(logits - largest)": "logits"},
             "Raise e to each logit before dividing: shares of logits can be negative.",
             "divides logits by their sum"),
        Slip({".max(": ".mean("},
             "Above a mean or median a power can still be too large: take the largest logit.",
             "shifts by the mean"),
        Slip({_LARGEST: "logits[:, :1]"}, "The first logit need not be the largest of its row.",
             "shifts by the first column"),
        Slip({_LARGEST: "1000"}, "1000 is one example: any logit may come.", "shifts by 1000"),
        Slip({"logits - largest": "np.clip(logits, -700, 700)"},
             "Clipped logits are other logits: shift the row instead.", "clips the logits"),
    ],
)


def _gradient_row_by_row(targets: Array, logits: Array) -> Array:
    rows = [core.softmax(z) - y for y, z in zip(targets, logits, strict=True)]
    return np.array(rows) / len(targets)


_ERROR = "(probabilities - targets)"

GRADIENT = Bank.of(
    "02.2",
    _NAMES,
    right=[_gradient_row_by_row],
    wrong=[
        Slip({_ERROR: "(targets - probabilities)"},
             "Prediction minus target: raising a wrong class's logit raises the loss.",
             "turns the sign"),
        Slip({" / len(targets)": ""},
             "The loss is the mean over the batch: divide by the number of rows.",
             "forgets the mean over the batch"),
        Slip({"len(targets)": "targets.size"},
             "The loss sums over the classes and averages over the rows: divide by rows only.",
             "divides by rows times classes"),
        Slip({"core.softmax(logits)": "logits"},
             "Logits are no probabilities: take their softmax before the target.",
             "forgets softmax"),
        Slip({_ERROR: "-targets / probabilities"},
             "This is the gradient at the probabilities; carry it on to the logits.",
             "stops the chain rule at the probabilities"),
        Slip({"len(targets)": "targets.shape[1]"},
             "The mean is over the rows, the first axis, not over the classes.",
             "divides by the classes"),
        Slip({_ERROR: f"{_ERROR} * probabilities * (1 - probabilities)"},
             "That is the gradient of a squared error: here it is shorter.",
             "puts the derivative of a squared error in"),
    ],
)


_NEW = "momentum * velocity - rate * gradient"

MOMENTUM = Bank.of(
    "02.3",
    _NAMES,
    right=["""
    after = parameters + momentum * velocity - rate * gradient
    return after, after - parameters
"""],
    wrong=[
        Slip({"- rate": "+ rate"},
             "The gradient points uphill: its share enters the velocity with a minus.",
             "adds the gradient"),
        Slip({f"velocity = {_NEW}": f"new = {_NEW}", "velocity, velocity": "velocity, new"},
             "Make the new velocity first, then move by it.", "moves by the old velocity"),
        Slip({"- rate": "- (1 - momentum) * rate"},
             "The gradient counts in full: rate · gradient, without a factor 1 - momentum.",
             "takes a moving mean, as Adam does"),
        Slip({_NEW: "momentum * (velocity - rate * gradient)"},
             "Momentum shrinks the old velocity only, not the gradient.",
             "shrinks the new gradient too"),
        Slip({_NEW: "momentum * velocity + gradient", "parameters + ": "parameters - rate * "},
             "That is PyTorch's form: here the rate and the minus stand in the velocity.",
             "takes PyTorch's velocity"),
        Slip({"parameters + velocity,": f"parameters + {_NEW},"},
             "That is Nesterov's form: move by the new velocity as it is.",
             "looks ahead, as Nesterov does"),
        Slip({"return parameters + ": "return parameters - "}, "The velocity is added.",
             "moves back"),
    ],
)


_ROOT = "(np.sqrt(mean_square_hat) + 1e-8)"

ADAM = Bank.of(
    "02.4",
    _NAMES,
    right=["""
    mean = gradient + 0.9 * (mean - gradient)
    mean_square = gradient**2 + 0.999 * (mean_square - gradient**2)
    length = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    small = 1e-8 * np.sqrt(1 - 0.999**step)
    return parameters - length * mean / (np.sqrt(mean_square) + small), mean, mean_square
"""],
    wrong=[
        Slip({" / (1 - 0.9**step)": "", " / (1 - 0.999**step)": ""},
             "Both means start at zero: divide them by 1 - β₁ᵗ and 1 - β₂ᵗ.",
             "leaves out the correction of the start"),
        Slip({"np.sqrt(mean_square_hat)": "mean_square_hat"},
             "Divide by the root of the mean square: a step is a length, not its inverse.",
             "forgets the square root"),
        Slip({_ROOT: "np.sqrt(mean_square_hat + 1e-8)"},
             "ε stands outside the root here, as in the paper.",
             "puts ε under the root, as Keras' RMSProp does"),
        Slip({"rate * mean_hat": "rate * gradient"},
             "The step follows the mean of the gradients, not the gradient alone.",
             "steps along the gradient, as RMSProp does"),
        Slip({"0.999": "b", "0.001": "c", "0.9": "0.999", "0.1": "0.001", "b": "0.9", "c": "0.1"},
             "β₁ = 0.9 belongs to the mean, β₂ = 0.999 to the mean square.", "swaps the betas"),
        Slip({"**step": "**(step + 1)"},
             "The first step has the number 1: use step as it is given.",
             "counts steps from 0 and adds one"),
        Slip({"mean, mean_square\n": "mean_hat, mean_square_hat\n"},
             "Return m and v as they are before their corrections: the next step needs them so.",
             "returns the corrected means"),
        Slip({"parameters - rate": "parameters + rate"}, "Step downhill: minus.", "climbs"),
        Slip({"gradient**2": "gradient"}, "v is the mean of the squares.", "forgets the square"),
    ],
)


def _row_by_row(columns: Array, targets: Array, weights: Array) -> Array:
    total = np.zeros(len(weights))
    for row, target in zip(columns, targets, strict=True):
        total += 2 * (row @ weights - target) * row
    return total / len(targets)


SQUARED_ERROR_GRADIENT = Bank.of(
    "02.5",
    _NAMES,
    right=[_row_by_row],
    wrong=[
        Slip({"2 * columns.T": "-columns.T"},
             "This is the printed formula: following it, the error grows at every step.",
             "trusts the printed formula"),
        Slip(
            {"2 * columns.T": "-2 * columns.T"},
            "Prediction minus target: where the prediction is too large, the gradient is positive.",
            "adds the factor but keeps the sign",
        ),
        Slip({"2 * columns.T": "columns.T"},
             "The gradient of a square brings a 2 down; the printed formula has lost it too.",
             "mends the sign only"),
        Slip({" / len(targets)": ""}, "The loss is a mean: divide by the number of rows.",
             "takes the sum for the mean"),
        Slip({"len(targets)": "columns.size"},
             "Divide by the rows only: each weight has a derivative of its own.",
             "divides by rows times features"),
        Slip({"2 * columns.T @ residuals": "2 * residuals.sum()"},
             "Each residual counts with its x: the prediction's derivative at a weight.",
             "forgets the inner derivative"),
    ],
)
