"""The checks of module 01's two labs: sizes, sums, pooling, windows; gradients and costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datahall.checking import Case, Check, Example, Search, Trap, summary_for
from datahall.convolution import bank, core, cost, cost_bank, lowering, pooling
from datahall.convolution.core import Array

COST_LAB = "01_convolution_cost_lab"


def _plane(height: int, width: int) -> Any:
    return hnp.arrays(float, (height, width), elements=st.integers(-3, 3).map(float))


def _fits(size: int, kernel: int, stride: int, padding: int) -> bool:
    return size + 2 * padding >= kernel


_sizes = (
    st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4), st.integers(0, 3))
    .filter(lambda drawn: _fits(*drawn))
    .map(lambda d: Case((d[0], d[1]), {"stride": d[2], "padding": d[3]}))
)
_shapes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 3), st.integers(0, 3))
_image_and_kernel = _shapes.flatmap(
    lambda s: st.tuples(_plane(s[0] + s[2], s[1] + s[3]), _plane(s[0], s[1]))
)
_image_and_size = _shapes.flatmap(
    lambda s: st.tuples(_plane(s[0] + s[2], s[1] + s[3]), st.just(s[0]), st.just(s[1]))
)


def correlate_plane(image: Array, kernel: Array) -> Array:
    """Correlate one plane with one kernel."""
    return core.correlate(image, kernel)


def pool_plane(image: Array) -> Array:
    """Pool one plane by windows of 2×2."""
    return pooling.max_pool(image[None, :, :, None])[0, :, :, 0]


def im2col_plane(image: Array, kernel_h: int, kernel_w: int) -> Array:
    """Write the windows of one plane as rows."""
    return lowering.im2col(image[None, :, :, None], kernel_h, kernel_w)


def count(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    """Return the multiply-adds of a layer with stride 1 and no padding."""
    return cost.ConvLayer(height, width, channels, filters, kernel).multiply_adds


def last_field(layers: list[tuple[int, int]]) -> int:
    """Return the receptive field after the last layer."""
    return cost.receptive_fields(layers)[-1]


def roofline_time_s(flop: float, moved: float, flop_per_s: float, bytes_per_s: float) -> float:
    """Return the roofline's time for so many operations and bytes."""
    return flop / cost.attainable_flop_per_s(flop / moved, flop_per_s, bytes_per_s)


output_size = Check(
    "01.1",
    "Count the places",
    function="output_size",
    reference=core.output_size,
    bank=bank.OUTPUT_SIZE,
    points=4,
    minutes=8,
    difficulty=1,
    steps=[
        Example((3, 3), idea="A kernel as long as the axis fits once. Draw it."),
        Example((28, 5), {"padding": 2}, idea="28 + 2 + 2 elements, a kernel of 5: 28 places."),
        Trap("a step that does not fit", (8, 3), {"stride": 2}, idea="Places 0, 2, 4: three."),
        Search(_sizes, idea="Draw this axis, padding included, and count the places one by one."),
    ],
)

slide_kernel = Check(
    "01.2",
    "Slide the kernel",
    function="slide_kernel",
    reference=correlate_plane,
    bank=bank.SLIDE_KERNEL,
    points=5,
    minutes=12,
    difficulty=2,
    steps=[
        Example(
            (np.arange(9.0).reshape(3, 3), np.arange(4.0).reshape(2, 2)),
            idea="Top left: 0·0 + 1·1 + 3·2 + 4·3 = 19.",
        ),
        Trap(
            "a kernel that is not symmetric",
            (np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 0]]), np.array([[5.0, 1], [1, 1]])),
            idea="The kernel's top left number meets the window's top left pixel.",
        ),
        Trap(
            "an image wider than high",
            (np.arange(8.0).reshape(2, 4), np.array([[1.0, -1.0, 2.0]])),
            idea="image.shape is (height, width); so is kernel.shape.",
        ),
        Search(_image_and_kernel, idea="Work this place out by hand: window times kernel, summed."),
    ],
)

max_pool = Check(
    "01.3",
    "Keep the largest",
    function="max_pool",
    reference=pool_plane,
    bank=bank.MAX_POOL,
    points=5,
    minutes=10,
    difficulty=2,
    steps=[
        Example(
            (np.array([[1.0, 5], [3, 2]]),), idea="One window of four pixels; the largest is 5."
        ),
        Example(
            (np.array([[1.0, 2, 5, 0], [3, 4, 1, 6]]),), idea="Two windows: 1 2 3 4, and 5 0 1 6."
        ),
        Trap(
            "only negative pixels", (-np.ones((2, 2)),), idea="The largest of four times −1 is −1."
        ),
        Trap(
            "a height that is odd",
            (np.arange(6.0).reshape(3, 2),),
            idea="3 // 2 is one row of windows.",
        ),
        Search(
            st.tuples(
                st.tuples(st.integers(2, 5), st.integers(2, 5)).flatmap(lambda s: _plane(*s))
            ),
            idea="Cut this image into windows of 2×2 by hand.",
        ),
    ],
)

im2col = Check(
    "01.4",
    "Write windows as rows",
    function="im2col",
    reference=im2col_plane,
    bank=bank.IM2COL,
    points=5,
    minutes=12,
    difficulty=3,
    steps=[
        Example(
            (np.arange(9.0).reshape(3, 3), 2, 2), idea="Four windows; the first row is 0, 1, 3, 4."
        ),
        Trap(
            "a kernel of one row",
            (np.arange(6.0).reshape(2, 3), 1, 2),
            idea="Two places on each row.",
        ),
        Search(_image_and_size, idea="Write the windows down one after another, in reading order."),
    ],
)

kernel_gradient = Check(
    "01.5",
    "Send the gradient to the kernel",
    function="kernel_gradient",
    reference=correlate_plane,
    bank=cost_bank.KERNEL_GRADIENT,
    points=5,
    minutes=12,
    difficulty=3,
    lab=COST_LAB,
    steps=[
        Example(
            (np.arange(9.0).reshape(3, 3), np.array([[1.0, 0], [0, 0]])),
            idea="Only the first place counts: the gradient is what the kernel met there, 0 1 3 4.",
        ),
        Example(
            (np.arange(9.0).reshape(3, 3), np.array([[0.0, 0], [0, 2]])),
            idea="Only the last place counts, twice: 2 times 4 5 7 8.",
        ),
        Search(
            _image_and_kernel, idea="Add up what each kernel number met, place by place, weighted."
        ),
    ],
)

multiply_adds = Check(
    "01.6",
    "Count the multiply-adds",
    function="multiply_adds",
    reference=count,
    bank=cost_bank.MULTIPLY_ADDS,
    points=4,
    minutes=8,
    difficulty=2,
    lab=COST_LAB,
    steps=[
        Example((3, 3, 1, 1, 3), idea="One place, nine products."),
        Example((28, 28, 1, 32, 3), idea="26 · 26 places, 32 filters, 9 products: 194,688."),
        Trap("several channels", (4, 5, 3, 2, 2), idea="Each window is 2 · 2 · 3 numbers."),
        Search(
            st.tuples(
                st.integers(4, 9),
                st.integers(4, 9),
                st.integers(1, 4),
                st.integers(1, 4),
                st.integers(1, 4),
            ),
            idea="Places times filters times products in one sum.",
        ),
    ],
)

receptive_field = Check(
    "01.7",
    "Follow the receptive field",
    function="receptive_field",
    reference=last_field,
    bank=cost_bank.RECEPTIVE_FIELD,
    points=4,
    minutes=10,
    difficulty=3,
    lab=COST_LAB,
    steps=[
        Example(([(3, 1)],), idea="One layer sees its kernel."),
        Example(([(3, 1), (3, 1)],), idea="Two layers of 3 see 5: the windows overlap."),
        Trap(
            "a layer after a stride",
            ([(2, 2), (3, 1)],),
            idea="Three neighbours, 2 apart: 1 + 1 + 2·2.",
        ),
        Search(
            st.tuples(
                st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4)
            ),
            idea="Draw the line of pixels, layer by layer, from the last number back.",
        ),
    ],
)

least_time_s = Check(
    "01.8",
    "Find the limit",
    function="least_time_s",
    reference=roofline_time_s,
    bank=cost_bank.LEAST_TIME,
    points=4,
    minutes=8,
    difficulty=2,
    lab=COST_LAB,
    steps=[
        Example((100.0, 10.0, 50.0, 10.0), idea="2 s of arithmetic, 1 s of traffic: 2 s."),
        Example((100.0, 40.0, 50.0, 10.0), idea="2 s of arithmetic, 4 s of traffic: 4 s."),
        Search(
            st.tuples(*[st.integers(1, 20).map(float)] * 4),
            idea="Work out both times on their own.",
        ),
    ],
)

summary = summary_for(__name__)
