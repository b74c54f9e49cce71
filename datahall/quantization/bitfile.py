"""A network's weights in a file, each layer with bits of its own: what a choice of bits costs.

Reading order: `pack` and `unpack` (codes of 2 to 8 bits, end to end), `content` (the file of a
choice), `restored` (the weights that a file holds), `written` (the bytes on disk). The file is
complete: names, shapes, bits, scales and biases are in it, so a network can be read back from it.
Nothing here needs TensorFlow.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from datahall.errors import DataError, ParameterError, ShapeError
from datahall.quantization.core import Array, limits, quantize_channels
from datahall.state import write_atomically

Weights = Mapping[str, tuple[Array, Array]]
"""Kernel, (…, filters), and bias, (filters,), by the layer's name."""

MENU = (2, 3, 4, 5, 6, 7, 8)
MAGIC = b"DHBF"


def pack(codes: Array, bits: int) -> bytes:
    """Return signed codes end to end, the lowest bit of the first code first.

    With 4 bits that is what `core.pack_int4` makes.

    Args:
        codes: Any shape, read in C order.
        bits: Of a code, 2 to 8.

    Raises:
        ParameterError: The codes need more bits, or there are no such bits.

    Example:
        >>> pack(np.array([1, -1, -8]), 4).hex(), pack(np.array([1, -1, 0, 1]), 2).hex()
        ('f108', '4d')
    """
    least, largest = _known(bits)
    flat = np.ravel(codes)
    if flat.size and (flat.min() < least or flat.max() > largest):
        raise ParameterError(
            f"codes go from {flat.min()} to {flat.max()}. Expected {least} to {largest}, which is "
            f"what {bits} bits hold. Quantize to {bits} bits."
        )
    rows = np.unpackbits(
        flat.astype(np.int8).view(np.uint8)[:, None], axis=1, count=bits, bitorder="little"
    )
    return np.packbits(rows.ravel(), bitorder="little").tobytes()


def unpack(packed: bytes, bits: int, count: int) -> Array:
    """Return the first `count` codes of what `pack` made, flat, int8.

    Args:
        packed: The bytes.
        bits: Of a code.
        count: Of codes.

    Raises:
        ParameterError: There are no such bits.
        ShapeError: The bytes hold fewer codes.

    Example:
        >>> unpack(bytes.fromhex("f108"), 4, 3).tolist()
        [1, -1, -8]
    """
    _known(bits)
    if count * bits > 8 * len(packed):
        raise ShapeError(
            f"{len(packed)} bytes hold {8 * len(packed) // bits} codes of {bits} bits. "
            f"{count} were expected."
        )
    ones = np.unpackbits(np.frombuffer(packed, np.uint8), count=count * bits, bitorder="little")
    rows = ones.reshape(count, bits)
    filled = np.concatenate([rows, np.repeat(rows[:, -1:], 8 - bits, axis=1)], axis=1)
    return np.packbits(filled, axis=1, bitorder="little").view(np.int8).ravel()


def content(weights: Weights, bits: Mapping[str, int]) -> bytes:
    """Return the file of a network: each kernel in its bits, a scale for each filter.

    Args:
        weights: The network's layers, in order.
        bits: Of a code, for each layer.

    Raises:
        ParameterError: A layer has no bits, or there is no such layer, or there are no such bits.
    """
    if set(bits) != set(weights):
        raise ParameterError(
            f"bits are for {', '.join(map(str, bits))}. Expected {', '.join(weights)}. Give each "
            "layer its bits."
        )
    about, parts = [], []
    for name, (kernel, bias) in weights.items():
        _known(bits[name])
        codes, scales = quantize_channels(kernel, bits=bits[name])
        about.append([name, list(kernel.shape), int(bits[name])])
        parts += [pack(codes, bits[name]), _floats(scales), _floats(bias)]
    head = json.dumps(about, separators=(",", ":")).encode()
    return MAGIC + struct.pack("<I", len(head)) + head + b"".join(parts)


def restored(file: bytes) -> dict[str, tuple[Array, Array]]:
    """Return kernels and biases, float32, as a file of `content` holds them.

    Raises:
        DataError: It is no such file, or it is cut off.
    """
    try:
        return _restored(file)
    except (ValueError, struct.error, TypeError) as error:
        raise DataError(
            f"{len(file)} bytes are no complete file of weights ({error}). Expected what `content` "
            "makes. Write the file again."
        ) from error


def written(path: Path, weights: Weights, bits: Mapping[str, int]) -> int:
    """Write the file of a choice of bits, and return its bytes on disk.

    Args:
        path: Where; an older file is replaced at once, never in parts.
        weights: As for `content`.
        bits: As for `content`.

    Raises:
        ParameterError: As for `content`.
    """
    write_atomically(path, content(weights, bits))
    return path.stat().st_size


def _restored(file: bytes) -> dict[str, tuple[Array, Array]]:
    if file[:4] != MAGIC:
        raise ValueError(f"it begins with {file[:4]!r}, not {MAGIC!r}")
    begin = 8 + struct.unpack("<I", file[4:8])[0]
    found = {}
    for name, shape, bits in json.loads(file[8:begin]):
        count, filters = math.prod(shape), shape[-1]
        sizes = [math.ceil(count * bits / 8), 4 * filters, 4 * filters]
        ends = [begin, *(begin + sum(sizes[: n + 1]) for n in range(3))]
        codes = unpack(file[ends[0] : ends[1]], bits, count).reshape(shape)
        scales, bias = (np.frombuffer(file[a:b], "<f4") for a, b in pairwise(ends[1:]))
        if len(bias) != filters:
            raise ValueError("it is cut off")
        found[name] = (codes * scales).astype(np.float32), bias
        begin = ends[3]
    return found


def _floats(values: Array) -> bytes:
    return np.asarray(values, "<f4").tobytes()


def _known(bits: int) -> tuple[int, int]:
    if bits not in MENU:
        raise ParameterError(f"bits is {bits}. Expected {MENU[0]} to {MENU[-1]}, an integer.")
    return limits(int(bits))
