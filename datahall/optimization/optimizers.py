"""SGD, momentum, RMSProp, Adam and AdamW: where to step, given a gradient.

An optimizer remembers what it needs (a velocity, two moments) and turns parameters and the gradient
there into the next parameters; arrays may have any shape. Defaults are those of Keras 3. Each
agrees with Keras within 1e-6 over a hundred steps at a learning rate of 0.001.

Reading order: `SGD`, `RMSProp`, `Adam`, `AdamW`, then `descend`, which takes many steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from datahall.errors import ParameterError
from datahall.optimization.activations import Array

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSProp",
    "Schedule",
    "adam_step",
    "descend",
    "epsilon_in_paper",
    "momentum_step",
]

Schedule = Callable[[int], float]
"""A learning rate for each step; the first step has number 0, as in Keras."""

EpsilonPlace = Literal["keras", "paper"]


class Optimizer(Protocol):
    """What `descend` needs of an optimizer."""

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Return the next parameters.

        Input and output shape: any, all the same.
        """
        ...


def _rate(learning_rate: float | Schedule, step: int) -> float:
    """Return the learning rate of a step, whether it is a number or a schedule."""
    return learning_rate(step) if callable(learning_rate) else learning_rate


@dataclass
class SGD:
    """Step against the gradient; with momentum, keep part of the last step.

    velocity ← momentum · velocity - learning_rate · gradient;  parameters ← parameters + velocity.
    Nesterov's form adds momentum · velocity - learning_rate · gradient instead.

    Attributes:
        learning_rate: Length of a step for a gradient of one, or a schedule.
        momentum: Share of the last step that is kept, 0 ≤ momentum < 1.
        nesterov: Look ahead along the velocity.

    Example:
        >>> SGD(learning_rate=0.1).step(np.array([1.0]), np.array([2.0]))
        array([0.8])

    Source:
        Polyak (1964), "Some methods of speeding up the convergence of iteration methods";
        Nesterov's form as in Sutskever et al. (2013), "On the importance of initialization and
        momentum".
    """

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    _velocity: Array | float = field(default=0.0, init=False, repr=False)
    _steps: int = field(default=0, init=False, repr=False)

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Return the next parameters.

        Shapes as in `Optimizer.step`.
        """
        rate = _rate(self.learning_rate, self._steps)
        self._steps += 1
        after, self._velocity = momentum_step(
            parameters, gradient, self._velocity, rate=rate, momentum=self.momentum
        )
        if self.nesterov:
            return parameters + self.momentum * self._velocity - rate * gradient
        return after


def momentum_step(
    parameters: Array,
    gradient: Array,
    velocity: Array | float,
    *,
    rate: float = 0.01,
    momentum: float = 0.9,
) -> tuple[Array, Array]:
    """Return the next parameters and the next velocity of SGD with momentum.

    Args:
        parameters: What is learned, any shape.
        gradient: Of the loss there, same shape.
        velocity: The last step, same shape; 0 before the first.
        rate: Learning rate.
        momentum: Share of the last step that is kept.

    Example:
        >>> momentum_step(np.array([1.0]), np.array([2.0]), np.array([-0.1]), rate=0.1)
        (array([0.71]), array([-0.29]))

    Source:
        Polyak (1964), "Some methods of speeding up the convergence of iteration methods".
    """
    velocity = momentum * velocity - rate * gradient
    return parameters + velocity, velocity


@dataclass
class RMSProp:
    """Divide each gradient by the root of its recent mean square.

    mean_square ← decay · mean_square + (1 - decay) · slope²
    parameters ← parameters - learning_rate · gradient / √(mean_square + ε)

    Keras puts ε under the root; the lecture that introduced the method, and PyTorch, put it
    outside.

    Attributes:
        learning_rate: Length of a step when the gradient stays the same, or a schedule.
        decay: Share of the old mean square that is kept (Keras: rho).
        epsilon: Keeps the divisor from zero.
        epsilon_place: "keras" (under the root) or "paper" (outside).

    Source:
        Tieleman and Hinton (2012), "Lecture 6.5: RMSProp", Coursera.
    """

    learning_rate: float | Schedule = 0.001
    decay: float = 0.9
    epsilon: float = 1e-7
    epsilon_place: EpsilonPlace = "keras"
    _mean_square: Array | float = field(default=0.0, init=False, repr=False)
    _steps: int = field(default=0, init=False, repr=False)

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Return the next parameters.

        Shapes as in `Optimizer.step`.
        """
        self._mean_square = self.decay * self._mean_square + (1 - self.decay) * gradient**2
        if self.epsilon_place == "keras":
            divisor = np.sqrt(self._mean_square + self.epsilon)
        else:
            divisor = np.sqrt(self._mean_square) + self.epsilon
        rate = _rate(self.learning_rate, self._steps)
        self._steps += 1
        return parameters - rate * gradient / divisor


@dataclass
class Adam:
    """RMSProp with momentum, both corrected for their start at zero.

    m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²
    paper:  parameters ← parameters - α · m̂ / (√v̂ + ε)  with  m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 -
    β₂ᵗ)
    Keras:  parameters ← parameters - α · (√(1 - β₂ᵗ) / (1 - β₁ᵗ)) · m / (√v + ε)

    The two are one formula but for ε: see `epsilon_in_paper`.

    Attributes:
        learning_rate: Bound on a step, roughly, in units of the parameter; or a schedule.
        beta_1: Share of the old mean gradient that is kept.
        beta_2: Share of the old mean square that is kept.
        epsilon: Keeps the divisor from zero (Keras 1e-7, paper 1e-8).
        epsilon_place: "keras" or "paper".

    Example:
        The first step has the length of the learning rate, whatever the gradient:

        >>> Adam(0.001, epsilon=0).step(np.zeros(2), np.array([5.0, -0.003]))
        array([-0.001,  0.001])

    Source:
        Kingma and Ba (2015), "Adam: a method for stochastic optimization", algorithm 1; the form of
        Keras is the one at the end of its section 2.
    """

    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    epsilon_place: EpsilonPlace = "keras"
    _mean: Array | float = field(default=0.0, init=False, repr=False)
    _mean_square: Array | float = field(default=0.0, init=False, repr=False)
    _steps: int = field(default=0, init=False, repr=False)

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Return the next parameters.

        Shapes as in `Optimizer.step`.
        """
        rate = _rate(self.learning_rate, self._steps)
        self._steps += 1
        epsilon = self.epsilon
        if self.epsilon_place == "keras":
            epsilon = epsilon_in_paper(epsilon, step=self._steps, beta_2=self.beta_2)
        after, self._mean, self._mean_square = adam_step(
            parameters,
            gradient,
            self._mean,
            self._mean_square,
            step=self._steps,
            rate=rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=epsilon,
        )
        return after


def adam_step(
    parameters: Array,
    gradient: Array,
    mean: Array | float,
    mean_square: Array | float,
    *,
    step: int,
    rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """Return the next parameters, mean and mean square of Adam, with ε where the paper puts it.

    Args:
        parameters: What is learned, any shape.
        gradient: Of the loss there, same shape.
        mean: Moving mean of the gradients, same shape; 0 before the first step.
        mean_square: Moving mean of their squares, same shape; 0 before the first step.
        step: The number of this step, counted from 1.
        rate: Learning rate.
        beta_1: Share of the old mean that is kept.
        beta_2: Share of the old mean square that is kept.
        epsilon: Keeps the divisor from zero.

    Example:
        >>> adam_step(np.zeros(1), np.array([5.0]), 0.0, 0.0, step=1, rate=0.1)[0].round(6)
        array([-0.1])

    Source:
        Kingma and Ba (2015), algorithm 1.
    """
    mean = beta_1 * mean + (1 - beta_1) * gradient
    mean_square = beta_2 * mean_square + (1 - beta_2) * gradient**2
    mean_hat = mean / (1 - beta_1**step)
    mean_square_hat = mean_square / (1 - beta_2**step)
    return parameters - rate * mean_hat / (np.sqrt(mean_square_hat) + epsilon), mean, mean_square


def epsilon_in_paper(epsilon: float, *, step: int, beta_2: float = 0.999) -> float:
    """Return the ε of the paper's formula that does what Keras' ε does at a step.

    Keras adds ε to √v, the paper to √v̂ = √v / √(1 - β₂ᵗ): so Keras' ε counts 1 / √(1 - β₂ᵗ) times
    as much. That is 32 times at the first step and once in the end.

    Args:
        epsilon: The ε given to Keras.
        step: The step, counted from 1.
        beta_2: Decay of the mean square.

    Raises:
        ParameterError: The step is below 1.

    Example:
        >>> f"{epsilon_in_paper(1e-7, step=1):.2e}"
        '3.16e-06'

    Source:
        Derived here from the two formulas.
    """
    if step < 1:
        raise ParameterError(f"step is {step}, expected 1 or more. Count steps from 1.")
    return float(epsilon / np.sqrt(1 - beta_2**step))


@dataclass
class AdamW(Adam):
    """Adam, with the weights shrunk beside the step instead of through the gradient.

    parameters ← parameters - α · weight_decay · parameters, then Adam's step.

    Attributes:
        weight_decay: Share of a weight lost a step, per unit of learning rate.

    Source:
        Loshchilov and Hutter (2019), "Decoupled weight decay regularization", algorithm 2. Keras
        multiplies the decay by the learning rate, schedule included; the paper by the schedule
        alone.
    """

    weight_decay: float = 0.004

    def step(self, parameters: Array, gradient: Array) -> Array:
        """Return the next parameters.

        Shapes as in `Optimizer.step`.
        """
        rate = _rate(self.learning_rate, self._steps)
        return super().step(parameters - rate * self.weight_decay * parameters, gradient)


def descend(
    gradient: Callable[[Array], Array], start: Array, optimizer: Optimizer, *, steps: int
) -> Array:
    """Return the parameters all along the way: the start, then one row a step.

    Args:
        gradient: Takes parameters, returns the gradient there, of the same shape.
        start: Where to begin; any shape.
        optimizer: A fresh one: optimizers remember.
        steps: How many steps.

    Returns:
        (steps + 1, *start.shape), float64.

    Raises:
        ParameterError: `steps` is negative.

    Example:
        >>> descend(lambda x: 2 * x, np.array(1.0), SGD(0.25), steps=3)
        array([1.   , 0.5  , 0.25 , 0.125])
    """
    if steps < 0:
        raise ParameterError(f"steps is {steps}, expected 0 or more. Give a whole number of steps.")
    parameters = np.asarray(start, dtype=float)
    path = np.empty((steps + 1, *parameters.shape))
    path[0] = parameters
    for step in range(1, steps + 1):
        parameters = optimizer.step(parameters, gradient(parameters))
        path[step] = parameters
    return path
