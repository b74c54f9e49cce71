"""Formulas as widely copied articles print them, so that a run can judge them (claims C05 to C14).

Everything here is wrong on purpose, or wrong unless something unsaid is added. The right forms are
in `optimizers`, `losses` and `regression`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from datahall.optimization import network, regularization
from datahall.optimization.activations import Array
from datahall.optimization.optimizers import Adam

__all__ = [
    "AdamOfA2",
    "AdamOfA3",
    "ProgramRun",
    "cross_entropy_of_a4",
    "program_of_a2",
    "squared_error_gradient_of_a5",
]


@dataclass
class AdamOfA2:
    """Claim C06: θ ← θ - α · m̂ / (1 - β₁ᵗ) · ∇J.

    The mean gradient is multiplied by the gradient again, and nothing divides by √v̂. The product
    of two gradients of
    the same sign is positive: the parameter falls on both sides of the minimum.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    _mean: Array | float = field(default=0.0, init=False, repr=False)
    _steps: int = field(default=0, init=False, repr=False)

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Return the next parameters.

        Shapes as in `Optimizer.step`.
        """
        self._steps += 1
        self._mean = self.beta_1 * self._mean + (1 - self.beta_1) * gradient
        return (
            parameters - self.learning_rate * self._mean / (1 - self.beta_1**self._steps) * gradient
        )


@dataclass
class AdamOfA3:
    """Claim C07: θ ← θ - α · (m̂ / √v̂ + ε).

    ε stands outside the fraction: it adds a drift of α · ε a step, and no longer keeps √v̂ from
    zero.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    _mean: Array | float = field(default=0.0, init=False, repr=False)
    _mean_square: Array | float = field(default=0.0, init=False, repr=False)
    _steps: int = field(default=0, init=False, repr=False)

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Return the next parameters; not a number where every gradient so far was zero.

        Shapes as in `Optimizer.step`.
        """
        self._steps += 1
        self._mean = self.beta_1 * self._mean + (1 - self.beta_1) * gradient
        self._mean_square = self.beta_2 * self._mean_square + (1 - self.beta_2) * gradient**2
        mean = self._mean / (1 - self.beta_1**self._steps)
        mean_square = self._mean_square / (1 - self.beta_2**self._steps)
        with np.errstate(invalid="ignore"):
            return parameters - self.learning_rate * (mean / np.sqrt(mean_square) + self.epsilon)


def cross_entropy_of_a4(targets: Array, predictions: Array) -> float:
    """Claim C10: -(1/n) Σ y log p over the n numbers of one row.

    Example:
        >>> y, p = np.array([1.0, 0, 1, 0]), np.array([0.6, 0.4, 0.7, 0.3])
        >>> round(cross_entropy_of_a4(y, p), 4)
        0.2169
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(-np.mean(targets * np.log(predictions)))


def squared_error_gradient_of_a5(columns: Array, targets: Array, weights: Array) -> Array:
    """Claim C12: (1/n) Σ (y - ŷ) x, printed for use in θ ← θ - α ∇.

    Target minus prediction is the way *down*; with the minus of the update the step goes up.

    Args:
        columns: (rows, features).
        targets: (rows,).
        weights: (features,); so is the result.
    """
    return columns.T @ (targets - columns @ weights) / len(targets)


class ProgramRun(NamedTuple):
    """What a training did, update by update; both arrays are (updates + 1,).

    Attributes:
        accuracy: Share of the samples that are read rightly.
        moved: Largest distance of a parameter from its first value.
    """

    accuracy: Array
    moved: Array


def program_of_a2(
    points: Array, targets: Array, *, updates: int, rate: float = 0.001, seed: int = 0
) -> ProgramRun:
    """Claim C14: train a 2-5-2 ReLU network with Adam, an L2 penalty of 0.01 and batches of ten.

    Args:
        points: (samples, 2).
        targets: One-hot rows, (samples, 2).
        updates: Steps of the optimizer.
        rate: Learning rate.
        seed: Of the first weights and the order of the samples.

    Returns:
        What it reached and how far its parameters moved, before the first and after each update.
    """
    rng = np.random.default_rng(seed)
    net = network.new_network(seed=seed)
    optimizer, start = Adam(rate), network.flatten(net)
    parameters, moved = start, [0.0]
    is_weight = np.concatenate([np.full(a.size, a.ndim == 2) for a in net.arrays])
    accuracy = [_accuracy(net, points, targets)]
    batches: list[Array] = []
    for _ in range(updates):
        batches = batches or np.split(rng.permutation(len(points)), len(points) // 10)
        batch = batches.pop()
        trace = network.forward(net, points[batch])
        gradient = network.flatten(network.backward(net, trace, targets[batch]))
        gradient += (
            regularization.l2_gradient(parameters, 0.01) * is_weight
        )  # biases are not penalized
        parameters = optimizer.step(parameters, gradient)
        net = network.unflatten(parameters, net)
        accuracy.append(_accuracy(net, points, targets))
        moved.append(float(np.abs(parameters - start).max()))
    return ProgramRun(np.array(accuracy), np.array(moved))


def _accuracy(net: network.Network, points: Array, targets: Array) -> float:
    """Return the share of points whose largest logit is that of their class."""
    said = network.forward(net, points).logits.argmax(axis=1)
    return float((said == targets.argmax(axis=1)).mean())
