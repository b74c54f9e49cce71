"""Regularization: what keeps weights small, or keeps units from leaning on each other.

Penalties are added to the loss, and act through the gradient; weight decay acts beside it
(`AdamW`). Dropout silences units at random while training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from datahall.errors import ParameterError
from datahall.optimization.activations import Array

__all__ = ["dropout", "l1_gradient", "l1_penalty", "l2_gradient", "l2_penalty"]


def l1_penalty(weights: ArrayLike, strength: float) -> float:
    """Return strength · Σ |weight|, as `keras.regularizers.L1` does.

    Input shape: any.

    Example:
        >>> l1_penalty([3.0, -4.0], 0.1)
        0.7000000000000001
    """
    return float(strength * np.abs(np.asarray(weights, dtype=float)).sum())


def l1_gradient(weights: ArrayLike, strength: float) -> Array:
    """Return the gradient of `l1_penalty`: the strength, with the weight's sign.

    Input and output shape: any, the same; float64.

    Example:
        >>> l1_gradient([3.0, 0.0, -0.01], 0.1)
        array([ 0.1,  0. , -0.1])
    """
    signs: Array = np.sign(np.asarray(weights, dtype=float))
    return strength * signs


def l2_penalty(weights: ArrayLike, strength: float) -> float:
    """Return strength · Σ weight², as `keras.regularizers.L2` does; some texts halve it.

    Input shape: any.

    Example:
        >>> l2_penalty([3.0, -4.0], 0.1)
        2.5
    """
    return float(strength * (np.asarray(weights, dtype=float) ** 2).sum())


def l2_gradient(weights: ArrayLike, strength: float) -> Array:
    """Return the gradient of `l2_penalty`: 2 · strength · weight, fading with the weight.

    Input and output shape: any, the same; float64.

    Example:
        >>> l2_gradient([3.0, -4.0], 0.1)
        array([ 0.6, -0.8])
    """
    return 2.0 * strength * np.asarray(weights, dtype=float)


def dropout(values: ArrayLike, *, rate: float, rng: np.random.Generator) -> Array:
    """Return the values with a share set to zero and the others raised, so that the mean stays.

    Args:
        values: Any shape.
        rate: Share that is dropped, 0 ≤ rate < 1.
        rng: Where the chance comes from.

    Returns:
        The shape of `values`; each entry is 0 or value / (1 - rate).

    Raises:
        ParameterError: The rate is outside [0, 1).

    Example:
        >>> dropout(np.ones(4), rate=0.0, rng=np.random.default_rng(0))
        array([1., 1., 1., 1.])

    Source:
        Srivastava et al. (2014), "Dropout", section 10 (the inverted form, which Keras uses).
    """
    if not 0 <= rate < 1:
        raise ParameterError(
            f"rate is {rate}, expected 0 ≤ rate < 1. Give the share of values to drop."
        )
    x = np.asarray(values, dtype=float)
    return x * (rng.random(x.shape) >= rate) / (1.0 - rate)
