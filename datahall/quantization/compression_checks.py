"""The checks of module 06's second lab: channels, packed products, gradients, budgets, claims."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datahall.checking import Check, Example, Search, Trap
from datahall.quantization import compression_bank as bank
from datahall.quantization import core, sensitivity
from datahall.quantization.compression_trials import fits, fits_on_disk, is_smaller, passes
from datahall.quantization.core import Array
from datahall.quantization.sensitivity import Bits


def _per_channel(weights: Array, axis: int, bits: int) -> tuple[Array, Array]:
    columns = np.moveaxis(np.asarray(weights, float), axis, -1)
    limits = np.abs(columns).reshape(-1, columns.shape[-1]).max(axis=0)
    scales = np.array([core.symmetric(float(limit), bits=bits) for limit in limits])
    return np.moveaxis(np.rint(columns / scales), -1, axis).astype(np.int8), scales


def _is_clear(case: tuple[Array, int, int]) -> bool:
    """Say whether no weight lies so near the middle of two codes that a rounding decides."""
    weights, axis, _ = case
    _, scales = _per_channel(*case)
    steps = np.moveaxis(np.asarray(weights, float), axis, -1) / scales
    return bool((np.abs(np.abs(steps % 1) - 0.5) > 1e-3).all())


_kernels = hnp.array_shapes(min_dims=2, max_dims=4, max_side=4).flatmap(
    lambda shape: st.tuples(
        st.builds(
            lambda drawn, factor, kind: (drawn * factor).astype(kind),
            hnp.arrays(np.int64, shape, elements=st.integers(-9, 9)),
            st.sampled_from([1.0, 0.37, 0.001, 1000.0]),
            st.sampled_from([np.float64, np.float32]),
        ),
        st.integers(-len(shape), len(shape) - 1),
        st.integers(2, 8),
    )
)

per_channel = Check(
    "06.6",
    reference=_per_channel,
    ours=[core.quantize_channels, core.quantize],
    bank=bank.PER_CHANNEL,
    steps=[
        Example((np.array([[127, 1], [-2, 0.5]]), 1, 8), idea="Column by column."),
        Example((np.array([[6.0, 3], [-1, 2]]), 0, 3), idea="Rows: scales 2 and 2/3."),
        Trap("halves", (np.array([[127, 0.5, 1.5, 2.5, -0.5]]), 0, 8), idea="0, 2, 2 and 0."),
        Trap("all weights negative", (np.array([[-8.0, -2], [-4, -1]]), 1, 4), idea="8 and 2."),
        Trap("a channel of zeros", (np.array([[0.0, 3], [0, 1]]), 1, 8), idea="Scale 1, codes 0."),
        Trap("the last axis, as −1", (np.array([[5.0, 1, 2], [2, 9, 4]]), -1, 8), idea="Three."),
        Trap(
            "a convolution's kernel, channels first",
            (np.arange(-11.0, 13).reshape(2, 2, 3, 2), 0, 8),
            idea="The maximum is taken over axes 1, 2 and 3.",
        ),
        Search(_kernels.filter(_is_clear), idea="Which weights share a scale?"),
    ],
)


def _multiply(packed: Array, scales: Array, x: Array) -> Array:
    codes = [core.unpack_int4(row, x.shape[1]) for row in packed]
    return np.asarray(x @ np.array(codes, float).T * scales)


def _bytes(*rows: list[int]) -> Array:
    return np.array(rows, np.uint8)


def _reals(*numbers: Any) -> Array:
    return np.array(numbers, float)


_products = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 3)).flatmap(
    lambda sizes: st.tuples(
        hnp.arrays(np.uint8, (sizes[0], (sizes[1] + 1) // 2)),
        hnp.arrays(float, sizes[0], elements=st.sampled_from([1.0, 0.5, 3.0, 0.01])),
        hnp.arrays(float, (sizes[2], sizes[1]), elements=st.integers(-40, 40).map(lambda n: n / 4)),
    )
)

multiply = Check(
    "06.7",
    reference=_multiply,
    ours=[core.unpack_int4],
    bank=bank.MULTIPLY,
    steps=[
        Example((_bytes([0x21]), _reals(1), _reals([10, 1])), idea="Codes 1 and 2."),
        Example((_bytes([0xF1, 0x7E]), _reals(0.5), _reals([10, 20, 30])), idea="1, −1, −2."),
        Trap("the least code", (_bytes([0x98]), _reals(1), _reals([1, 10])), idea="−8 and −7."),
        Trap("four features", (_bytes([0x21, 0x43]), _reals(1), _reals([1, 10, 100, 1000])),
             idea="1, 2, 3, 4."),
        Trap("one feature", (_bytes([0xA3]), _reals(1), _reals([2])), idea="The code is 3."),
        Trap("odd rows", (_bytes([0x21, 0x93], [0x54, 0xF6]), _reals(1, 1), _reals([1, 10, 100])),
             idea="1, 2, 3, and 4, 5, 6."),
        Trap("two scales", (_bytes([0x11], [0x11]), _reals(0.25, 4), _reals([1, 2])),
             idea="Each filter has its own."),
        Trap("a batch", (_bytes([0x12], [0x34], [0x0F]), _reals(1, 2, 3), _reals([1, 0], [0, 2])),
             idea="Two rows of three."),
        Trap("fractions", (_bytes([0x32]), _reals(1), _reals([0.25, -0.75])), idea="0.5 − 2.25."),
        Search(_products, idea="Write the codes down in four bits, row by row."),
    ],
)  # fmt: skip


def _fake_quantize(x: Any, scale: Any, bits: int) -> Any:
    import tensorflow as tf

    largest = 2 ** (bits - 1) - 1
    steps = tf.clip_by_value(x / scale, -largest, largest)
    return (steps + tf.stop_gradient(tf.round(steps) - steps)) * scale


_TABLE = [[0.3, -9.0, 1.9], [-0.8, 2.2, 0.4]]

fake_quantize = Check(
    "06.8",
    reference=_fake_quantize,
    bank=bank.FAKE_QUANTIZE,
    steps=[
        passes("does the example", [0.6, 5.0], 0.5, 3, idea="Codes 1 and 3."),
        passes("stops at both ends", [-7.0, -0.3, 0.3, 7.0], 1.0, 2, idea="Codes −1, 0, 0, 1."),
        passes("rounds halves to even", [0.5, 1.5, -2.5], 1.0, 4, idea="0, 2, −2."),
        passes("hands on what comes from above", [0.6, -1.2, 5.0], 0.5, 3,
               weights=[2.0, -3.0, 10.0], idea="The chain rule: multiply by the gradient above."),
        passes("has 127 codes on a side in 8 bits", [100.2, -300.0, 0.4], 1.0, 8, idea="l = 127."),
        passes("takes a scale for each feature", _TABLE, [0.5, 1.0, 0.25], 4,
               weights=[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], idea="One gradient a scale."),
        passes("works in a tf.function", [0.6, 5.0, -0.9], 0.5, 3, graph=True,
               idea="Stay in TensorFlow."),
    ],
)  # fmt: skip


def _falling(**harm: float) -> Any:
    def loss(bits: Bits) -> float:
        return sum(harm[name] * 4.0**-count for name, count in bits.items())

    return loss


def _covering(bits: Bits) -> float:
    """Layers a and b do the same work: the better one decides."""
    return 50 * 4.0 ** -max(bits["a"], bits["b"]) + 4.0 ** -bits["c"]


_STEP_BY_STEP = "Write the steps down: which layer gives a bit, and what does the file have then?"

spend = Check(
    "06.9",
    reference=lambda layers, budget_bytes, size_of, probe: sensitivity.spend(
        layers, budget_bytes, size_of, probe
    ),
    ours=[sensitivity.spend, sensitivity.descend],
    bank=bank.SPEND,
    steps=[
        fits("takes bits where they harm least", {"a": 80, "b": 80}, _falling(a=50, b=1), 125,
             idea=_STEP_BY_STEP),
        fits("stops when the file fits exactly", {"a": 80, "b": 80}, _falling(a=50, b=1), 120,
             idea=_STEP_BY_STEP),
        fits("leaves 8 bits where they fit", {"a": 80}, _falling(a=1), 100, idea="8 bits fit."),
        fits("goes down to 2 bits", {"a": 80, "b": 8}, _falling(a=1, b=1), 42,
             idea="2 bits everywhere fit just so."),
        fits("weighs the rise against the bytes", {"a": 800, "b": 80, "c": 160},
             _falling(a=30, b=9, c=1), 560, idea="Divide the rise by the bytes saved."),
        fits("sees that layers cover for each other", {"a": 80, "b": 80, "c": 80}, _covering, 160,
             idea="What does a bit of b cost once a has lost its own?"),
        fits_on_disk("spends bits on a trained network, in a real file", 0.46,
                     idea="Ask size_of and probe after each step."),
    ],
)  # fmt: skip


def _prune(kernel: Array, bias: Array, after: Array, keep: int) -> tuple[Array, Array, Array]:
    weight = np.abs(kernel).reshape(-1, len(bias)).sum(axis=0)
    kept = np.sort(np.lexsort((np.arange(len(bias)), -weight))[:keep])
    rows = [row for row in range(after.shape[-2]) if row % len(bias) in kept]
    return kernel[..., kept], bias[kept], after[..., rows, :]


def _numbered(*shape: int) -> Array:
    return np.arange(float(np.prod(shape))).reshape(shape)


_pairs = st.tuples(
    st.sampled_from([(2,), (1, 2, 2), (2, 1, 1)]), st.integers(1, 5), st.booleans(),
    st.integers(1, 3), st.integers(1, 5),
).flatmap(
    lambda drawn: st.tuples(
        hnp.arrays(np.int64, (*drawn[0], drawn[1]), elements=st.integers(-3, 3)).map(
            lambda whole: whole / 2
        ),
        st.just(np.arange(drawn[1]) + 0.5),
        st.just(
            _numbered(2, drawn[3], drawn[1], 2) if drawn[2] else _numbered(drawn[3] * drawn[1], 2)
        ),
        st.just(min(drawn[4], drawn[1])),
    )
)  # fmt: skip
_BIAS = np.array([0.1, 0.2, 0.3])

prune = Check(
    "06.10",
    reference=_prune,
    bank=bank.PRUNE,
    steps=[
        Example((np.array([[1.0, 0, -4]]), _BIAS, _numbered(3, 2), 2), idea="Channels 0 and 2."),
        Trap("two places", (np.array([[3.0, 1, 2]]), _BIAS, _numbered(6, 1), 2),
             idea="Rows 0, 2, 3 and 5."),
        Trap("weights that cancel", (np.array([[5.0, 1, 2], [-5, 1, 2]]), _BIAS, _numbered(3, 1),
             1), idea="The sums are 10, 2 and 4."),
        Trap("a large weight and several", (np.array([[3.0, 0, 2], [0, 0, 2]]), _BIAS,
             _numbered(3, 1), 1), idea="The sums are 3, 0 and 4."),
        Trap("equals", (np.array([[1.0, 1, -1]]), _BIAS, _numbered(3, 1), 2), idea="0 and 1."),
        Trap("a larger one later", (np.array([[2.0, 1, 3]]), _BIAS, _numbered(3, 1), 2),
             idea="0, then 2."),
        Trap("two convolutions", (_numbered(2, 1, 2, 3), _BIAS, _numbered(2, 2, 3, 2), 1),
             idea="The next kernel's channels are its axis 2."),
        is_smaller("computes what the old pair computes, two convolutions", dense=False,
                   idea="Silence the channels by hand and compare."),
        is_smaller("computes what the old pair computes, after flattening", dense=True,
                   idea="Which rows read a channel?"),
        Search(_pairs, idea="Number the rows of the next kernel: which channel does each read?"),
    ],
)  # fmt: skip


def _allowed(rows: list[dict[str, Any]], lost: int, won: int, images: int) -> dict[str, bool]:
    runs = [(row["int8_ms"], row["float32_ms"]) for row in rows]
    return {
        "smaller": max(row["int8_bytes"] * 4 - row["float32_bytes"] for row in rows) <= 0,
        "faster": all(ours and theirs and max(ours) < min(theirs) for ours, theirs in runs),
        "accurate": _loss(lost, won, images) <= 0,
    }


def _loss(lost: int, won: int, images: int) -> float:
    """Return by how much the loss, with doubt, is above what is allowed, in images."""
    return lost - won + 2 * float(np.sqrt(lost + won)) - images / 1000


def _row(*bytes_: int, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    return {
        "float32_bytes": bytes_[0],
        "int8_bytes": bytes_[1],
        "float32_ms": theirs,
        "int8_ms": ours,
    }


_GOOD = _row(4000, 1000, ours=[1.0, 1.25], theirs=[2.0, 1.5])
_SLOW = _row(4000, 1000, ours=[3.0], theirs=[2.0])
_runs = st.lists(st.integers(1, 6).map(lambda n: n / 4), min_size=0, max_size=3)
_rows = st.builds(
    lambda small, more, ours, theirs: _row(4 * small + more, small, ours=ours, theirs=theirs),
    st.integers(3, 9), st.sampled_from([-1, 0, 5]), _runs,
    _runs.map(lambda ms: [each + 1 for each in ms]),
)  # fmt: skip
_tables = st.tuples(
    st.lists(_rows, min_size=1, max_size=3), st.integers(0, 30), st.integers(0, 60),
    st.sampled_from([500, 5_000, 10_000, 60_000]),
).filter(lambda drawn: abs(_loss(*drawn[1:])) > 1e-6)  # fmt: skip

allowed = Check(
    "06.11",
    reference=_allowed,
    bank=bank.ALLOWED,
    steps=[
        Example(([_row(4000, 1001, ours=[1.0], theirs=[2.0])], 12, 10, 10_000),
                idea="1,001 is no quarter; 2 + 9.38 is above 10."),
        Example(([_GOOD], 1, 1, 10_000), idea="All three: 0 + 2 · √2 ≤ 10."),
        Trap("one row is slower", ([_GOOD, _SLOW], 1, 1, 10_000), idea="Every row."),
        Trap("one row is larger", ([_GOOD, _row(3999, 1000, ours=[1.0], theirs=[2.0])], 0, 9, 9000),
             idea="Every row, by itself."),
        Trap("a row for another", ([_row(9000, 1000, ours=[1.0], theirs=[2.0]),
             _row(3000, 1000, ours=[1.0], theirs=[2.0])], 0, 9, 9000), idea="Row by row."),
        Trap("no runs of float32", ([_GOOD, _row(4000, 1000, ours=[1.0], theirs=[])], 0, 0, 100),
             idea="Nothing was measured there."),
        Trap("no runs at all", ([_row(4000, 1000, ours=[], theirs=[])], 0, 0, 99), idea="Nothing."),
        Trap("runs that overlap", ([_row(4000, 900, ours=[2.0, 2.75], theirs=[2.5, 3.0])], 0, 0,
             99), idea="2.75 is slower than 2.5."),
        Trap("one slow run", ([_row(4000, 900, ours=[1.0, 9.0], theirs=[2.0, 3.0])], 0, 0, 99),
             idea="9 is slower than 2."),
        Trap("a tie", ([_row(4000, 900, ours=[2.0], theirs=[2.0])], 0, 0, 100), idea="As fast."),
        Trap("a small loss, uncertain", ([_GOOD], 8, 6, 10_000), idea="2 + 7.48 is below 10."),
        Trap("the same loss, more uncertain", ([_GOOD], 41, 39, 10_000), idea="2 + 17.9."),
        Trap("a loss above the bound", ([_GOOD], 12, 0, 10_000), idea="12 + 6.93."),
        Trap("more won than lost", ([_GOOD], 0, 60, 10_000), idea="−60 + 15.5."),
        Trap("fewer won than lost", ([_GOOD], 60, 0, 10_000), idea="60 + 15.5."),
        Search(_tables, idea="Judge each claim by itself, row by row."),
    ],
)  # fmt: skip
