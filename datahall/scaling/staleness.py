"""What old gradients do to gradient descent: on one number, where it can be computed exactly.

Read `delayed` (the recursion), then `stable_rate` (where it stops to converge).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError


def delayed(rate: float, staleness: int, steps: int, *, curvature: float = 1.0) -> NDArray[Any]:
    """Return gradient descent on a parabola, where each gradient is some updates old.

    The loss is curvature · θ² / 2, its gradient curvature · θ, and θ begins at 1.

    Args:
        rate: Learning rate.
        staleness: Updates between the weights of a gradient and its use, 0 or more.
        steps: Updates.
        curvature: Of the loss.

    Returns:
        (steps + 1,), θ after each update.

    Raises:
        ParameterError: The staleness or the steps are negative.

    Example:
        >>> delayed(1.0, 0, 3), delayed(1.0, 1, 3)  # at once, and around it
        (array([1., 0., 0., 0.]), array([ 1.,  0., -1., -1.]))
    """
    if staleness < 0 or steps < 0:
        raise ParameterError(
            f"staleness is {staleness}, steps is {steps}. Numbers of at least 0 were expected. "
            "Count updates."
        )
    places = np.ones(steps + 1)
    for step in range(steps):
        old = places[max(step - staleness, 0)]
        places[step + 1] = places[step] - rate * curvature * old
    return places


def stable_rate(staleness: float, *, curvature: float = 1.0) -> float:
    """Return the learning rate above which delayed gradient descent on a parabola diverges.

    Args:
        staleness: Updates between the weights of a gradient and its use.
        curvature: Of the loss.

    Returns:
        2 sin(π / (4 · staleness + 2)) / curvature.

    Example:
        >>> [round(stable_rate(age), 3) for age in (0, 1, 3, 7)]
        [2.0, 1.0, 0.445, 0.209]

    Source:
        Levin and May (1976), "A note on difference-delay equations", Theoretical Population
        Biology 9: the condition there, 2 cos(kπ / (2k + 1)), is the same number.
    """
    return 2 * math.sin(math.pi / (4 * staleness + 2)) / curvature
