import numpy as np
import pytest
import tensorflow as tf

from datahall.errors import ShapeError
from datahall.optimization import network as net

POINTS, TARGETS = net.two_rings(12, seed=3)


def test_a_2_5_2_network_has_27_parameters():
    assert net.new_network().parameters == 27
    assert [array.shape for array in net.new_network().arrays] == [(2, 5), (5,), (5, 2), (2,)]


def test_back_propagation_equals_central_differences():
    network = net.new_network(seed=1)
    gradient = net.flatten(net.backward(network, net.forward(network, POINTS), TARGETS))
    numerical = net.numerical_gradient(
        lambda v: net.loss(net.unflatten(v, network), POINTS, TARGETS), net.flatten(network)
    )
    assert np.abs(gradient - numerical).max() < 1e-8


def test_back_propagation_equals_tensorflow():
    network = net.new_network(seed=2)
    variables = [tf.Variable(array) for array in network.arrays]
    with tf.GradientTape() as tape:
        hidden = tf.nn.relu(POINTS @ variables[0] + variables[1])
        logits = hidden @ variables[2] + variables[3]
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(TARGETS, logits))
    ours = net.backward(network, net.forward(network, POINTS), TARGETS)
    for mine, theirs in zip(ours.arrays, tape.gradient(loss, variables), strict=True):
        assert np.allclose(mine, theirs.numpy(), atol=1e-12)
    assert net.loss(network, POINTS, TARGETS) == pytest.approx(float(loss))


def test_unflatten_undoes_flatten():
    network = net.new_network(seed=4)
    back = net.unflatten(net.flatten(network), network)
    assert all(np.array_equal(a, b) for a, b in zip(network.arrays, back.arrays, strict=True))


def test_unflatten_refuses_a_vector_of_another_length():
    with pytest.raises(ShapeError, match=r"shape \(26,\), expected \(27,\)"):
        net.unflatten(np.zeros(26), net.new_network())


def test_forward_refuses_points_of_another_width():
    with pytest.raises(ShapeError, match=r"shape \(4, 3\), expected \(batch, 2\)"):
        net.forward(net.new_network(), np.zeros((4, 3)))


def test_no_straight_line_divides_the_rings():
    from sklearn.linear_model import LogisticRegression

    points, targets = net.two_rings(400, seed=0)
    labels = targets.argmax(axis=1)
    assert LogisticRegression().fit(points, labels).score(points, labels) < 0.65
    assert ((np.linalg.norm(points, axis=1) > 1) == labels).mean() > 0.99
