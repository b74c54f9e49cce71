"""Right and typical wrong answers to the exercises of module 02, for the checks and their tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datahall.checking import Bank, Wrong
from datahall.optimization import losses, optimizers, printed, regression
from datahall.optimization.activations import Array

Step = tuple[Array, Array]
Moments = tuple[Array, Array, Array]

# 02.1 softmax


def _softmax_by_shift(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _softmax_row_by_row(logits: Array) -> Array:
    rows = []
    for row in logits:
        powers = np.exp(row - max(row))
        rows.append(powers / sum(powers))
    return np.array(rows)


def _softmax_of_the_textbook(logits: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp(logits)
        shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _softmax_over_the_batch(logits: Array) -> Array:
    powers = np.exp(logits - logits.max())
    shares: Array = powers / powers.sum()
    return shares


def _softmax_down_the_columns(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=0))
    shares: Array = powers / powers.sum(axis=0)
    return shares


def _softmax_with_one_largest(logits: Array) -> Array:
    with np.errstate(invalid="ignore"):
        powers = np.exp(logits - logits.max())
        shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _softmax_without_powers(logits: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Array = logits / logits.sum(axis=-1, keepdims=True)
    return shares


SOFTMAX = Bank(
    right=[losses.softmax, _softmax_by_shift, _softmax_row_by_row],
    wrong=[
        Wrong(
            _softmax_of_the_textbook,
            says="Take the largest logit of each row from the row first: no power is above 1 then.",
            idea="raises e to a logit of 1000",
        ),
        Wrong(
            _softmax_over_the_batch,
            says="Each row sums to one by itself: sum over the last axis only.",
            idea="sums over the whole batch",
        ),
        Wrong(
            _softmax_down_the_columns,
            says="Classes lie along the last axis; the first one is the batch.",
            idea="takes the batch for the classes",
        ),
        Wrong(
            _softmax_with_one_largest,
            says="Each row needs its own largest logit, or a row of small ones becomes 0 / 0.",
            idea="shifts every row by the largest logit of the batch",
        ),
        Wrong(
            _softmax_without_powers,
            says="Raise e to each logit before dividing: shares of logits can be negative.",
            idea="divides logits by their sum",
        ),
    ],
)

# 02.2 cross_entropy_gradient


def _gradient_row_by_row(targets: Array, logits: Array) -> Array:
    rows = [_softmax_by_shift(z) - y for y, z in zip(targets, logits, strict=True)]
    return np.array(rows) / len(targets)


def _gradient_with_the_sign_turned(targets: Array, logits: Array) -> Array:
    return (targets - losses.softmax(logits)) / len(targets)


def _gradient_of_the_sum(targets: Array, logits: Array) -> Array:
    return losses.softmax(logits) - targets


def _gradient_over_all_numbers(targets: Array, logits: Array) -> Array:
    return (losses.softmax(logits) - targets) / targets.size


def _gradient_without_softmax(targets: Array, logits: Array) -> Array:
    return (logits - targets) / len(targets)


def _gradient_at_the_probabilities(targets: Array, logits: Array) -> Array:
    return -targets / losses.softmax(logits) / len(targets)


GRADIENT = Bank(
    right=[losses.cross_entropy_gradient, _gradient_row_by_row],
    wrong=[
        Wrong(
            _gradient_with_the_sign_turned,
            says="Prediction minus target: raising a wrong class's logit raises the loss.",
            idea="turns the sign",
        ),
        Wrong(
            _gradient_of_the_sum,
            says="The loss is the mean over the batch: divide by the number of rows.",
            idea="forgets the mean over the batch",
        ),
        Wrong(
            _gradient_over_all_numbers,
            says="The loss sums over the classes and averages over the rows: divide by rows only.",
            idea="divides by rows times classes",
        ),
        Wrong(
            _gradient_without_softmax,
            says="Logits are no probabilities: take their softmax before the target.",
            idea="forgets softmax",
        ),
        Wrong(
            _gradient_at_the_probabilities,
            says="This is the gradient at the probabilities; carry it on to the logits.",
            idea="stops the chain rule at the probabilities",
        ),
    ],
)

# 02.3 momentum_step


def _momentum_written_out(
    parameters: Array,
    gradient: Array,
    velocity: Array,
    *,
    rate: float = 0.01,
    momentum: float = 0.9,
) -> Step:
    after = parameters + momentum * velocity - rate * gradient
    return after, after - parameters


def _momentum_uphill(
    parameters: Array,
    gradient: Array,
    velocity: Array,
    *,
    rate: float = 0.01,
    momentum: float = 0.9,
) -> Step:
    new = momentum * velocity + rate * gradient
    return parameters + new, new


def _momentum_with_the_old_velocity(
    parameters: Array,
    gradient: Array,
    velocity: Array,
    *,
    rate: float = 0.01,
    momentum: float = 0.9,
) -> Step:
    return parameters + velocity, momentum * velocity - rate * gradient


def _momentum_as_a_mean(
    parameters: Array,
    gradient: Array,
    velocity: Array,
    *,
    rate: float = 0.01,
    momentum: float = 0.9,
) -> Step:
    new = momentum * velocity - (1 - momentum) * rate * gradient
    return parameters + new, new


def _momentum_on_the_slope_only(
    parameters: Array,
    gradient: Array,
    velocity: Array,
    *,
    rate: float = 0.01,
    momentum: float = 0.9,
) -> Step:
    new = momentum * (velocity - rate * gradient)
    return parameters + new, new


MOMENTUM = Bank(
    right=[optimizers.momentum_step, _momentum_written_out],
    wrong=[
        Wrong(
            _momentum_uphill,
            says="The gradient points uphill: its share enters the velocity with a minus.",
            idea="adds the gradient",
        ),
        Wrong(
            _momentum_with_the_old_velocity,
            says="Make the new velocity first, then move by it.",
            idea="moves by the old velocity",
        ),
        Wrong(
            _momentum_as_a_mean,
            says="The gradient counts in full: rate · gradient, without a factor 1 - momentum.",
            idea="takes a moving mean, as Adam does",
        ),
        Wrong(
            _momentum_on_the_slope_only,
            says="Momentum shrinks the old velocity only, not the gradient.",
            idea="shrinks the new gradient too",
        ),
    ],
)

# 02.4 adam_step


def _adam(
    parameters: Array,
    gradient: Array,
    mean: Array,
    mean_square: Array,
    *,
    step: int,
    rate: float = 0.001,
    slip: str = "",
) -> Moments:
    """One Adam step of the paper, written another way; `slip` puts one mistake in."""
    kept = (0.999, 0.9) if slip == "betas" else (0.9, 0.999)
    mean = gradient + kept[0] * (mean - gradient)
    mean_square = gradient**2 + kept[1] * (mean_square - gradient**2)
    count = step + 1 if slip == "count" else step
    first, second = (1.0, 1.0) if slip == "bias" else (1 - kept[0] ** count, 1 - kept[1] ** count)
    size = mean_square / second
    root = {"root": size + 1e-8, "inside": np.sqrt(size + 1e-8)}.get(slip, np.sqrt(size) + 1e-8)
    lead = gradient if slip == "gradient" else mean / first
    return parameters - rate * lead / root, mean, mean_square


def _adam_written_another_way(
    parameters: Array,
    gradient: Array,
    mean: Array,
    mean_square: Array,
    *,
    step: int,
    rate: float = 0.001,
) -> Moments:
    return _adam(parameters, gradient, mean, mean_square, step=step, rate=rate)


def _adam_with(slip: str) -> Callable[..., Moments]:
    def answer(
        parameters: Array,
        gradient: Array,
        mean: Array,
        mean_square: Array,
        *,
        step: int,
        rate: float = 0.001,
    ) -> Moments:
        return _adam(parameters, gradient, mean, mean_square, step=step, rate=rate, slip=slip)

    answer.__name__ = f"_adam_with_slip_in_{slip}"
    return answer


ADAM = Bank(
    right=[optimizers.adam_step, _adam_written_another_way],
    wrong=[
        Wrong(
            _adam_with("bias"),
            says="Both means start at zero: divide them by 1 - β₁ᵗ and 1 - β₂ᵗ.",
            idea="leaves out the correction of the start",
        ),
        Wrong(
            _adam_with("root"),
            says="Divide by the root of the mean square: a step is a length, not its inverse.",
            idea="forgets the square root",
        ),
        Wrong(
            _adam_with("inside"),
            says="ε stands outside the root here, as in the paper.",
            idea="puts ε under the root, as Keras' RMSProp does",
        ),
        Wrong(
            _adam_with("gradient"),
            says="The step follows the mean of the gradients, not the gradient alone.",
            idea="steps along the gradient, as RMSProp does",
        ),
        Wrong(
            _adam_with("betas"),
            says="β₁ = 0.9 belongs to the mean, β₂ = 0.999 to the mean square.",
            idea="swaps the betas",
        ),
        Wrong(
            _adam_with("count"),
            says="The first step has the number 1: use step as it is given.",
            idea="counts steps from 0 and adds one",
        ),
    ],
)

# 02.5 squared_error_gradient


def _slope_row_by_row(columns: Array, targets: Array, weights: Array) -> Array:
    total = np.zeros(len(weights))
    for row, target in zip(columns, targets, strict=True):
        total += 2 * (row @ weights - target) * row
    return total / len(targets)


def _slope_without_the_two(columns: Array, targets: Array, weights: Array) -> Array:
    return columns.T @ (columns @ weights - targets) / len(targets)


def _slope_with_two_and_the_wrong_sign(columns: Array, targets: Array, weights: Array) -> Array:
    return 2.0 * columns.T @ (targets - columns @ weights) / len(targets)


def _slope_of_the_sum(columns: Array, targets: Array, weights: Array) -> Array:
    return 2.0 * columns.T @ (columns @ weights - targets)


SLOPE = Bank(
    right=[regression.gradient, _slope_row_by_row],
    wrong=[
        Wrong(
            printed.squared_error_gradient_of_a5,
            says="This is the printed formula: following it, the error grows at every step.",
            idea="trusts the printed formula",
        ),
        Wrong(
            _slope_with_two_and_the_wrong_sign,
            says="Prediction minus target: where the prediction is too large, the gradient is "
            "positive.",
            idea="adds the factor but keeps the sign",
        ),
        Wrong(
            _slope_without_the_two,
            says="The gradient of a square brings a 2 down; the printed formula has lost it too.",
            idea="mends the sign only",
        ),
        Wrong(
            _slope_of_the_sum,
            says="The loss is a mean: divide by the number of rows.",
            idea="takes the sum for the mean",
        ),
    ],
)
