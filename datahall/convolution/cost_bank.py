"""Answers to the exercises of module 01's second lab, on gradients and cost."""

from __future__ import annotations

import numpy as np

from datahall.checking import Bank, Slip
from datahall.convolution.core import Array, correlate

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
_NAMES = {"np": np}  # that the solutions use


def _correlates(image: Array, upstream: Array) -> Array:
    return correlate(image, upstream)


KERNEL_GRADIENT = Bank.of(
    "01.5",
    _NAMES,
    right=[_correlates],
    wrong=[
        Slip({"upstream[i, j]": "upstream[-1 - i, -1 - j]"},
             "Do not turn the upstream gradient: only the input's gradient turns anything.",
             "mixes up the two gradients"),
        Slip({"return gradient": "return gradient / upstream.size"},
             "Sum over the places; do not divide by their number.", "takes a mean over places"),
        Slip({"upstream[i, j] * ": ""},
             "Weight what the kernel met at a place with the upstream gradient of that place.",
             "takes the upstream gradient to be one"),
        Slip(
            {
                "kernel_h = image": "rows, columns = (n - 1 for n in upstream.shape)\n    image = "
                "np.pad(image, ((rows, rows), (columns, columns)))\n    kernel_h = image"
            },
            "No zeros around the image: the result has the kernel's shape.",
            "full in place of valid",
        ),
        Slip({"+=": "="}, "Every place has a share: add them up.", "keeps the last place only"),
        Slip({"return gradient": "return gradient[::-1, ::-1]"}, "Do not turn the result.",
             "turns"),
    ],
)


def _weights_times_places(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    weights = kernel * kernel * channels * filters
    return weights * (height + 1 - kernel) * (width + 1 - kernel)


MULTIPLY_ADDS = Bank.of(
    "01.6",
    _NAMES,
    right=[_weights_times_places],
    wrong=[
        Slip({"(height - kernel + 1) * (width - kernel + 1)": "height * width"},
             "Count the places of the output, not the pixels of the input.",
             "input size in place of output size"),
        Slip({" * channels": ""}, "A window reaches through all channels of the input.",
             "forgets the channels"),
        Slip({"places * filters": "places"}, "Each filter makes a sum of its own at each place.",
             "forgets the filters"),
        Slip({"return ": "return 2 * "},
             "That is the number of operations: a multiply-add counts once here.",
             "multiply-adds or operations"),
        Slip({"kernel * kernel": "kernel"}, "The kernel is a square: kernel times kernel cells.",
             "counts a row of the kernel"),
        Slip({" + 1": ""}, "The first place counts too, on both axes.", "counts steps, not places"),
        Slip({"width -": "height -"}, "An image may be wider than high.", "takes a square image"),
        Slip({"* channels": "* channels + places * filters"}, "The bias is free.", "adds the bias"),
    ],
)


def _from_the_last_layer(layers: list[tuple[int, int]]) -> int:
    seen = 1
    for kernel, stride in reversed(layers):
        seen = (seen - 1) * stride + kernel
    return seen


_GROWS = "seen += (kernel - 1) * jump"

RECEPTIVE_FIELD = Bank.of(
    "01.7",
    _NAMES,
    right=[_from_the_last_layer],
    wrong=[
        Slip({"seen, jump = 1": "seen, jump = 0", _GROWS: "seen += kernel"},
             "Neighbouring windows overlap: a layer adds kernel − 1, not kernel.",
             "adds the kernels' sizes"),
        Slip({_GROWS: "seen += kernel - 1"},
             "After a stride, neighbours stand further apart on the image.", "ignores the strides"),
        Slip({f"{_GROWS}\n        jump *= stride": f"jump *= stride\n        {_GROWS}"},
             "A layer's own stride counts only for the layers after it.",
             "applies a stride to its own layer"),
        Slip({_GROWS: "seen *= kernel"}, "Fields add up.", "multiplies the kernels' sizes"),
        Slip({"jump *=": "jump ="}, "Strides multiply.", "knows only the last stride"),
        Slip({"jump *=": "jump +="}, "Two strides of 2 make 4: multiply.", "adds the strides"),
        Slip({"= 1, 1": "= 0, 1"}, "Before any layer, one element is seen: itself.", "begins at 0"),
        Slip({"(kernel - 1)": "kernel"}, "A kernel of 1 adds no neighbour.", "adds kernel · jump"),
    ],
)


def _under_the_roof(flop: float, moved: float, flop_per_s: float, bytes_per_s: float) -> float:
    return flop / min(flop_per_s, flop / moved * bytes_per_s)


_LONGER = "max(arithmetic_s, traffic_s)"

LEAST_TIME = Bank.of(
    "01.8",
    _NAMES,
    right=[_under_the_roof],
    wrong=[
        Slip({_LONGER: "arithmetic_s + traffic_s"},
             "Arithmetic and traffic run at the same time: the longer one decides.",
             "adds both times"),
        Slip({"max(": "min("}, "The longer of both times decides: neither limit can be passed.",
             "takes the shorter time"),
        Slip({_LONGER: "arithmetic_s"}, "Memory can be the limit too: see how long the bytes take.",
             "forgets the traffic"),
        Slip({_LONGER: "traffic_s"},
             "Arithmetic can be the limit too: see how long the operations take.",
             "forgets the operations"),
        Slip({"flop / flop_per_s": "flop_per_s / flop",
             "moved / bytes_per_s": "bytes_per_s / moved"},
             "That is 1 / s: divide the work by the rate, not the rate by the work.",
             "turns the fractions over"),
        Slip({_LONGER: f"round({_LONGER}, 6)"},
             "Do not round: a pass may take less than a microsecond.", "rounds to microseconds"),
        Slip({"/ flop_per_s": "// flop_per_s", "/ bytes": "// bytes"}, "Seconds have fractions.",
             "//"),
        Slip({"/ flop_per_s": "/ bytes_per_s",
             "/ bytes_per_s\n    return": "/ flop_per_s\n    return"},
             "Operations belong to operations a second, bytes to bytes a second.",
             "swaps the rates"),
    ],
)
