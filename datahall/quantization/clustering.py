"""Few different weights: a codebook for each kernel, and the bytes that it really takes.

Reading order: `centres` (k-means on a line), `nearest` (codes), `shared` (the change for
`tuning.tune`), `pack` and `unpack` (a file and back), `entropy_bits` (what no coder gets below).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import DataError, ParameterError
from datahall.quantization.core import Array, pack_int4, unpack_int4
from datahall.quantization.tuning import Change

MOST = 16
"""Centres of a codebook: a code is packed into four bits."""


def centres(values: Array, count: int, *, rounds: int = 40) -> NDArray[np.float32]:
    """Return the centres of clusters on a line, ascending: each is the mean of those nearest to it.

    The first ones stand at equal distances from the least to the largest value, so that rare large
    weights have one too. A centre that nobody is near to stays where it is.

    Args:
        values: Any shape.
        count: Centres, 2 to 16.
        rounds: Of assigning and averaging, at most.

    Raises:
        ParameterError: Too few or too many centres, or no values.

    Example:
        >>> centres(np.array([0.0, 0.2, 9.0, 11.0]), 2).round(1).tolist()
        [0.10000000149011612, 10.0]

    Source:
        Han, Mao and Dally (2016), "Deep compression", section 3.1: linear first centres do best.
    """
    flat = np.ravel(values).astype(np.float64)
    if not 2 <= count <= MOST or not flat.size:
        raise ParameterError(
            f"{count} centres for {flat.size} values. Expected 2 to {MOST}, and some values."
        )
    found = np.linspace(flat.min(), flat.max(), count)
    for _ in range(rounds):
        codes = nearest(flat, found)
        members = np.bincount(codes, minlength=count)
        sums = np.bincount(codes, weights=flat, minlength=count)
        moved = np.where(members > 0, sums / np.maximum(members, 1), found)
        if np.allclose(moved, found, rtol=0, atol=1e-9):
            break
        found = np.sort(moved)
    return found.astype(np.float32)


def nearest(values: Array, found: Array) -> NDArray[np.uint8]:
    """Return for each value the place of the nearest centre; a tie goes to the lower one.

    Example:
        >>> nearest(np.array([-5.0, 0.4, 0.6]), np.array([0.0, 1.0])).tolist()
        [0, 0, 1]
    """
    middles = (np.asarray(found)[1:] + np.asarray(found)[:-1]) / 2
    return np.searchsorted(middles, values).astype(np.uint8)


def shared(books: Sequence[Array]) -> Change:
    """Return the change that puts each weight of a kernel on its nearest centre, straight through.

    Args:
        books: Centres of each kernel, (centres,), ascending, in Keras' order.
    """
    from keras import ops

    def to_centre(kernel: Any, book: Array) -> Any:
        middles = ops.convert_to_tensor((book[1:] + book[:-1]) / 2)
        codes = ops.searchsorted(middles, ops.reshape(kernel, (-1,)))
        values = ops.reshape(ops.take(ops.convert_to_tensor(book), codes), kernel.shape)
        return kernel + ops.stop_gradient(values - kernel)

    def change(weights: Sequence[Any]) -> list[Any]:
        left = iter(books)
        return [to_centre(each, next(left)) if len(each.shape) > 1 else each for each in weights]

    return change


def entropy_bits(codes: Array) -> float:
    """Return the bits a code needs on average, at best, if codes are independent.

    Example:
        >>> entropy_bits(np.array([0, 0, 1, 1])), entropy_bits(np.array([3, 3]))
        (1.0, 0.0)
    """
    shares = np.unique(np.ravel(codes), return_counts=True)[1] / np.size(codes)
    return float(abs((shares * np.log2(shares)).sum()))


def pack(weights: Sequence[Array], books: Sequence[Array]) -> bytes:
    """Return a network's tensors as bytes: kernels as codebook and 4-bit codes, biases as float32.

    Args:
        weights: Tensors in Keras' order, of any shape.
        books: Centres of each kernel, (centres,), at most 16.
    """
    left, made = iter(books), io.BytesIO()
    for tensor in weights:
        values = np.asarray(tensor, np.float32)
        made.write(np.array([values.ndim, *values.shape], "<u2").tobytes())
        if values.ndim == 1:
            made.write(values.astype("<f4").tobytes())
            continue
        book = np.asarray(next(left), np.float32)
        made.write(np.array([len(book)], "<u2").tobytes() + book.astype("<f4").tobytes())
        made.write(pack_int4(nearest(values, book).astype(np.int16) - 8).tobytes())
    return made.getvalue()


def unpack(content: bytes) -> list[NDArray[np.float32]]:
    """Return the tensors of bytes that `pack` made; each weight is its centre.

    Raises:
        DataError: The bytes end early, or hold something else.
    """
    source, tensors = io.BytesIO(content), []

    def take(count: int, kind: str) -> Array:
        data = source.read(count * np.dtype(kind).itemsize)
        if len(data) != count * np.dtype(kind).itemsize:
            raise DataError("The packed network ends early. A whole file was expected: copy again.")
        return np.frombuffer(data, kind)

    while source.tell() < len(content):
        shape = take(int(take(1, "<u2")[0]), "<u2").astype(int)
        size = int(np.prod(shape))
        if len(shape) == 1:
            values = take(size, "<f4")
        else:
            book = take(int(take(1, "<u2")[0]), "<f4")
            codes = unpack_int4(take((size + 1) // 2, "u1"), size).astype(int) + 8
            if codes.max(initial=0) >= len(book):
                raise DataError("A code points behind its codebook: this is no packed network.")
            values = book[codes]
        tensors.append(values.astype(np.float32).reshape(shape))
    return tensors
