"""The checks of module 06's second lab: channels, packed products, gradients, budgets, claims."""

from __future__ import annotations

from typing import Any

import numpy as np

from datahall.checking import Check, Example, Property, Search, Trap
from datahall.quantization import compact, core, sensitivity, straight_through
from datahall.quantization import compression_bank as bank
from datahall.quantization import compression_draws as draws
from datahall.quantization import compression_trials as trials
from datahall.quantization.core import Array

# Checks are tables too: what is called, and what to look at.
# fmt: off

per_channel = Check(
    "06.6",
    reference=compact.channel_codes,
    ours=[core.quantize_channels, core.quantize],
    bank=bank.PER_CHANNEL,
    steps=[
        Example((np.array([[127, 1], [-2, 0.5]]), 1, 8), idea="Column by column."),
        Example((np.array([[6.0, 3], [-1, 2]]), 0, 3), idea="Rows: scales 2 and 2/3."),
        Trap("halves", (np.array([[127, 0.5, 1.5, 2.5, -0.5]]), 0, 8), idea="0, 2, 2 and 0."),
        Trap("all weights negative", (np.array([[-8.0, -2], [-4, -1]]), 1, 4), idea="8 and 2."),
        Trap("a channel of zeros", (np.array([[0.0, 3], [0, 1]]), 1, 8), idea="Scale 1, codes 0."),
        Trap("the last axis, as −1", (np.array([[5.0, 1, 2], [2, 9, 4]]), -1, 8), idea="Three."),
        Trap("channels first", (np.arange(-11.0, 13).reshape(2, 2, 3, 2), 0, 8),
             idea="The maximum is taken over axes 1, 2 and 3."),
        Search(draws.KERNELS, idea="Which weights share a scale?"),
    ],
)


def _case(rows: list[list[int]], scales: list[float], x: Any) -> tuple[Array, Array, Array]:
    return np.array(rows, np.uint8), np.array(scales, float), np.array(x, float)


multiply = Check(
    "06.7",
    reference=compact.packed_product,
    ours=[core.unpack_int4],
    bank=bank.MULTIPLY,
    steps=[
        Example(_case([[0x21]], [1], [[10, 1]]), idea="Codes 1 and 2."),
        Example(_case([[0xF1, 0x7E]], [0.5], [[10, 20, 30]]), idea="1, −1, −2."),
        Trap("the least code", _case([[0x98]], [1], [[1, 10]]), idea="−8 and −7."),
        Trap("four features", _case([[0x21, 0x43]], [1], [[1, 10, 100, 1000]]), idea="1, 2, 3, 4."),
        Trap("one feature", _case([[0xA3]], [1], [[2]]), idea="The code is 3."),
        Trap("odd rows", _case([[0x21, 0x93], [0x54, 0xF6]], [1, 1], [[1, 10, 100]]),
             idea="1, 2, 3, and 4, 5, 6."),
        Trap("two scales", _case([[0x11], [0x11]], [0.25, 4], [[1, 2]]), idea="One a filter."),
        Trap("a batch", _case([[0x12], [0x34], [0x0F]], [1, 2, 3], [[1, 0], [0, 2]]), idea="6."),
        Trap("fractions", _case([[0x32]], [1], [[0.25, -0.75]]), idea="0.5 − 2.25."),
        Search(draws.PRODUCTS, idea="Write the codes down in four bits, row by row."),
    ],
)

_TABLE, _ABOVE = [[0.3, -9.0, 1.9], [-0.8, 2.2, 0.4]], [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]

fake_quantize = Check(
    "06.8",
    reference=compact.on_straight_grid,
    ours=[straight_through.straight_through],
    bank=bank.FAKE_QUANTIZE,
    steps=[
        Property("does the example", trials.passes([0.6, 5.0], 0.5, 3), idea="Codes 1 and 3."),
        Property("stops at the ends", trials.passes([-7.0, -0.3, 7.0], 1.0, 2), idea="−1, 0, 1."),
        Property("rounds halves to even", trials.passes([0.5, 1.5, -2.5], 1.0, 4), idea="0, 2."),
        Property("hands on what comes from above",
                 trials.passes([0.6, -1.2, 5.0], 0.5, 3, weights=[2.0, -3.0, 10.0]),
                 idea="Multiply by the gradient above."),
        Property("has 8 bits", trials.passes([100.2, -300.0, 0.4], 1.0, 8), idea="l = 127."),
        Property("takes a scale for each feature",
                 trials.passes(_TABLE, [0.5, 1.0, 0.25], 4, weights=_ABOVE),
                 idea="One gradient a scale."),
        Property("works in a tf.function", trials.passes([0.6, 5.0, -0.9], 0.5, 3, graph=True),
                 idea="Stay in TensorFlow."),
    ],
)

_STEPS = "Write the steps down: which layer gives a bit, and what does the file have then?"
_TWO, _THREE = {"a": 80, "b": 80}, {"a": 80, "b": 80, "c": 80}
_MANY, _EVEN = {"a": 800, "b": 80, "c": 160}, trials.falling(a=30, b=9, c=1)
_HARM, _DEAR = trials.falling(a=50, b=1), trials.falling(a=1e6, b=1)

spend = Check(
    "06.9",
    reference=sensitivity.spend,
    ours=[sensitivity.descend],
    bank=bank.SPEND,
    steps=[
        Property("takes bits where they harm least", trials.fits(_TWO, _HARM, 125), idea=_STEPS),
        Property("stops when the file fits exactly", trials.fits(_TWO, _HARM, 120), idea=_STEPS),
        Property("leaves a layer its 8 bits", trials.fits(_TWO, _DEAR, 150), idea="a keeps all 8."),
        Property("goes down to 2 bits", trials.fits({"a": 80, "b": 8}, _HARM, 42), idea="All 2."),
        Property("weighs the rise against the bytes", trials.fits(_MANY, _EVEN, 560),
                 idea="Divide the rise by the bytes saved."),
        Property("sees layers that do the same", trials.fits(_THREE, trials.covering, 160),
                 idea="What does a bit of b cost once a has lost its own?"),
        Property("spends bits in a real file", trials.fits_on_disk(0.46), idea="Measure again."),
    ],
)


def _between(kernel: Any, places: int, keep: int) -> tuple[Array, Array, Array, int]:
    """Return a dense pair with three channels at so many places."""
    return np.array(kernel, float), np.array([0.3, 0.1, 0.2]), draws.numbered(3 * places, 2), keep


prune = Check(
    "06.10",
    reference=compact.without_channels,
    bank=bank.PRUNE,
    steps=[
        Example(_between([[1, 0, -4]], 1, 2), idea="Channels 0 and 2."),
        Trap("two places", _between([[3, 1, 2]], 2, 2), idea="Rows 0, 2, 3 and 5."),
        Trap("weights that cancel", _between([[5, 1, 2], [-5, 1, 2]], 1, 1), idea="10, 2 and 4."),
        Trap("one large weight", _between([[3, 0, 2], [0, 0, 2]], 1, 1), idea="3, 0 and 4."),
        Trap("equals", _between([[1, 1, -1]], 1, 2), idea="0 and 1."),
        Trap("a larger one later", _between([[2, 1, 3]], 1, 2), idea="0, then 2."),
        Trap("two convolutions", (draws.numbered(2, 1, 2, 3), np.array([0.1, 0.2, 0.3]),
             draws.numbered(2, 2, 3, 2), 1), idea="The next kernel's channels are its axis 2."),
        Property("computes what two convolutions do", trials.is_smaller(dense=False),
                 idea="Silence the channels by hand and compare."),
        Property("computes what a flattened pair does", trials.is_smaller(dense=True),
                 idea="Which rows read a channel?"),
        Search(draws.PAIRS, idea="Number the next kernel's rows: which channel does each read?"),
    ],
)

_GOOD, _FEW = draws.row(4000, 1000, [1.0, 1.25], [2.0, 1.5]), draws.row(4000, 900, [1.0], [])
_APART = draws.row(4000, 900, [2.0, 2.75], [2.5, 3.0])

allowed = Check(
    "06.11",
    reference=compact.allowed_claims,
    bank=bank.ALLOWED,
    steps=[
        Example(([draws.row(4000, 1001, [1.0], [2.0])], 12, 10, 10_000), idea="4,004; 2 + 9.38."),
        Example(([_GOOD], 1, 1, 10_000), idea="All three: 0 + 2 · √2 ≤ 10."),
        Trap("one slower row", ([_GOOD, draws.row(9, 1, [3.0], [2.0])], 1, 1, 9999), idea="Each."),
        Trap("no runs of float32", ([_GOOD, _FEW], 0, 0, 100), idea="Nothing was measured there."),
        Trap("no runs at all", ([draws.row(4000, 1000, [], [])], 0, 0, 99), idea="Nothing."),
        Trap("runs that overlap", ([_APART], 0, 0, 99), idea="2.75 is slower than 2.5."),
        Trap("one slow run", ([draws.row(9, 1, [1.0, 9.0], [2.0, 3.0])], 0, 0, 99), idea="9 > 2."),
        Trap("a tie", ([draws.row(9, 1, [2.0], [2.0])], 0, 0, 100), idea="As fast."),
        Trap("a small loss, uncertain", ([_GOOD], 8, 6, 10_000), idea="2 + 7.48 is below 10."),
        Trap("more uncertain", ([_GOOD], 41, 39, 10_000), idea="2 + 17.9 is above 10."),
        Trap("exactly 0.1 points", ([_GOOD], 2, 2, 4000), idea="0 + 4 is at most 4."),
        Trap("a loss above the bound", ([_GOOD], 12, 0, 10_000), idea="12 + 6.93."),
        Trap("more won than lost", ([_GOOD], 0, 60, 10_000), idea="−60 + 15.5."),
        Search(draws.TABLES, idea="Judge each claim by itself, row by row."),
    ],
)
