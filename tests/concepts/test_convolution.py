"""The convolution against other people's code, by hand, and by its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from datahall.convolution import core, lowering, pooling
from datahall.errors import ShapeError

SEARCH = settings(max_examples=60, deadline=None, derandomize=True, database=None)
lengths = st.integers(1, 4)


def random(seed: int, *shape: int, dtype: type = np.float64) -> core.Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def tensorflow():  # imported late: most tests here do not need it
    import tensorflow as tf

    return tf


def test_output_size_equals_counting_the_places_one_by_one() -> None:
    for size in range(1, 9):
        for kernel in range(1, 5):
            for stride in range(1, 4):
                for padding in range(3):
                    for dilation in range(1, 3):
                        last = size + 2 * padding - dilation * (kernel - 1) - 1
                        places = len(range(0, last + 1, stride))
                        if places == 0:
                            continue
                        said = core.output_size(
                            size, kernel, stride=stride, padding=padding, dilation=dilation
                        )
                        assert said == places


def test_output_size_refuses_a_kernel_longer_than_the_input() -> None:
    with pytest.raises(ShapeError, match=r"kernel \(5, reaching over 5\) is longer than .* \(4\)"):
        core.output_size(4, 5)


@pytest.mark.parametrize("name", ["size", "kernel", "stride", "dilation"])
def test_output_size_names_the_length_that_is_below_one(name: str) -> None:
    lengths = {"size": 4, "kernel": 2, "stride": 1, "dilation": 1} | {name: 0}
    with pytest.raises(ShapeError, match=rf"{name} is 0\. Expected at least 1"):
        core.output_size(lengths.pop("size"), lengths.pop("kernel"), **lengths)


def test_output_size_refuses_negative_padding() -> None:
    with pytest.raises(ShapeError, match=r"padding is -1\. Expected 0 or more"):
        core.output_size(4, 2, padding=-1)


def test_correlate_equals_scipy_and_convolve_equals_its_convolution() -> None:
    image, kernel = random(0, 9, 7), random(1, 3, 4)
    np.testing.assert_allclose(
        core.correlate(image, kernel), signal.correlate2d(image, kernel, "valid"), atol=1e-12
    )
    np.testing.assert_allclose(
        core.convolve(image, kernel), signal.convolve2d(image, kernel, "valid"), atol=1e-12
    )
    np.testing.assert_allclose(
        core.correlate(image, kernel[:, :3], padding=2),
        signal.correlate2d(image, kernel[:, :3], "full"),
        atol=1e-12,
    )


def test_a_sum_of_bytes_does_not_overflow() -> None:
    image = np.full((2, 2), 255, np.uint8)
    assert core.correlate(image, np.ones((2, 2), np.int8)).item() == 1020


@SEARCH
@given(
    seed=st.integers(0, 99), kernel=st.tuples(lengths, lengths), stride=st.integers(1, 3),
    dilation=st.integers(1, 2), padding=st.sampled_from(["valid", "same"]),
    groups=st.integers(1, 2), channels=st.integers(1, 2), filters=st.integers(1, 2),
)  # fmt: skip
def test_conv2d_equals_tensorflow(
    seed: int, kernel: tuple[int, int], stride: int, dilation: int, padding: core.Padding,
    groups: int, channels: int, filters: int,
) -> None:  # fmt: skip
    if dilation > 1:
        stride = 1  # TensorFlow allows one of the two
    images = random(seed, 2, 9, 8, groups * channels, dtype=np.float32)
    kernels = random(seed + 1, *kernel, channels, groups * filters, dtype=np.float32)
    ours = core.conv2d(
        images, kernels, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    tf = tensorflow()
    theirs = [  # group by group: TensorFlow's CPU kernels know no groups in every setting
        tf.nn.conv2d(part, mine, stride, str(padding).upper(), dilations=dilation).numpy()
        for part, mine in zip(
            np.split(images, groups, 3), np.split(kernels, groups, 3), strict=True
        )
    ]
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, np.concatenate(theirs, 3), atol=1e-5)


def test_conv2d_equals_keras_with_bias_and_with_groups() -> None:
    import keras

    images = random(0, 2, 10, 10, 4, dtype=np.float32)
    for groups in (1, 2):
        layer = keras.layers.Conv2D(6, 3, strides=2, padding="same", groups=groups)
        layer.build(images.shape)
        kernels, _ = layer.get_weights()
        bias = random(3, 6, dtype=np.float32)
        layer.set_weights([kernels, bias])
        ours = core.conv2d(images, kernels, bias, stride=2, padding="same", groups=groups)
        np.testing.assert_allclose(ours, layer(images).numpy(), atol=1e-5)


@SEARCH
@given(seed=st.integers(0, 999), factor=st.integers(-5, 5))
def test_conv2d_is_linear_in_its_kernel_and_in_its_image(seed: int, factor: int) -> None:
    image, other = np.random.default_rng(seed).integers(-9, 9, (2, 1, 5, 5, 2))
    kernel, second = np.random.default_rng(seed + 1).integers(-9, 9, (2, 3, 2, 2, 3))
    np.testing.assert_array_equal(
        core.conv2d(image, kernel + factor * second),
        core.conv2d(image, kernel) + factor * core.conv2d(image, second),
    )
    np.testing.assert_array_equal(
        core.conv2d(image + factor * other, kernel),
        core.conv2d(image, kernel) + factor * core.conv2d(other, kernel),
    )


@SEARCH
@given(seed=st.integers(0, 999), shift=st.integers(1, 3))
def test_a_shifted_image_gives_a_shifted_output(seed: int, shift: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (9, 9))
    kernel = np.random.default_rng(seed + 1).integers(-3, 4, (3, 3))
    np.testing.assert_array_equal(
        core.correlate(image[shift:], kernel), core.correlate(image, kernel)[shift:]
    )


@pytest.mark.parametrize(
    "way", [lowering.conv2d_loops, lowering.conv2d_windows, lowering.conv2d_im2col,
            lowering.conv2d_fft],
)  # fmt: skip
def test_every_rung_of_the_ladder_computes_the_same_sum(way) -> None:
    images, kernels = random(0, 2, 7, 6, 3), random(1, 3, 2, 3, 4)
    np.testing.assert_allclose(way(images, kernels), core.conv2d(images, kernels), atol=1e-10)


@pytest.mark.parametrize(
    "way", [lowering.conv2d_loops, lowering.conv2d_windows, lowering.conv2d_im2col,
            lowering.conv2d_fft],
)  # fmt: skip
def test_every_rung_refuses_a_kernel_that_does_not_fit(way) -> None:
    with pytest.raises(ShapeError, match="is longer than the padded input"):
        way(np.ones((1, 2, 2, 1)), np.ones((3, 3, 1, 1)))
    with pytest.raises(ShapeError, match="kernels see 2 channels"):
        way(np.ones((1, 4, 4, 1)), np.ones((3, 3, 2, 1)))


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_im2col_takes_stride_and_dilation(stride: int, dilation: int) -> None:
    images, kernels = random(0, 2, 9, 8, 3), random(1, 3, 2, 3, 4)
    np.testing.assert_allclose(
        lowering.conv2d_im2col(images, kernels, stride=stride, dilation=dilation, padding=1),
        core.conv2d(images, kernels, stride=stride, dilation=dilation, padding=1),
        atol=1e-12,
    )


def test_separable_conv2d_equals_keras() -> None:
    import keras

    images = random(0, 1, 8, 8, 3, dtype=np.float32)
    layer = keras.layers.SeparableConv2D(5, 3, padding="same", use_bias=False)
    theirs = layer(images).numpy()
    depthwise, pointwise = layer.get_weights()
    ours = lowering.separable_conv2d(images, depthwise[..., 0], pointwise[0, 0], padding="same")
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_separable_layer_is_a_full_layer_whose_kernel_is_a_product() -> None:
    images, alone, mix = random(0, 1, 6, 6, 3), random(1, 3, 3, 3), random(2, 3, 4)
    np.testing.assert_allclose(
        lowering.separable_conv2d(images, alone, mix),
        core.conv2d(images, alone[..., None] * mix),
        atol=1e-12,
    )


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, None), (3, 2), (2, 1)])
def test_pooling_equals_keras(size: int, stride: int | None) -> None:
    import keras

    images = random(0, 2, 9, 8, 3, dtype=np.float32)
    largest = keras.layers.MaxPooling2D(size, stride)(images).numpy()
    np.testing.assert_array_equal(pooling.max_pool(images, size, stride=stride), largest)


def test_windows_is_a_view_that_cannot_be_written() -> None:
    images = np.zeros((1, 4, 4, 1))
    view = pooling.windows(images, 2)
    assert np.shares_memory(view, images)
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0, 0, 0, 0, 0] = 1


def test_pooling_names_the_missing_axes() -> None:
    with pytest.raises(ShapeError, match=r"shape \(4, 4\). Expected \(batch, height"):
        pooling.max_pool(np.zeros((4, 4)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4, 4), (2, 2, 1, 1)), r"images have shape \(4, 4\) .* Expected four axes"),
        (((1, 4, 4, 3), (2, 2, 1, 1)), "kernels see 1 channels in 1 group"),
        (((1, 4, 4, 1), (2, 2, 1, 3), (2,)), r"bias has shape \(2,\). Expected \(3,\)"),
    ],
)
def test_conv2d_says_which_shapes_do_not_fit(
    arguments: tuple[tuple[int, ...], ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        core.conv2d(*(np.zeros(shape) for shape in arguments))


def test_conv2d_refuses_groups_that_do_not_divide_the_channels() -> None:
    with pytest.raises(ShapeError, match="groups is 2 for 3 channels and 4 filters"):
        core.conv2d(np.zeros((1, 4, 4, 3)), np.zeros((2, 2, 1, 4)), groups=2)


def test_padding_must_be_a_length_or_one_of_two_words() -> None:
    with pytest.raises(ShapeError, match="padding is 'full'"):
        core.correlate(np.zeros((4, 4)), np.zeros((2, 2)), padding="full")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="padding is -1"):
        core.correlate(np.zeros((4, 4)), np.zeros((2, 2)), padding=-1)


def test_correlate_names_the_array_that_is_not_a_plane() -> None:
    with pytest.raises(ShapeError, match=r"kernel has shape \(2,\). Expected two axes"):
        core.correlate(np.zeros((4, 4)), np.zeros(2))
