"""Activation functions and their derivatives.

Each function works element by element on an array of any shape and returns the same shape.
Back-propagation multiplies by the derivative at the same place, once a layer.

Reading order: `relu`, `sigmoid`, `tanh`, then their derivatives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Array",
    "relu",
    "relu_derivative",
    "sigmoid",
    "sigmoid_derivative",
    "tanh",
    "tanh_derivative",
]

Array = NDArray[np.float64]
"""An array of real numbers; the rooms of this module compute in float64."""


def relu(values: ArrayLike) -> Array:
    """Return each value, or zero where it is negative.

    Input and output shape: any, the same; float64.

    Example:
        >>> relu([-2.0, 0.0, 3.0])
        array([0., 0., 3.])

    Source:
        Goodfellow, Bengio and Courville (2016), "Deep Learning", section 6.3.1.
    """
    rectified: Array = np.maximum(np.asarray(values, dtype=float), 0.0)
    return rectified


def relu_derivative(values: ArrayLike) -> Array:
    """Return the derivative of `relu`: 1 above zero, 0 elsewhere.

    At zero itself the derivative is not defined; 0 is the choice of TensorFlow too.

    Input and output shape: any, the same; float64.

    Example:
        >>> relu_derivative([-2.0, 0.0, 3.0])
        array([0., 0., 1.])
    """
    return (np.asarray(values, dtype=float) > 0).astype(float)


def sigmoid(values: ArrayLike) -> Array:
    """Return 1 / (1 + exp(-value)), without overflow at either end.

    Input and output shape: any, the same; float64.

    Example:
        >>> sigmoid([-1000.0, 0.0, 1000.0])
        array([0. , 0.5, 1. ])

    Source:
        Goodfellow, Bengio and Courville (2016), "Deep Learning", section 3.10.
    """
    x = np.asarray(values, dtype=float)
    small: Array = np.exp(-np.abs(x))  # between 0 and 1, whatever the sign
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def sigmoid_derivative(values: ArrayLike) -> Array:
    """Return the derivative of `sigmoid`, s · (1 - s): never above a quarter.

    Input and output shape: any, the same; float64.

    Example:
        >>> float(sigmoid_derivative(0.0))
        0.25
    """
    s = sigmoid(values)
    return s * (1.0 - s)


def tanh(values: ArrayLike) -> Array:
    """Return the hyperbolic tangent, which is 2 · sigmoid(2 · value) - 1.

    Input and output shape: any, the same; float64.

    Example:
        >>> bool(np.isclose(tanh(0.7), 2 * sigmoid(1.4) - 1))
        True
    """
    squashed: Array = np.tanh(np.asarray(values, dtype=float))
    return squashed


def tanh_derivative(values: ArrayLike) -> Array:
    """Return the derivative of `tanh`, 1 - tanh²: never above one.

    Input and output shape: any, the same; float64.

    Example:
        >>> float(tanh_derivative(0.0))
        1.0
    """
    return 1.0 - tanh(values) ** 2
