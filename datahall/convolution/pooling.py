"""Pooling: each window of an image becomes one number.

`windows` shows every window without copying; `max_pool` reduces them; `max_pool_gradient` sends a
gradient back to the winners.
"""

from __future__ import annotations

import numpy as np

from datahall.convolution.core import Array, output_size
from datahall.errors import ShapeError


def windows(images: Array, size: int, *, stride: int | None = None) -> Array:
    """Return a read-only view of all square windows, without copying.

    Args:
        images: The batch.
        size: Side of a window, in elements.
        stride: Step between two windows; `size` if left out.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, out_height, out_width, channels, size, size)`.

    Raises:
        ShapeError: The images do not have four axes, or the window does not fit.

    Example:
        >>> windows(np.arange(16).reshape(1, 4, 4, 1), 2, stride=2)[0, 0, 1, 0]
        array([[2, 3],
               [6, 7]])
    """
    if images.ndim != 4:
        raise ShapeError(
            f"images have shape {images.shape}. Expected (batch, height, width, channels). "
            "Add the missing axes with None, as in image[None, :, :, None]."
        )
    step = size if stride is None else stride
    for length in images.shape[1:3]:
        output_size(length, size, stride=step)
    view = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    return view[:, ::step, ::step]


def max_pool(images: Array, size: int = 2, *, stride: int | None = None) -> Array:
    """Keep the largest value of each window; windows do not overlap unless `stride` says so.

    Args:
        images: The batch.
        size: Side of a window, in elements.
        stride: Step between two windows; `size` if left out.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, out_height, out_width, channels)`, same dtype. A last row or column that does not
        fill a window is left out, as in Keras' default.

    Example:
        >>> max_pool(np.arange(16).reshape(1, 4, 4, 1))[0, :, :, 0]
        array([[ 5,  7],
               [13, 15]])
    """
    largest: Array = windows(images, size, stride=stride).max(axis=(-2, -1))
    return largest


def max_pool_gradient(images: Array, upstream: Array, size: int = 2) -> Array:
    """Return the gradient of max pooling with respect to its input: all of it goes to the winner.

    Of equal largest values the first in reading order receives it, as in TensorFlow.

    Args:
        images: What was pooled.
        upstream: The gradient of the loss at the pooled output.
        size: Side of a window, and the step between two, in elements.

    Input shape:
        images `(batch, height, width, channels)`; upstream `(batch, height // size, width // size,
        channels)`.

    Output shape:
        `(batch, height, width, channels)`, dtype of the upstream gradient.

    Raises:
        ShapeError: The upstream gradient does not have the pooled shape.

    Example:
        >>> image = np.array([[1, 5], [3, 2]]).reshape(1, 2, 2, 1)
        >>> max_pool_gradient(image, np.full((1, 1, 1, 1), 7))[0, :, :, 0]
        array([[0, 7],
               [0, 0]])
    """
    seen = windows(images, size)  # (batch, out_height, out_width, channels, size, size)
    if upstream.shape != seen.shape[:4]:
        raise ShapeError(
            f"the upstream gradient has shape {upstream.shape}. Expected {seen.shape[:4]}. "
            "Use the size of the forward pass."
        )
    winner = seen.reshape(*seen.shape[:4], size * size).argmax(axis=-1)
    gradient = np.zeros(images.shape, upstream.dtype)
    sample, row, column, channel = np.indices(winner.shape)
    place = (sample, row * size + winner // size, column * size + winner % size, channel)
    gradient[place] = upstream
    return gradient
