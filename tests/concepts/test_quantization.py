"""Scale, zero point and codes against hand-computed numbers, the definition, and properties."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall.errors import ParameterError, ShapeError
from datahall.plotting import description
from datahall.quantization import calibration, core, figures, formats, widgets

ends = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(ends, ends, st.integers(2, 8))
def test_zero_is_exact_and_the_ends_are_within_half_a_step(one: float, two: float, bits: int):
    low, high = sorted((one, two))
    scale, zero_point = core.affine(low, high, bits=bits)
    given_values = np.array([low, 0.0, high])
    codes = core.quantize(given_values, scale, zero_point, bits=bits)
    back = core.dequantize(codes, scale, zero_point)
    assert isinstance(zero_point, int)
    assert core.limits(bits)[0] <= zero_point <= core.limits(bits)[1]
    assert back[1] == 0
    assert np.abs(back - given_values).max() <= scale * 0.500001


def test_255_steps_lie_between_256_codes():
    assert core.affine(0.0, 255.0) == (1.0, -128)
    assert core.affine(-128.0, 127.0) == (1.0, 0)
    assert core.affine(3.0, 255.0) == (1.0, -128)
    assert core.affine(-255.0, -3.0) == (1.0, 127)
    assert core.affine(0.0, 0.0) == (1.0, 0)


def test_a_range_as_wide_as_floats_reach_is_no_overflow():
    scale, zero_point = core.affine(-1.7e308, 1.7e308)
    assert math.isfinite(scale) and zero_point in (-1, 0)


def test_codes_saturate_and_halves_go_away_from_zero():
    values = np.array([-np.inf, -300, -2.5, -0.5, 0.5, 1.5, 2.5, 300, np.inf])
    assert core.quantize(values, 1.0).tolist() == [-128, -128, -3, -1, 1, 2, 3, 127, 127]
    assert core.quantize(values, 1.0, -128).tolist()[-2:] == [127, 127]
    assert core.quantize(values, 1.0, narrow=True)[0] == -127
    assert core.quantize(values, 1.0).dtype == np.int8


def test_the_largest_float_below_a_half_is_not_rounded_up():
    assert core.half_away(np.nextafter(0.5, 0)) == 0


def test_channels_have_grids_of_their_own_and_use_them_to_the_end():
    weights = np.random.default_rng(0).normal(size=(3, 3, 5, 7)) * np.arange(1, 8)
    codes, scales = core.quantize_channels(weights)
    assert codes.shape == weights.shape and scales.shape == (7,)
    assert np.abs(codes.reshape(-1, 7)).max(axis=0).tolist() == [127] * 7
    assert np.abs(core.dequantize(codes, scales) - weights).max(axis=(0, 1, 2)) == pytest.approx(
        scales / 2, rel=0.3
    )
    assert core.quantize_channels(np.zeros((2, 2)))[0].tolist() == [[0, 0], [0, 0]]


@given(st.lists(st.integers(-8, 7)))
def test_packed_codes_come_back(codes: list[int]):
    packed = core.pack_int4(np.array(codes, np.int8))
    assert packed.nbytes == (len(codes) + 1) // 2
    assert core.unpack_int4(packed, len(codes)).tolist() == codes
    for place, code in enumerate(codes):
        assert int(packed[place // 2]) >> 4 * (place % 2) & 15 == code % 16


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: core.affine(2.0, 1.0), ParameterError, "2.0 to 1.0"),
        (lambda: core.affine(0.0, math.inf), ParameterError, "finite"),
        (lambda: core.symmetric(-1.0), ParameterError, "limit is -1.0"),
        (lambda: core.limits(1), ParameterError, "bits is 1"),
        (lambda: core.quantize(np.array([math.nan]), 1.0), ParameterError, "hold 1"),
        (lambda: core.quantize(np.zeros(1), 0.0), ParameterError, "least scale is 0.0"),
        (lambda: core.pack_int4(np.array([8])), ParameterError, "8 to 8"),
        (lambda: core.unpack_int4(np.zeros(1, np.uint8), 3), ShapeError, "hold 2 codes"),
        (lambda: calibration.percentile(np.zeros(3), kept=0), ParameterError, "kept is 0"),
        (lambda: formats.representable(formats.FORMATS[0]), ParameterError, "32 bits"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_least_error_is_the_least_of_all_cuts_it_tries():
    values = np.random.default_rng(3).exponential(size=3000)
    found = calibration.least_error(values, bits=3, tried=40)
    tries = [(0.0, float(values.max()) * share) for share in np.linspace(1, 1 / 40, 40)]
    errors = [calibration.mean_square_error(values, cut, bits=3) for cut in tries]
    assert calibration.mean_square_error(values, found, bits=3) == min(errors)
    assert errors.index(min(errors)) > 0


def test_entropy_gives_up_a_tail_that_the_codes_cannot_hold():
    bulk = np.random.default_rng(5).exponential(size=20_000)
    assert calibration.entropy(np.append(bulk, 100.0), bits=3)[1] < 50
    assert calibration.entropy(np.append(bulk, np.zeros(10**5)), bits=3) == calibration.entropy(
        bulk, bits=3
    )


def test_percentile_cuts_as_much_at_both_ends():
    assert calibration.percentile(np.arange(1001.0), kept=99) == (5.0, 995.0)


@pytest.mark.parametrize("kind", formats.FORMATS[1:], ids=lambda kind: kind.name)
def test_formats_hold_what_their_bits_say(kind: formats.Format):
    numbers = formats.representable(kind)
    assert formats.largest(kind) == numbers.max() == -numbers.min()
    assert formats.after_one(kind) == 2.0**-kind.fraction
    assert numbers[np.searchsorted(numbers, 1.0) + 1] == 1 + formats.after_one(kind)
    assert 2**kind.bits - numbers.size < 2 ** (kind.fraction + 2)


def test_bfloat16_is_the_upper_half_of_float32():
    numbers = np.random.default_rng(0).normal(size=100).astype(np.float32)
    cut = (numbers.view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert (cut.astype(ml_dtypes.bfloat16).astype(np.float32) == cut).all()


def test_the_grid_of_the_widget_is_the_grid_of_the_package():
    weights = np.random.default_rng(1).normal(size=(9, 4))
    scale, back, codes = figures.grids(weights, bits=8, kind="symmetric", channels=True, reach=1.0)
    ours, scales = core.quantize_channels(weights)
    assert (codes == ours).all() and (scale == scales).all()
    assert back == pytest.approx(core.dequantize(ours, scales))
    scale, back, codes = figures.grids(weights, bits=3, kind="affine", channels=False, reach=0.5)
    wanted = core.affine(weights.min() / 2, weights.max() / 2, bits=3)
    assert scale.tolist() == [wanted[0]] * 4
    assert (codes == core.quantize(weights, *wanted, bits=3)).all()


def test_the_widget_redraws_with_every_control():
    panel = widgets.explore_grid({"small": np.eye(3), "large": 5 * np.eye(4)})
    before = panel.text
    for name, value in {"layer": "large", "bits": 2, "kind": "affine", "channels": True,
                        "reach": 50}.items():  # fmt: skip
        panel.controls[name].value = value
        assert panel.text != before
        before = panel.text
    panel.reset()
    assert "4 bits, symmetric, one grid over 100%" in panel.text


def test_figures_describe_the_numbers_they_show():
    rows = [
        {"model": "LiteRT int8", "accuracy": 98.5, "size_bytes": 1e5, "latency_us": 12.0},
        {"model": "Keras model(x)", "accuracy": 98.6, "size_bytes": 4e5, "latency_us": 4000.0},
    ]
    assert description(figures.tradeoff(rows)).startswith("LiteRT int8: 100 kB, 98.50 %, 12 µs; K")
    counts = {"fast": np.array([[0, 3], [0, 0]])}
    assert "a (single), b (single; double)" in description(
        figures.traces(["a", "b"], ["single", "double"], counts)
    )
    with pytest.raises(ShapeError, match="fast has shape"):
        figures.traces(["a"], ["single", "double"], counts)
    assert "cut ends at 2" in description(figures.ranges(np.arange(5.0), {"cut": (0.0, 2.0)}))
    kinds = [formats.FORMATS[3]]
    inside = formats.representable(kinds[0])
    wanted = int(((inside >= 0) & (inside <= 1)).sum())
    assert f"float8 e4m3: {wanted}" in description(figures.representables(kinds, high=1.0))
    assert description(figures.flow([("sum", "12"), ("code", "3")])) == "sum: 12; code: 3."
