"""Learning-rate schedules: a learning rate for each step, the first step being number 0.

Each function returns a schedule, which an optimizer takes in place of a number. Each agrees with
the schedule of the same name in Keras.
"""

from __future__ import annotations

import numpy as np

from datahall.errors import ParameterError
from datahall.optimization.optimizers import Schedule

__all__ = ["cosine", "exponential", "piecewise"]


def exponential(start: float, *, every: int, factor: float) -> Schedule:
    """Return start · factor^(step / every), falling a little at each step.

    Args:
        start: The rate at step 0.
        every: Steps in which it falls by the factor.
        factor: Between 0 and 1.

    Example:
        >>> schedule = exponential(0.1, every=100, factor=0.5)
        >>> [schedule(step) for step in (0, 100, 200)]
        [0.1, 0.05, 0.025]
    """
    return lambda step: start * factor ** (step / every)


def piecewise(*, boundaries: list[int], rates: list[float]) -> Schedule:
    """Return a staircase: the first rate up to and at the first boundary, and so on.

    Raises:
        ParameterError: There is not one rate more than boundaries.

    Example:
        >>> schedule = piecewise(boundaries=[100], rates=[0.1, 0.01])
        >>> schedule(100), schedule(101)
        (0.1, 0.01)
    """
    if len(rates) != len(boundaries) + 1:
        raise ParameterError(
            f"{len(rates)} rates for {len(boundaries)} boundaries, "
            f"expected {len(boundaries) + 1}. Give one rate more than boundaries."
        )
    return lambda step: rates[int(np.searchsorted(boundaries, step))]


def cosine(peak: float, *, steps: int, warmup: int = 0, floor: float = 0.0) -> Schedule:
    """Return a straight climb from 0 to the peak, then half a cosine down to floor · peak.

    Args:
        peak: The highest rate.
        steps: Steps of the cosine, after the climb.
        warmup: Steps of the climb.
        floor: Share of the peak at the end.

    Raises:
        ParameterError: `steps` is not positive.

    Example:
        >>> schedule = cosine(0.1, steps=100, warmup=10)
        >>> [round(schedule(step), 3) for step in (0, 5, 10, 60, 110)]
        [0.0, 0.05, 0.1, 0.05, 0.0]

    Source:
        Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts",
        equation 5.
    """
    if steps < 1:
        raise ParameterError(f"steps is {steps}, expected 1 or more. Give the length of the fall.")

    def rate(step: int) -> float:
        if step < warmup:
            return peak * step / warmup
        done = min((step - warmup) / steps, 1.0)
        return float(peak * (floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * done))))

    return rate
