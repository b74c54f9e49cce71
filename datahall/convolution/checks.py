"""The checks of module 01's two labs: sizes, sums, pooling, windows; gradients and costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from datahall.checking import Check, Example, Search, Trap, summary_for
from datahall.checking.drawing import arrays, calls
from datahall.convolution import bank, core, cost, cost_bank, lowering, pooling

_NINE = np.arange(9.0).reshape(3, 3)
_LARGE = np.array([[1e8 + 1, 1e8]])
_GREY = np.array([[0, 13, 200], [7, 255, 98], [31, 64, 128], [5, 90, 45]]) / 255


def _plane(height: int, width: int) -> Any:
    """A strategy for planes: small whole numbers, grey values of a digit, or large numbers."""
    return arrays((height, width), 1.0, 1 / 255, -3000.7, elements=st.integers(-3, 9))


_shapes = st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(0, 4)] * 2)
_image_and_kernel = _shapes.flatmap(
    lambda s: st.tuples(_plane(s[0] + s[2], s[1] + s[3]), _plane(s[0], s[1]))
)
_counts = st.integers(1, 12)
_amounts = st.builds(lambda n, power: float(n * 10**power), st.integers(1, 20), st.integers(0, 9))

output_size = Check(
    "01.1",
    reference=core.output_size,
    bank=bank.OUTPUT_SIZE,
    steps=[
        Example((3, 3), idea="How often does a kernel fit that is as long as the axis? Draw it."),
        Example((28, 5), {"padding": 2}, idea="The axis has 2 + 28 + 2 elements."),
        Trap("a step that does not fit", (8, 3), {"stride": 2}, idea="It stands at 0, 2 and 4."),
        Trap("a layer of the lab", (224, 7), {"stride": 2, "padding": 3}, idea="230 elements."),
        Search(
            calls(
                st.tuples(st.integers(1, 300), st.integers(1, 15)),
                stride=st.integers(1, 9),
                padding=st.integers(0, 9),
            ).filter(lambda case: case.args[0] + 2 * case.kwargs.get("padding", 0) >= case.args[1]),
            idea="Draw this axis, padding included, and count the places one by one.",
        ),
    ],
)

slide_kernel = Check(
    "01.2",
    reference=core.correlate,
    bank=bank.SLIDE_KERNEL,
    steps=[
        Example((_NINE, np.arange(4.0).reshape(2, 2)), idea="Work out that place by hand."),
        Trap(
            "a kernel that is not symmetric",
            (np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 0]]), np.array([[5.0, 1], [1, 1]])),
            idea="Which number of the kernel meets the one pixel that is not 0?",
        ),
        Trap(
            "an image wider than high",
            (np.arange(8.0).reshape(2, 4), np.array([[1.0, -1.0, 2.0]])),
            idea="image.shape is (height, width); so is kernel.shape.",
        ),
        Trap("grey values", (_GREY, _GREY[1:3, :2]), idea="Values are fractions: keep them."),
        Trap("digits that float32 loses", (_LARGE, np.array([[1.0, -1.0]])), idea="Use float64."),
        Search(_image_and_kernel, idea="Work this place out by hand: window times kernel, summed."),
    ],
)

max_pool = Check(
    "01.3",
    reference=lambda image: pooling.max_pool(image[None, :, :, None])[0, :, :, 0],
    ours=[pooling.max_pool],
    bank=bank.MAX_POOL,
    steps=[
        Example((np.array([[1.0, 5], [3, 2]]),), idea="There is one window, of four pixels."),
        Example((np.array([[1.0, 2, 5, 0], [3, 4, 1, 6]]),), idea="The windows: 1 2 3 4, 5 0 1 6."),
        Trap("only negative pixels", (-np.arange(1.0, 5).reshape(2, 2),), idea="−1 is larger."),
        Trap("far below zero", (np.full((2, 2), -1e12),), idea="Numbers may have any sign."),
        Trap("a height that is odd", (np.arange(6.0).reshape(3, 2),), idea="One row of windows."),
        Trap("grey values", (_GREY,), idea="Values are fractions: keep them."),
        Search(
            st.tuples(st.tuples(*[st.integers(2, 7)] * 2).flatmap(lambda shape: _plane(*shape))),
            idea="Cut this image into windows of 2×2 by hand.",
        ),
    ],
)

im2col = Check(
    "01.4",
    reference=lambda image, kernel_h, kernel_w: lowering.im2col(
        image[None, :, :, None], kernel_h, kernel_w
    ),
    ours=[lowering.im2col],
    bank=bank.IM2COL,
    steps=[
        Example((_NINE, 2, 2), idea="The four windows are 0134, 1245, 3467 and 4578."),
        Trap("a kernel of one row", (np.arange(6.0).reshape(2, 3), 1, 2), idea="01, 12, 34, 45."),
        Trap("grey values", (_GREY, 2, 3), idea="Values are fractions: keep them."),
        Search(
            _image_and_kernel.map(lambda pair: (pair[0], *pair[1].shape)),
            idea="Write the windows down one after another, in reading order.",
        ),
    ],
)

kernel_gradient = Check(
    "01.5",
    reference=lambda image, upstream: core.correlate(image, upstream),
    bank=cost_bank.KERNEL_GRADIENT,
    steps=[
        Example((_NINE, np.array([[1.0, 0], [0, 0]])), idea="Only upstream[0, 0] is not 0 here."),
        Example(
            (_NINE, np.array([[0.0, 0], [0, 2]])),
            idea="Only upstream[1, 1] is not 0 here: it is 2.",
        ),
        Trap("several places", (_NINE, np.array([[1.0, 2], [-3, 4]])), idea="Four shares add up."),
        Trap("grey values", (_GREY, _GREY[:3, 1:]), idea="Values are fractions: keep them."),
        Search(
            _image_and_kernel, idea="Add up what each kernel number met, place by place, weighted."
        ),
    ],
)

multiply_adds = Check(
    "01.6",
    reference=lambda height, width, channels, filters, kernel: (
        cost.ConvLayer(height, width, channels, filters, kernel).multiply_adds
    ),
    ours=[vars(cost.ConvLayer)["multiply_adds"].fget],
    bank=cost_bank.MULTIPLY_ADDS,
    steps=[
        Example((3, 3, 1, 1, 3), idea="There is one place, with nine products."),
        Example((28, 28, 1, 32, 3), idea="26 · 26 places, 32 filters, 9 products: 194,688."),
        Trap("several channels", (4, 5, 3, 2, 2), idea="Each window is 2 · 2 · 3 numbers."),
        Trap("odd sides", (4097, 4097, 1, 1, 1), idea="The count is exact: no floats."),
        Trap("a large layer", (224, 224, 512, 512, 3), idea="The count is above 2³¹: no int32."),
        Search(
            st.tuples(_counts, _counts, _counts, _counts, _counts).map(
                lambda n: (n[0] + n[4] - 1, n[1] + n[4] - 1, *n[2:])
            ),
            idea="Places times filters times products in one sum.",
        ),
    ],
)

receptive_field = Check(
    "01.7",
    reference=lambda layers: cost.receptive_fields(layers)[-1],
    ours=[cost.receptive_fields],
    bank=cost_bank.RECEPTIVE_FIELD,
    steps=[
        Example(([(3, 1)],), idea="One layer sees its kernel."),
        Example(([(3, 1), (3, 1)],), idea="Two layers of 3 see 5."),
        Trap("a layer after a stride", ([(2, 2), (3, 1)],), idea="Its neighbours stand 2 apart."),
        Trap(
            "two strides", ([(3, 2), (3, 2), (3, 1)],), idea="Draw it, from the last number back."
        ),
        Search(
            st.tuples(
                st.lists(st.tuples(st.integers(1, 7), st.integers(1, 4)), min_size=1, max_size=9)
            ),
            idea="Draw the line of pixels, layer by layer, from the last number back.",
        ),
    ],
)

least_time_s = Check(
    "01.8",
    reference=lambda flop, moved, flop_per_s, bytes_per_s: (
        flop / cost.attainable_flop_per_s(flop / moved, flop_per_s, bytes_per_s)
    ),
    bank=cost_bank.LEAST_TIME,
    steps=[
        Example((100.0, 40.0, 50.0, 10.0), idea="2 s of arithmetic, 4 s of traffic."),
        Example((100.0, 30.0, 50.0, 20.0), idea="2 s of arithmetic, 1.5 s of traffic."),
        Trap("a real machine", (2.3e6, 9.1e4, 190e9, 20e9), idea="12.1 µs and 4.55 µs."),
        Search(
            st.tuples(_amounts, _amounts, _amounts, _amounts),
            idea="Work out both times on their own.",
        ),
    ],
)

summary = summary_for(__name__)
