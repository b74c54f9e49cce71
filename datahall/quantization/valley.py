"""Two weights on a grid: small enough to draw what training through a rounding does.

`loss_of` is the valley, `follow` the way of the straight-through estimator. NumPy only.
"""

from __future__ import annotations

import numpy as np

from datahall.errors import ParameterError
from datahall.quantization.core import Array


def loss_of(weights: Array, best: Array, link: float) -> Array:
    """Return the loss of two linked weights: a valley that lies askew to the grid.

    Args:
        weights: (…, 2).
        best: (2,), where the loss is zero.
        link: Correlation of the two inputs, above −1 and below 1.

    Example:
        >>> float(loss_of(np.array([1.0, 0.0]), np.array([0.0, 0.0]), 0.9))
        0.5
    """
    away = np.asarray(weights, float) - best
    first, second = away[..., 0], away[..., 1]
    return np.asarray((first**2 + second**2) / 2 + link * first * second)


def follow(
    best: Array, link: float, *, step: float = 1.0, rate: float = 0.1, steps: int = 60
) -> tuple[Array, Array]:
    """Descend with the straight-through estimator, from the best float weights, on a fixed grid.

    Args:
        best: (2,), the float optimum, where it starts.
        link: Correlation of the two inputs, above −1 and below 1.
        step: Of the grid.
        rate: Of gradient descent.
        steps: How many.

    Returns:
        The float weights and the grid's weights, (steps + 1, 2) each.

    Raises:
        ParameterError: The link is not between −1 and 1, or there is no step.

    Example:
        >>> kept, used = follow(np.array([0.4, 0.4]), 0.9)
        >>> used[0].tolist(), round(float(loss_of(used[0], np.array([0.4, 0.4]), 0.9)), 3)
        ([0.0, 0.0], 0.304)
    """
    if not -1 < link < 1 or steps < 1 or step <= 0:
        raise ParameterError(
            f"link is {link}, steps {steps}, step {step}. Expected a link between −1 and 1, and "
            "both others above zero. Choose a smaller link."
        )
    slope = np.array([[1.0, link], [link, 1.0]])
    kept = [np.asarray(best, float)]
    for _ in range(steps):
        used = step * np.rint(kept[-1] / step)
        kept.append(kept[-1] - rate * slope @ (used - best))
    latent = np.stack(kept)
    return latent, np.asarray(step * np.rint(latent / step))
