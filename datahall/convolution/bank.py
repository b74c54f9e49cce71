"""Answers to the exercises of module 01's first lab: right ones, and typical wrong ones.

Every answer is written as a learner would write it; each wrong one names the idea it reveals.
"""

from __future__ import annotations

import numpy as np

from datahall.checking import Bank, Wrong
from datahall.convolution.core import Array

# --- 01.1 Count the places -----------------------------------------------------------------------


def _output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> int:
    return (size + 2 * padding - kernel) // stride + 1


def _counts_with_range(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> int:
    return len(range(0, size + 2 * padding - kernel + 1, stride))


def _forgets_the_first(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> int:
    return (size + 2 * padding - kernel) // stride


def _pads_one_side(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> int:
    return (size + padding - kernel) // stride + 1


def _rounds_up(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> int:
    return -((kernel - size - 2 * padding) // stride) + 1


def _adds_one_before(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> int:
    return (size + 2 * padding - kernel + 1) // stride


def _true_division(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> float:
    return (size + 2 * padding - kernel) / stride + 1


OUTPUT_SIZE = Bank(
    right=[_output_size, _counts_with_range],
    wrong=[
        Wrong(
            _forgets_the_first, says="Count the first place too.", idea="counts steps, not stops"
        ),
        Wrong(
            _pads_one_side,
            says="Padding stands on both sides of the axis.",
            idea="adds the padding once",
        ),
        Wrong(
            _rounds_up,
            says="A last step that does not fit is not made: round down.",
            idea="rounds up",
        ),
        Wrong(
            _adds_one_before,
            says="Add the first place after dividing: it needs no step.",
            idea="adds one before the division",
        ),
        Wrong(
            _true_division,
            says="A count is a whole number: divide with //.",
            idea="returns a float",
        ),
    ],
)

# --- 01.2 Slide the kernel -----------------------------------------------------------------------


def _slide_kernel(image: Array, kernel: Array) -> Array:
    height, width = kernel.shape
    out = np.zeros((image.shape[0] - height + 1, image.shape[1] - width + 1))
    for row, column in np.ndindex(out.shape):
        out[row, column] = (image[row : row + height, column : column + width] * kernel).sum()
    return out


def _slides_by_cell(image: Array, kernel: Array) -> Array:
    rows = image.shape[0] - kernel.shape[0] + 1
    columns = image.shape[1] - kernel.shape[1] + 1
    out = np.zeros((rows, columns))
    for row, column in np.ndindex(kernel.shape):
        out += kernel[row, column] * image[row : row + rows, column : column + columns]
    return out


def _turns_the_kernel(image: Array, kernel: Array) -> Array:
    return _slide_kernel(image, kernel[::-1, ::-1])


def _misses_the_last_place(image: Array, kernel: Array) -> Array:
    return _slide_kernel(image, kernel)[:-1, :-1]


def _pads_around(image: Array, kernel: Array) -> Array:
    rows, columns = kernel.shape[0] - 1, kernel.shape[1] - 1
    around = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return _slide_kernel(np.pad(image, around), kernel)


def _mixes_height_and_width(image: Array, kernel: Array) -> Array:
    return _slide_kernel(image, kernel.T)


def _takes_the_mean(image: Array, kernel: Array) -> Array:
    return _slide_kernel(image, kernel) / kernel.size


def _row_by_row(image: Array, kernel: Array) -> Array:
    out = np.zeros((image.shape[0], image.shape[1] - kernel.shape[1] + 1))
    for row, column in np.ndindex(out.shape):
        line = image[row, column : column + kernel.shape[1]]
        out[row, column] = (line * kernel[row % kernel.shape[0]]).sum()
    return out


SLIDE_KERNEL = Bank(
    right=[_slide_kernel, _slides_by_cell],
    wrong=[
        Wrong(
            _turns_the_kernel,
            says="Do not turn the kernel: its top left number meets the window's top left pixel.",
            idea="computes the mathematician's convolution",
        ),
        Wrong(
            _misses_the_last_place,
            says="The last row and column of places are missing: there are size − kernel + 1.",
            idea="one place too few on each axis",
        ),
        Wrong(
            _pads_around,
            says="Stay inside the image: no zeros around it.",
            idea="pads although nobody asked",
        ),
        Wrong(
            _mixes_height_and_width,
            says="The kernel lies on its side: rows meet rows, columns meet columns.",
            idea="transposes the kernel",
        ),
        Wrong(
            _takes_the_mean,
            says="Sum the products; do not divide by their number.",
            idea="takes a mean",
        ),
        Wrong(
            _row_by_row,
            says="One kernel row is not enough: each place needs the whole window.",
            idea="the rule of claim C01",
        ),
    ],
)

# --- 01.3 Keep the largest -----------------------------------------------------------------------


def _max_pool(image: Array) -> Array:
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    blocks = image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    largest: Array = blocks.max(axis=(1, 3))
    return largest


def _pools_four_corners(image: Array) -> Array:
    rows, columns = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    cut = image[:rows, :columns]
    above = np.maximum(cut[::2, ::2], cut[::2, 1::2])
    largest: Array = np.maximum(above, np.maximum(cut[1::2, ::2], cut[1::2, 1::2]))
    return largest


def _picks_every_second(image: Array) -> Array:
    return image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2][::2, ::2]


def _largest_of_all(image: Array) -> float:
    return float(image[::2, ::2].max())


def _takes_the_average(image: Array) -> Array:
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    mean: Array = image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    return mean


def _overlaps(image: Array) -> Array:
    above = np.maximum(image[:-1, :-1], image[:-1, 1:])
    largest: Array = np.maximum(above, np.maximum(image[1:, :-1], image[1:, 1:]))
    return largest


def _starts_from_zero(image: Array) -> Array:
    return np.maximum(_max_pool(image), 0)


def _keeps_the_rest(image: Array) -> Array:
    rest = [(0, length % 2) for length in image.shape]
    return _max_pool(np.pad(image, rest, constant_values=-np.inf))


MAX_POOL = Bank(
    right=[_max_pool, _pools_four_corners],
    wrong=[
        Wrong(
            _picks_every_second,
            says="[::2, ::2] takes each window's top left pixel, whatever the others are.",
            idea="subsampling, the rule of claim C02",
        ),
        Wrong(
            _largest_of_all,
            says="One number came back: take the largest of each window, not of the whole image.",
            idea="max(F[::2, ::2]) read literally, claim C02",
        ),
        Wrong(
            _takes_the_average,
            says="That is average pooling: keep the largest of the four.",
            idea="takes the mean",
        ),
        Wrong(
            _overlaps,
            says="The windows overlap: move by two, not by one.",
            idea="stride 1 in place of 2",
        ),
        Wrong(
            _starts_from_zero,
            says="Every pixel of a window may be negative: do not begin from zero.",
            idea="compares with zero",
        ),
        Wrong(
            _keeps_the_rest,
            says="Leave out a last row or column that fills no window.",
            idea="pools incomplete windows",
        ),
    ],
)

# --- 01.4 Write windows as rows ------------------------------------------------------------------


def _im2col(image: Array, kernel_h: int, kernel_w: int) -> Array:
    rows, columns = image.shape[0] - kernel_h + 1, image.shape[1] - kernel_w + 1
    windows = [
        image[row : row + kernel_h, column : column + kernel_w].ravel()
        for row in range(rows)
        for column in range(columns)
    ]
    return np.array(windows)


def _with_a_view(image: Array, kernel_h: int, kernel_w: int) -> Array:
    view = np.lib.stride_tricks.sliding_window_view(image, (kernel_h, kernel_w))
    return view.reshape(-1, kernel_h * kernel_w)


def _down_the_columns(image: Array, kernel_h: int, kernel_w: int) -> Array:
    view = np.lib.stride_tricks.sliding_window_view(image, (kernel_h, kernel_w))
    return view.transpose(0, 1, 3, 2).reshape(-1, kernel_h * kernel_w)


def _places_down_the_columns(image: Array, kernel_h: int, kernel_w: int) -> Array:
    view = np.lib.stride_tricks.sliding_window_view(image, (kernel_h, kernel_w))
    return view.transpose(1, 0, 2, 3).reshape(-1, kernel_h * kernel_w)


def _lies_on_its_side(image: Array, kernel_h: int, kernel_w: int) -> Array:
    return _im2col(image, kernel_h, kernel_w).T


def _without_overlap(image: Array, kernel_h: int, kernel_w: int) -> Array:
    view = np.lib.stride_tricks.sliding_window_view(image, (kernel_h, kernel_w))
    return view[::kernel_h, ::kernel_w].reshape(-1, kernel_h * kernel_w)


IM2COL = Bank(
    right=[_im2col, _with_a_view],
    wrong=[
        Wrong(
            _down_the_columns,
            says="Read each window row by row: ravel() without a transpose.",
            idea="reads the windows column by column",
        ),
        Wrong(
            _places_down_the_columns,
            says="Put the places in reading order: rows outside, columns inside.",
            idea="goes through the places column by column",
        ),
        Wrong(
            _lies_on_its_side,
            says="One window is one row of the matrix; yours are its columns.",
            idea="returns the transpose",
        ),
        Wrong(
            _without_overlap,
            says="Windows overlap: the next one begins one pixel further, not one kernel further.",
            idea="tiles in place of windows",
        ),
    ],
)
