"""Is what came back what was expected? If not: the first thing that differs, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from datahall.checking.showing import is_tensor, shown

_KINDS = {
    "b": "truth values",
    "i": "whole numbers",
    "u": "whole numbers",
    "f": "floating-point numbers",
    "c": "complex numbers",
}


_SHARE = 3e-7  # of the largest number of an array: what float32 loses where numbers cancel


def difference(expected: Any, got: Any, *, rtol: float = 1e-5, atol: float = 1e-12) -> str | None:
    """Return what differs first, as a sentence without its final stop, or None if nothing does.

    Arrays are compared in kind, shape and value (not in width: float64 for float32 is fine). Whole
    numbers are exact. Whatever comes back is compared: what cannot be is told as a difference.

    Args:
        expected: The right value; it decides what is compared.
        got: What came back, of any kind.
        rtol: Relative tolerance of floating-point numbers.
        atol: Absolute tolerance; in an array also 3e-7 of its largest number.

    Example:
        >>> difference(3, 3) is None
        True
        >>> difference(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
        'the first difference is at [1]: 2.5 instead of 2.0'
        >>> difference(np.zeros((2, 2)), np.zeros(4))
        'the shape is (4,) instead of (2, 2)'
    """
    try:
        return _difference(expected, got, rtol, atol)
    except Exception:  # a learner's class may have a broken length or a list may hold itself
        return f"it is {_a(got)} that cannot be compared with {_a(expected)}"


def _difference(expected: Any, got: Any, rtol: float, atol: float) -> str | None:
    expected, got = _numpy(expected), _numpy(got)
    if isinstance(got, (np.ma.MaskedArray, np.matrix)):
        instead = "a plain array" if isinstance(expected, np.ndarray) else _a(expected)
        return f"it is {_a(got)} instead of {instead}"
    if got is None or expected is None:
        return None if got is expected else "it is None" if got is None else "it should be None"
    if isinstance(expected, np.ndarray):
        return _arrays(expected, got, rtol, atol)
    if isinstance(expected, (bool, np.bool_, int, np.integer, float, np.floating, complex)):
        return _numbers(expected, got, rtol, atol)
    if dataclasses.is_dataclass(expected) and not isinstance(expected, type):
        return _fields(expected, got, rtol, atol)
    if isinstance(expected, Mapping):
        return _mappings(expected, got, rtol, atol)
    if isinstance(expected, (list, tuple)):
        return _sequences(expected, got, rtol, atol)
    return _equal(expected, got)


def _numpy(value: Any) -> Any:
    return value.numpy() if is_tensor(value) else value


def _a(value: Any) -> str:
    plain = isinstance(value, np.ndarray) and not isinstance(value, (np.ma.MaskedArray, np.matrix))
    name = "array" if plain else type(value).__name__
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _arrays(expected: np.ndarray, got: Any, rtol: float, atol: float) -> str | None:
    if not isinstance(got, np.ndarray):
        if expected.ndim or not isinstance(got, (int, float, np.generic)):
            return f"it is {_a(got)} instead of an array"
        got = np.asarray(got)
    if got.shape != expected.shape:
        return f"the shape is {got.shape} instead of {expected.shape}"
    want, have = (_KINDS.get(array.dtype.kind, "objects") for array in (expected, got))
    if want != have:
        return f"the dtype is {got.dtype} ({have}) instead of {expected.dtype} ({want})"
    if expected.dtype.kind in "fc":
        same = _close(expected, got, rtol, atol)
    else:
        same = np.asarray(got == expected)
    if same.all():
        return None
    where = tuple(int(i) for i in np.argwhere(~same)[0])
    more = int((~same).sum())
    rest = f" ({more} of {same.size} differ)" if more > 1 else ""
    place = f"the first difference is at {list(where)}" if where else "it is not equal"
    return f"{place}: {shown(got[where])} instead of {shown(expected[where])}{rest}"


def _close(expected: np.ndarray, got: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    finite = np.abs(expected[np.isfinite(expected)])
    if finite.size > 1:
        atol = max(atol, _SHARE * float(finite.max()))
    with np.errstate(all="ignore"):
        return np.asarray(np.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True))


def _numbers(expected: Any, got: Any, rtol: float, atol: float) -> str | None:
    if isinstance(got, np.ndarray) and got.ndim == 0:
        got = got[()]
    truth = isinstance(expected, (bool, np.bool_))
    whole = isinstance(expected, (int, np.integer)) and not truth
    if not isinstance(got, (bool, np.bool_, int, np.integer, float, np.floating, complex)):
        return f"it is {_a(got)} instead of {_a(expected)}"
    if truth != isinstance(got, (bool, np.bool_)) or (
        whole and not isinstance(got, (int, np.integer))
    ):
        return f"it is {_a(got)} instead of {_a(expected)}"
    if whole or truth:
        return None if got == expected else f"it is {shown(got)} instead of {shown(expected)}"
    try:
        close = bool(_close(np.asarray(expected), np.asarray(type(expected)(got)), rtol, atol))
    except (OverflowError, TypeError):  # 10**400 fits in no float, 1j is no float
        close = False
    return None if close else f"it is {shown(got)} instead of {shown(expected)}"


def _sequences(expected: Any, got: Any, rtol: float, atol: float) -> str | None:
    if isinstance(got, (str, Mapping)) or not isinstance(got, (list, tuple, np.ndarray)):
        return f"it is {_a(got)} instead of {_a(expected)}"
    if isinstance(got, np.ndarray) and (
        got.ndim != 1 or not all(isinstance(item, (int, float, np.generic)) for item in expected)
    ):
        return f"it is {_a(got)} instead of {_a(expected)}"
    if len(got) != len(expected):
        return f"it has {len(got)} items instead of {len(expected)}"
    for index, (want, have) in enumerate(zip(expected, got, strict=True)):
        if said := difference(want, have, rtol=rtol, atol=atol):
            return f"in item {index}: {said}"
    return None


def _mappings(expected: Mapping[Any, Any], got: Any, rtol: float, atol: float) -> str | None:
    if not isinstance(got, Mapping):
        return f"it is {_a(got)} instead of {_a(expected)}"
    if missing := [key for key in expected if key not in got]:
        return f"the key {missing[0]!r} is missing"
    if extra := [key for key in got if key not in expected]:
        return f"the key {extra[0]!r} should not be there"
    for key, want in expected.items():
        if said := difference(want, got[key], rtol=rtol, atol=atol):
            return f"under {key!r}: {said}"
    return None


def _fields(expected: Any, got: Any, rtol: float, atol: float) -> str | None:
    for name in (entry.name for entry in dataclasses.fields(expected)):
        if not hasattr(got, name):
            return f"it is {_a(got)} instead of {_a(expected)}"
        if said := difference(getattr(expected, name), getattr(got, name), rtol=rtol, atol=atol):
            return f"its {name}: {said}"
    return None


def _equal(expected: Any, got: Any) -> str | None:
    if type(got) is not type(expected) and not isinstance(got, type(expected)):
        return f"it is {_a(got)} instead of {_a(expected)}"
    try:
        same = bool(got == expected)
    except Exception:  # a learner's class may compare in its own way
        same = False
    return None if same else f"it is {shown(got)} instead of {shown(expected)}"
