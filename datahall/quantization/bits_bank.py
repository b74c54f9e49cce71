"""Answers to the exercises of module 06's first two labs, on quantization by hand."""

from __future__ import annotations

import numpy as np

from datahall.checking import Bank, Slip
from datahall.quantization.core import Array

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
_NAMES = {"np": np}  # that the solutions use


def _from_the_top(low: float, high: float, bits: int) -> tuple[float, int]:
    low, high, top = min(low, 0.0), max(high, 0.0), 2 ** (bits - 1) - 1
    scale = (high - low) / (2**bits - 1) or 1.0
    return scale, round(top - high / scale) if high > low else 0


AFFINE = Bank.of(
    "06.1",
    _NAMES,
    right=[_from_the_top],
    wrong=[
        Slip({"(largest - least)": "2**bits"},
             "256 codes have 255 steps between them.", "counts codes, not steps"),
        Slip({"low, high = min(low, 0.0), max(high, 0.0)\n    if": "if"},
             "Widen the range to hold 0 first: zero must have a code.", "a range without zero"),
        Slip({"round(least - low / scale)": "(least - low / scale)"},
             "Round the zero point: it is a code, and codes are integers.",
             "a fractional zero point"),
        Slip({"least, largest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1":
              "least, largest = 0, 2**bits - 1"},
             "Codes have a sign here: they begin at −2^(bits − 1).", "unsigned codes"),
        Slip({"if low == high:\n        return 1.0, 0\n    scale = (high - low)":
              "scale = (high - low)"},
             "The range may hold nothing but 0: return 1.0 and 0 before you divide.",
             "divides by zero"),
        Slip({"least - low / scale": "least + low / scale"},
             "The zero point lies above the least code by −low / scale.", "the sign of low"),
        Slip({"round(least": "int(least"}, "Round to the nearest, do not cut off.", "cuts off"),
        Slip({"least - low / scale": "-low / scale"},
             "Count the zero point from the least code, not from 0.", "forgets the least code"),
    ],
)


def _with_a_mask(x: Array, scale: float, zero_point: int) -> Array:
    steps = np.minimum(np.maximum(x / scale, -1000), 1000)
    whole = np.trunc(steps + np.copysign(0.5, steps)).astype(int) + zero_point
    return np.asarray(np.minimum(np.maximum(whole, -128), 127), np.int8)


_CLIPPED = "np.clip(whole + zero_point, -128, 127)"
_WHOLE = "np.sign(steps) * np.floor(np.abs(steps) + 0.5)"

QUANTIZE = Bank.of(
    "06.2",
    _NAMES,
    right=[_with_a_mask],
    wrong=[
        Slip({_CLIPPED: "np.clip((np.clip(whole, -9e9, 9e9) + zero_point).astype(np.int64)"
                        ".astype(np.int8), -128, 127)"},
             "Clip before you narrow: int8 keeps only the low eight bits.", "casts, then clips"),
        Slip({_WHOLE: "np.rint(steps)"},
             "Halves go away from zero here; np.round and np.rint go to the even neighbour.",
             "half to even"),
        Slip({_WHOLE: "np.trunc(steps)"}, "Round to the nearest, do not cut the fraction off.",
             "cuts off"),
        Slip({_WHOLE: "np.floor(steps + 0.5)"},
             "A negative half goes away from zero too: −2.5 becomes −3.", "half up"),
        Slip({_CLIPPED: "np.clip(whole, -128, 127) + zero_point"},
             "Add the zero point before you clip: the sum must fit.", "clips, then shifts"),
        Slip({"x / scale": "x * scale"}, "A code counts steps: divide by the scale.",
             "multiplies by the scale"),
        Slip({"whole + zero_point": "whole - zero_point"},
             "The code of 0 is the zero point: add it.", "subtracts the zero point"),
        Slip({"-128, 127)": "-127, 127)"}, "−128 is a code too.", "a symmetric range"),
    ],
)


def _with_python_integers(sums: Array, m: float, rule: str) -> Array:
    share, n = np.frexp(m)
    q, n = int(share * 2**31 + 0.5), int(n)
    q, n = (q, n) if q < 2**31 else (2**30, n + 1)
    numbers, up = [int(a) * q for a in sums.ravel()], rule == "single"
    for bits in (31 - n,) if up else (31, -n):
        half = 1 << bits >> 1
        numbers = [(1 if a >= 0 else -1) * ((abs(a) + half - (up and a < 0)) >> bits)
                   for a in numbers]
    return np.array(numbers, np.int64).reshape(sums.shape)


_SINGLE = "(product + (1 << (30 - n))) >> (31 - n)"
_DOUBLE = "shift_away(shift_away(product, 31), -n)"

RESCALE = Bank.of(
    "06.3",
    _NAMES,
    right=[_with_python_integers],
    wrong=[
        Slip({"sums.astype(np.int64) * q": "sums * np.int32(min(q, 2**31 - 1))"},
             "The product needs 62 bits: take the sums to int64 first.", "int32 overflows"),
        Slip({"np.sign(numbers) * ((np.abs(numbers) + half) >> bits)": "(numbers + half) >> bits"},
             "Double rounds halves away from zero, below zero too: shift the absolute value.",
             "floors negative halves"),
        Slip({"if q == 2**31:\n        q, n = 2**30, n + 1": "q = min(q, 2**31 - 1)"},
             "A share that rounds up to 2³¹ is halved, and n grows by one.",
             "q of 2³¹ is not halved"),
        Slip({_SINGLE: "np.rint(sums * m).astype(np.int64)",
              _DOUBLE: "np.rint(sums * m).astype(np.int64)"},
             "Compute with q and shifts: a float rounds in another place.", "uses floats"),
        Slip({f"return {_SINGLE}\n    return {_DOUBLE}": f"return {_DOUBLE}\n    return {_SINGLE}"},
             "You have the two rules the wrong way round.", "swaps the rules"),
        Slip({_DOUBLE: _SINGLE}, "Double rounds twice: after 31 bits, and after the rest.",
             "one rule for both"),
        Slip({_SINGLE: "product >> (31 - n)"},
             "Add half of what is shifted out before you shift.", "does not round"),
        Slip({_SINGLE: "shift_away(product, 31 - n)"},
             "Single rounds halves up: −1.5 becomes −1.", "half away in both"),
    ],
)


def _byte_by_byte(codes: Array) -> Array:
    packed = np.zeros((len(codes) + 1) // 2, np.uint8)
    for place, code in enumerate(codes):
        packed[place // 2] |= (int(code) % 16) << (4 * (place % 2))
    return packed


PACK = Bank.of(
    "06.4",
    _NAMES,
    right=[_byte_by_byte],
    wrong=[
        Slip({"halves[0::2] | (halves[1::2] << 4)": "(halves[0::2] << 4) | halves[1::2]"},
             "The first code goes into the lower half.", "the upper half first"),
        Slip({" & 0x0F": ""}, "Mask the low four bits: −1 fills all eight.", "no mask"),
        Slip({"codes.astype(np.uint8) & 0x0F": "(codes + 8).astype(np.uint8)"},
             "Two's complement, not an offset: 0 stays 0.", "shifts codes by 8"),
        Slip({"halves = np.append(halves, np.uint8(0))": "halves = halves[:-1]"},
             "A last code without a partner needs a byte too.", "drops the last code"),
        Slip({"np.append(halves, np.uint8(0))": "np.append(halves, np.uint8(15))"},
             "The last upper half is 0.", "fills with ones"),
        Slip({"halves[0::2] | (halves[1::2] << 4)":
              "halves[: len(halves) // 2] | (halves[len(halves) // 2 :] << 4)"},
             "Neighbours share a byte, not the two halves of the list.", "packs first with middle"),
    ],
)


def _in_one_go(sample: Array, candidates: list[float], bits: int) -> float:
    largest = 2 ** (bits - 1) - 1
    scales = np.array(candidates)[:, None] / largest
    back = scales * np.clip(np.round(sample / scales), -largest, largest)
    return candidates[int(np.argmin(((back - sample) ** 2).sum(axis=1)))]


_ERROR = "np.square(codes * scale - sample).mean()"

CALIBRATE = Bank.of(
    "06.5",
    _NAMES,
    right=[_in_one_go],
    wrong=[
        Slip({_ERROR: "np.abs(codes * scale - sample).mean()"},
             "Square the errors: one that is ten times larger counts a hundred times.",
             "absolute errors"),
        Slip({_ERROR: "np.square(codes * scale - np.clip(sample, -limit, limit)).mean()"},
             "Compare with the sample itself: what is cut off is an error too.",
             "forgets the cut"),
        Slip({"min(candidates, key=error)": "max(candidates)"},
             "The largest limit cuts nothing, but its steps may be too coarse: measure both.",
             "min-max"),
        Slip({"2 ** (bits - 1) - 1": "2**bits - 1"},
             "Codes have a sign: the largest is 2^(bits − 1) − 1.", "unsigned codes"),
        Slip({"np.clip(np.rint(sample / scale), -largest, largest)": "np.rint(sample / scale)"},
             "Codes stop at the largest one: clip them.", "does not saturate"),
        Slip({"min(candidates, key=error)": "error(min(candidates, key=error))"},
             "Return the limit, not its error.", "returns the error"),
        Slip({"np.rint(sample / scale)": "np.trunc(sample / scale)"},
             "Round to the nearest code, do not cut the fraction off.", "cuts off"),
    ],
)
