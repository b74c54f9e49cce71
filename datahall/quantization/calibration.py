"""Which range should the codes cover? Four answers from a sample of the values.

Each returns (low, high). `min_max` takes all; `percentile` cuts the rarest; `least_error` and
`entropy` try cuts: one keeps the values close, the other keeps their distribution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datahall.errors import ParameterError
from datahall.quantization.core import Array, affine, dequantize, quantize

Range = tuple[float, float]
BINS = 2048
SMOOTH = 1e-4  # the share that codes give to a bin where they have nothing


def min_max(values: Array) -> Range:
    """Return the least and the largest value.

    Input shape: any.

    Example:
        >>> min_max(np.array([3.0, -1.0, 2.0]))
        (-1.0, 3.0)
    """
    return float(np.min(values)), float(np.max(values))


def percentile(values: Array, *, kept: float = 99) -> Range:
    """Return the range that keeps so many percent, cutting the same share at both ends.

    Args:
        values: The sample, of any shape.
        kept: Percent, above 0 up to 100.

    Raises:
        ParameterError: Another percentage.

    Example:
        >>> percentile(np.arange(101.0), kept=90)
        (5.0, 95.0)
    """
    if not 0 < kept <= 100:
        raise ParameterError(f"kept is {kept} percent. Expected above 0, up to 100.")
    low, high = np.percentile(values, [(100 - kept) / 2, (100 + kept) / 2])
    return float(low), float(high)


def _cuts(values: Array, tried: int) -> list[Range]:
    low, high = min(float(np.min(values)), 0.0), max(float(np.max(values)), 0.0)
    return [(low * share, high * share) for share in np.linspace(1, 1 / tried, tried).tolist()]


def mean_square_error(values: Array, cut: Range, *, bits: int = 8) -> float:
    """Return the mean square error of the values on a grid over that range.

    Args:
        values: Of any shape.
        cut: The least and the largest number of the grid.
        bits: Of a code.

    Example:
        >>> mean_square_error(np.array([0.0, 255.0]), (0.0, 255.0))
        0.0
    """
    scale, zero_point = affine(*cut, bits=bits)
    codes = quantize(values, scale, zero_point, bits=bits)
    return float(np.square(dequantize(codes, scale, zero_point) - values).mean())


def least_error(values: Array, *, bits: int = 8, tried: int = 100) -> Range:
    """Return the cut of the range with the least mean square error.

    Args:
        values: The sample, of any shape.
        bits: Of a code.
        tried: Cuts, from the whole range down to one of so many parts.

    Example:
        >>> sample = np.append(np.linspace(-1, 1, 10_001), 100.0)
        >>> least_error(sample, bits=8), least_error(sample, bits=2)
        ((-1.0, 100.0), (-0.99, 99.0))
    """
    return min(_cuts(values, tried), key=lambda cut: mean_square_error(values, cut, bits=bits))


def entropy(values: Array, *, bits: int = 8, tried: int = 100) -> Range:
    """Return the cut whose codes keep the distribution best: the least Kullback-Leibler divergence.

    The histogram within a cut (what lies outside is added to its ends) is compared with itself
    after the bins of each code have been levelled. Zeros are left out: they have no error anyway,
    and after ReLU they would outweigh all others.

    Args:
        values: The sample, of any shape.
        bits: Of a code.
        tried: Cuts, from the whole range down to one of so many parts.

    Source:
        Migacz (2017), "8-bit inference with TensorRT", slides 31 to 39.
    """
    some = values[values != 0]
    return min(_cuts(values, tried), key=lambda cut: _divergence(some, cut, 2**bits))


def _divergence(values: Array, cut: Range, codes: int) -> float:
    counts, _ = np.histogram(values, BINS, range=cut if cut[1] > cut[0] else (0, 1))
    inside = counts.astype(float)
    counts = inside.copy()
    counts[0] += np.count_nonzero(values < cut[0])
    counts[-1] += np.count_nonzero(values > cut[1])
    level = np.zeros(BINS)
    for part in np.array_split(np.arange(BINS), codes):
        filled = inside[part] > 0
        level[part[filled]] = inside[part].sum() / max(filled.sum(), 1)
    wanted, found = counts / max(counts.sum(), 1), level / max(level.sum(), 1)
    some = wanted > 0
    return float((wanted[some] * np.log(wanted[some] / np.maximum(found[some], SMOOTH))).sum())


METHODS: dict[str, Callable[[Array], Range]] = {
    "min-max": min_max,
    "99 % kept": percentile,
    "least error": least_error,
    "entropy (KL)": entropy,
}
"""The four ways, by the names that the lecture uses."""
