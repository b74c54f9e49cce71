"""Floating-point formats of 8 and 16 bits as tables of the numbers that they can represent."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError


@dataclass(frozen=True)
class Format:
    """A floating-point format: sign, exponent and fraction.

    Attributes:
        name: As papers write it.
        dtype: NumPy's type of it.
        exponent: Bits of the exponent.
        fraction: Bits of the fraction.
    """

    name: str
    dtype: np.dtype
    exponent: int
    fraction: int

    @property
    def bits(self) -> int:
        """Bits of a number."""
        return 1 + self.exponent + self.fraction


FORMATS = (
    Format("float32", np.dtype(np.float32), 8, 23),
    Format("bfloat16", np.dtype(ml_dtypes.bfloat16), 8, 7),
    Format("float16", np.dtype(np.float16), 5, 10),
    Format("float8 e4m3", np.dtype(ml_dtypes.float8_e4m3fn), 4, 3),
    Format("float8 e5m2", np.dtype(ml_dtypes.float8_e5m2), 5, 2),
)


def representable(kind: Format) -> NDArray[np.float64]:
    """Return all finite numbers of a format of at most 16 bits, sorted, zero once.

    Raises:
        ParameterError: The format has more than 16 bits: four billion numbers are no table.

    Example:
        >>> numbers = representable(FORMATS[3])
        >>> numbers.size, numbers.max()
        (253, np.float64(448.0))
    """
    if kind.bits > 16:
        raise ParameterError(f"{kind.name} has {kind.bits} bits. Expected at most 16.")
    patterns = np.arange(2**kind.bits, dtype=np.uint8 if kind.bits == 8 else np.uint16)
    with np.errstate(invalid="ignore"):  # among the patterns are some that are no number
        numbers = patterns.view(kind.dtype).astype(np.float64)
    return np.unique(numbers[np.isfinite(numbers)])


def largest(kind: Format) -> float:
    """Return the largest finite number of a format.

    Example:
        >>> largest(FORMATS[2])
        65504.0
    """
    return float(ml_dtypes.finfo(kind.dtype).max)  # type: ignore[no-untyped-call]


def after_one(kind: Format) -> float:
    """Return how far the next number after 1 is.

    Example:
        >>> after_one(FORMATS[1])
        0.0078125
    """
    return float(ml_dtypes.finfo(kind.dtype).eps)  # type: ignore[no-untyped-call]
