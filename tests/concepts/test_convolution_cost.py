"""What `cost` counts, against Keras, against counting in loops, and against published figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datahall.convolution import core, cost, lowering
from datahall.errors import ShapeError, UnitError

SEARCH = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@SEARCH
@given(
    size=st.tuples(st.integers(4, 12), st.integers(4, 12)), channels=st.integers(1, 3),
    filters=st.integers(1, 3), groups=st.integers(1, 3), kernel=st.integers(1, 4),
    stride=st.integers(1, 3), padding=st.sampled_from([0, 1, "same", "valid"]),
)  # fmt: skip
def test_a_layer_counts_what_the_convolution_really_does(
    size, channels, filters, groups, kernel, stride, padding
) -> None:
    layer = cost.ConvLayer(
        *size, groups * channels, groups * filters, kernel, stride, padding, groups, batch=2
    )
    images = np.ones((2, *size, groups * channels), np.float32)
    kernels = np.ones((kernel, kernel, channels, groups * filters), np.float32)
    out = core.conv2d(images, kernels, stride=stride, padding=padding, groups=groups)
    assert out.shape == (2, layer.out_height, layer.out_width, layer.filters)
    assert layer.weights == kernels.size
    assert layer.bytes_moved == images.nbytes + kernels.nbytes + out.nbytes
    # a kernel of ones on an endless image of ones would give the number of products at each place
    inside = core.conv2d(
        np.ones((1, kernel, kernel, groups * channels), np.int64),
        kernels.astype(np.int64), groups=groups,
    )  # fmt: skip
    assert layer.multiply_adds == out.size * inside.flat[0]


def test_parameters_equal_keras() -> None:
    import keras

    for filters, groups in ((8, 1), (8, 2), (4, 4)):
        built = keras.layers.Conv2D(filters, 5, groups=groups)
        built.build((1, 28, 28, 4))
        layer = cost.ConvLayer(28, 28, 4, filters, 5, groups=groups)
        assert layer.parameters == built.count_params()


def test_im2col_bytes_is_the_size_of_the_matrix() -> None:
    layer = cost.ConvLayer(9, 8, 3, 4, kernel=2, stride=2, batch=2)
    matrix = lowering.im2col(np.ones((2, 9, 8, 3), np.float32), 2, 2, stride=2)
    assert layer.im2col_bytes == matrix.nbytes


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("filters", [8, 64])
def test_separable_saves_by_the_published_ratio(kernel: int, filters: int) -> None:
    layer = cost.ConvLayer(14, 14, 32, filters, kernel, padding="same")
    saved = sum(part.multiply_adds for part in cost.separable(layer)) / layer.multiply_adds
    assert saved == pytest.approx(1 / filters + 1 / kernel**2)


def test_separable_refuses_a_layer_with_groups() -> None:
    with pytest.raises(ShapeError, match=r"groups is 2\. Expected 1"):
        cost.separable(cost.ConvLayer(8, 8, 4, 4, groups=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filters": 0}, "filters is 0. Expected at least 1"),
        ({"groups": 3}, "groups is 3 for 4 channels"),
        ({"kernel": 30}, "kernel .30, reaching over 30. is longer"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        cost.ConvLayer(**({"height": 8, "width": 8, "channels": 4, "filters": 4} | change))


def test_the_roofline_bends_where_both_limits_meet() -> None:
    ridge = 100e9 / 10e9
    assert cost.attainable_flop_per_s(ridge, 100e9, 10e9) == 100e9
    assert cost.attainable_flop_per_s(ridge / 2, 100e9, 10e9) == 50e9
    assert cost.attainable_flop_per_s(ridge * 2, 100e9, 10e9) == 100e9


def test_the_roofline_refuses_a_peak_of_zero() -> None:
    with pytest.raises(UnitError, match=r"bytes_per_s is 0. Expected more than 0"):
        cost.attainable_flop_per_s(1.0, 1.0, 0)


@SEARCH
@given(batch=st.integers(1, 64), filters=st.integers(1, 64))
def test_the_least_time_is_never_below_either_limit(batch: int, filters: int) -> None:
    layer = cost.ConvLayer(14, 14, 8, filters, batch=batch)
    least = cost.least_time_s(layer, 100e9, 10e9)
    assert least >= layer.flop / 100e9 * (1 - 1e-12)
    assert least >= layer.bytes_moved / 10e9 * (1 - 1e-12)


@SEARCH
@given(layers=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 2)), min_size=1, max_size=4))
def test_a_receptive_field_is_what_a_gradient_reaches(layers: list[tuple[int, int]]) -> None:
    """Count, on a line of ones, the input elements that one output number depends on."""
    reached = np.array([True])
    for kernel, stride in reversed(layers):
        wider = np.zeros((len(reached) - 1) * stride + kernel, bool)
        for place in np.flatnonzero(reached):
            wider[place * stride : place * stride + kernel] = True
        reached = wider
    assert cost.receptive_fields(layers)[-1] == len(reached)


def test_receptive_fields_of_published_networks() -> None:
    """The last pooling of AlexNet and VGG-16, from table 1 of Araujo, Norris and Sim (2019)."""
    alexnet = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
    vgg16 = ([(3, 1)] * 2 + [(2, 2)]) * 2 + ([(3, 1)] * 3 + [(2, 2)]) * 3
    assert cost.receptive_fields(alexnet)[-1] == 195
    assert cost.receptive_fields(vgg16)[-1] == 212


def test_receptive_fields_refuse_a_stride_of_zero() -> None:
    with pytest.raises(ShapeError, match="kernel 3 and stride 0"):
        cost.receptive_fields([(3, 0)])


def test_operations_equal_tensorflows_own_count() -> None:
    import tensorflow as tf
    from tensorflow.python.framework import ops  # the statistics behind TensorFlow's profiler

    layer = cost.ConvLayer(28, 28, 32, 64)
    traced = tf.function(lambda x, k: tf.nn.conv2d(x, k, 1, "VALID")).get_concrete_function(
        tf.TensorSpec((1, 28, 28, 32)), tf.TensorSpec((3, 3, 32, 64))
    )
    node = next(op for op in traced.graph.get_operations() if op.type == "Conv2D").node_def
    assert ops.get_stats_for_node_def(traced.graph, node, "flops").value == layer.flop


def test_resnet50_has_the_weights_that_keras_counts() -> None:
    import keras

    model = keras.applications.ResNet50(weights=None)
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    layers = cost.resnet50(batch=2)
    assert sum(layer.weights for layer in layers) == sum(int(np.prod(k.shape)) for k in kernels)
    assert len(layers) == len(kernels)
