"""Answers to the exercises of module 01's second lab, on gradients and cost: right and wrong ones.

Every answer is written as a learner would write it; each wrong one names the idea it reveals.
"""

from __future__ import annotations

import numpy as np

from datahall.checking import Bank, Wrong
from datahall.convolution.core import Array, correlate

# --- 01.5 Send the gradient to the kernel --------------------------------------------------------


def _kernel_gradient(image: Array, upstream: Array) -> Array:
    return correlate(image, upstream)


def _adds_what_each_met(image: Array, upstream: Array) -> Array:
    height = image.shape[0] - upstream.shape[0] + 1
    width = image.shape[1] - upstream.shape[1] + 1
    gradient = np.zeros((height, width))
    for row, column in np.ndindex(upstream.shape):
        gradient += upstream[row, column] * image[row : row + height, column : column + width]
    return gradient


def _turns_upstream(image: Array, upstream: Array) -> Array:
    return correlate(image, upstream[::-1, ::-1])


def _averages_over_places(image: Array, upstream: Array) -> Array:
    return correlate(image, upstream) / upstream.size


def _ignores_upstream(image: Array, upstream: Array) -> Array:
    return correlate(image, np.ones_like(upstream))


def _pads_like_the_input_gradient(image: Array, upstream: Array) -> Array:
    rows, columns = upstream.shape[0] - 1, upstream.shape[1] - 1
    return correlate(np.pad(image, ((rows, rows), (columns, columns))), upstream)


KERNEL_GRADIENT = Bank(
    right=[_kernel_gradient, _adds_what_each_met],
    wrong=[
        Wrong(
            _turns_upstream,
            says="Do not turn the upstream gradient: only the input's gradient turns anything.",
            idea="mixes up the two gradients",
        ),
        Wrong(
            _averages_over_places,
            says="Sum over the places; do not divide by their number.",
            idea="takes a mean over places",
        ),
        Wrong(
            _ignores_upstream,
            says="Weight what the kernel met at a place with the upstream gradient of that place.",
            idea="takes the upstream gradient to be one",
        ),
        Wrong(
            _pads_like_the_input_gradient,
            says="No zeros around the image: the result has the kernel's shape.",
            idea="full in place of valid",
        ),
    ],
)

# --- 01.6 Count the multiply-adds ----------------------------------------------------------------


def _multiply_adds(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    places = (height - kernel + 1) * (width - kernel + 1)
    return places * filters * kernel**2 * channels


def _weights_times_places(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    weights = kernel * kernel * channels * filters
    return weights * (height + 1 - kernel) * (width + 1 - kernel)


def _counts_pixels(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    return height * width * filters * kernel**2 * channels


def _forgets_channels(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    return (height - kernel + 1) * (width - kernel + 1) * filters * kernel**2


def _forgets_filters(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    return (height - kernel + 1) * (width - kernel + 1) * channels * kernel**2


def _counts_operations(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    return 2 * _multiply_adds(height, width, channels, filters, kernel)


def _counts_one_side(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    return (height - kernel + 1) * (width - kernel + 1) * filters * kernel * channels


MULTIPLY_ADDS = Bank(
    right=[_multiply_adds, _weights_times_places],
    wrong=[
        Wrong(
            _counts_pixels,
            says="Count the places of the output, not the pixels of the input.",
            idea="input size in place of output size",
        ),
        Wrong(
            _forgets_channels,
            says="A window reaches through all channels of the input.",
            idea="forgets the channels",
        ),
        Wrong(
            _forgets_filters,
            says="Each filter makes a sum of its own at each place.",
            idea="forgets the filters",
        ),
        Wrong(
            _counts_operations,
            says="That is the number of operations: a multiply-add counts once here.",
            idea="multiply-adds or operations",
        ),
        Wrong(
            _counts_one_side,
            says="The kernel is a square: kernel times kernel cells.",
            idea="counts a row of the kernel",
        ),
    ],
)

# --- 01.7 Follow the receptive field -------------------------------------------------------------

Layers = list[tuple[int, int]]


def _receptive_field(layers: Layers) -> int:
    seen, jump = 1, 1
    for kernel, stride in layers:
        seen += (kernel - 1) * jump
        jump *= stride
    return seen


def _from_the_last_layer(layers: Layers) -> int:
    seen = 1
    for kernel, stride in reversed(layers):
        seen = (seen - 1) * stride + kernel
    return seen


def _adds_kernels(layers: Layers) -> int:
    return sum(kernel for kernel, _ in layers)


def _ignores_strides(layers: Layers) -> int:
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def _jumps_too_early(layers: Layers) -> int:
    seen, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        seen += (kernel - 1) * jump
    return seen


def _multiplies_kernels(layers: Layers) -> int:
    return int(np.prod([kernel for kernel, _ in layers]))


RECEPTIVE_FIELD = Bank(
    right=[_receptive_field, _from_the_last_layer],
    wrong=[
        Wrong(
            _adds_kernels,
            says="Neighbouring windows overlap: a layer adds kernel − 1, not kernel.",
            idea="adds the kernels' sizes",
        ),
        Wrong(
            _ignores_strides,
            says="After a stride, neighbours stand further apart on the image.",
            idea="ignores the strides",
        ),
        Wrong(
            _jumps_too_early,
            says="A layer's own stride counts only for the layers after it.",
            idea="applies a stride to its own layer",
        ),
        Wrong(
            _multiplies_kernels,
            says="Fields add up; they do not multiply.",
            idea="multiplies the kernels' sizes",
        ),
    ],
)

# --- 01.8 Find the limit -------------------------------------------------------------------------


def _least_time_s(flop: float, moved: float, flop_per_s: float, bytes_per_s: float) -> float:
    return max(flop / flop_per_s, moved / bytes_per_s)


def _under_the_roof(flop: float, moved: float, flop_per_s: float, bytes_per_s: float) -> float:
    return flop / min(flop_per_s, flop / moved * bytes_per_s)


def _adds_both(flop: float, moved: float, flop_per_s: float, bytes_per_s: float) -> float:
    return flop / flop_per_s + moved / bytes_per_s


def _takes_the_shorter(flop: float, moved: float, flop_per_s: float, bytes_per_s: float) -> float:
    return min(flop / flop_per_s, moved / bytes_per_s)


def _only_arithmetic(flop: float, moved: float, flop_per_s: float, bytes_per_s: float) -> float:
    return flop / flop_per_s


def _only_memory(flop: float, moved: float, flop_per_s: float, bytes_per_s: float) -> float:
    return moved / bytes_per_s


LEAST_TIME = Bank(
    right=[_least_time_s, _under_the_roof],
    wrong=[
        Wrong(
            _adds_both,
            says="Arithmetic and traffic run at the same time: the longer one decides.",
            idea="adds both times",
        ),
        Wrong(
            _takes_the_shorter,
            says="The longer of both times decides: neither limit can be passed.",
            idea="takes the shorter time",
        ),
        Wrong(
            _only_arithmetic,
            says="Memory can be the limit too: see how long the bytes take.",
            idea="forgets the traffic",
        ),
        Wrong(
            _only_memory,
            says="Arithmetic can be the limit too: see how long the operations take.",
            idea="forgets the operations",
        ),
    ],
)
