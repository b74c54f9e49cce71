"""Hypothesis strategies that the searches of many checks share: arrays of any size, and calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datahall.checking.steps import Case

_SMALL = st.floats(-3, 3, width=32)


def arrays(shape: Any, *scales: float, elements: Any = _SMALL) -> Any:
    """Return a strategy for float64 arrays whose elements are drawn, then multiplied by a scale.

    Args:
        shape: Their shape, or a strategy for it.
        scales: One of them is drawn; without any, 1 or 1,000: a bound in the code has to show.
        elements: A strategy for one element; without it, floats from −3 to 3.
    """
    drawn = hnp.arrays(np.float64, shape, elements=elements)
    return st.builds(
        lambda values, scale: values * scale, drawn, st.sampled_from(scales or (1.0, 1e3))
    )


def calls(args: Any, always: Mapping[str, Any] | None = None, **optional: Any) -> Any:
    """Return a strategy for calls, with and without their optional keyword arguments.

    Args:
        args: A strategy for the tuple of positional arguments.
        always: Strategies for the keyword arguments that each call has.
        optional: Strategies for those that a call may have.
    """
    return st.builds(Case, args, st.fixed_dictionaries(dict(always or {}), optional=optional))


def vectors(*rows: Sequence[float] | float) -> tuple[np.ndarray, ...]:
    """Return arguments that are arrays of float64, one for each row (or number).

    Example:
        >>> vectors(1, [2, 3])
        (array([1.]), array([2., 3.]))
    """
    return tuple(np.atleast_1d(np.array(row, np.float64)) for row in rows)
