"""The checks of module 06's first two labs: grids, codes, rescaling, packing, calibration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from datahall.checking import Check, Example, Property, Search, Trap
from datahall.quantization import bits_bank as bank
from datahall.quantization import core, integers

_halves = st.integers(-700, 700).map(lambda n: n / 2)


def _tied(case: tuple[float, float, int]) -> bool:
    """Say whether a zero point lies (nearly) between two integers."""
    low, high = min(case[0], 0.0), max(case[1], 0.0)
    place = low * (2 ** case[2] - 1) / (high - low or 1.0)
    return bool(abs(place % 1 - 0.5) < 1e-6)


def _holds_symmetric_ranges(answer: Callable[[float, float, int], tuple[float, int]]) -> str | None:
    """Hold scales of symmetric ranges against the steps; two zero points are right there."""
    for end, bits in ((1.0, 8), (3.5, 4), (1e-7, 2)):
        scale, zero_point = answer(-end, end, bits)
        steps = 2**bits - 1
        if not np.isclose(scale, 2 * end / steps, rtol=1e-6) or zero_point not in (-1, 0):
            said = f"affine({-end:g}, {end:g}, {bits}) returned {scale:.6g} and {zero_point}, "
            return f"{said}expected {2 * end:g} / {steps} and 0 or -1"
    return None


affine = Check(
    "06.1",
    reference=lambda low, high, bits: core.affine(low, high, bits=bits),
    ours=[core.affine],
    bank=bank.AFFINE,
    steps=[
        Example((0.0, 3.0, 2), idea="Codes −2, −1, 0, 1: three steps."),
        Example((-1.0, 2.0, 8), idea="255 steps of 3 / 255; −1 is 85 steps below 0."),
        Trap("a range without zero", (2.0, 6.0, 8), idea="Widen it to 0 … 6."),
        Trap("a range below zero", (-6.0, -2.0, 4), idea="Widen it to −6 … 0."),
        Trap("nothing but zero", (0.0, 0.0, 8), idea="Scale 1, zero point 0."),
        Trap("a zero point to round", (-1.0, 1.7, 8), idea="−128 + 94.4 is no integer."),
        Trap("a small range", (-2e-7, 1e-7, 8), idea="Only 0 to 0 is empty."),
        Property("holds symmetric ranges", _holds_symmetric_ranges, idea="All codes are used."),
        Search(
            st.tuples(_halves, _halves, st.integers(2, 8), st.sampled_from([1.0, 1e-6, 1e6]))
            .map(lambda case: (case[3] * min(case[:2]), case[3] * max(case[:2]), case[2]))
            .filter(lambda case: not _tied(case)),
            idea="Write down least code, largest code, and the steps between them.",
        ),
    ],
)

quantize = Check(
    "06.2",
    reference=lambda x, scale, zero_point: core.quantize(x, scale, zero_point),
    ours=[core.quantize, core.half_away],
    bank=bank.QUANTIZE,
    steps=[
        Example((np.array([0.0, 1.0, -3.0]), 1.0, 5), idea="Steps, then the zero point."),
        Trap("a scale", (np.array([3.0, -1.0]), 0.25, 0), idea="3 is 12 steps of a quarter."),
        Trap("between halves", (np.array([0.75, -0.75, 0.25, -0.25]), 1.0, 0), idea="The nearest."),
        Trap("halves", (np.array([0.5, 1.5, 2.5, -0.5, -2.5]), 1.0, 0), idea="Away from zero."),
        Trap("a scale of 49", (np.array([73.5, -24.5]), 49.0, 0), idea="73.5 / 49 is exactly 1.5."),
        Trap("nearly a half", (np.array([2.4999999999, -0.4999999]), 1.0, 0), idea="No half yet."),
        Trap(
            "rows and columns", (np.array([[1.0, 2], [3, -4], [5, 6]]), 2.0, 1), idea="Any shape."
        ),
        Trap("far outside", (np.array([300.0, -300.0]), 1.0, -128), idea="They stop at the ends."),
        Trap("a sum that fits", (np.array([200.0, -200.0]), 1.0, -90), idea="200 − 90 is 110."),
        Trap("infinities", (np.array([np.inf, -np.inf]), 1.0, 3), idea="They stop at the ends."),
        Search(
            st.tuples(
                st.lists(_halves, min_size=1, max_size=5).map(np.array),
                st.sampled_from([1.0, 0.5, 0.25, 4.0]) | st.integers(1, 99).map(lambda n: n / 2),
                st.integers(-128, 127),
            ),
            idea="Divide, round, add, clip, narrow: follow one number through all five.",
        ),
    ],
)

_sums = st.sampled_from([2**20, 2**31 - 1]).flatmap(
    lambda most: st.lists(st.integers(-most, most), min_size=1, max_size=4)
)
_factors = st.sampled_from([0.375, 0.5, 0.25, 0.001]) | st.floats(2**-20, 0.99)
_rules = st.sampled_from(["single", "double"])
_FAR = 1583594044 / 2**40


def _int32(*sums: int) -> core.Array:
    return np.array(sums, np.int32)


rescale = Check(
    "06.3",
    reference=lambda sums, m, rule: integers.RULES[rule](sums, np.asarray(m)),
    ours=[integers.multiplier, integers.single, integers.double],
    bank=bank.RESCALE,
    steps=[
        Example((_int32(8), 0.375, "single"), idea="8 · 0.375 is 3."),
        Example((_int32(3, -1), 0.5, "double"), idea="1.5 and −0.5, halves away from zero."),
        Trap("halves below zero", (_int32(-3, 3), 0.5, "single"), idea="−1.5 goes up, to −1."),
        Trap("one rounding", (_int32(7984), _FAR, "single"), idea="11.499…"),
        Trap("two roundings", (_int32(7984), _FAR, "double"), idea="11.5, then 12."),
        Trap("q of 2³¹", (_int32(2**30 + 1), 0.5 - 1e-12, "single"), idea="The share rounds up."),
        Trap("q of 2³¹, twice", (_int32(1, 5), 0.25 - 1e-12, "double"), idea="n becomes −1."),
        Trap("a long shift", (_int32(1290411335), 0.3, "single"), idea="Write down 31 − n."),
        Trap("a small factor", (_int32(1700, -1700), 0.001, "single"), idea="1.7 is nearly 2."),
        Trap("large sums", (_int32(2**31 - 1, -(2**31)), 0.99, "double"), idea="62 bits."),
        Trap("two axes", (_int32(1, -1, 3, 5).reshape(2, 2), 0.5, "single"), idea="Any shape."),
        Search(
            st.tuples(_sums.map(lambda sums: _int32(*sums)), _factors, _rules),
            idea="Write down q and n, and the product's bits.",
        ),
    ],
)


def _int8(*codes: int) -> core.Array:
    return np.array(codes, np.int8)


pack = Check(
    "06.4",
    reference=lambda codes: core.pack_int4(codes),
    ours=[core.pack_int4],
    bank=bank.PACK,
    steps=[
        Example((_int8(1, 2),), idea="0b0010_0001."),
        Example((_int8(1, -1),), idea="−1 is 1111 in four bits."),
        Trap("a negative first code", (_int8(-1, 1),), idea="0b0001_1111."),
        Trap("an odd number", (_int8(3, 4, -8),), idea="Two bytes, the last upper half 0."),
        Trap("two bytes", (_int8(1, 2, 3, 4),), idea="0x21, 0x43."),
        Trap("no codes", (_int8(),), idea="No bytes."),
        Search(
            st.tuples(st.lists(st.integers(-8, 7), max_size=7).map(lambda codes: _int8(*codes))),
            idea="Write each code down in four bits.",
        ),
    ],
)


def _limit(sample: core.Array, candidates: list[float], bits: int) -> float:
    """Return the candidate with the least mean square error."""

    def error(limit: float) -> float:
        scale = core.symmetric(limit, bits=bits)
        codes = core.quantize(sample, scale, bits=bits, narrow=True)
        return float(np.square(core.dequantize(codes, scale) - sample).mean())

    return min(candidates, key=error)


_SPREAD = np.append(np.linspace(-1, 1, 4001), 8.0)

calibrate = Check(
    "06.5",
    reference=_limit,
    bank=bank.CALIBRATE,
    steps=[
        Example((np.array([1.0, 1, 1, 1, 3.5]), [1.0, 3.5], 2), idea="Errors: 1.25, and 0.8."),
        Example((np.array([0.0, 1, 1, 1, 100]), [100.0, 50.0, 1.0], 8), idea="Keep the outlier."),
        Trap("an outlier among many", (_SPREAD, [8.0, 4.0, 2.0, 1.0], 4), idea="Give it up."),
        Trap("the same in 8 bits", (_SPREAD, [1.0, 4.0, 8.0], 8), idea="Steps are fine enough."),
        Trap("one step in 2 bits", (np.array([0.9, -0.9, 0.2]), [1.8, 0.9], 2), idea="Codes ±1."),
        Trap("equals", (np.zeros(1), [1.0, 2.0], 4), idea="Both err by 0."),
        Trap("equals, turned", (np.zeros(1), [2.0, 1.0], 4), idea="Both err by 0."),
        Search(
            st.tuples(
                st.lists(st.integers(-40, 40).map(lambda n: n / 7), min_size=1, max_size=6).map(
                    np.array
                ),
                st.just([5.3, 2.9, 1.1, 0.37]),
                st.integers(2, 5),
            ).filter(lambda case: _clear(*case)),
            idea="Work out the mean square error of each candidate.",
        ),
    ],
)


def _clear(sample: core.Array, candidates: list[float], bits: int) -> bool:
    """Say whether the best candidate is best by more than rounding."""
    best = _limit(sample, candidates, bits)
    others = [[c * share for c in candidates if c != best] for share in (0.999999, 1.000001)]
    return all(_limit(sample, [best, *each], bits) == best for each in others)
