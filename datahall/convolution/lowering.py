"""The same sum, computed in other ways: rungs of a ladder from loops to one matrix product.

`conv2d_loops` follows the definition, `conv2d_windows` lets NumPy add one window, `conv2d_im2col`
turns the layer into one matrix product, `conv2d_fft` multiplies spectra, `separable_conv2d` changes
the layer itself to a cheaper one. All take stride 1 and valid padding unless they say otherwise;
`core.conv2d` is the general function.
"""

from __future__ import annotations

import numpy as np

from datahall.convolution.core import Array, Padding, check_fit, conv2d, output_size, pad_image


def conv2d_loops(images: Array, kernels: Array) -> Array:
    """Compute the layer by seven nested Python loops: the definition, one product at a time.

    Input shape:
        images `(batch, height, width, channels)`; kernels `(kernel_h, kernel_w, channels,
        filters)`.

    Output shape:
        `(batch, out_height, out_width, filters)`, float64.

    Raises:
        ShapeError: The arrays do not fit together.

    Example:
        >>> float(conv2d_loops(np.ones((1, 3, 3, 2)), np.ones((3, 3, 2, 1))).item())
        18.0
    """
    check_fit(images, kernels, None, 1)
    (batch, height, width, _), (kernel_h, kernel_w, _, filters) = images.shape, kernels.shape
    shape = (batch, output_size(height, kernel_h), output_size(width, kernel_w), filters)
    out = np.zeros(shape)
    pixels, weights = images.tolist(), kernels.tolist()  # Python numbers: no NumPy call per product
    for place in np.ndindex(shape):
        sample, row, column, which = place
        total = 0.0
        for offset_h, line in enumerate(weights):
            for offset_w, cell in enumerate(line):
                pixel = pixels[sample][row + offset_h][column + offset_w]
                for value, weight in zip(pixel, cell, strict=True):
                    total += value * weight[which]
        out[place] = total
    return out


def conv2d_windows(images: Array, kernels: Array) -> Array:
    """Compute the layer with one NumPy sum for each place and filter.

    Shapes and errors as in `conv2d_loops`; the dtype is that of the product.

    Example:
        >>> float(conv2d_windows(np.ones((1, 3, 3, 2)), np.ones((3, 3, 2, 1))).item())
        18.0
    """
    check_fit(images, kernels, None, 1)
    (batch, height, width, _), (kernel_h, kernel_w, _, filters) = images.shape, kernels.shape
    shape = (batch, output_size(height, kernel_h), output_size(width, kernel_w), filters)
    out = np.zeros(shape, np.result_type(images, kernels))
    for sample, row, column, which in np.ndindex(shape):
        window = images[sample, row : row + kernel_h, column : column + kernel_w]
        out[sample, row, column, which] = (window * kernels[..., which]).sum()
    return out


def im2col(
    images: Array, kernel_h: int, kernel_w: int, *, stride: int = 1, dilation: int = 1
) -> Array:
    """Write every window as one row of a matrix, so that a convolution becomes a matrix product.

    Args:
        images: The batch.
        kernel_h: Height of a window, in elements.
        kernel_w: Its width.
        stride: Step between two windows, in elements.
        dilation: Distance between two elements of a window.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch * out_height * out_width, kernel_h * kernel_w * channels)`: places in reading order;
        in a row, kernel rows, then kernel columns, then channels.

    Raises:
        ShapeError: The kernel does not fit.

    Example:
        >>> im2col(np.arange(9).reshape(1, 3, 3, 1), 2, 2)
        array([[0, 1, 3, 4],
               [1, 2, 4, 5],
               [3, 4, 6, 7],
               [4, 5, 7, 8]])

    Source:
        Chellapilla, Puri and Simard (2006), "High performance convolutional neural networks for
        document processing".
    """
    batch, height, width, channels = images.shape
    out_h = output_size(height, kernel_h, stride=stride, dilation=dilation)
    out_w = output_size(width, kernel_w, stride=stride, dilation=dilation)
    columns = np.empty((batch, out_h, out_w, kernel_h, kernel_w, channels), images.dtype)
    for row in range(kernel_h):
        for column in range(kernel_w):
            top, left = row * dilation, column * dilation
            columns[:, :, :, row, column] = images[
                :, top : top + out_h * stride : stride, left : left + out_w * stride : stride
            ]
    return columns.reshape(batch * out_h * out_w, kernel_h * kernel_w * channels)


def conv2d_im2col(
    images: Array, kernels: Array, *, stride: int = 1, padding: Padding = 0, dilation: int = 1
) -> Array:
    """Compute the layer as one matrix product of `im2col` and the flattened kernels.

    Args:
        images: `(batch, height, width, channels)`.
        kernels: `(kernel_h, kernel_w, channels, filters)`.
        stride: Step between two places, in elements.
        padding: Zeros on each side, "valid" for none, or "same".
        dilation: Distance between two numbers of a kernel, in elements.

    Output shape:
        `(batch, out_height, out_width, filters)`.

    Example:
        >>> float(conv2d_im2col(np.ones((1, 3, 3, 2)), np.ones((3, 3, 2, 1))).item())
        18.0
    """
    check_fit(images, kernels, None, 1)
    kernel_h, kernel_w, channels, filters = kernels.shape
    padded = pad_image(images, kernel_h, kernel_w, padding, stride=stride, dilation=dilation)
    matrix = im2col(padded, kernel_h, kernel_w, stride=stride, dilation=dilation)
    out_h = output_size(padded.shape[1], kernel_h, stride=stride, dilation=dilation)
    product = matrix @ kernels.reshape(kernel_h * kernel_w * channels, filters)
    return product.reshape(len(images), out_h, -1, filters)


def conv2d_fft(images: Array, kernels: Array) -> Array:
    """Compute the layer by Fourier transforms: a convolution is a product of spectra.

    The kernels are turned by 180° first, since the theorem is about the mathematician's
    convolution. Shapes as in `conv2d_loops`; within 1e-4 of `core.conv2d` in float32, 1e-10 in
    float64.

    Example:
        >>> round(float(conv2d_fft(np.ones((1, 3, 3, 2)), np.ones((3, 3, 2, 1))).item()), 9)
        18.0

    Source:
        Mathieu, Henaff and LeCun (2014), "Fast training of convolutional networks through FFTs".
    """
    check_fit(images, kernels, None, 1)
    (_, height, width, _), (kernel_h, kernel_w, _, _) = images.shape, kernels.shape
    output_size(height, kernel_h), output_size(width, kernel_w)  # refuse a kernel that does not fit
    image_spectrum = np.fft.rfft2(images, s=(height, width), axes=(1, 2))
    kernel_spectrum = np.fft.rfft2(kernels[::-1, ::-1], s=(height, width), axes=(0, 1))
    product = np.einsum("bhwc,hwcf->bhwf", image_spectrum, kernel_spectrum, optimize=True)
    full = np.fft.irfft2(product, s=(height, width), axes=(1, 2))
    # The circular product wraps round; places where the whole kernel lay inside are free of it.
    return full[:, kernel_h - 1 :, kernel_w - 1 :]


def separable_conv2d(
    images: Array, depthwise: Array, pointwise: Array, *, padding: Padding = 0
) -> Array:
    """Filter each channel alone, then mix the channels with a 1×1 kernel.

    Args:
        images: The batch.
        depthwise: One kernel a channel.
        pointwise: The mixture for each filter.
        padding: Zeros on each side, "valid" for none, or "same".

    Input shape:
        images `(batch, height, width, channels)`; depthwise `(kernel_h, kernel_w, channels)`;
        pointwise `(channels, filters)`.

    Output shape:
        `(batch, out_height, out_width, filters)`.

    Raises:
        ShapeError: The arrays do not fit together.

    Example:
        >>> image, alone, mix = np.ones((1, 3, 3, 2)), np.ones((3, 3, 2)), np.ones((2, 1))
        >>> separable_conv2d(image, alone, mix).item()
        18.0

    Source:
        Chollet (2017), "Xception"; Howard et al. (2017), "MobileNets", section 3.1.
    """
    alone = conv2d(images, depthwise[:, :, None, :], padding=padding, groups=images.shape[3])
    return conv2d(alone, pointwise[None, None])
