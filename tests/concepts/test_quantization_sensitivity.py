"""The pictures and the panel of the lecture on sensitivity say what was measured."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from datahall import datasets
from datahall.plotting import description
from datahall.quantization import calibration, core, emulation, sensitivity
from datahall.quantization import sensitivity_figures as figures
from datahall.quantization import sensitivity_widgets as widgets
from datahall.training import core as training


@pytest.fixture(scope="module")
def network() -> emulation.Emulator:
    keras.utils.set_random_seed(5)
    mnist = datasets.load("mnist").test
    images, labels = training.as_floats(mnist.images[:50]), mnist.labels[:50]
    return emulation.Emulator(training.travelling_network(), images, labels)


def test_curves_and_the_descent_name_their_ends():
    said = description(figures.alone([2, 8], {"a": [0.5, 0.1], "b": [0.25, 0.1]}))
    assert "2 to 8 bits" in said and "a: 0.5 to 0.1; b: 0.25 to 0.1" in said
    steps = [sensitivity.Choice({"a": n}, 1000 * n, 2.0**-n) for n in (8, 7, 6)]
    said = description(figures.descent(steps, steps[:1], 6500))
    assert "3 choices from 8,000 B (loss 0.00391) to 6,000 B (loss 0.0156)" in said
    assert "budget 6,500 B" in said


def test_the_map_names_the_largest_error_of_the_kernel():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4))
    codes, scales = core.quantize_channels(kernel, bits=3)
    largest = np.abs(codes * scales - kernel).max()
    said = description(figures.heat(kernel, bits=3))
    assert "18 × 4 weights in 3 bits" in said and f"largest error {largest:.2g}" in said


def test_each_control_is_measured(network: emulation.Emulator):
    cuts = {name: calibration.min_max(each) for name, each in network.activations(50).items()}
    panel = widgets.explore_bits(network, {"min-max": cuts})
    seen = {panel.text}
    for name, value in {"dense": 2, "calibration": "min-max", "activation_bits": 3}.items():
        panel.controls[name].value = value
        assert panel.text not in seen
        seen.add(panel.text)
    bits = {"conv_1": 4, "conv_2": 4, "dense": 2, "logits": 4}
    right = 100 * network.accuracy(bits, ranges=cuts, activation_bits=3)
    assert f"{right:.1f} % right, {len(network.file(bits)):,} B" in panel.text
    assert "dense, 2 bits 25,088 B" in panel.text
