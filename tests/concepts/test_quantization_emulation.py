"""The network with chosen bits against Keras itself, with weights and activations put on grids."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from datahall import datasets
from datahall.errors import ParameterError, ShapeError
from datahall.quantization import calibration, core, emulation
from datahall.training import core as training

IMAGES = training.as_floats(datasets.load("mnist").test.images[:60])
LABELS = np.asarray(datasets.load("mnist").test.labels[:60], int)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(4)
    return training.travelling_network()


@pytest.fixture(scope="module")
def network(model: keras.Model) -> emulation.Emulator:
    return emulation.Emulator(model, IMAGES, LABELS)


def test_without_bits_it_is_the_network(model: keras.Model, network: emulation.Emulator):
    wanted = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(network.outputs(), wanted, atol=1e-5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, wanted)
    assert network.loss() == pytest.approx(float(loss), abs=1e-5)
    assert network.accuracy() == (wanted.argmax(axis=1) == LABELS).mean()


def test_with_bits_it_is_keras_with_these_weights(model: keras.Model, network: emulation.Emulator):
    bits = {"conv_1": 8, "conv_2": 3, "dense": 2, "logits": 5}
    rounded = keras.models.clone_model(model)
    for name, count in bits.items():
        kernel, bias = model.get_layer(name).get_weights()
        codes, scales = core.quantize_channels(kernel, bits=count)
        rounded.get_layer(name).set_weights([codes * scales, bias])
    wanted = rounded.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(network.outputs(bits), wanted, atol=1e-4)
    np.testing.assert_allclose(network.outputs(), model.predict(IMAGES, verbose=0), atol=1e-5)


def test_activations_stand_on_their_grids(network: emulation.Emulator):
    seen = network.activations(60)
    assert [each.shape[-1] for each in seen.values()] == [16, 32, 64, 10]
    np.testing.assert_allclose(seen["logits"], network.outputs(), atol=1e-5)
    cut = calibration.min_max(seen["logits"])
    scale, zero_point = core.affine(*cut, bits=4)
    found = network.outputs(None, {"logits": cut}, activation_bits=4)
    codes = core.quantize(seen["logits"], scale, zero_point, bits=4)
    wanted = core.dequantize(codes, scale, zero_point)
    assert np.isclose(found, wanted, atol=1e-5).mean() > 0.99  # a sum may lie next to a half
    assert len(np.unique(found.round(5))) <= 16


def test_fewer_bits_for_activations_are_coarser(network: emulation.Emulator):
    ranges = {name: calibration.min_max(each) for name, each in network.activations(60).items()}
    exact = network.outputs()
    errors = [
        core.error(exact, network.outputs(None, ranges, activation_bits=bits)) for bits in (8, 5, 3)
    ]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_wrong_bits_and_wrong_numbers_are_refused(network: emulation.Emulator, model: keras.Model):
    with pytest.raises(ParameterError, match="Give each layer its bits"):
        network.outputs({"conv_1": 8})
    with pytest.raises(ShapeError, match="60 images, 3 labels"):
        emulation.Emulator(model, IMAGES, LABELS[:3])


def test_held_out_digits_are_those_that_the_stand_in_has_not_seen():
    images, labels = emulation.held_out(100_000)
    assert 3_900 < len(images) < 4_100 and len(labels) == len(images)
    _, validation = training.split(60_000, validation=5000)
    mnist = datasets.load("mnist").train
    rest = validation[validation >= 12_000]
    np.testing.assert_array_equal(labels, mnist.labels[rest])
    np.testing.assert_allclose(images[7], training.as_floats(mnist.images[rest[7:8]])[0])
