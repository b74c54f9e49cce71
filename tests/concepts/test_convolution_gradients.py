"""The gradients of a convolution, against differences, against TensorFlow, and by their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datahall.convolution import core, gradients, pooling
from datahall.errors import ParameterError, ShapeError

SEARCH = settings(max_examples=40, deadline=None, derandomize=True, database=None)
cases = given(
    seed=st.integers(0, 99), height=st.integers(4, 8), width=st.integers(4, 8),
    kernel_h=st.integers(1, 4), kernel_w=st.integers(1, 4), stride=st.integers(1, 3),
    padding=st.sampled_from([0, 1, 2, "same", "valid"]),
)  # fmt: skip


def setting(seed, height, width, kernel_h, kernel_w, stride, padding):
    generator = np.random.default_rng(seed)
    images = generator.normal(size=(2, height, width, 2))
    kernels = generator.normal(size=(kernel_h, kernel_w, 2, 3))
    forward = core.conv2d(images, kernels, stride=stride, padding=padding)
    return images, kernels, generator.normal(size=forward.shape)


@SEARCH
@cases
def test_the_three_sums_over_upstream_kernel_and_input_agree(**case) -> None:
    """<upstream, conv(x, k)> = <kernel gradient, k> = <input gradient, x>: linear in both."""
    images, kernels, upstream = setting(**case)
    stride, padding = case["stride"], case["padding"]
    forward = (upstream * core.conv2d(images, kernels, stride=stride, padding=padding)).sum()
    by_kernel = gradients.kernel_gradient(
        images, upstream, *kernels.shape[:2], stride=stride, padding=padding
    )
    by_input = gradients.input_gradient(
        upstream, kernels, *images.shape[1:3], stride=stride, padding=padding
    )
    assert by_kernel.shape == kernels.shape
    assert by_input.shape == images.shape
    assert (by_kernel * kernels).sum() == pytest.approx(forward)
    assert (by_input * images).sum() == pytest.approx(forward)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, "same"), (2, 0)])
def test_both_gradients_equal_central_differences(stride: int, padding: core.Padding) -> None:
    images, kernels, upstream = setting(0, 6, 5, 3, 2, stride, padding)

    def loss_of_kernels(values: core.Array) -> float:
        return float((upstream * core.conv2d(images, values, stride=stride, padding=padding)).sum())

    def loss_of_images(values: core.Array) -> float:
        return float(
            (upstream * core.conv2d(values, kernels, stride=stride, padding=padding)).sum()
        )

    np.testing.assert_allclose(
        gradients.kernel_gradient(images, upstream, 3, 2, stride=stride, padding=padding),
        gradients.numerical_gradient(loss_of_kernels, kernels),
        atol=1e-8,
    )
    np.testing.assert_allclose(
        gradients.input_gradient(upstream, kernels, 6, 5, stride=stride, padding=padding),
        gradients.numerical_gradient(loss_of_images, images),
        atol=1e-8,
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2])
def test_both_gradients_equal_tensorflow(stride: int, padding: core.Padding) -> None:
    import tensorflow as tf

    images, kernels, upstream = setting(1, 8, 7, 3, 3, stride, padding)
    x, k = tf.constant(images), tf.constant(kernels)
    with tf.GradientTape() as tape:
        tape.watch([x, k])
        loss = tf.reduce_sum(upstream * tf.nn.conv2d(x, k, stride, str(padding).upper()))
    by_input, by_kernel = tape.gradient(loss, [x, k])
    np.testing.assert_allclose(
        gradients.kernel_gradient(images, upstream, 3, 3, stride=stride, padding=padding),
        by_kernel.numpy(),
        atol=1e-9,
    )
    np.testing.assert_allclose(
        gradients.input_gradient(upstream, kernels, 8, 7, stride=stride, padding=padding),
        by_input.numpy(),
        atol=1e-9,
    )


def test_the_pooling_gradient_equals_tensorflow_also_where_values_are_equal() -> None:
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 3, (2, 6, 7, 2)).astype(np.float32)
    upstream = np.random.default_rng(1).normal(size=(2, 3, 3, 2)).astype(np.float32)
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(upstream * tf.nn.max_pool2d(x, 2, 2, "VALID"))
    np.testing.assert_array_equal(
        gradients_of_pooling := pooling.max_pool_gradient(images, upstream),
        tape.gradient(loss, x).numpy(),
    )
    assert gradients_of_pooling.sum() == pytest.approx(upstream.sum(), abs=1e-4)


def test_the_pooling_gradient_refuses_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"shape \(1, 1, 1, 1\). Expected \(1, 2, 2, 1\)"):
        pooling.max_pool_gradient(np.zeros((1, 4, 4, 1)), np.zeros((1, 1, 1, 1)))


def test_gradients_refuse_an_upstream_of_another_stride() -> None:
    with pytest.raises(ShapeError, match="Expected 4 places on axis 1"):
        gradients.kernel_gradient(np.zeros((1, 6, 6, 1)), np.zeros((1, 2, 2, 1)), 3, 3)
    with pytest.raises(ShapeError, match="Use the stride and padding of the forward pass"):
        gradients.input_gradient(np.zeros((1, 2, 2, 1)), np.zeros((3, 3, 1, 1)), 6, 6)


def test_numerical_gradient_refuses_float32_and_leaves_its_argument_alone() -> None:
    with pytest.raises(ParameterError, match=r"values are float32\. Expected float64"):
        gradients.numerical_gradient(lambda x: float(x.sum()), np.ones(2, np.float32))
    values = np.array([1.0, 2.0])
    gradients.numerical_gradient(lambda x: float((x**3).sum()), values)
    assert values.tolist() == [1.0, 2.0]
