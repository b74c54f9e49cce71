"""The convolution of deep learning: sizes, and the sum itself.

A kernel slides over an image; at each place the products of kernel and image are summed. Read
`output_size`, `correlate` and `convolve` (one plane), then `conv2d` (batches, channels, filters,
groups). Axes are `(batch, height, width, channels)` for images and `(kernel_h,
kernel_w, channels, filters)` for kernels.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from datahall.errors import ShapeError

Array: TypeAlias = npt.NDArray[Any]
Padding: TypeAlias = int | Literal["valid", "same"]


def output_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Return how many places a kernel can stand along one axis.

    Args:
        size: Input length along the axis, in elements.
        kernel: Kernel length along the axis, in elements.
        stride: Step between two places, in elements.
        padding: Zeros added on *each* side, in elements.
        dilation: Distance between two neighbours in the kernel, in elements; 1 is a solid kernel.

    Raises:
        ShapeError: A length is below its minimum, or the padded input is shorter than the kernel.

    Example:
        >>> output_size(28, 5, padding=2)
        28
        >>> output_size(28, 2, stride=2)
        14
        >>> output_size(7, 3, dilation=2)
        3

    Source:
        Dumoulin and Visin (2016), "A guide to convolution arithmetic for deep learning",
        arXiv:1603.07285, relationships 6 and 15.
    """
    names = {"size": size, "kernel": kernel, "stride": stride, "dilation": dilation}
    for name, value in names.items():
        if value < 1:
            raise ShapeError(f"{name} is {value}. Expected at least 1. Give a positive {name}.")
    if padding < 0:
        raise ShapeError(f"padding is {padding}. Expected 0 or more. Crop the input instead.")
    reach = dilation * (kernel - 1) + 1
    padded = size + 2 * padding
    if padded < reach:
        raise ShapeError(
            f"kernel ({kernel}, reaching over {reach}) is longer than the padded input ({padded}). "
            "Expected a kernel that fits. Use a smaller kernel or more padding."
        )
    return (padded - reach) // stride + 1


def same_padding(size: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Return the zeros before and after an axis that give `ceil(size / stride)` places.

    An odd total puts the extra zero *after*, as TensorFlow does (PyTorch and Caffe differ).

    Args:
        size: Input length along the axis, in elements.
        kernel: Kernel length along the axis, in elements.
        stride: Step between two places, in elements.
        dilation: Distance between two numbers of the kernel, in elements.

    Example:
        >>> same_padding(28, 5)
        (2, 2)
        >>> same_padding(28, 3, stride=2)
        (0, 1)

    Source:
        TensorFlow, `tf.nn` guide, "Notes on padding".
    """
    reach = dilation * (kernel - 1) + 1
    places = -(-size // stride)
    total = max(0, (places - 1) * stride + reach - size)
    return total // 2, total - total // 2


def pad_image(
    images: Array,
    kernel_h: int,
    kernel_w: int,
    padding: Padding,
    *,
    stride: int = 1,
    dilation: int = 1,
) -> Array:
    """Return images with zeros around height and width.

    Args:
        images: What is padded.
        kernel_h: Height of the kernel, for "same".
        kernel_w: Width of the kernel, for "same".
        padding: Zeros on each side, "valid" for none, or "same".
        stride: Step between two places, for "same".
        dilation: Distance between two numbers of the kernel, for "same".

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, height + top + bottom, width + left + right, channels)`, same dtype.

    Raises:
        ShapeError: `padding` is neither a length of 0 or more, nor "valid", nor "same".
    """
    if padding == "same":
        rows = same_padding(images.shape[1], kernel_h, stride=stride, dilation=dilation)
        columns = same_padding(images.shape[2], kernel_w, stride=stride, dilation=dilation)
    elif padding == "valid" or (isinstance(padding, int) and padding >= 0):
        length = 0 if padding == "valid" else int(padding)
        rows = columns = (length, length)
    else:
        raise ShapeError(
            f"padding is {padding!r}. Expected 0 or more, 'valid' or 'same'. Choose one of them."
        )
    return np.pad(images, ((0, 0), rows, columns, (0, 0)))


def correlate(
    image: Array, kernel: Array, *, stride: int = 1, padding: Padding = 0, dilation: int = 1
) -> Array:
    """Slide a kernel over one plane and sum the products at each place, without turning the kernel.

    This is what deep learning calls a convolution. Integers stay exact; floats keep their dtype.

    Args:
        image: One plane.
        kernel: What slides over it.
        stride: Step between two places, in elements.
        padding: Zeros on each side, "valid" for none, or "same".
        dilation: Distance between two numbers of the kernel, in elements.

    Input shape:
        image `(height, width)`; kernel `(kernel_h, kernel_w)`.

    Output shape:
        `(out_height, out_width)`, each `output_size` of its axis.

    Raises:
        ShapeError: An array is not two-dimensional, or the kernel does not fit.

    Example:
        >>> correlate(np.arange(9).reshape(3, 3), np.array([[0, 1], [2, 3]]))
        array([[19, 25],
               [37, 43]])

    Source:
        Goodfellow, Bengio and Courville (2016), "Deep Learning", equation 9.6.
    """
    for name, plane in (("image", image), ("kernel", kernel)):
        if plane.ndim != 2:
            raise ShapeError(
                f"{name} has shape {plane.shape}. Expected two axes, (height, width). "
                "For batches and channels use conv2d."
            )
    full = conv2d(
        image[None, :, :, None], kernel[:, :, None, None],
        stride=stride, padding=padding, dilation=dilation,
    )  # fmt: skip
    return full[0, :, :, 0]


def convolve(image: Array, kernel: Array, *, padding: Padding = 0) -> Array:
    """Convolve one plane as mathematics defines it: turn the kernel by 180°, then correlate.

    Args:
        image: `(height, width)`.
        kernel: `(kernel_h, kernel_w)`.
        padding: As in `correlate`, whose shape the result has.

    Example:
        >>> convolve(np.arange(9).reshape(3, 3), np.array([[0, 1], [2, 3]]))
        array([[ 5, 11],
               [23, 29]])

    Source:
        Goodfellow, Bengio and Courville (2016), "Deep Learning", equation 9.5.
    """
    return correlate(image, kernel[::-1, ::-1], padding=padding)


def conv2d(
    images: Array,
    kernels: Array,
    bias: Array | None = None,
    *,
    stride: int = 1,
    padding: Padding = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Array:
    """Apply a bank of kernels to a batch of images: the layer of deep learning.

    Args:
        images: The batch.
        kernels: One a filter.
        bias: Added to each filter's output, or None.
        stride: Step between two places, in elements.
        padding: Zeros on each side, "valid" for none, or "same".
        dilation: Distance between two numbers of a kernel, in elements.
        groups: Parts of the channels, each with filters of its own.

    Input shape:
        images `(batch, height, width, channels)`; kernels `(kernel_h, kernel_w, channels / groups,
        filters)`; bias `(filters,)`.

    Output shape:
        `(batch, out_height, out_width, filters)`. Exact in integers (int64); floats keep their
        dtype, within 1e-5 of TensorFlow in float32.

    Raises:
        ShapeError: Axes are missing or do not fit together.

    Example:
        >>> conv2d(np.ones((1, 3, 3, 2)), np.ones((3, 3, 2, 1)), np.array([0.5])).item()
        18.5

    Source:
        Dumoulin and Visin (2016); groups as in Krizhevsky, Sutskever and Hinton (2012).
    """
    check_fit(images, kernels, bias, groups)
    images, kernels = as_numbers(images), as_numbers(kernels)
    kernel_h, kernel_w, channels, filters = kernels.shape
    padded = pad_image(images, kernel_h, kernel_w, padding, stride=stride, dilation=dilation)
    batch, height, width, _ = padded.shape
    out_h = output_size(height, kernel_h, stride=stride, dilation=dilation)
    out_w = output_size(width, kernel_w, stride=stride, dilation=dilation)
    each = filters // groups
    out = np.zeros((batch, out_h, out_w, filters), np.result_type(images, kernels))
    for row in range(kernel_h):
        for column in range(kernel_w):
            top, left = row * dilation, column * dilation
            seen = padded[
                :, top : top + out_h * stride : stride, left : left + out_w * stride : stride
            ]
            for group in range(groups):
                mine = slice(group * each, (group + 1) * each)
                part = seen[..., group * channels : (group + 1) * channels]
                out[..., mine] += part @ kernels[row, column, :, mine]
    return out if bias is None else out + bias


def as_numbers(values: Array) -> Array:
    """Return integers as int64, where no sum of bytes overflows; floats as they are, in any shape.

    Example:
        >>> int(as_numbers(np.array([200], np.uint8))[0] * 2)
        400
    """
    return values if np.issubdtype(values.dtype, np.inexact) else values.astype(np.int64)


def check_fit(images: Array, kernels: Array, bias: Array | None, groups: int) -> None:
    """Refuse images, kernels, bias and groups that do not fit together.

    Args:
        images: Expected as `(batch, height, width, channels)`.
        kernels: Expected as `(kernel_h, kernel_w, channels / groups, filters)`.
        bias: Expected as `(filters,)`, or None.
        groups: Must divide channels and filters.

    Raises:
        ShapeError: With the shapes received, the shapes expected, and what to do.
    """
    if images.ndim != 4 or kernels.ndim != 4:
        raise ShapeError(
            f"images have shape {images.shape} and kernels {kernels.shape}. Expected four axes "
            "each: (batch, height, width, channels) and (kernel_h, kernel_w, channels, filters). "
            "Add the missing axes with None, as in image[None, :, :, None]."
        )
    channels, filters = images.shape[3], kernels.shape[3]
    if groups < 1 or channels % groups or filters % groups:
        raise ShapeError(
            f"groups is {groups} for {channels} channels and {filters} filters. "
            "Expected a number that divides both. Change groups or filters."
        )
    if kernels.shape[2] * groups != channels:
        raise ShapeError(
            f"kernels see {kernels.shape[2]} channels in {groups} group(s), the images have "
            f"{channels}. Expected {channels // groups}. Make kernels of shape "
            f"(kernel_h, kernel_w, {channels // groups}, filters)."
        )
    if bias is not None and bias.shape != (filters,):
        raise ShapeError(
            f"bias has shape {bias.shape}. Expected ({filters},), one number a filter. Reshape it."
        )
