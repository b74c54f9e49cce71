import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datahall.errors import ParameterError, ShapeError
from datahall.optimization import activations, losses, regularization
from datahall.optimization.network import numerical_gradient

LOGITS = arrays(float, (3, 4), elements=st.floats(-30, 30))
PLACES = np.linspace(-6, 6, 49)  # no zero-free grid: ReLU's kink at 0 is among them


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(0, 3, (6, 4))


@pytest.fixture
def targets():
    return losses.one_hot([0, 3, 1, 1, 2, 0], 4)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_an_activation_equals_the_one_of_keras(name):
    ours = getattr(activations, name)(PLACES)
    assert np.allclose(ours, keras.ops.convert_to_numpy(getattr(keras.activations, name)(PLACES)))


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_a_slope_equals_the_one_that_tensorflow_finds(name):
    places = tf.constant(PLACES)
    with tf.GradientTape() as tape:
        tape.watch(places)
        values = getattr(tf.nn, name)(places)
    ours = getattr(activations, f"{name}_derivative")(PLACES)
    assert np.allclose(ours, tape.gradient(values, places).numpy(), atol=1e-7)


def test_the_largest_slopes_are_one_and_a_quarter():
    assert activations.tanh_derivative(PLACES).max() == 1.0
    assert activations.sigmoid_derivative(PLACES).max() == 0.25


def test_sigmoid_is_finite_and_silent_at_both_ends():
    with np.errstate(all="raise"):
        assert activations.sigmoid([-700.0, 700.0]).tolist() == pytest.approx([0.0, 1.0])


def test_the_mean_squared_error_equals_that_of_keras(logits, targets):
    theirs = float(keras.losses.MeanSquaredError()(targets, logits))
    assert losses.mean_squared_error(targets, logits) == pytest.approx(theirs, rel=1e-6)


def test_the_slope_of_the_mean_squared_error_equals_differences(logits, targets):
    numerical = numerical_gradient(lambda p: losses.mean_squared_error(targets, p), logits)
    assert np.allclose(losses.mean_squared_error_gradient(targets, logits), numerical, atol=1e-8)


def test_the_cross_entropy_equals_that_of_keras_from_probabilities_and_from_logits(logits, targets):
    probabilities = losses.softmax(logits)
    assert losses.cross_entropy(targets, probabilities) == pytest.approx(
        float(keras.losses.CategoricalCrossentropy()(targets, probabilities)), rel=1e-6
    )
    assert losses.cross_entropy_from_logits(targets, logits) == pytest.approx(
        float(keras.losses.CategoricalCrossentropy(from_logits=True)(targets, logits)), rel=1e-6
    )


def test_the_binary_cross_entropy_equals_that_of_keras(logits, targets):
    for from_logits, ours, given_ in [
        (True, losses.binary_cross_entropy_from_logits, logits),
        (False, losses.binary_cross_entropy, activations.sigmoid(logits)),
    ]:
        theirs = keras.losses.BinaryCrossentropy(from_logits=from_logits)(targets, given_)
        assert ours(targets, given_) == pytest.approx(float(theirs), rel=1e-6)


@given(LOGITS)
def test_softmax_is_positive_sums_to_one_and_does_not_see_a_shift(logits):
    shares = losses.softmax(logits)
    assert (shares >= 0).all()
    assert np.allclose(shares.sum(axis=-1), 1.0)
    assert np.allclose(shares, losses.softmax(logits + 1000.0))


def test_softmax_equals_that_of_keras(logits):
    assert np.allclose(
        losses.softmax(logits), keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    )


def test_losses_from_logits_stay_finite_at_a_thousand():
    with np.errstate(over="raise", invalid="raise"):
        assert losses.cross_entropy_from_logits([[1.0, 0.0]], [[-1000.0, 1000.0]]) == 2000.0
        assert losses.binary_cross_entropy_from_logits([0.0], [1000.0]) == 1000.0


def test_a_probability_of_zero_costs_without_limit_only_where_the_target_is_not_zero():
    assert losses.cross_entropy([[1.0, 0.0]], [[1.0, 0.0]]) == 0.0
    assert losses.cross_entropy([[0.0, 1.0]], [[1.0, 0.0]]) == np.inf


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_the_slope_from_logits_equals_differences(name, logits, targets):
    function = getattr(losses, f"{name}_from_logits")
    numerical = numerical_gradient(lambda z: function(targets, z), logits)
    assert np.allclose(getattr(losses, f"{name}_gradient")(targets, logits), numerical, atol=1e-8)


def test_a_loss_refuses_targets_of_another_shape():
    with pytest.raises(ShapeError, match=r"targets \(2,\) and predictions \(2, 2\).*one_hot"):
        losses.cross_entropy([0, 1], [[0.5, 0.5], [0.5, 0.5]])


def test_penalties_equal_those_of_keras():
    weights = np.array([[0.5, -2.0], [0.0, 3.0]])
    assert regularization.l1_penalty(weights, 0.01) == pytest.approx(
        float(keras.regularizers.L1(0.01)(weights))
    )
    assert regularization.l2_penalty(weights, 0.01) == pytest.approx(
        float(keras.regularizers.L2(0.01)(weights))
    )


def test_slopes_of_penalties_equal_differences():
    weights = np.array([0.5, -2.0, 3.0])
    for name in ("l1", "l2"):
        penalty = getattr(regularization, f"{name}_penalty")
        numerical = numerical_gradient(lambda w, f=penalty: f(w, 0.1), weights)
        assert np.allclose(getattr(regularization, f"{name}_gradient")(weights, 0.1), numerical)


def test_dropout_keeps_the_mean_and_raises_what_it_keeps():
    dropped = regularization.dropout(np.ones(100_000), rate=0.25, rng=np.random.default_rng(0))
    assert set(np.unique(dropped)) == {0.0, 1 / 0.75}
    assert dropped.mean() == pytest.approx(1.0, abs=0.01)
    theirs = keras.layers.Dropout(0.25, seed=0)(np.ones(1000, "float32"), training=True)
    assert set(np.unique(keras.ops.convert_to_numpy(theirs))) == {0.0, np.float32(1 / 0.75)}


def test_dropout_refuses_to_drop_everything():
    with pytest.raises(ParameterError, match=r"rate is 1\.0, expected 0 ≤ rate < 1"):
        regularization.dropout([1.0], rate=1.0, rng=np.random.default_rng(0))
