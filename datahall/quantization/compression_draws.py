"""What searches of module 06's second lab draw: kernels, packed rows, pairs of layers, tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datahall.quantization import compact
from datahall.quantization.core import Array


def _is_clear(case: tuple[Array, int, int]) -> bool:
    """Say whether no weight lies so near the middle of two codes that a rounding decides."""
    weights, axis, _ = case
    _, scales = compact.channel_codes(*case)
    steps = np.moveaxis(np.asarray(weights, float), axis, -1) / scales
    return bool((np.abs(np.abs(steps % 1) - 0.5) > 1e-3).all())


KERNELS = (
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=4)
    .flatmap(
        lambda shape: st.tuples(
            st.builds(
                lambda drawn, factor, kind: (drawn * factor).astype(kind),
                hnp.arrays(np.int64, shape, elements=st.integers(-9, 9)),
                st.sampled_from([1.0, 0.37, 0.001, 1000.0]),
                st.sampled_from([np.float64, np.float32]),
            ),
            st.integers(-len(shape), len(shape) - 1),
            st.integers(2, 8),
        )
    )
    .filter(_is_clear)
)
"""Weights, axis and bits."""

PRODUCTS = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 3)).flatmap(
    lambda sizes: st.tuples(
        hnp.arrays(np.uint8, (sizes[0], (sizes[1] + 1) // 2)),
        hnp.arrays(float, sizes[0], elements=st.sampled_from([1.0, 0.5, 3.0, 0.01])),
        hnp.arrays(float, (sizes[2], sizes[1]), elements=st.integers(-40, 40).map(lambda n: n / 4)),
    )
)
"""Packed rows, scales and inputs."""


def numbered(*shape: int) -> Array:
    """Return an array of a shape whose numbers count up from 0."""
    return np.arange(float(np.prod(shape))).reshape(shape)


def _pair(inputs: tuple[int, ...], channels: int, places: int, keep: int, flat: bool) -> Any:
    weights = hnp.arrays(np.int64, (*inputs, channels), elements=st.integers(-3, 3))
    after = numbered(places * channels, 2) if flat else numbered(2, places, channels, 2)
    return st.tuples(
        weights.map(lambda whole: whole / 2),
        st.just(np.arange(channels) + 0.5),
        st.just(after),
        st.just(min(keep, channels)),
    )


PAIRS = st.tuples(
    st.sampled_from([(2,), (1, 2, 2), (2, 1, 1)]),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(1, 5),
    st.booleans(),
).flatmap(lambda drawn: _pair(*drawn))
"""Two layers, and how many channels stay between them."""


def row(float32_bytes: int, int8_bytes: int, int8_ms: list[float], float32_ms: list[float]) -> Any:
    """Return a row of a table.

    Args:
        float32_bytes: Of the float32 file.
        int8_bytes: Of the int8 file.
        int8_ms: Times of its runs, in milliseconds.
        float32_ms: The same of the float32 file.
    """
    return {
        "float32_bytes": float32_bytes,
        "int8_bytes": int8_bytes,
        "float32_ms": float32_ms,
        "int8_ms": int8_ms,
    }


_RUNS = st.lists(st.integers(1, 6).map(lambda n: n / 4), min_size=0, max_size=3)
TABLES = st.tuples(
    st.lists(
        st.builds(
            lambda small, more, ours, theirs: row(4 * small + more, small, ours, theirs),
            st.integers(3, 9),
            st.sampled_from([-1, 0, 5]),
            _RUNS,
            _RUNS.map(lambda runs: [each + 1 for each in runs]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 30),
    st.integers(0, 60),
    st.sampled_from([500, 5_000, 10_000, 60_000]),
).filter(lambda drawn: abs(compact.above_the_bound(*drawn[1:])) > 1e-6)
"""Rows, lost, won, images."""
