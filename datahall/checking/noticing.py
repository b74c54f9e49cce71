"""What can be seen of wrong values themselves, whatever was thought: facts, and never a guess.

A bank knows the mistakes of one exercise; these are common to all. A fact is told only if it holds
for every call that was made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from datahall.checking.comparing import difference
from datahall.checking.showing import plain, shown

Pairs = Sequence[tuple[Any, Any]]  # what was expected, what came back
_RTOL = 1e-6
_MOST_PARTS = 4  # of a tuple whose orders are tried


def noticed(pairs: Pairs, given: Sequence[Any] = ()) -> str:
    """Return a sentence on how what came back differs from what was expected, "" if none fits.

    Args:
        pairs: What was expected and what came back, for each call.
        given: The arguments of the first call.

    Example:
        >>> noticed([(3.0, -3.0), (-2.0, 2.0)])
        'The sign is turned round.'
        >>> noticed([(np.array([1.0, 2.0]), np.array([1.5, 3.0]))])
        'Every number is 1.5 times what it should be.'
    """
    pairs = [(plain(wanted), plain(got)) for wanted, got in pairs]
    different = [pair for pair in pairs if difference(*pair, rtol=_RTOL) is not None]
    if not different:
        return ""
    nan = _nan_again if any(_holds_nan(each) for each in given) else _nan
    for fact in (_order, _kind, nan, _axes, _sign, _factor, _offset, _rounded, _places):
        with contextlib.suppress(Exception):  # values are a learner's: of any kind
            if said := fact(pairs, different):
                return said
    return ""


def _order(pairs: Pairs, different: Pairs) -> str:
    if not all(isinstance(each, tuple) and len(each) > 1 for pair in pairs for each in pair):
        return ""
    parts = range(len(pairs[0][0]))
    for turned in [] if len(parts) > _MOST_PARTS else permutations(parts):
        if all(_same(wanted, tuple(got[n] for n in turned)) for wanted, got in pairs):
            return "The parts are right, but they come in another order."
    return ""


def _kind(pairs: Pairs, different: Pairs) -> str:
    _numbers(pairs)  # all finite, of the same shapes
    right = all(_is_only_retyped(wanted, got) for wanted, got in different)
    same = all(_same(*pair) or _is_only_retyped(*pair) for pair in pairs)
    return "The numbers are right, only their type is not." if right and same else ""


def _is_only_retyped(wanted: Any, got: Any) -> bool:
    """Whether exactly the same numbers came back in another type."""
    if isinstance(wanted, tuple) and isinstance(got, tuple):
        parts = list(zip(wanted, got, strict=True))
        changed = [_is_only_retyped(*pair) for pair in parts]
        return any(changed) and all(
            new or _same(*pair) for new, pair in zip(changed, parts, strict=True)
        )
    one, other = np.asarray(wanted), np.asarray(got)
    of_one_type = type(wanted) is type(got) and one.dtype == other.dtype
    return not of_one_type and bool(np.array_equal(one, other))


def _nan(pairs: Pairs, different: Pairs) -> str:
    wanted, got = (np.asarray(each) for each in different[0])
    return (
        "nan comes from 0 / 0, inf / inf, inf − inf or 0 · inf."
        if np.isnan(got).any() and not np.isnan(wanted).any()
        else ""
    )


def _nan_again(pairs: Pairs, different: Pairs) -> str:
    """As `_nan`, where an argument holds nan: whatever is computed with it is nan too."""
    return "nan is in an argument, and 0 · nan is nan too." if _nan(pairs, different) else ""


def _holds_nan(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_nan(each) for each in value)
    with contextlib.suppress(TypeError):  # of no number type
        return bool(np.isnan(value).any())
    return False


def _axes(pairs: Pairs, different: Pairs) -> str:
    return _all(
        pairs,
        (lambda got: got.T, "The numbers are right, but the axes are exchanged."),
        (lambda got: got[::-1], "The numbers are right, but the first axis runs backwards."),
        (lambda got: got[..., ::-1], "The numbers are right, but the last axis runs backwards."),
        (lambda got: got[::-1, ::-1], "The numbers are right, but turned by 180 degrees."),
    )


def _all(pairs: Pairs, *turns: tuple[Callable[[Any], Any], str]) -> str:
    for turn, said in turns:
        if all(_same(wanted, turn(got)) for wanted, got in pairs):
            return said
    return ""


def _sign(pairs: Pairs, different: Pairs) -> str:
    return _all(pairs, (lambda got: -got, "The sign is turned round."))


def _factor(pairs: Pairs, different: Pairs) -> str:
    wanted, got = _numbers(pairs)
    known = np.abs(wanted) > 0
    if known.sum() < 2 or not np.any(got):
        return ""
    factor = float(np.median(got[known] / wanted[known]))
    if factor == 0.0 or _short(factor) == "1" or not _close(wanted * factor, got):
        return ""
    return f"Every number is {_short(factor)} times what it should be."


def _offset(pairs: Pairs, different: Pairs) -> str:
    wanted, got = _numbers(pairs)
    apart = float(np.median(got - wanted))
    if len(wanted) < 2 or apart == 0 or _close(wanted, got) or not _close(wanted + apart, got):
        return ""
    way = "large" if apart > 0 else "small"
    return f"Every number is {_short(abs(apart))} too {way}."


def _rounded(pairs: Pairs, different: Pairs) -> str:
    wanted, got = _numbers(pairs)
    if np.array_equal(np.trunc(wanted), got):
        return "The numbers are right, but without their fractions."
    rounded = any(np.array_equal(np.round(wanted, digits), got) for digits in range(9))
    return "The numbers are right, but rounded: keep all digits." if rounded else ""


def _places(pairs: Pairs, different: Pairs) -> str:
    flat = [(np.ravel(wanted), np.ravel(got)) for wanted, got in pairs]
    if any(wanted.size != got.size or not got.size for wanted, got in flat):
        return ""
    shaped = any(np.shape(wanted) != np.shape(got) for wanted, got in pairs)
    if shaped and all(_close(*pair) for pair in flat):
        return "The numbers are right, only the shape is not."
    moved = not all(_close(*pair) for pair in flat)
    same = moved and all(_close(np.sort(wanted), np.sort(got)) for wanted, got in flat)
    return "The right numbers stand at other places." if same else ""


def _numbers(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return all numbers that were expected, and all that came back.

    Raises:
        ValueError: They are not of the same shapes, or no finite numbers.
    """
    if any(np.shape(wanted) != np.shape(got) or isinstance(got, bool) for wanted, got in pairs):
        raise ValueError("other shapes")
    wanted, got = (
        np.concatenate([np.ravel(np.asarray(pair[side])) for pair in pairs]) for side in (0, 1)
    )
    if any(numbers.dtype.kind not in "iuf" for numbers in (wanted, got)):
        raise ValueError("no numbers")
    wanted, got = wanted.astype(float), got.astype(float)
    if not (np.isfinite(wanted).all() and np.isfinite(got).all()):
        raise ValueError("not finite")
    return wanted, got


def _same(wanted: Any, got: Any) -> bool:
    return difference(wanted, got, rtol=_RTOL) is None


def _close(wanted: np.ndarray, got: np.ndarray) -> bool:
    scale = float(np.abs(wanted).max(initial=0.0))
    return bool(np.allclose(wanted, got, rtol=_RTOL, atol=1e-12 * scale))


def _short(number: float) -> str:
    return shown(float(f"{number:.4g}")).removesuffix(".0")
