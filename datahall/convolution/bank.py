"""Answers to the exercises of module 01's first lab: right ones, and typical wrong ones."""

from __future__ import annotations

import numpy as np

from datahall.checking import Bank, Slip
from datahall.convolution.core import Array

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
_NAMES = {"np": np}  # that the solutions use


def _counts_with_range(size: int, kernel: int, *, stride: int = 1, padding: int = 0) -> int:
    return len(range(0, size + 2 * padding - kernel + 1, stride))


OUTPUT_SIZE = Bank.of(
    "01.1",
    _NAMES,
    right=[_counts_with_range],
    wrong=[
        Slip({"stride + 1": "stride"}, "Count the first place too.", "counts steps, not stops"),
        Slip({"2 * padding": "padding"}, "Padding stands on both sides of the axis.",
             "adds the padding once"),
        Slip({"room // stride": "-(-room // stride)"},
             "A last step that does not fit is not made: round down.", "rounds up"),
        Slip({"room // stride + 1": "(room + 1) // stride"},
             "Add the first place after dividing: it needs no step.",
             "adds one before the division"),
        Slip({"//": "/"}, "A count is a whole number: divide with //.", "returns a float"),
        Slip({"room // stride": "round(room / stride)"}, "Round down, always.", "rounds"),
        Slip({" + 2 * padding": ""}, "Padding makes the axis longer.", "forgets the padding"),
        Slip({"room // stride": "room"}, "Each step is `stride` long.", "forgets the stride"),
    ],
)


def _slides_by_cell(image: Array, kernel: Array) -> Array:
    rows = image.shape[0] - kernel.shape[0] + 1
    columns = image.shape[1] - kernel.shape[1] + 1
    out = np.zeros((rows, columns))
    for row, column in np.ndindex(kernel.shape):
        out += kernel[row, column] * image[row : row + rows, column : column + columns]
    return out


_PLACES = "image.shape[0] - kernel_h + 1, image.shape[1] - kernel_w + 1"

SLIDE_KERNEL = Bank.of(
    "01.2",
    _NAMES,
    right=[_slides_by_cell],
    wrong=[
        Slip({"window * kernel": "window * kernel[::-1, ::-1]"},
             "Do not turn the kernel: its top left number meets the window's top left pixel.",
             "computes the mathematician's convolution"),
        Slip({" + 1": ""},
             "The last row and column of places are missing: there are size − kernel + 1.",
             "one place too few on each axis"),
        Slip({"kernel_h, kernel_w =": "image = np.pad(image, 1)\n    kernel_h, kernel_w ="},
             "Stay inside the image: no zeros around it.", "pads although nobody asked"),
        Slip({"kernel_h, kernel_w =": "kernel = kernel.T\n    kernel_h, kernel_w ="},
             "The kernel lies on its side: rows meet rows, columns meet columns.",
             "transposes the kernel"),
        Slip({".sum()": ".mean()"}, "Sum the products; do not divide.", "takes a mean"),
        Slip({f"({_PLACES})": "image.shape", "out.shape": _PLACES},
             "The output is smaller than the image: one number for each place of the kernel.",
             "returns an output as large as the image"),
        Slip({"= kernel.shape": "= 3, 3"},
             "Take the size from kernel.shape: not every kernel is 3 × 3.",
             "writes 3 × 3 into the code"),
        Slip({_PLACES: "image.shape[0], image.shape[1] - kernel_w + 1",
              "window * kernel": "window[:1] * kernel[i % kernel_h]"},
             "One kernel row is not enough: each place needs the whole window.",
             "the rule of claim C01"),
    ],
)


def _pools_four_corners(image: Array) -> Array:
    rows, columns = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    cut = image[:rows, :columns]
    above = np.maximum(cut[::2, ::2], cut[::2, 1::2])
    return np.asarray(np.maximum(above, np.maximum(cut[1::2, ::2], cut[1::2, 1::2])))


_LARGEST = "windows.max(axis=(1, 3))"

MAX_POOL = Bank.of(
    "01.3",
    _NAMES,
    right=[_pools_four_corners],
    wrong=[
        Slip({_LARGEST: "windows[:, 0, :, 0]"},
             "[::2, ::2] takes each window's top left pixel, whatever the others are.",
             "subsampling, the rule of claim C02"),
        Slip({_LARGEST: "float(image[::2, ::2].max())"},
             "One number came back: take the largest of each window, not of the whole image.",
             "max(F[::2, ::2]) read literally, claim C02"),
        Slip({".max(": ".mean("}, "That is average pooling: keep the largest.", "takes the mean"),
        Slip({_LARGEST: "np.lib.stride_tricks.sliding_window_view(image, (2, 2)).max(axis=(2, 3))"},
             "The windows overlap: move by two, not by one.", "stride 1 in place of 2"),
        Slip({_LARGEST: f"np.maximum({_LARGEST}, 0)"},
             "Every pixel of a window may be negative: do not begin from zero.",
             "compares with zero"),
        Slip(
            {
                "rows, columns = image": "image = np.pad(image, [(0, n % 2) for n in image.shape], "
                "constant_values=-np.inf)\n    rows, columns = image"
            },
            "Leave out a last row or column that fills no window.",
            "pools incomplete windows",
        ),
        Slip({"(rows, 2, columns, 2)": "(rows, columns, 2, 2)", "(1, 3)": "(2, 3)"},
             "Those four numbers are no window: reshape to (rows, 2, columns, 2).",
             "mixes up the axes of the reshape"),
        Slip({"windows.max": "np.abs(windows).max"}, "Keep the signs.", "takes the absolute value"),
    ],
)


def _with_a_view(image: Array, kernel_h: int, kernel_w: int) -> Array:
    view = np.lib.stride_tricks.sliding_window_view(image, (kernel_h, kernel_w))
    return view.reshape(-1, kernel_h * kernel_w)


_EACH = "np.ndindex(rows, columns)"

IM2COL = Bank.of(
    "01.4",
    _NAMES,
    right=[_with_a_view],
    wrong=[
        Slip({".ravel()": ".T.ravel()"},
             "Read each window row by row: ravel() without a transpose.",
             "reads the windows column by column"),
        Slip({_EACH: "[(i, j) for j in range(columns) for i in range(rows)]"},
             "Put the places in reading order: rows outside, columns inside.",
             "goes through the places column by column"),
        Slip({"np.array(windows)": "np.array(windows).T"},
             "One window is one row of the matrix; yours are its columns.",
             "returns the transpose"),
        Slip(
            {
                _EACH: "[(kernel_h * i, kernel_w * j) for i, j in np.ndindex("
                "-(-rows // kernel_h), -(-columns // kernel_w))]"
            },
            "Windows overlap: the next one begins one pixel further, not one kernel further.",
            "tiles in place of windows",
        ),
        Slip({".ravel()": ""}, "Write each window as one row: ravel().",
             "keeps the windows square"),
        Slip({" + 1": ""}, "There are size − kernel + 1 places on an axis.",
             "forgets the last place"),
    ],
)
