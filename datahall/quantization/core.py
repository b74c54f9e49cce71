"""Real numbers as small integers: scale and zero point, codes, channels, and two codes in a byte.

Reading order: `affine` and `symmetric` (choose the grid), `quantize` and `dequantize` (there and
back), `quantize_channels` (a grid for each channel), `error` (what it costs), `pack_int4`.
Calibration is in `calibration`, integer arithmetic in `integers`. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError, ShapeError

Array = NDArray[Any]
MOST_BITS = 16


def limits(bits: int = 8) -> tuple[int, int]:
    """Return the least and the largest signed code of so many bits.

    Raises:
        ParameterError: Less than 2 or more than 16 bits.

    Example:
        >>> limits(8)
        (-128, 127)
    """
    if not 2 <= bits <= MOST_BITS:
        raise ParameterError(
            f"bits is {bits}. Expected 2 to {MOST_BITS}. One bit leaves no code beside zero."
        )
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def half_away(values: Any) -> Array:
    """Round to whole numbers, ties away from zero, as LiteRT's quantizer does.

    Example:
        >>> half_away([0.5, 1.5, -0.5, 0.49]).tolist()
        [1.0, 2.0, -1.0, 0.0]
    """
    given = np.asarray(values, float)
    whole = np.trunc(given)
    with np.errstate(invalid="ignore"):  # infinity minus infinity is no number: no tie there
        away = np.abs(given - whole) >= 0.5
    return np.asarray(whole + away * np.sign(given))


def affine(low: float, high: float, *, bits: int = 8) -> tuple[float, int]:
    """Return scale and zero point of a grid that covers a range and holds zero exactly.

    A code c stands for scale · (c − zero_point). The range is first widened to hold zero.

    Args:
        low: Least value, any unit.
        high: Largest value, same unit.
        bits: Of a code.

    Returns:
        The scale, in the unit of the values a step, and the code that stands for zero. A range of
        nothing but zero has scale 1 and zero point 0.

    Raises:
        ParameterError: The range is upside down or not finite, or the bits are too few or too many.

    Example:
        >>> scale, zero_point = affine(-1.0, 2.0)
        >>> round(1 / scale), zero_point
        (85, -43)

    Source:
        Jacob et al. (2018), "Quantization and training of neural networks for efficient
        integer-arithmetic-only inference", section 3.
    """
    least, largest = limits(bits)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ParameterError(
            f"The range is {low} to {high}. Expected two finite numbers, the lower one first. "
            "Swap them, or drop what is not finite."
        )
    low, high = min(low, 0.0), max(high, 0.0)
    scale = high / (largest - least) - low / (largest - least)
    if scale == 0:
        return 1.0, 0
    zero_point = int(half_away(least - low / scale))
    return scale, min(max(zero_point, least), largest)


def symmetric(limit: float, *, bits: int = 8) -> float:
    """Return the scale of a grid around zero: zero point 0, codes −largest to largest.

    Args:
        limit: The largest absolute value.
        bits: Of a code.

    Raises:
        ParameterError: The limit is negative or not finite.

    Example:
        >>> symmetric(254.0)
        2.0
    """
    if not (math.isfinite(limit) and limit >= 0):
        raise ParameterError(
            f"limit is {limit}. Expected a finite number from 0 on. Take the largest absolute "
            "value."
        )
    return limit / limits(bits)[1] or 1.0


def quantize(
    values: Array, scale: float | Array, zero_point: int = 0, *, bits: int = 8, narrow: bool = False
) -> Array:
    """Return codes: divide, round half away from zero, shift, saturate, and only then narrow.

    Args:
        values: Any shape; infinities saturate.
        scale: One for all, or one for each channel of the last axis.
        zero_point: The code of zero.
        bits: Of a code.
        narrow: Leave out the least code, so that the codes are symmetric.

    Returns:
        The same shape, int8 up to 8 bits, else int16.

    Raises:
        ParameterError: A value is not a number, or a scale is not above zero.

    Example:
        >>> quantize(np.array([-300.0, -0.5, 0.5, 300.0]), 1.0).tolist()
        [-128, -1, 1, 127]
    """
    given = np.asarray(values)
    if np.isnan(given).any() or not (np.asarray(scale) > 0).all():
        raise ParameterError(
            f"values hold {int(np.isnan(given).sum())} that are no number, the least scale is "
            f"{np.min(scale)}. Expected numbers, and scales above 0. Look where they come from."
        )
    least, largest = limits(bits)
    codes = half_away(given / scale) + zero_point
    kept = np.clip(codes, -largest if narrow else least, largest)
    return np.asarray(kept, np.int8 if bits <= 8 else np.int16)


def dequantize(codes: Array, scale: float | Array, zero_point: int = 0) -> Array:
    """Return the real numbers that codes stand for.

    Args:
        codes: (…, channels).
        scale: The step, one number, or one for each channel: (channels,).
        zero_point: The code of zero.

    Example:
        >>> dequantize(np.array([-43, 127], np.int8), 3 / 255, -43).round(2).tolist()
        [0.0, 2.0]
    """
    return np.asarray(scale * (np.asarray(codes, np.int64) - zero_point))


def quantize_channels(weights: Array, *, bits: int = 8) -> tuple[Array, Array]:
    """Return symmetric codes of a kernel with a grid for each channel of its last axis.

    Args:
        weights: (…, filters), as Keras stores kernels.
        bits: Of a code.

    Returns:
        Codes of the same shape, and scales, (filters,).

    Example:
        >>> codes, scales = quantize_channels(np.array([[1.27, -0.01], [0.5, 0.0127]]))
        >>> codes.tolist(), scales.round(5).tolist()
        ([[127, -100], [50, 127]], [0.01, 0.0001])
    """
    reach = np.abs(weights).reshape(-1, np.shape(weights)[-1]).max(axis=0)
    scales = np.array([symmetric(float(limit), bits=bits) for limit in reach])
    return quantize(weights, scales, bits=bits, narrow=True), scales


def error(values: Array, back: Array) -> float:
    """Return the root mean square of what went and did not come back, in the unit of the values.

    Input shape: any, both the same.

    Example:
        >>> error(np.array([3.0, 4.0]), np.array([0.0, 0.0])) == 12.5**0.5
        True
    """
    return float(np.sqrt(np.square(np.asarray(values, float) - back).mean()))


def pack_int4(codes: Array) -> NDArray[np.uint8]:
    """Return 4-bit codes two to a byte, the earlier one in the lower half; a last half is 0.

    Args:
        codes: Any shape, integers from −8 to 7, read in C order.

    Raises:
        ParameterError: A code does not fit into 4 bits.

    Example:
        >>> [f"{byte:08b}" for byte in pack_int4(np.array([1, -1, -8]))]
        ['11110001', '00001000']
    """
    flat = np.ravel(codes)
    if flat.size and (flat.min() < -8 or flat.max() > 7):
        raise ParameterError(
            f"Codes go from {flat.min()} to {flat.max()}. Expected −8 to 7. Quantize to 4 bits."
        )
    halves = np.zeros(flat.size + flat.size % 2, np.uint8)
    halves[: flat.size] = flat.astype(np.int8).view(np.uint8) & 0x0F
    return np.asarray(halves[0::2] | (halves[1::2] << 4), np.uint8)


def unpack_int4(packed: NDArray[np.uint8], count: int) -> NDArray[np.int8]:
    """Return the first `count` codes of bytes that `pack_int4` made, flat.

    Input shape: (bytes,). Output shape: (count,).

    Raises:
        ShapeError: The bytes hold fewer codes.

    Example:
        >>> unpack_int4(np.array([0b11110001, 0b00001000], np.uint8), 3).tolist()
        [1, -1, -8]
    """
    if count > 2 * packed.size:
        raise ShapeError(
            f"{packed.size} bytes hold {2 * packed.size} codes. {count} were expected."
        )
    halves = np.stack([packed & 0x0F, packed >> 4], axis=-1).ravel()[:count]
    return np.asarray((halves ^ 8).astype(np.int8) - 8, np.int8)
