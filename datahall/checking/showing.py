"""How a message writes values: short, on one line, arrays with shape and dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_SMALL = 24  # elements of an array that a message still prints
_WIDTH = 100  # characters of any other value
_DEEP = 3  # lists in lists
_PLAIN = 8  # characters: a number written with fewer looks exact …
_HIDDEN = 1e-12  # … and is not, if it is so far off, as a share of it


def cut(text: str, width: int = _WIDTH) -> str:
    """Shorten a text in the middle.

    Example:
        >>> cut("0123456789", 7)
        '012 … 9'
    """
    if len(text) <= width:
        return text
    tail = max(1, (width - 3) // 4)
    return f"{text[: width - 3 - tail]} … {text[-tail:]}"


def is_tensor(value: Any) -> bool:
    """Tell whether a value is a framework's tensor: it turns into an array by `.numpy()`."""
    return callable(getattr(value, "numpy", None)) and hasattr(value, "dtype")


def plain(value: Any) -> Any:
    """Turn tensors and NumPy scalars into what they hold."""
    if is_tensor(value):
        value = value.numpy()
    return value.item() if isinstance(value, np.generic) else value


def is_small(value: Any) -> bool:
    """Tell whether a value is an array that a message writes out."""
    array = plain(value)
    return isinstance(array, np.ndarray) and array.size <= _SMALL and array.ndim <= 3


def shown(value: Any, depth: int = 0) -> str:
    """Write a value on one line; what stands deeper than three lists is left out.

    Example:
        >>> shown(np.array([[1.0, 2.5], [3.0, 4.0]]))
        '[[1.0, 2.5], [3.0, 4.0]]'
        >>> shown(np.zeros((28, 28), np.float32))
        'an array of shape (28, 28), float32'
    """
    if is_tensor(value):
        value = value.numpy()
    if isinstance(value, np.ma.MaskedArray):
        return f"a masked array of shape {value.shape}, {value.dtype}"
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, (bool, np.bool_)):
        return repr(bool(value))
    if isinstance(value, (float, np.floating)):
        return _float(float(value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple)):
        return _sequence(value, depth)
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return cut(_safe_repr(value))


def _float(value: float) -> str:
    """Write nine digits; all, where nine would hide what the number is about: 2.4999999999."""
    if value.is_integer():
        return repr(value)
    short = f"{value:.9g}"
    hidden = abs(float(short) - value) > _HIDDEN * abs(value) and len(short) < _PLAIN
    return repr(value) if hidden else short


def described(value: Any) -> str:
    """Write a value with its kind where the value alone does not tell it.

    Example:
        >>> described(np.array([1, 2], np.int32))
        'the array [1, 2] of shape (2,), int32'
        >>> described([1, 2])
        'the list [1, 2]'
    """
    if is_tensor(value):
        value = value.numpy()
    is_plain = isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray)
    if is_plain and value.size <= _SMALL and value.ndim <= 3:
        return f"the array {_array(value)} of shape {value.shape}, {value.dtype}"
    if isinstance(value, (list, tuple, dict, set)):
        return f"the {type(value).__name__} {shown(value)}"
    return shown(value)


def call(function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Write a call as the learner would type it.

    Args:
        function: Its name.
        args: By position.
        kwargs: By name.

    Example:
        >>> call("output_size", (8, 3), {"stride": 2})
        'output_size(8, 3, stride=2)'
    """
    parts = [shown(value) for value in args] + [
        f"{name}={shown(value)}" for name, value in kwargs.items()
    ]
    return f"{function}({', '.join(parts)})"


def _array(value: np.ndarray) -> str:
    if value.size > _SMALL or value.ndim > 3:
        return f"an array of shape {value.shape}, {value.dtype}"
    return _nested(value)


def _nested(value: np.ndarray) -> str:
    if value.ndim == 0:
        return shown(value[()])
    return f"[{', '.join(_nested(np.asarray(row)) for row in value)}]"


def _sequence(value: list[Any] | tuple[Any, ...], depth: int) -> str:
    if depth > _DEEP:  # it may hold itself
        return "…"
    left, right = ("[", "]") if isinstance(value, list) else ("(", ",)" if len(value) == 1 else ")")
    inside = [shown(item, depth + 1) for item in value[:_SMALL]]
    if len(value) > _SMALL:
        inside.append(f"… {len(value)} items")
    return cut(f"{left}{', '.join(inside)}{right}")


def error_text(error: BaseException, width: int = 400) -> str:
    """Write an error's message: shortened, and also if its own `__str__` raises."""
    try:
        return cut(str(error), width)
    except Exception as broken:
        return f"<a message whose __str__ raises {type(broken).__name__}>"


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # a learner's class may have a broken __repr__
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
