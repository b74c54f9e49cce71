"""Smaller layers, the way that module 06's second lab builds them: its own answers, tested.

Reading order: `channel_codes`, `packed_product`, `on_straight_grid`, `without_channels`, and
`allowed_claims`. TensorFlow is imported by `on_straight_grid` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from datahall.errors import ParameterError
from datahall.quantization.core import Array, symmetric, unpack_int4


def channel_codes(weights: Array, axis: int, bits: int) -> tuple[Array, Array]:
    """Return codes and scales of a kernel with a symmetric grid for each channel of an axis.

    Args:
        weights: Any shape.
        axis: The one that counts channels.
        bits: Of a code.

    Returns:
        Codes, int8, rounded as `np.rint` does, and scales, (channels,).

    Example:
        >>> codes, scales = channel_codes(np.array([[127, 1], [-2, 0.5]]), 1, 8)
        >>> codes.tolist(), (127 * scales).round(6).tolist()
        ([[127, 127], [-2, 64]], [127.0, 1.0])
    """
    columns = np.moveaxis(np.asarray(weights, float), axis, -1)
    limits = np.abs(columns).reshape(-1, columns.shape[-1]).max(axis=0)
    scales = np.array([symmetric(float(limit), bits=bits) for limit in limits])
    return np.moveaxis(np.rint(columns / scales), -1, axis).astype(np.int8), scales


def packed_product(packed: Array, scales: Array, x: Array) -> Array:
    """Return a dense layer's sums, its 4-bit codes two to a byte, each row from a fresh byte.

    Args:
        packed: (filters, (features + 1) // 2), uint8; the first code in the lower half.
        scales: (filters,).
        x: (batch, features).

    Returns:
        (batch, filters), float64.

    Example:
        >>> row = np.array([[0xF1, 0x7E]], np.uint8)
        >>> packed_product(row, np.array([0.5]), np.array([[10.0, 20.0, 30.0]])).tolist()
        [[-35.0]]
    """
    codes = [unpack_int4(row, x.shape[1]) for row in packed]
    return np.asarray(x @ np.array(codes, float).T * scales)


def on_straight_grid(x: Any, scale: Any, bits: int) -> Any:
    """Return a tensor on a symmetric grid; backward, rounding counts as a step of derivative 1.

    Args:
        x: Any shape, float32.
        scale: One, or one for each feature of the last axis; it gets a gradient too.
        bits: Of a code.

    Source:
        Bengio et al. (2013), arXiv:1308.3432; for the scale, Esser et al. (2020),
        arXiv:1902.08153.
    """
    import tensorflow as tf

    largest = 2 ** (bits - 1) - 1
    steps = tf.clip_by_value(x / scale, -largest, largest)
    return (steps + tf.stop_gradient(tf.round(steps) - steps)) * scale


def without_channels(
    kernel: Array, bias: Array, after: Array, keep: int
) -> tuple[Array, Array, Array]:
    """Return two layers without the channels between them whose absolute weights sum up to least.

    Args:
        kernel: (…, channels).
        bias: (channels,).
        after: (…, places · channels, filters): the next kernel, channels fastest.
        keep: Channels that stay, in their old order; of equals the earlier.

    Raises:
        ParameterError: There are not so many channels.

    Example:
        >>> kernel, bias, after = without_channels(
        ...     np.array([[1.0, 0, -4]]), np.array([1, 2, 3]), np.array([[5], [6], [7]]), 2
        ... )
        >>> kernel.tolist(), bias.tolist(), after.tolist()
        ([[1.0, -4.0]], [1, 3], [[5], [7]])

    Source:
        Li et al. (2017), "Pruning filters for efficient ConvNets".
    """
    if not 1 <= keep <= len(bias):
        raise ParameterError(f"keep is {keep}. Expected 1 to {len(bias)}, the number of channels.")
    weight = np.abs(kernel).reshape(-1, len(bias)).sum(axis=0)
    kept = np.sort(np.argsort(-weight, kind="stable")[:keep])
    rows = np.flatnonzero(np.isin(np.arange(after.shape[-2]) % len(bias), kept))
    return kernel[..., kept], bias[kept], after[..., rows, :]


def allowed_claims(
    rows: Sequence[Mapping[str, Any]], lost: int, won: int, images: int
) -> dict[str, bool]:
    """Say whether a table allows to print of an int8 network that it is smaller, faster, accurate.

    Args:
        rows: Each with float32_bytes, int8_bytes, and the runs float32_ms and int8_ms.
        lost: Images that only float32 names right.
        won: Images that only int8 names right.
        images: Images that both have named.

    Returns:
        "smaller": a quarter of the bytes, in every row. "faster": every int8 run below every
        float32 run, in every row. "accurate": at most 0.1 points lost, two standard errors added.

    Example:
        >>> row = dict(float32_bytes=4000, int8_bytes=1001, float32_ms=[2.0], int8_ms=[1.0])
        >>> allowed_claims([row], lost=8, won=6, images=10_000)
        {'smaller': False, 'faster': True, 'accurate': True}

    Source:
        The standard error of a paired difference, (b + c)^½ / n: McNemar (1947).
    """
    runs = [(row["int8_ms"], row["float32_ms"]) for row in rows]
    return {
        "smaller": max(row["int8_bytes"] * 4 - row["float32_bytes"] for row in rows) <= 0,
        "faster": all(ours and theirs and max(ours) < min(theirs) for ours, theirs in runs),
        "accurate": above_the_bound(lost, won, images) <= 0,
    }


def above_the_bound(lost: int, won: int, images: int) -> float:
    """Return by how many images a loss, two standard errors added, exceeds 0.1 points.

    Args:
        lost: Images that were right before, and are wrong now.
        won: The other way round.
        images: All that were looked at.

    Example:
        >>> above_the_bound(4, 0, 8_000)
        0.0
    """
    return lost - won + 2 * float(np.sqrt(lost + won)) - images / 1000
