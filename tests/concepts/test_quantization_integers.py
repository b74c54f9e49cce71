"""Integers only: the rules against exact arithmetic, a network against LiteRT, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall.errors import DataError, ParameterError, ShapeError
from datahall.quantization import core, integers, litert

factors = st.floats(2.0**-30, 0.999)
numbers = st.integers(-(2**31), 2**31 - 1)


def exactly(value: Fraction, tie: str) -> int:
    """Round a fraction to the nearest integer, in Python's exact arithmetic."""
    if tie == "up" or value >= 0:
        return (2 * value + 1).__floor__() // 2
    return -((-2 * value + 1).__floor__() // 2)


@given(numbers, factors)
def test_single_rounds_the_exact_product_once(number: int, factor: float):
    q, shift = (int(part) for part in integers.multiplier(factor))
    exact = Fraction(number * q) * Fraction(2) ** (shift - 31)
    assert integers.single(np.array([number]), factor)[0] == exactly(exact, "up")


@given(numbers, factors)
def test_double_rounds_after_31_bits_and_after_the_rest(number: int, factor: float):
    q, shift = (int(part) for part in integers.multiplier(factor))
    first = exactly(Fraction(number * q, 2**31) * 2 ** max(shift, 0), "away")
    wanted = exactly(first * Fraction(2) ** min(shift, 0), "away")
    assert integers.double(np.array([number]), factor)[0] == wanted


@given(numbers, factors)
def test_double_up_differs_from_double_only_in_ties_below_zero(number: int, factor: float):
    q, shift = (int(part) for part in integers.multiplier(factor))
    first = exactly(Fraction(number * q, 2**31), "up")
    wanted = exactly(first * Fraction(2) ** shift, "up")
    assert integers.double_up(np.array([number]), factor)[0] == wanted


def test_factors_of_one_and_more_shift_to_the_left():
    sums = np.array([-7, 3, 1000])
    for rule in integers.RULES.values():
        assert rule(sums, np.array(1.0)).tolist() == [-7, 3, 1000]
        assert rule(sums, np.array(4.0)).tolist() == [-28, 12, 4000]


@given(st.floats(1e-9, 1e9))
def test_a_multiplier_has_31_bits_and_comes_back(real: float):
    q, shift = integers.multiplier(real)
    assert 2**30 <= q < 2**31
    assert float(q) * 2.0 ** (int(shift) - 31) == pytest.approx(real, rel=2**-31)


def test_a_share_that_rounds_up_is_halved():
    assert [int(part) for part in integers.multiplier(1 - 1e-12)] == [2**30, 1]


@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0**31, np.nan])
def test_factors_that_make_no_sense_are_refused(factor: float):
    with pytest.raises(ParameterError, match="Expected above 0"):
        integers.multiplier(factor)


def a_layer(**changes) -> integers.Layer:
    generator = np.random.default_rng(0)
    made = integers.Layer(
        name="conv",
        weights=generator.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8),
        bias=generator.integers(-900, 900, 4).astype(np.int32),
        input_scale=np.float32(0.02),
        input_zero=-5,
        weight_scales=np.array([0.01, 0.02, 0.003, 0.01], np.float32),
        output_scale=np.float32(0.05),
        output_zero=-100,
        stride=2,
        same=True,
        relu=True,
    )
    return replace(made, **changes)


def test_sums_are_the_definition():
    layer = a_layer()
    codes = np.random.default_rng(1).integers(-128, 128, (2, 7, 6, 2)).astype(np.int8)
    found = integers.sums(layer, codes)
    assert found.shape == (2, 4, 3, 4) and found.dtype == np.int32
    padded = np.full((2, 9, 8, 2), -5)
    padded[:, 1:8, 0:6] = codes  # 6 wide, stride 2: all of the one missing column is at the end
    for i, j, f in np.ndindex(4, 3, 4):
        window = padded[1, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].astype(int) + 5
        wanted = (window * layer.weights[f].astype(int)).sum() + layer.bias[f]
        assert found[1, i, j, f] == wanted


def test_relu_stops_at_the_zero_point_and_codes_saturate():
    layer = a_layer()
    high = np.full((1, 1, 1, 4), 10**6, np.int32)
    assert set(integers.rescale(layer, high, "single").ravel()) == {127}
    assert set(integers.rescale(layer, -high, "single").ravel()) == {-100}
    assert set(integers.rescale(replace(layer, relu=False), -high, "double").ravel()) == {-128}


def test_what_does_not_fit_is_refused():
    layer = a_layer()
    with pytest.raises(ShapeError, match="holds 9"):
        integers.sums(layer, np.zeros((1, 7, 7, 1), np.int8))
    with pytest.raises(ParameterError, match="'triple'"):
        integers.rescale(layer, np.zeros((1, 4), np.int32), "triple")
    with pytest.raises(ShapeError, match="0 rules for 1 layers"):
        integers.run([layer], np.zeros((1, 7, 7, 2), np.int8), [])


@pytest.fixture(scope="module")
def network():
    import keras

    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.layers.Input((12, 12, 1), name="image"),
            keras.layers.Conv2D(6, 3, 2, padding="same", activation="relu", name="same"),
            keras.layers.Conv2D(5, 3, padding="valid", name="valid"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(9, activation="relu", name="hidden"),
            keras.layers.Dense(4, name="logits"),
        ],
        name="net",
    )
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(generator.normal(0, 0.1, layer.bias.shape))
    images = generator.random((400, 12, 12, 1), np.float32)
    return model, images, litert.convert(model, "int8 in and out", images[:100])


REFERENCE = ["double", "double", "single", "single"]


def test_every_layer_equals_the_reference_kernels(network):
    _, images, content = network
    layers = litert.layers_of(content)
    assert [layer.name for _, layer in layers] == ["same", "valid", "hidden", "logits"]
    runner = litert.Runner(content, kernels="reference", keep=True)
    codes = runner.codes(images)
    runner.run(codes)
    ours = integers.run([layer for _, layer in layers], codes, REFERENCE)
    for (index, layer), found in zip(layers, ours, strict=True):
        assert (found == runner.tensor(index)).all(), layer.name
        assert len(np.unique(found)) > 20


@pytest.mark.parametrize(("kernels", "rule"), [("optimized", "double, up"), ("default", "float32")])
def test_the_fast_kernels_have_one_rule_each(network, kernels: str, rule: str):
    _, images, content = network
    runner = litert.Runner(content, kernels=kernels, keep=True)
    codes = runner.codes(images)
    runner.run(codes)
    for index, layer in litert.layers_of(content):
        found = runner.tensor(index)
        assert (integers.apply(layer, codes, rule).reshape(found.shape) == found).all(), layer.name
        codes = found


def test_the_other_rule_would_differ(network):
    _, images, content = network
    layers = litert.layers_of(content)
    codes = litert.Runner(content).codes(images)
    for (_, layer), rule in zip(layers, REFERENCE, strict=True):
        sums = integers.sums(layer, codes)
        codes = integers.rescale(layer, sums, rule)
        if layer.name == "same":
            assert (codes != integers.rescale(layer, sums, "single")).any()


def test_the_default_kernels_differ_by_a_step_at_most_here_and_there(network):
    _, images, content = network
    both = {}
    for kernels in ("reference", "default"):
        runner = litert.Runner(content, kernels=kernels)
        both[kernels] = runner.run(runner.codes(images)).astype(int)
    off = np.abs(both["reference"] - both["default"])
    assert off.max() <= 1 and (off > 0).mean() < 0.1


def test_weights_and_biases_in_the_file_are_ours(network):
    model, _, content = network
    for _, layer in litert.layers_of(content):
        kernel, bias = (value.numpy() for value in model.get_layer(layer.name).weights)
        codes, scales = core.quantize_channels(kernel)
        assert (np.moveaxis(codes, -1, 0) == layer.weights).all()
        assert scales == pytest.approx(layer.weight_scales, rel=1e-6)
        assert (
            core.half_away(bias / (layer.input_scale * layer.weight_scales)) == layer.bias
        ).all()


def test_parts_add_up_to_the_file(network):
    model, _, content = network
    sizes = litert.parts(content)
    weights = sum(layer.kernel.shape.num_elements() for layer in model.layers if layer.weights)
    assert sum(sizes.values()) == len(content)
    assert (sizes["weights"], sizes["biases"]) == (weights, 4 * (6 + 5 + 9 + 4))
    assert 0 < sizes["container"] < 6000


def test_a_runner_takes_any_batch_and_tells_the_class(network):
    model, images, _ = network
    content = litert.convert(model, "float32")
    runner = litert.Runner(content)
    wanted = model.predict(images[:7], verbose=0)
    assert runner.run(images[:7]) == pytest.approx(wanted, abs=1e-5)
    assert runner.run(images[:2]) == pytest.approx(wanted[:2], abs=1e-5)
    assert (runner.classes(images[:7], batch=3) == wanted.argmax(axis=1)).all()


def test_what_litert_cannot_use_is_refused(network):
    model, images, content = network
    with pytest.raises(ParameterError, match="needs calibration images"):
        litert.convert(model, "int8")
    with pytest.raises(ParameterError, match="'int3'"):
        litert.convert(model, "int3")
    with pytest.raises(ParameterError, match="'fast'"):
        litert.Runner(content, kernels="fast")
    with pytest.raises(DataError, match="runs"):
        litert.Runner(b"nothing")
    with pytest.raises(ShapeError, match="Expected these"):
        litert.Runner(content).run(images[..., 0])
    with pytest.raises(DataError, match="not int8"):
        litert.layers_of(litert.convert(model, "float32"))
