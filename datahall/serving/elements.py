"""The elements of one tensor: from a JSON list or from raw bytes to an array, each one judged."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from datahall.serving.defences import Defence, Defences
from datahall.serving.protocol import TensorSpec, refuse

NUMBERS = frozenset({int, float, bool})


def flat(data: Any, shape: Sequence[int]) -> list[Any]:
    """Return elements in row order; lists in lists must be nested as the shape is.

    Args:
        data: A list of elements, or of lists.
        shape: Sizes of the axes, as the caller says them.

    Raises:
        RefusedError: They are nested otherwise.
    """
    if type(data) is not list:
        refuse(400, "wrong_type", "Tensor data is a list.")
    items: list[Any] = data
    if not items or type(items[0]) is not list:
        return items
    for below in shape[1:]:
        if not all(type(row) is list and len(row) == below for row in items):
            refuse(400, "wrong_shape", "The data is not nested as the shape is.")
        items = list(chain.from_iterable(items))
    return items


def array_of(
    data: list[Any], shape: list[int], spec: TensorSpec, defences: Defences
) -> NDArray[Any]:
    """Return the array of a tensor in JSON.

    Args:
        data: Its elements in row order.
        shape: Its shape as the caller says it, already judged.
        spec: What the model takes.
        defences: The checks that are made.

    Returns:
        The array (batch, ...) of the spec's shape and datatype.

    Raises:
        RefusedError: An element is refused.
    """
    exact = Defence.EXACT_SHAPE in defences
    if exact and len(data) != shape[0] * spec.elements:
        refuse(400, "wrong_size", "The data has not as many elements as the shape says.")
    values = _values(data, spec, defences)
    if exact:
        return values.reshape(shape)
    many = max(1, len(values) // spec.elements)
    few(many, spec, defences)
    return np.resize(values, (many, *spec.shape[1:]))


def _values(data: list[Any], spec: TensorSpec, defences: Defences) -> NDArray[Any]:
    """Return the elements as the spec's datatype, each of them in range."""
    by_type, by_range = Defence.DATATYPE in defences, Defence.VALUE_RANGE in defences
    if by_type and by_range and spec.datatype == "UINT8":
        return in_range(_octets(data, spec), spec)
    types = set(map(type, data))
    if not types <= (_types(spec) if by_type else NUMBERS):
        refuse(400, "wrong_value", f"An element is no {spec.datatype}.")
    if by_range:
        values = _exact(data, spec)
    else:
        wide = np.array(data, np.float64 if types & {float} else object)
        with np.errstate(all="ignore"):  # the harm itself: 256 becomes 0
            if wide.dtype == object:
                wide = np.array([int(one) & 0xFFFF_FFFF for one in data], np.uint32)
            values = wide.astype(spec.dtype)
    return in_range(values, spec) if by_range else values


def _octets(data: list[Any], spec: TensorSpec) -> NDArray[Any]:
    """Return elements 0 to 255: `bytes` refuses all else, and is the fastest judge there is."""
    try:
        values = np.frombuffer(bytes(data), np.uint8)
    except TypeError:
        refuse(400, "wrong_value", f"An element is no {spec.datatype}.")
    except ValueError:
        refuse(400, "out_of_range", f"An element of {spec.name} is out of range.")
    if b"e" in orjson.dumps(data):  # true and false count as 1 and 0; no number has an e here
        refuse(400, "wrong_value", f"An element is no {spec.datatype}.")
    return values


def _types(spec: TensorSpec) -> frozenset[type]:
    kind = spec.dtype.kind
    return frozenset({bool} if kind == "b" else {int, float} if kind == "f" else {int})


def _exact(data: list[Any], spec: TensorSpec) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore"):  # a float too large becomes inf, and is refused as such
            if spec.dtype.kind in "iu" and any(type(one) is float for one in data):
                return in_range(np.array(data, np.float64), spec).astype(spec.dtype)
            return np.array(data, spec.dtype)
    except OverflowError:
        refuse(400, "out_of_range", f"An element of {spec.name} is out of range.")


def few(many: int, spec: TensorSpec, defences: Defences) -> None:
    """Refuse more examples than one request may have.

    Args:
        many: How many there are.
        spec: What the model takes.
        defences: The checks that are made.

    Raises:
        RefusedError: There are too many.
    """
    if Defence.BATCH_LIMIT in defences and spec.free_batch and many > spec.max_batch:
        refuse(400, "too_many", f"At most {spec.max_batch} examples a request.")


def in_range(values: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
    """Return the values (any shape) if each is finite and in the spec's range.

    Raises:
        RefusedError: One is not.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        refuse(400, "not_finite", f"An element of {spec.name} is not finite.")
    if spec.datatype == "UINT8" and values.dtype == np.uint8 and (spec.low, spec.high) == (0, 255):
        return values  # no uint8 is outside
    below = spec.low is not None and bool((values < spec.low).any())
    if below or (spec.high is not None and bool((values > spec.high).any())):
        refuse(400, "out_of_range", f"An element of {spec.name} is out of range.")
    return values


def carried(given: memoryview, want: int, scratch: bytearray | None) -> bytes:
    """Return as many bytes as the caller says, from a buffer that is used again and again.

    What he did not send is what the last caller sent: the fault that Heartbleed had.

    Args:
        given: The bytes that came.
        want: How many bytes the caller says.
        scratch: The buffer; None is a new one.
    """
    kept = scratch if scratch is not None else bytearray()
    kept.extend(bytes(max(0, want - len(kept))))
    kept[: len(given)] = given
    return bytes(kept[:want])
