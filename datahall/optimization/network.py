"""The 2-5-2 network: two inputs, five ReLU units, two logits; back-propagation by hand.

Shapes: points (batch, 2) → before (batch, 5) → hidden (batch, 5) → logits (batch, 2). Nothing here
is
tied to these sizes: they come from the arrays.

Reading order: `Network`, `forward`, `backward`, `numerical_gradient`, `flatten`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from datahall.errors import ShapeError
from datahall.optimization.activations import Array, relu, relu_derivative
from datahall.optimization.losses import cross_entropy_from_logits, cross_entropy_gradient

__all__ = [
    "Network",
    "Trace",
    "backward",
    "flatten",
    "forward",
    "loss",
    "new_network",
    "numerical_gradient",
    "two_halves",
    "two_rings",
    "unflatten",
]


@dataclass(frozen=True)
class Network:
    """Weights and biases of two dense layers; also the shape of their gradient.

    Attributes:
        hidden_weights: (inputs, hidden).
        hidden_bias: (hidden,).
        output_weights: (hidden, outputs).
        output_bias: (outputs,).
    """

    hidden_weights: Array
    hidden_bias: Array
    output_weights: Array
    output_bias: Array

    @property
    def arrays(self) -> tuple[Array, Array, Array, Array]:
        """The four arrays in the order that Keras lists them."""
        return self.hidden_weights, self.hidden_bias, self.output_weights, self.output_bias

    @property
    def parameters(self) -> int:
        """How many numbers are learned.

        Example:
            >>> new_network().parameters  # 2·5 + 5 + 5·2 + 2
            27
        """
        return sum(array.size for array in self.arrays)


@dataclass(frozen=True)
class Trace:
    """What a forward pass leaves behind for the backward pass.

    Attributes:
        points: Inputs, (batch, inputs).
        before: Hidden sums before ReLU, (batch, hidden).
        hidden: Hidden values after ReLU, (batch, hidden).
        logits: Outputs before softmax, (batch, outputs).
    """

    points: Array
    before: Array
    hidden: Array
    logits: Array


def new_network(*, inputs: int = 2, hidden: int = 5, outputs: int = 2, seed: int = 0) -> Network:
    """Return a network with random weights (normal, variance 2 / inputs) and zero biases.

    Args:
        inputs: Numbers in a point.
        hidden: Units of the hidden layer.
        outputs: Classes.
        seed: Of the weights.

    Source:
        He et al. (2015), "Delving deep into rectifiers", equation 10.
    """
    rng = np.random.default_rng(seed)
    return Network(
        rng.normal(0, np.sqrt(2 / inputs), (inputs, hidden)),
        np.zeros(hidden),
        rng.normal(0, np.sqrt(2 / hidden), (hidden, outputs)),
        np.zeros(outputs),
    )


def forward(network: Network, points: Array) -> Trace:
    """Compute the logits, and keep what the backward pass needs.

    Args:
        network: The weights.
        points: (batch, inputs).

    Raises:
        ShapeError: The points have another width than the network's inputs.
    """
    points = np.asarray(points, dtype=float)
    wanted = network.hidden_weights.shape[0]
    if points.ndim != 2 or points.shape[1] != wanted:
        raise ShapeError(
            f"points have shape {points.shape}, expected (batch, {wanted}). "
            "Give one row a point, one column an input."
        )
    before = points @ network.hidden_weights + network.hidden_bias  # (batch, hidden)
    hidden = relu(before)  # (batch, hidden)
    logits = hidden @ network.output_weights + network.output_bias  # (batch, outputs)
    return Trace(points, before, hidden, logits)


def loss(network: Network, points: Array, targets: Array) -> float:
    """Return the mean cross-entropy of the network on a batch, in nats.

    Args:
        network: The network.
        points: (batch, inputs).
        targets: (batch, outputs), one-hot.
    """
    return cross_entropy_from_logits(targets, forward(network, points).logits)


def backward(network: Network, trace: Trace, targets: Array) -> Network:
    """Return the gradient of the mean cross-entropy with respect to every parameter.

    The chain rule, from the loss back to the inputs; each line has the shape of what it is a
    gradient of.

    Args:
        network: The weights of the forward pass.
        trace: What `forward` returned.
        targets: One-hot rows, (batch, outputs).

    Returns:
        A `Network` that holds gradients instead of weights.

    Source:
        Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating
        errors".
    """
    d_logits = cross_entropy_gradient(targets, trace.logits)  # (batch, outputs)
    d_hidden = d_logits @ network.output_weights.T  # (batch, hidden)
    d_before = d_hidden * relu_derivative(trace.before)  # (batch, hidden)
    return Network(
        hidden_weights=trace.points.T @ d_before,  # (inputs, hidden)
        hidden_bias=d_before.sum(axis=0),  # (hidden,)
        output_weights=trace.hidden.T @ d_logits,  # (hidden, outputs)
        output_bias=d_logits.sum(axis=0),  # (outputs,)
    )


def numerical_gradient(
    function: Callable[[Array], float], place: Array, *, step: float = 1e-5
) -> Array:
    """Return the gradients of a function by central differences, one coordinate at a time.

    Args:
        function: Takes an array of the shape of `place`, returns a number.
        place: Where to measure.
        step: Distance to either side. The error falls with step² until rounding takes over.

    Returns:
        An array of the shape of `place`.

    Example:
        >>> numerical_gradient(lambda p: float((p**2).sum()), np.array([1.0, -3.0])).round(6)
        array([ 2., -6.])
    """
    place = np.asarray(place, dtype=float)
    gradient = np.empty_like(place)
    for index in np.ndindex(place.shape):
        above, below = place.copy(), place.copy()
        above[index] += step
        below[index] -= step
        gradient[index] = (function(above) - function(below)) / (2 * step)
    return gradient


def flatten(network: Network) -> Array:
    """Return all parameters as one vector, in the order of `Network.arrays`."""
    return np.concatenate([array.ravel() for array in network.arrays])


def unflatten(vector: Array, like: Network) -> Network:
    """Return the network whose `flatten` is the vector, with the shapes of another network.

    Raises:
        ShapeError: The vector has the wrong length.
    """
    if vector.shape != (like.parameters,):
        raise ShapeError(
            f"the vector has shape {vector.shape}, expected ({like.parameters},). "
            "Make it with flatten()."
        )
    ends = np.cumsum([array.size for array in like.arrays])
    parts = np.split(vector, ends[:-1])
    return Network(*(part.reshape(a.shape) for part, a in zip(parts, like.arrays, strict=True)))


def two_halves(count: int = 100, *, seed: int = 0) -> tuple[Array, Array]:
    """Return normal points, of class 1 where their coordinates sum to more than zero.

    Returns:
        Points (count, 2) and one-hot targets (count, 2), float64. A straight line divides them.
    """
    points = np.random.default_rng(seed).normal(size=(count, 2))
    return points, np.eye(2)[(points.sum(axis=1) > 0).astype(int)]


def two_rings(count: int = 100, *, noise: float = 0.1, seed: int = 0) -> tuple[Array, Array]:
    """Return points of two classes: a disc, and a ring around it. No straight line divides them.

    Args:
        count: Number of points; every second one is in the ring.
        noise: Standard deviation of the radius.
        seed: Of the random numbers.

    Returns:
        Points (count, 2) and one-hot targets (count, 2), float64.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    radius = 0.5 + labels + rng.normal(0, noise, count)
    angle = rng.uniform(0, 2 * np.pi, count)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return points, np.eye(2)[labels]
