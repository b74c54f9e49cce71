"""The gradients of a convolution, which are convolutions themselves.

Given the gradient of a loss with respect to the layer's output, `kernel_gradient` correlates the
input with it, and `input_gradient` spreads it back through the kernel turned by 180°.
`numerical_gradient` checks both without trusting them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datahall.convolution.core import Array, Padding, conv2d, pad_image
from datahall.errors import ParameterError, ShapeError


def dilate(values: Array, stride: int) -> Array:
    """Put `stride - 1` zeros between neighbours along height and width.

    Input shape:
        `(batch, height, width, filters)`.

    Output shape:
        `(batch, (height - 1) * stride + 1, (width - 1) * stride + 1, filters)`.

    Example:
        >>> dilate(np.array([1, 2]).reshape(1, 1, 2, 1), 3)[0, 0, :, 0]
        array([1, 0, 0, 2])
    """
    batch, height, width, filters = values.shape
    shape = (batch, (height - 1) * stride + 1, (width - 1) * stride + 1, filters)
    spread = np.zeros(shape, values.dtype)
    spread[:, ::stride, ::stride] = values
    return spread


def kernel_gradient(
    images: Array,
    upstream: Array,
    kernel_h: int,
    kernel_w: int,
    *,
    stride: int = 1,
    padding: Padding = 0,
) -> Array:
    """Return the gradient of the loss with respect to the kernels.

    Each kernel number met the image at every place; its gradient is the sum of what it met,
    weighted by the gradient of that place: a correlation of the image with the upstream gradient.

    Args:
        images: What the layer met.
        upstream: The gradient of the loss at its output.
        kernel_h: Height of the kernels, in elements.
        kernel_w: Their width.
        stride: Of the layer.
        padding: Of the layer.

    Input shape:
        images `(batch, height, width, channels)`; upstream, the gradient with respect to the
        output, `(batch, out_height, out_width, filters)`.

    Output shape:
        `(kernel_h, kernel_w, channels, filters)`.

    Raises:
        ShapeError: The upstream gradient does not have the output's shape.

    Example:
        >>> image = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> kernel_gradient(image, np.ones((1, 2, 2, 1)), 2, 2)[:, :, 0, 0]
        array([[ 8., 12.],
               [20., 24.]])

    Source:
        Goodfellow, Bengio and Courville (2016), "Deep Learning", equation 9.11.
    """
    padded = pad_image(images, kernel_h, kernel_w, padding, stride=stride)
    spread = dilate(upstream, stride)
    _check_upstream(padded, upstream, spread, kernel_h, kernel_w, stride)
    # Channels play the batch, the batch plays the channels, the upstream gradient plays the kernel.
    seen = padded[:, : spread.shape[1] + kernel_h - 1, : spread.shape[2] + kernel_w - 1]
    met = conv2d(seen.transpose(3, 1, 2, 0), spread.transpose(1, 2, 0, 3))
    return met.transpose(1, 2, 0, 3)


def input_gradient(
    upstream: Array,
    kernels: Array,
    height: int,
    width: int,
    *,
    stride: int = 1,
    padding: Padding = 0,
) -> Array:
    """Return the gradient of the loss with respect to the images.

    Each pixel went into several places; its gradient is the sum over them, weighted by the kernel
    number it met there: the upstream gradient, convolved in full with the kernel turned by 180°.

    Args:
        upstream: The gradient of the loss at the layer's output.
        kernels: Those of the layer.
        height: Of the images, in elements.
        width: The same.
        stride: Of the layer.
        padding: Of the layer.

    Input shape:
        upstream `(batch, out_height, out_width, filters)`; kernels `(kernel_h, kernel_w, channels,
        filters)`; `height` and `width` of the images, in elements.

    Output shape:
        `(batch, height, width, channels)`.

    Raises:
        ShapeError: The upstream gradient does not have the output's shape.

    Example:
        >>> kernel = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(2, 2, 1, 1)
        >>> input_gradient(np.ones((1, 2, 2, 1)), kernel, 3, 3)[0, :, :, 0]
        array([[0., 1., 1.],
               [2., 6., 4.],
               [2., 5., 3.]])

    Source:
        Dumoulin and Visin (2016), sections 4.2 to 4.6 (transposed convolution).
    """
    kernel_h, kernel_w, channels, _ = kernels.shape
    empty = np.zeros((len(upstream), height, width, channels), kernels.dtype)
    padded = pad_image(empty, kernel_h, kernel_w, padding, stride=stride)
    spread = dilate(upstream, stride)
    _check_upstream(padded, upstream, spread, kernel_h, kernel_w, stride)
    around = ((0, 0), (kernel_h - 1,) * 2, (kernel_w - 1,) * 2, (0, 0))
    turned = kernels[::-1, ::-1].transpose(0, 1, 3, 2)  # (kernel_h, kernel_w, filters, channels)
    reached = conv2d(np.pad(spread, around), turned)
    grown = np.zeros(padded.shape, reached.dtype)  # a stride may leave the last rows unseen: zeros
    grown[:, : reached.shape[1], : reached.shape[2]] = reached
    top, left = _zeros_before(height, width, kernel_h, kernel_w, padding, stride)
    return grown[:, top : top + height, left : left + width]


def _zeros_before(
    height: int, width: int, kernel_h: int, kernel_w: int, padding: Padding, stride: int
) -> tuple[int, int]:
    """Return how many rows and columns of padding stand before the image."""
    marked = pad_image(np.ones((1, height, width, 1)), kernel_h, kernel_w, padding, stride=stride)
    rows, columns = np.nonzero(marked[0, :, :, 0])
    return int(rows[0]), int(columns[0])


def _check_upstream(
    padded: Array, upstream: Array, spread: Array, kernel_h: int, kernel_w: int, stride: int
) -> None:
    """Refuse an upstream gradient that cannot come from this input, kernel and stride."""
    for axis, kernel in ((1, kernel_h), (2, kernel_w)):
        places = (padded.shape[axis] - kernel) // stride + 1
        if upstream.shape[axis] != places or spread.shape[axis] + kernel - 1 > padded.shape[axis]:
            raise ShapeError(
                f"the upstream gradient has shape {upstream.shape}. Expected {places} places on "
                f"axis {axis} for a padded input of {padded.shape[axis]}, kernel {kernel} and "
                f"stride {stride}. "
                "Use the stride and padding of the forward pass."
            )


def numerical_gradient(
    loss: Callable[[Array], float], values: Array, *, step: float = 1e-5
) -> Array:
    """Estimate a gradient by central differences, one number at a time.

    The error falls as `step` squared until rounding takes over; use float64.

    Args:
        loss: A function of an array like `values` that returns one number.
        values: Where to take the gradient: any shape, which the result has too. Left as it is.
        step: Half the distance between the two evaluations, in units of `values`.

    Raises:
        ParameterError: `values` are not float64; in float32 the difference drowns in rounding.

    Example:
        >>> numerical_gradient(lambda x: float((x**2).sum()), np.array([1.0, -3.0])).round(6)
        array([ 2., -6.])

    Source:
        Goodfellow, Bengio and Courville (2016), "Deep Learning", section 11.5.
    """
    if values.dtype != np.float64:
        raise ParameterError(
            f"values are {values.dtype}. Expected float64. Use values.astype(float)."
        )
    point = values.copy()
    gradient = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        kept = point[index]
        point[index] = kept + step
        above = loss(point)
        point[index] = kept - step
        gradient[index] = (above - loss(point)) / (2 * step)
        point[index] = kept
    return gradient
