"""Answers that no bank holds: right ones must pass, wrong ones get their own idea or a neutral one.

Each is written as a learner would from the lab's text alone. `wrong` names the words of the ideas
that may be told to it; any other idea of the bank would be a wrong one.
"""

# ruff: noqa: N806
import base64
import fnmatch
import hashlib
import hmac
import itertools
import json
import math
import os
import re
import zlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from joserfc import jwt
from joserfc.jwk import ECKey
from joserfc.jws import extract_compact
from scipy import signal, special

from datahall.convolution import checks as convolution_checks
from datahall.convolution import core as convolution
from datahall.optimization import core
from datahall.serving.evasion import Evidence
from datahall.serving.protocol import Refusal
from datahall.serving.tokens import Claims
from datahall.training import metrics

ANSWERS = []


def right(exercise):
    return lambda answer: ANSWERS.append((exercise, answer, None)) or answer


def wrong(exercise, *ideas):
    return lambda answer: ANSWERS.append((exercise, answer, ideas)) or answer


# 01.1 ---------------------------------------------------------------------------------------------


@right("01.1")
def counts_in_a_loop(size, kernel, *, stride=1, padding=0):
    begin, count = -padding, 0
    while begin + kernel <= size + padding:
        count, begin = count + 1, begin + stride
    return count


@right("01.1")
def with_math_floor(size, kernel, *, stride=1, padding=0):
    return math.floor((size - kernel + 2 * padding) / stride) + 1


@right("01.1")
def with_numpy(size, kernel, *, stride=1, padding=0):
    return np.arange(0, size + 2 * padding - kernel + 1, stride).size


@wrong("01.1")
def always_a_float(size, kernel, *, stride=1, padding=0):
    return 1.0


@wrong("01.1")
def lost_the_default(size, kernel, *, stride, padding):
    return (size + 2 * padding - kernel) // stride + 1


@wrong("01.1")
def misspells(size, kernel, *, stride=1, padding=0):
    return (size + 2 * paddings - kernel) // stride + 1  # noqa: F821


@wrong("01.1")
def default_of_padding(size, kernel, *, stride=1, padding=1):
    return (size + 2 * padding - kernel) // stride + 1


@wrong("01.1")
def default_of_stride(size, kernel, *, stride=2, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


@wrong("01.1")
def adds_the_kernel(size, kernel, *, stride=1, padding=0):
    return (size + 2 * padding + kernel) // stride + 1


@wrong("01.1")
def same_size(size, kernel, *, stride=1, padding=0):
    return size // stride


@wrong("01.1")
def divides_the_size_only(size, kernel, *, stride=1, padding=0):
    return size // stride + 2 * padding - kernel + 1


_seen = set()


@wrong("01.1")
def right_only_once(size, kernel, *, stride=1, padding=0):
    key = (size, kernel, stride, padding)
    again = key in _seen
    _seen.add(key)
    return (size + 2 * padding - kernel) // stride + 1 + again


@wrong("01.1")
def prints_it(size, kernel, *, stride=1, padding=0):
    print((size + 2 * padding - kernel) // stride + 1)


@wrong("01.1", "Count the first place")
def forgets_the_first_in_a_loop(size, kernel, *, stride=1, padding=0):
    return len(range(stride, size + 2 * padding - kernel + 1, stride))


# 01.2 ---------------------------------------------------------------------------------------------


@right("01.2")
def by_scipy(image, kernel):
    return signal.correlate2d(image, kernel, mode="valid")


@right("01.2")
def by_einsum(image, kernel):
    view = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijkl,kl->ij", view, kernel)


@right("01.2")
def by_four_loops(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    out = np.empty((H - h + 1, W - w + 1))
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            total = 0.0
            for a in range(h):
                for b in range(w):
                    total += image[i + a, j + b] * kernel[a, b]
            out[i, j] = total
    return out


@wrong("01.2", "smaller than the image")
def as_large_as_the_image(image, kernel):
    out = np.zeros_like(image)
    for i in range(image.shape[0] - kernel.shape[0] + 1):
        for j in range(image.shape[1] - kernel.shape[1] + 1):
            out[i, j] = (image[i : i + kernel.shape[0], j : j + kernel.shape[1]] * kernel).sum()
    return out


@wrong("01.2", "not every kernel is 3")
def three_by_three(image, kernel):
    out = np.zeros((image.shape[0] - 2, image.shape[1] - 2))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.sum(image[i : i + 3, j : j + 3] * kernel)
    return out


@wrong("01.2")
def window_is_a_view(image, kernel):
    h, w = kernel.shape
    out = np.zeros((image.shape[0] - h + 1, image.shape[1] - w + 1))
    for i, j in np.ndindex(out.shape):
        window = image[i : i + h, j : j + w]
        window *= kernel
        out[i, j] = window.sum()
    return out


@wrong("01.2")
def rounds_the_sums(image, kernel):
    return np.round(signal.correlate2d(image, kernel, mode="valid"))


@wrong("01.2")
def whole_numbers(image, kernel):
    return signal.correlate2d(image, kernel, mode="valid").astype(int).astype(float)


@wrong("01.2")
def half_precision(image, kernel):
    return signal.correlate2d(image, kernel, mode="valid").astype(np.float16)


@wrong("01.2", "Do not turn the kernel")
def a_true_convolution(image, kernel):
    return signal.convolve2d(image, kernel, mode="valid")


@wrong("01.2")
def turned_upside_down(image, kernel):
    return signal.correlate2d(image, kernel[::-1], mode="valid")


@wrong("01.2")
def a_matrix_product(image, kernel):
    h, w = kernel.shape
    out = np.zeros((image.shape[0] - h + 1, image.shape[1] - w + 1))
    for i, j in np.ndindex(out.shape):
        out[i, j] = (image[i : i + h, j : j + w] @ kernel).sum()
    return out


@wrong("01.2")
def the_largest_product(image, kernel):
    view = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return (view * kernel).max(axis=(2, 3))


@wrong("01.2")
def ours(image, kernel):
    return convolution.correlate(image, kernel)


@wrong("01.2")
def our_reference(image, kernel):
    return convolution_checks.slide_kernel.reference(image, kernel)


@wrong("01.2")
def as_a_list(image, kernel):
    return signal.correlate2d(image, kernel, mode="valid").tolist()


# 01.3 ---------------------------------------------------------------------------------------------


@right("01.3")
def pool_by_views(image):
    view = np.lib.stride_tricks.sliding_window_view(image, (2, 2))
    return view[::2, ::2].max(axis=(-1, -2))


@right("01.3")
def pool_by_loops(image):
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    return np.array(
        [
            [max(image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].flat) for j in range(columns)]
            for i in range(rows)
        ]
    )


@right("01.3")
def pool_by_reduceat(image):
    image = image[: image.shape[0] & ~1, : image.shape[1] & ~1]
    return np.maximum.reduceat(
        np.maximum.reduceat(image, range(0, image.shape[0], 2), axis=0),
        range(0, image.shape[1], 2),
        axis=1,
    )


def _pooled(image, start):
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    out = np.full((rows, columns), start)
    for i, j in np.ndindex(rows, columns):
        for value in image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].flat:
            if value > out[i, j]:
                out[i, j] = value
    return out


@wrong("01.3")
def starts_at_minus_999(image):
    return _pooled(image, -999.0)


@wrong("01.3", "do not begin from zero")
def starts_at_zero(image):
    return _pooled(image, 0.0)


@wrong("01.3")
def keeps_whole_numbers(image):
    return _pooled(image, -(10**15))


@wrong("01.3")
def the_smallest(image):
    return -pool_by_views(-image)


@wrong("01.3")
def only_the_diagonal(image):
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    a = image[0 : 2 * rows : 2, 0 : 2 * columns : 2]
    return np.maximum(a, image[1 : 2 * rows : 2, 1 : 2 * columns : 2])


@wrong("01.3")
def pools_rows_only(image):
    return np.maximum(image[0:-1:2], image[1::2])


@wrong("01.3", "Leave out a last row")
def rounds_the_size_up(image):
    return np.array(
        [
            [image[i : i + 2, j : j + 2].max() for j in range(0, image.shape[1], 2)]
            for i in range(0, image.shape[0], 2)
        ]
    )


@wrong("01.3")
def sorts_in_place(image):
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    out = np.zeros((rows, columns))
    for i, j in np.ndindex(rows, columns):
        window = image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(-1)
        window.sort()
        image[2 * i, 2 * j] = window[-1]
        out[i, j] = window[-1]
    return out


@wrong("01.3")
def pool_to_eight_bits(image):
    return pool_by_views(image).astype(np.uint8).astype(float)


# 01.4 ---------------------------------------------------------------------------------------------


@right("01.4")
def rows_by_indices(image, kernel_h, kernel_w):
    H, W = image.shape
    base = [i * W + j for i in range(H - kernel_h + 1) for j in range(W - kernel_w + 1)]
    offsets = [a * W + b for a in range(kernel_h) for b in range(kernel_w)]
    return image.reshape(-1)[np.add.outer(base, offsets)]


@right("01.4")
def rows_filled(image, kernel_h, kernel_w):
    h, w = image.shape[0] - kernel_h + 1, image.shape[1] - kernel_w + 1
    out = np.empty((h * w, kernel_h * kernel_w))
    for place in range(h * w):
        i, j = divmod(place, w)
        out[place] = image[i : i + kernel_h, j : j + kernel_w].flatten()
    return out


@right("01.4")
def rows_stacked(image, kernel_h, kernel_w):
    h, w = image.shape[0] - kernel_h + 1, image.shape[1] - kernel_w + 1
    parts = [
        image[a : a + h, b : b + w].ravel()
        for a, b in itertools.product(range(kernel_h), range(kernel_w))
    ]
    return np.stack(parts, axis=1)


@wrong("01.4", "ravel()")
def four_axes(image, kernel_h, kernel_w):
    return np.lib.stride_tricks.sliding_window_view(image, (kernel_h, kernel_w))


@wrong("01.4")
def three_by_three_rows(image, kernel_h, kernel_w):
    return rows_filled(image, 3, 3)


@wrong("01.4")
def sizes_swapped(image, kernel_h, kernel_w):
    return rows_filled(image, kernel_w, kernel_h)


@wrong("01.4")
def rows_rounded(image, kernel_h, kernel_w):
    return rows_filled(image, kernel_h, kernel_w).round()


@wrong("01.4")
def rows_sorted(image, kernel_h, kernel_w):
    return np.sort(rows_filled(image, kernel_h, kernel_w), axis=1)


@wrong("01.4")
def rows_in_half(image, kernel_h, kernel_w):
    return rows_filled(image, kernel_h, kernel_w).astype(np.float16)


@wrong("01.4")
def rows_of_unique_windows(image, kernel_h, kernel_w):
    return np.unique(rows_filled(image, kernel_h, kernel_w), axis=0)


@wrong("01.4", "rows outside, columns inside")
def loops_swapped(image, kernel_h, kernel_w):
    out = []
    for j in range(image.shape[1] - kernel_w + 1):
        for i in range(image.shape[0] - kernel_h + 1):
            out.append(image[i : i + kernel_h, j : j + kernel_w].ravel())
    return np.array(out)


# 01.5 ---------------------------------------------------------------------------------------------


@right("01.5")
def gradient_by_scipy(image, upstream):
    return signal.correlate2d(image, upstream, mode="valid")


@right("01.5")
def gradient_by_sums(image, upstream):
    h, w = (n - m + 1 for n, m in zip(image.shape, upstream.shape, strict=True))
    H, W = upstream.shape
    return np.array(
        [[(upstream * image[u : u + H, v : v + W]).sum() for v in range(w)] for u in range(h)]
    )


@right("01.5")
def gradient_by_tensordot(image, upstream):
    return np.tensordot(np.lib.stride_tricks.sliding_window_view(image, upstream.shape), upstream)


@wrong("01.5", "add them up")
def equals_for_plus_equals(image, upstream):
    h, w = (n - m + 1 for n, m in zip(image.shape, upstream.shape, strict=True))
    gradient = np.zeros((h, w))
    for i in range(upstream.shape[0]):
        for j in range(upstream.shape[1]):
            gradient = upstream[i, j] * image[i : i + h, j : j + w]
    return gradient


@wrong("01.5", "Do not turn the upstream")
def gradient_convolved(image, upstream):
    return signal.convolve2d(image, upstream, mode="valid")


@wrong("01.5", "Do not turn the result")
def gradient_turned(image, upstream):
    return signal.correlate2d(image, upstream, mode="valid")[::-1, ::-1]


@wrong("01.5")
def gradient_same_size(image, upstream):
    return signal.correlate2d(image, upstream, mode="same")


@wrong("01.5")
def gradient_of_the_signs(image, upstream):
    return signal.correlate2d(image, np.sign(upstream), mode="valid")


@wrong("01.5")
def gradient_minus(image, upstream):
    return -signal.correlate2d(image, upstream, mode="valid")


@wrong("01.5")
def gradient_rounded(image, upstream):
    return np.rint(signal.correlate2d(image, upstream, mode="valid"))


@wrong("01.5")
def gradient_of_the_first_row(image, upstream):
    return signal.correlate2d(
        image[: image.shape[0] - upstream.shape[0] + 1], upstream[:1], "valid"
    )


# 01.6 ---------------------------------------------------------------------------------------------


@right("01.6")
def products_by_prod(height, width, channels, filters, kernel):
    return math.prod([height - kernel + 1, width - kernel + 1, channels, filters, kernel, kernel])


@right("01.6")
def products_by_places(height, width, channels, filters, kernel):
    places = sum(1 for i in range(height) for j in range(width)
                 if i + kernel <= height and j + kernel <= width)  # fmt: skip
    return places * filters * (kernel**2 * channels)


@right("01.6")
def products_in_numpy(height, width, channels, filters, kernel):
    return int(np.prod(np.array([height - kernel + 1, width - kernel + 1, channels, filters,
                                 kernel, kernel], dtype=np.int64)))  # fmt: skip


@wrong("01.6")
def in_32_bits(height, width, channels, filters, kernel):
    n = np.array([height - kernel + 1, width - kernel + 1, channels, filters, kernel, kernel])
    return int(np.prod(n.astype(np.int32), dtype=np.int32))


@wrong("01.6")
def channels_plus_filters(height, width, channels, filters, kernel):
    return (height - kernel + 1) * (width - kernel + 1) * kernel * kernel * (channels + filters)


@wrong("01.6")
def depthwise(height, width, channels, filters, kernel):
    return (height - kernel + 1) * (width - kernel + 1) * (kernel * kernel * channels
                                                           + channels * filters)  # fmt: skip


@wrong("01.6", "reaches through all channels")
def no_channels(height, width, channels, filters, kernel):
    return filters * kernel**2 * (height - kernel + 1) * (width - kernel + 1)


@wrong("01.6")
def one_place_more(height, width, channels, filters, kernel):
    return (height - kernel + 2) * (width - kernel + 2) * channels * filters * kernel**2


@wrong("01.6")
def a_float(height, width, channels, filters, kernel):
    return float((height - kernel + 1) * (width - kernel + 1) * channels * filters * kernel**2)


@wrong("01.6")
def weights_only(height, width, channels, filters, kernel):
    return kernel * kernel * channels * filters


@wrong("01.6", "wider than high")
def square_image(height, width, channels, filters, kernel):
    return (height - kernel + 1) ** 2 * channels * filters * kernel**2


@wrong("01.6")
def three_everywhere(height, width, channels, filters, kernel):
    return (height - 2) * (width - 2) * channels * filters * 9


# 01.7 ---------------------------------------------------------------------------------------------


@right("01.7")
def field_by_products(layers):
    strides = [1, *itertools.accumulate((s for _, s in layers), lambda a, b: a * b)]
    return 1 + sum((k - 1) * s for (k, _), s in zip(layers, strides, strict=False))


@right("01.7")
def field_recursively(layers):
    if not layers:
        return 1
    (kernel, stride), *rest = layers
    return (field_recursively(rest) - 1) * stride + kernel


@right("01.7")
def field_by_first_and_last(layers):
    first = last = 0
    for kernel, stride in layers[::-1]:
        first, last = first * stride, last * stride + kernel - 1
    return last - first + 1


@wrong("01.7")
def pops_the_layers(layers):
    seen = 1
    while layers:
        kernel, stride = layers.pop()
        seen = (seen - 1) * stride + kernel
    return seen


@wrong("01.7")
def the_widest_kernel(layers):
    return max(kernel for kernel, _ in layers)


@wrong("01.7")
def forwards_with_the_backward_rule(layers):
    seen = 1
    for kernel, stride in layers:
        seen = (seen - 1) * stride + kernel
    return seen


@wrong("01.7")
def all_strides_everywhere(layers):
    jump = math.prod(stride for _, stride in layers)
    return 1 + sum((kernel - 1) * jump for kernel, _ in layers)


@wrong("01.7", "Strides multiply")
def last_stride_only(layers):
    seen, jump = 1, 1
    for kernel, stride in layers:
        seen = seen + (kernel - 1) * jump
        jump = stride
    return seen


@wrong("01.7")
def kernels_of_three(layers):
    seen, jump = 1, 1
    for _, stride in layers:
        seen, jump = seen + 2 * jump, jump * stride
    return seen


@wrong("01.7")
def as_a_numpy_float(layers):
    seen, jump = 1.0, 1.0
    for kernel, stride in layers:
        seen, jump = seen + (kernel - 1) * jump, jump * stride
    return seen


@wrong("01.7")
def two_layers_only(layers):
    return field_recursively(layers[:2])


# 01.8 ---------------------------------------------------------------------------------------------


@right("01.8")
def by_an_if(flop, moved, flop_per_s, bytes_per_s):
    if flop * bytes_per_s > moved * flop_per_s:
        return flop / flop_per_s
    return moved / bytes_per_s


@right("01.8")
def by_numpy(flop, moved, flop_per_s, bytes_per_s):
    return np.maximum(flop / flop_per_s, moved / bytes_per_s)


@right("01.8")
def by_sorting(flop, moved, flop_per_s, bytes_per_s):
    return sorted([moved * bytes_per_s**-1, flop * flop_per_s**-1])[-1]


@wrong("01.8", "Do not round")
def six_digits(flop, moved, flop_per_s, bytes_per_s):
    return float(f"{max(flop / flop_per_s, moved / bytes_per_s):.6f}")


@wrong("01.8", "divide the work by the rate")
def upside_down(flop, moved, flop_per_s, bytes_per_s):
    return max(flop_per_s / flop, bytes_per_s / moved)


@wrong("01.8")
def one_upside_down(flop, moved, flop_per_s, bytes_per_s):
    return max(flop / flop_per_s, bytes_per_s / moved)


@wrong("01.8")
def the_mean(flop, moved, flop_per_s, bytes_per_s):
    return (flop / flop_per_s + moved / bytes_per_s) / 2


@wrong("01.8")
def in_milliseconds(flop, moved, flop_per_s, bytes_per_s):
    return 1000 * max(flop / flop_per_s, moved / bytes_per_s)


@wrong("01.8", "the longer one decides")
def one_after_the_other(flop, moved, flop_per_s, bytes_per_s):
    return sum([flop / flop_per_s, moved / bytes_per_s])


@wrong("01.8")
def at_least_a_microsecond(flop, moved, flop_per_s, bytes_per_s):
    return max(flop / flop_per_s, moved / bytes_per_s, 1e-6)


@wrong("01.8", "The longer of both times decides")
def by_intensity(flop, moved, flop_per_s, bytes_per_s):
    return flop / max(flop_per_s, flop / moved * bytes_per_s)


@wrong("01.8")
def bits(flop, moved, flop_per_s, bytes_per_s):
    return max(flop / flop_per_s, 8 * moved / bytes_per_s)


# 02.1 ---------------------------------------------------------------------------------------------


@right("02.1")
def by_log_sum_exp(logits):
    return np.exp(logits - special.logsumexp(logits, axis=1, keepdims=True))


@right("02.1")
def by_special(logits):
    return special.softmax(logits, axis=-1)


@right("02.1")
def by_columns(logits):
    shifted = (logits.T - np.amax(logits, axis=1)).T
    e = np.e**shifted
    return e / e.sum(1)[:, None]


def _shifted(logits, by):
    e = np.exp(logits - by)
    return e / e.sum(axis=-1, keepdims=True)


@wrong("02.1", "Above a mean")
def minus_the_mean(logits):
    return _shifted(logits, logits.mean(axis=-1, keepdims=True))


@wrong("02.1", "Above a mean")
def minus_the_median(logits):
    return _shifted(logits, np.median(logits, axis=-1, keepdims=True))


@wrong("02.1", "first logit")
def minus_the_first(logits):
    return _shifted(logits, logits[:, [0]])


@wrong("02.1")
def minus_the_last(logits):
    return _shifted(logits, logits[:, -1:])


@wrong("02.1", "1000 is one example")
def minus_1000(logits):
    return _shifted(logits, 1000.0)


@wrong("02.1")
def in_long_double(logits):
    return _shifted(logits.astype(np.longdouble), 0).astype(float)


@wrong("02.1")
def nan_to_zero(logits):
    return np.nan_to_num(_shifted(logits, 0.0))


@wrong("02.1")
def scaled_down(logits):
    return _shifted(logits / np.abs(logits).max(), 0.0)


@wrong("02.1")
def sigmoids(logits):
    return special.expit(logits)


@wrong("02.1")
def base_two(logits):
    e = 2.0 ** (logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@wrong("02.1")
def our_softmax(logits):
    return core.softmax(logits)


# 02.2 ---------------------------------------------------------------------------------------------


@right("02.2")
def by_copy_and_subtract(targets, logits):
    gradient = special.softmax(logits, axis=-1)
    gradient[np.arange(len(targets)), targets.argmax(axis=1)] -= 1
    return gradient / targets.shape[0]


@right("02.2")
def by_two_fractions(targets, logits):
    n = logits.shape[0]
    return core.softmax(logits) / n - targets / n


@right("02.2")
def by_the_chain_rule(targets, logits):
    rows = []
    for y, z in zip(targets, logits, strict=True):
        p = core.softmax(z[None])[0]
        jacobian = np.diag(p) - np.outer(p, p)
        safe = np.where(y > 0, 1.0, 0.0)
        rows.append(jacobian @ (-safe / np.maximum(p, 1e-300)) if p[y.argmax()] > 1e-200 else p - y)
    return np.array(rows) / len(targets)


@wrong("02.2", "divide by rows only")
def mean_of_everything(targets, logits):
    return (core.softmax(logits) - targets) / logits.size


@wrong("02.2")
def mean_and_half(targets, logits):
    return (core.softmax(logits) - targets) / (2 * len(targets))


@wrong("02.2")
def only_the_target(targets, logits):
    return targets * (core.softmax(logits) - targets) / len(targets)


@wrong("02.2")
def averaged_rows(targets, logits):
    return (core.softmax(logits) - targets).mean(axis=0)


@wrong("02.2")
def the_loss_itself(targets, logits):
    return -(targets * np.log(core.softmax(logits))).sum() / len(targets)


@wrong("02.2", "divide by the number of rows")
def sum_of_rows(targets, logits):
    return core.softmax(logits) - targets


@wrong("02.2")
def in_place_gradient(targets, logits):
    logits -= logits.max(axis=1, keepdims=True)
    return (core.softmax(logits) - targets) / len(targets)


@wrong("02.2")
def naive_softmax(targets, logits):
    e = np.exp(logits)
    return (e / e.sum(axis=1, keepdims=True) - targets) / len(targets)


# 02.3 ---------------------------------------------------------------------------------------------


@right("02.3")
def two_statements(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    new = velocity * momentum
    new = new - gradient * rate
    return np.add(parameters, new), new


@right("02.3")
def on_a_copy(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    velocity = velocity.copy()
    velocity *= momentum
    velocity -= rate * gradient
    return parameters + velocity, velocity


@right("02.3")
def in_closed_form(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    v = -(rate * gradient - momentum * velocity)
    return (parameters + v, v)


@wrong("02.3", "not 0.9")
def always_nine_tenths(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    v = 0.9 * velocity - rate * gradient
    return parameters + v, v


@wrong("02.3")
def momentum_or(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    v = (momentum or 0.9) * velocity - (rate or 0.01) * gradient
    return parameters + v, v


@wrong("02.3")
def loops_over_the_length(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    v = np.zeros(len(parameters))
    for i in range(len(parameters)):
        v[i] = momentum * velocity[i] - rate * gradient[i]
    return parameters + v, v


@wrong("02.3")
def another_default(parameters, gradient, velocity, *, rate=0.1, momentum=0.9):
    v = momentum * velocity - rate * gradient
    return parameters + v, v


@wrong("02.3")
def another_default_momentum(parameters, gradient, velocity, *, rate=0.01, momentum=0.0):
    v = momentum * velocity - rate * gradient
    return parameters + v, v


@wrong("02.3", "PyTorch")
def as_pytorch_does(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    v = momentum * velocity + gradient
    return parameters - rate * v, v


@wrong("02.3")
def changes_the_velocity(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    velocity *= momentum
    velocity -= rate * gradient
    return parameters + velocity, velocity


@wrong("02.3")
def one_array(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    return parameters + momentum * velocity - rate * gradient


@wrong("02.3", "Make the new velocity first")
def moves_first(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
    parameters = parameters + velocity
    velocity = momentum * velocity - rate * gradient
    return parameters, velocity


# 02.4 ---------------------------------------------------------------------------------------------


def _adam(p, g, m, v, t, rate, *, eps=1e-8, b1=0.9, b2=0.999):
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    return p - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps), m, v


@right("02.4")
def adam_by_a_helper(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    return _adam(parameters, gradient, mean, mean_square, step, rate)


@right("02.4")
def adam_with_np_power(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    m = np.multiply(0.9, mean) + np.multiply(1 - 0.9, gradient)
    v = np.multiply(0.999, mean_square) + np.multiply(1 - 0.999, np.square(gradient))
    m_hat = m / (1 - np.power(0.9, step))
    v_hat = v / (1 - np.power(0.999, step))
    return parameters - rate * m_hat / (v_hat**0.5 + 1e-8), m, v


@right("02.4")
def adam_on_lists(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    flat = [_adam(*each, step, rate) for each in zip(
        parameters.flat, gradient.flat, mean.flat, mean_square.flat, strict=True)]  # fmt: skip
    return tuple(np.array(each).reshape(parameters.shape) for each in zip(*flat, strict=True))


@wrong("02.4", "before their corrections")
def corrected_means(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    p, m, v = _adam(parameters, gradient, mean, mean_square, step, rate)
    return p, m / (1 - 0.9**step), v / (1 - 0.999**step)


@wrong("02.4", "parameters first")
def means_first(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    p, m, v = _adam(parameters, gradient, mean, mean_square, step, rate)
    return m, v, p


@wrong("02.4")
def parameters_last_but_one(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    p, m, v = _adam(parameters, gradient, mean, mean_square, step, rate)
    return p, v, m


@wrong("02.4")
def a_larger_epsilon(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    return _adam(parameters, gradient, mean, mean_square, step, rate, eps=1e-7)


@wrong("02.4")
def beta_of_99(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    return _adam(parameters, gradient, mean, mean_square, step, rate, b2=0.99)


@wrong("02.4")
def default_rate_of_01(parameters, gradient, mean, mean_square, *, step, rate=0.01):
    return _adam(parameters, gradient, mean, mean_square, step, rate)


@wrong("02.4")
def step_is_ignored(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    return _adam(parameters, gradient, mean, mean_square, 1, rate)


@wrong("02.4")
def weight_decay(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    p, m, v = _adam(parameters, gradient, mean, mean_square, step, rate)
    return p - 0.01 * rate * parameters, m, v


@wrong("02.4")
def adam_for_vectors(parameters, gradient, mean, mean_square, *, step, rate=0.001):
    p, m, v = (np.zeros(len(parameters)) for _ in range(3))
    for i in range(len(parameters)):
        p[i], m[i], v[i] = _adam(parameters[i], gradient[i], mean[i], mean_square[i], step, rate)
    return p, m, v


# 02.5 ---------------------------------------------------------------------------------------------


@right("02.5")
def by_einsum_slope(columns, targets, weights):
    return np.einsum("rf,r->f", columns, columns @ weights - targets) * 2 / columns.shape[0]


@right("02.5")
def by_mean(columns, targets, weights):
    errors = np.dot(columns, weights) - targets
    return (2 * errors[:, None] * columns).mean(axis=0)


@right("02.5")
def by_the_normal_matrix(columns, targets, weights):
    n = targets.size
    return (2 / n) * (columns.T @ columns @ weights - columns.T @ targets)


@wrong("02.5", "2 down")
def half_of_it(columns, targets, weights):
    return columns.T @ (columns @ weights - targets) / len(columns)


@wrong("02.5")
def divided_by_features(columns, targets, weights):
    return 2 * columns.T @ (columns @ weights - targets) / len(weights)


@wrong("02.5")
def mean_error(columns, targets, weights):
    return np.full(len(weights), 2 * (columns @ weights - targets).mean())


@wrong("02.5")
def the_sign_of_the_error(columns, targets, weights):
    return columns.T @ np.sign(columns @ weights - targets) / len(targets)


@wrong("02.5")
def one_number(columns, targets, weights):
    return float((2 * columns.T @ (columns @ weights - targets) / len(targets)).sum())


@wrong("02.5")
def no_transpose(columns, targets, weights):
    return 2 * columns @ (columns @ weights - targets) / len(targets)


@wrong("02.5", "printed formula")
def as_printed(columns, targets, weights):
    return (targets - columns @ weights) @ columns / len(targets)


@wrong("02.5")
def with_a_penalty(columns, targets, weights):
    return 2 * columns.T @ (columns @ weights - targets) / len(targets) + 1e-3 * weights


# 03.1 ---------------------------------------------------------------------------------------------


@right("03.1")
def by_ratio(confusion, digit):
    def share(part, whole):
        return float(part) / float(whole) if whole != 0 else 0.0

    tp = confusion[digit][digit]
    p = share(tp, np.sum(confusion[:, digit]))
    r = share(tp, np.sum(confusion[digit, :]))
    return p, r, share(2 * p * r, p + r)


@right("03.1")
def by_true_and_false(confusion, digit):
    tp = int(confusion[digit, digit])
    fp = int(confusion[:, digit].sum()) - tp
    fn = int(confusion[digit].sum()) - tp
    p = tp / (tp + fp) if tp + fp else 0.0
    r = tp / (tp + fn) if tp + fn else 0.0
    return p, r, 2 * tp / (2 * tp + fp + fn) if tp else 0.0


@right("03.1")
def by_nan(confusion, digit):
    with np.errstate(all="ignore"):
        tp = confusion[digit, digit]
        p, r = tp / confusion[:, digit].sum(), tp / confusion[digit].sum()
        p, r = np.nan_to_num(p), np.nan_to_num(r)
        return p, r, np.nan_to_num(2 * p * r / (p + r))


@wrong("03.1", "its row")
def swapped(confusion, digit):
    tp = confusion[digit, digit]
    p = tp / confusion[digit].sum() if confusion[digit].sum() else 0.0
    r = tp / confusion[:, digit].sum() if confusion[:, digit].sum() else 0.0
    return p, r, 2 * p * r / (p + r) if p + r else 0.0


@wrong("03.1")
def in_percent(confusion, digit):
    return tuple(100 * value for value in by_ratio(confusion, digit))


@wrong("03.1")
def geometric(confusion, digit):
    p, r, _ = by_ratio(confusion, digit)
    return p, r, math.sqrt(p * r)


@wrong("03.1")
def one_where_nothing(confusion, digit):
    p, r, f = by_ratio(confusion, digit)
    return (p if confusion[:, digit].sum() else 1.0), r, f


@wrong("03.1")
def always_one(confusion, digit):
    return by_ratio(confusion, 1)


@wrong("03.1")
def divides_by_zero(confusion, digit):
    tp = int(confusion[digit, digit])
    p, r = tp / int(confusion[:, digit].sum()), tp / int(confusion[digit].sum())
    return p, r, 2 * p * r / (p + r)


@wrong("03.1")
def without_the_diagonal(confusion, digit):
    tp = confusion[digit, digit]
    fp, fn = confusion[:, digit].sum() - tp, confusion[digit].sum() - tp
    return float(tp / max(fp, 1)), float(tp / max(fn, 1)), 0.0


@wrong("03.1")
def two_numbers(confusion, digit):
    return by_ratio(confusion, digit)[:2]


# 03.2 ---------------------------------------------------------------------------------------------


@right("03.2")
def in_counts(right, total):
    z = metrics.Z_95
    middle = (right + z * z / 2) / (total + z * z)
    half = z / (total + z * z) * math.sqrt(right * (total - right) / total + z * z / 4)
    return middle - half, middle + half


@right("03.2")
def as_roots(right, total):
    z, p, n = metrics.Z_95, right / total, total
    a, b, c = 1 + z * z / n, -(2 * p + z * z / n), p * p
    d = math.sqrt(max(b * b - 4 * a * c, 0))
    return (-b - d) / (2 * a), (-b + d) / (2 * a)


@right("03.2")
def clipped(right, total):
    low, high = in_counts(right, total)
    return max(0.0, low), min(1.0, high)


def _wilson(right, total, *, z=metrics.Z_95, term=1.0, shift=1.0, weight=1.0):
    p, n = right / total, total
    half = z * math.sqrt(p * (1 - p) / n + term * z * z / (4 * n * n))
    middle, by = p + shift * z * z / (2 * n), 1 + weight * z * z / n
    return (middle - half) / by, (middle + half) / by


@wrong("03.2", "missing under the root")
def no_second_term(right, total):
    return _wilson(right, total, term=0.0)


@wrong("03.2", "towards one half")
def no_shift(right, total):
    return _wilson(right, total, shift=0.0)


@wrong("03.2")
def z_of_90(right, total):
    return _wilson(right, total, z=1.6449)


@wrong("03.2")
def z_of_two(right, total):
    return _wilson(right, total, z=2.0)


@wrong("03.2")
def z_squared_over_n(right, total):
    return _wilson(right, total, shift=2.0)


@wrong("03.2")
def upper_first(right, total):
    return _wilson(right, total)[::-1]


@wrong("03.2")
def wald_clipped(right, total):
    p = right / total
    half = metrics.Z_95 * math.sqrt(p * (1 - p) / total)
    return max(0.0, p - half), min(1.0, p + half)


@wrong("03.2")
def middle_and_half(right, total):
    low, high = _wilson(right, total)
    return (low + high) / 2, (high - low) / 2


@wrong("03.2")
def three_digits(right, total):
    low, high = _wilson(right, total)
    return round(low, 4), round(high, 4)


# 03.3 ---------------------------------------------------------------------------------------------


@right("03.3")
def shift_by_rolling(images, down, right):
    _, height, width = images.shape
    if abs(down) >= height or abs(right) >= width:
        return np.zeros_like(images)
    moved = np.roll(images, (down, right), axis=(1, 2))
    if down > 0:
        moved[:, :down] = 0
    if down < 0:
        moved[:, down:] = 0
    if right > 0:
        moved[:, :, :right] = 0
    if right < 0:
        moved[:, :, right:] = 0
    return moved


@right("03.3")
def shift_by_indices(images, down, right):
    _, height, width = images.shape
    rows, columns = np.arange(height) - down, np.arange(width) - right
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    moved = images[:, rows.clip(0, height - 1)][:, :, columns.clip(0, width - 1)]
    return np.where(inside, moved, 0).astype(images.dtype)


@right("03.3")
def shift_axis_by_axis(images, down, right):
    def along(array, by, axis):
        array = np.moveaxis(array, axis, 0)
        out = np.zeros_like(array)
        n = len(array)
        for i in range(n):
            if 0 <= i - by < n:
                out[i] = array[i - by]
        return np.moveaxis(out, 0, axis)

    return along(along(images, down, 1), right, 2)


@wrong("03.3", "any number type")
def shift_in_uint8(images, down, right):
    moved = np.zeros(images.shape, np.uint8)
    moved[...] = shift_by_indices(images, down, right)
    return moved


@wrong("03.3", "[:-0] is empty")
def shift_with_minus(images, down, right):
    moved = np.zeros_like(images)
    moved[:, down:, :] = images[:, :-down, :]
    return moved


@wrong("03.3")
def shift_in_floats(images, down, right):
    moved = np.zeros(images.shape)
    moved[...] = shift_by_indices(images, down, right)
    return moved


@wrong("03.3", "brings back on one side")
def shift_wrapped(images, down, right):
    return np.roll(np.roll(images, down, axis=1), right, axis=2)


@wrong("03.3")
def shift_repeating_the_edge(images, down, right):
    _, height, width = images.shape
    rows = (np.arange(height) - down).clip(0, height - 1)
    columns = (np.arange(width) - right).clip(0, width - 1)
    return images[:, rows][:, :, columns]


@wrong("03.3")
def shift_down_only(images, down, right):
    return shift_by_indices(images, down, 0)


@wrong("03.3")
def shift_batch_and_height(images, down, right):
    return np.moveaxis(shift_by_indices(np.moveaxis(images, 0, 2), down, right), 2, 0)


@wrong("03.3")
def shift_first_image_only(images, down, right):
    return shift_by_indices(images[:1], down, right)


@wrong("03.3")
def shift_with_white(images, down, right):
    moved = shift_by_indices(images.astype(float) + 1, down, right)
    return np.where(moved == 0, 255, moved - 1).astype(images.dtype)


# 03.4 ---------------------------------------------------------------------------------------------


def _taken(model, loss_function, images, labels, variables, training=True):
    with tf.GradientTape() as tape:
        loss = loss_function(labels, model(images, training=training))
    return loss, tape.gradient(loss, variables)


@right("03.4")
def step_by_weights(model, optimizer, loss_function, images, labels):
    loss, gradients = _taken(model, loss_function, images, labels, model.trainable_weights)
    optimizer.apply(gradients, model.trainable_weights)
    return loss


@right("03.4")
def step_watching(model, optimizer, loss_function, images, labels):
    variables = list(model.trainable_variables)
    with tf.GradientTape(watch_accessed_variables=True) as tape:
        predictions = model(tf.convert_to_tensor(images), training=True)
        value = loss_function(tf.convert_to_tensor(labels), predictions)
    optimizer.apply_gradients(list(zip(tape.gradient(value, variables), variables, strict=True)))
    return tf.identity(value)


@right("03.4")
def step_as_a_float(model, optimizer, loss_function, images, labels):
    loss, gradients = _taken(model, loss_function, images, labels, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return float(loss)


@wrong("03.4", "the first one only")
def step_first_variable(model, optimizer, loss_function, images, labels):
    variables = [model.trainable_variables[0]]
    loss, gradients = _taken(model, loss_function, images, labels, variables)
    optimizer.apply(gradients, variables)
    return loss


@wrong("03.4", "not of the last one only")
def step_last_layer(model, optimizer, loss_function, images, labels):
    variables = model.layers[-1].trainable_variables
    loss, gradients = _taken(model, loss_function, images, labels, variables)
    optimizer.apply(gradients, variables)
    return loss


@wrong("03.4", "Biases are trained")
def step_no_biases(model, optimizer, loss_function, images, labels):
    variables = [v for v in model.trainable_variables if "bias" not in v.name]
    loss, gradients = _taken(model, loss_function, images, labels, variables)
    optimizer.apply(gradients, variables)
    return loss


@wrong("03.4", "frozen layer")
def step_frozen_too(model, optimizer, loss_function, images, labels):
    for layer in model.layers:
        layer.trainable = True
    loss, gradients = _taken(model, loss_function, images, labels, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return loss


@wrong("03.4", "Leave the rule")
def step_by_hand(model, optimizer, loss_function, images, labels):
    loss, gradients = _taken(model, loss_function, images, labels, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        variable.assign_sub(0.5 * gradient)
    return loss


@wrong("03.4", "Use the optimizer that came in", "Leave the rule")
def step_fresh_adam(model, optimizer, loss_function, images, labels):
    loss, gradients = _taken(model, loss_function, images, labels, model.trainable_variables)
    fresh = optimizer.__class__.from_config(optimizer.get_config())
    fresh.apply(gradients, model.trainable_variables)
    return loss


@wrong("03.4", "return line missing")
def step_without_return(model, optimizer, loss_function, images, labels):
    _loss, gradients = _taken(model, loss_function, images, labels, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)


@wrong("03.4")
def step_climbing(model, optimizer, loss_function, images, labels):
    loss, gradients = _taken(model, loss_function, images, labels, model.trainable_variables)
    optimizer.apply([-g for g in gradients], model.trainable_variables)
    return loss


@wrong("03.4")
def step_twice(model, optimizer, loss_function, images, labels):
    loss, gradients = _taken(model, loss_function, images, labels, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return loss


@wrong("03.4")
def step_returns_outputs(model, optimizer, loss_function, images, labels):
    _loss, gradients = _taken(model, loss_function, images, labels, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return model(images)


@wrong("03.4", "training=True")
def step_in_use(model, optimizer, loss_function, images, labels):
    variables = model.trainable_variables
    loss, gradients = _taken(model, loss_function, images, labels, variables, training=None)
    optimizer.apply(gradients, variables)
    return loss


# 03.5 ---------------------------------------------------------------------------------------------


class _Stop(keras.callbacks.Callback):
    def __init__(self, patience=2):
        super().__init__()
        self.patience, self.best, self.waited, self.weights = patience, float("inf"), 0, None

    def better(self, logs):
        return logs["val_loss"] < self.best

    def on_epoch_end(self, epoch, logs=None):
        if self.better(logs):
            self.best, self.waited, self.weights = logs["val_loss"], 0, self.model.get_weights()
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.weights is not None:
            self.model.set_weights(self.weights)


@right("03.5")
class StopPlainly(_Stop):
    pass


@right("03.5")
class StopWithHistory(_Stop):
    def on_train_begin(self, logs=None):
        self.losses = [math.inf]

    def on_epoch_end(self, epoch, logs=None):
        loss = math.inf if math.isnan(logs["val_loss"]) else logs["val_loss"]
        self.losses.append(loss)
        best = int(np.argmin(self.losses))
        if best == epoch + 1:
            self.weights = [w.copy() for w in self.model.get_weights()]
        self.model.stop_training = epoch + 1 - best >= self.patience


@right("03.5")
class StopRestoringAtOnce(_Stop):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.model.stop_training and self.weights is not None:
            self.model.set_weights(self.weights)


@wrong("03.5", "As good is no new best")
class StopOnTies(_Stop):
    def better(self, logs):
        return logs["val_loss"] <= self.best


@wrong("03.5", "by however little")
class StopWithAMargin(_Stop):
    def better(self, logs):
        return logs["val_loss"] < self.best - 0.01


@wrong("03.5", "put the best weights back at the end only")
class StopPuttingBack(_Stop):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.waited:
            self.model.set_weights(self.weights)


@wrong("03.5", "nan is no new best")
class StopOnNan(_Stop):
    def better(self, logs):
        return self.weights is None or not logs["val_loss"] >= self.best


@wrong("03.5", "a copy, from get_weights()")
class StopWithoutACopy(_Stop):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.weights = self.model.weights

    def on_train_end(self, logs=None):
        for variable, kept in zip(self.model.weights, self.weights, strict=True):
            variable.assign(kept)


@wrong("03.5", "val_loss")
class StopByTrainingLoss(_Stop):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, {"val_loss": logs["loss"]})


@wrong("03.5", "Keras looks at")
class StopItself(_Stop):
    def on_epoch_end(self, epoch, logs=None):
        if self.better(logs):
            self.best, self.waited, self.weights = logs["val_loss"], 0, self.model.get_weights()
        else:
            self.waited += 1
        self.stop_training = self.waited >= self.patience


@wrong("03.5")
class StopForTheLargest(_Stop):
    def __init__(self, patience=2):
        super().__init__(patience)
        self.best = -float("inf")

    def better(self, logs):
        return logs["val_loss"] > self.best


@wrong("03.5")
class StopWithPatienceTwo(_Stop):
    def __init__(self, patience=2):
        super().__init__(2)


@wrong("03.5")
class StopKeepingTheFirst(_Stop):
    def on_epoch_end(self, epoch, logs=None):
        first = self.weights
        super().on_epoch_end(epoch, logs)
        self.weights = first or self.weights


@wrong("03.5")
class StopForgettingNothingKept(_Stop):
    def __init__(self, patience=2):
        self.patience = patience


@wrong("03.5")
class StopWithNoneAtTheEnd(_Stop):
    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)


@wrong("03.5", "may be negative")
class StopByTheAbsoluteLoss(_Stop):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, {"val_loss": abs(logs["val_loss"])})


@wrong("03.5", "count it")
class StopSkippingNan(_Stop):
    def on_epoch_end(self, epoch, logs=None):
        if not math.isnan(logs["val_loss"]):
            super().on_epoch_end(epoch, logs)


@wrong("03.1", "F1 is 0 then")
def f1_of_nothing_right(confusion, digit):
    hit, called, there = confusion[digit, digit], confusion[:, digit].sum(), confusion[digit].sum()
    if not called or not there:
        return 0.0, 0.0, 0.0
    p, r = hit / called, hit / there
    return p, r, 2 * p * r / (p + r)


@wrong("03.3", "below 0 or above 255")
def shift_of_bytes(images, down, right):
    moved = np.pad(np.clip(images, 0, 255), ((0, 0), (9, 9), (9, 9)))
    return np.roll(moved, (down, right), (1, 2))[:, 9:-9, 9:-9]


@wrong("01.2")
def slides_in_float32(image, kernel):
    image, kernel = image.astype(np.float32), kernel.astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijuv,uv->ij", windows, kernel).astype(np.float64)


@wrong("01.4")
def windows_in_float32(image, kernel_h, kernel_w):
    view = np.lib.stride_tricks.sliding_window_view(image, (kernel_h, kernel_w))
    return view.reshape(-1, kernel_h * kernel_w).astype(np.float32)


@wrong("01.6")
def counts_in_float32(height, width, channels, filters, kernel):
    places = (height - kernel + 1) * (width - kernel + 1)
    return int(np.float32(places * filters * channels * kernel**2))


@wrong("02.1")
def softmax_in_float32(logits):
    return special.softmax(logits, axis=-1).astype(np.float32)


# 05.5 ---------------------------------------------------------------------------------------------


@right("05.5")
def the_gap_between_the_last_two(times):
    computed = times[..., 1] - times[..., 0]
    *_, second, last = np.sort(computed, axis=0)
    alone = np.where(last > second, computed.argmax(axis=0), -1)
    for rank in range(len(times)):
        if 2 * (alone == rank).sum() > len(alone):
            return rank, float((last - second)[alone == rank].sum() / len(alone))
    return None


@wrong("05.5", "One long pause")
def waits_least_on_average(times):
    waited = (times[..., 2] - times[..., 1]).mean(axis=1)
    computed, rank = times[..., 1] - times[..., 0], int(waited.argmin())
    gain = computed[rank] - np.delete(computed, rank, axis=0).max(axis=0)
    return (rank, float(np.maximum(gain, 0).mean())) if (gain > 0).any() else None


@wrong("05.5", "Half of the steps")
def the_largest_median(times):
    computed = times[..., 1] - times[..., 0]
    median = np.median(computed, axis=1)
    rank = int(median.argmax())
    gain = computed[rank] - np.delete(computed, rank, axis=0).max(axis=0)
    alone = (median[rank] > np.delete(median, rank)).all()
    return (rank, float(np.maximum(gain, 0).mean())) if alone else None


# 05.6 ---------------------------------------------------------------------------------------------


@right("05.6")
def from_loss_to_loss(work, interval, write, restart, losses):
    now = safe = 0
    for loss in [*losses, math.inf]:
        while safe < work:
            part = min(interval, work - safe)
            done = now + part + write * (safe + part < work)
            if done > loss:
                break
            now, safe = done, safe + part
        if safe == work:
            return now
        now = loss + restart
    return now


@wrong("05.6")
def restarts_one_after_the_other(work, interval, write, restart, losses):
    now = safe = 0
    for loss in [*losses, math.inf]:
        while safe < work:
            part = min(interval, work - safe)
            done = now + part + write * (safe + part < work)
            if done > loss:
                break
            now, safe = done, safe + part
        if safe == work:
            return now
        now = max(now, loss) + restart
    return now


@wrong("05.6")
def reads_as_long_as_it_writes(work, interval, write, restart, losses):
    end = from_loss_to_loss(work, interval, write, restart + write, losses)
    return end if losses else from_loss_to_loss(work, interval, write, restart, losses)


# 05.7 ---------------------------------------------------------------------------------------------


def one_forward_one_backward(stage, stages, microbatches):
    ahead = min(stages - 1 - stage, microbatches)
    passes = [("F", n) for n in range(ahead)]
    for n in range(microbatches - ahead):
        passes += [("F", ahead + n), ("B", n)]
    return passes + [("B", n) for n in range(microbatches - ahead, microbatches)]


@right("05.7")
def begins_with_the_last_number(stage, stages, microbatches):
    passes = one_forward_one_backward(stage, stages, microbatches)
    return [(kind, microbatches - 1 - n) for kind, n in passes]


@wrong("05.7")
def in_blocks_that_fit(stage, stages, microbatches):
    passes = []
    for first in range(0, microbatches, stages):
        block = range(first, min(first + stages, microbatches))
        passes += [("F", n) for n in block] + [("B", n) for n in block]
    return passes


@wrong("05.7")
def the_newest_goes_backward(stage, stages, microbatches):
    passes, kept, sent = [], [], 0
    while sent < microbatches or kept:
        if sent < microbatches and len(kept) < stages - stage:
            passes.append(("F", sent))
            kept.append(sent)
            sent += 1
        else:
            passes.append(("B", kept.pop()))
    return passes


# 05.8 ---------------------------------------------------------------------------------------------


class InOneFile:
    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "state.npz"

    def load(self):
        if not self.path.exists():
            return None
        with np.load(self.path) as stored:
            return dict(stored)


@right("05.8")
class NumberedFiles:
    def __init__(self, folder):
        self.folder = folder

    def save(self, state):
        old = sorted(self.folder.glob("state-*.npy"))
        number = int(old[-1].stem.split("-")[1]) + 1 if old else 0
        with (self.folder / "part").open("wb") as part:
            np.save(part, np.array([state], dtype=object), allow_pickle=True)
        (self.folder / "part").rename(self.folder / f"state-{number:09d}.npy")
        for path in old:
            path.unlink()

    def load(self):
        found = sorted(self.folder.glob("state-*.npy"))
        return np.load(found[-1], allow_pickle=True)[0] if found else None


@wrong("05.8", "A killed save leaves its files")
class OnlyWhereNothingIs(InOneFile):
    def save(self, state):
        with (self.folder / "part").open("xb") as part:
            np.savez(part, **state)
        (self.folder / "part").replace(self.path)


@wrong("05.8")
class OneSaveBehind(InOneFile):
    last = None

    def save(self, state):
        if self.last is not None:
            np.savez(self.folder / "part.npz", **self.last)
            (self.folder / "part.npz").replace(self.path)
        self.last = state


# 06.1 ---------------------------------------------------------------------------------------------


@right("06.1")
def affine_with_numpy(low, high, bits):
    codes = np.arange(2**bits) - 2 ** (bits - 1)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = np.ptp([low, high]) / (codes.size - 1)
    if scale == 0:
        return 1.0, 0
    return float(scale), int(codes[np.argmin(np.abs(low + scale * (codes - codes[0])))])


@wrong("06.1")
def affine_for_eight_bits_only(low, high, bits):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / 255 or 1.0
    return scale, round(-128 - low / scale) if low < high else 0


@wrong("06.1")
def affine_symmetric(low, high, bits):
    return max(-low, high, 0) / (2 ** (bits - 1) - 1) or 1.0, 0


# 06.2 ---------------------------------------------------------------------------------------------


@right("06.2")
def quantize_by_loop(x, scale, zero_point):
    codes = []
    for number in x.ravel():
        steps = min(max(number / scale, -1e6), 1e6)
        whole = math.floor(steps + 0.5) if steps >= 0 else math.ceil(steps - 0.5)
        codes.append(min(max(whole + zero_point, -128), 127))
    return np.array(codes, np.int8).reshape(x.shape)


@wrong("06.2")
def quantize_to_int16(x, scale, zero_point):
    steps = x / scale
    whole = np.sign(steps) * np.floor(np.abs(steps) + 0.5)
    return np.clip(whole + zero_point, -(2**15), 2**15 - 1).astype(np.int16)


@wrong("06.2", "away from zero")
def quantize_with_round(x, scale, zero_point):
    return np.clip(np.round(x / scale) + zero_point, -128, 127).astype(np.int8)


# 06.3 ---------------------------------------------------------------------------------------------


@right("06.3")
def rescale_with_divisions(sums, m, rule):
    share, n = math.frexp(m)
    q = math.floor(share * 2**31 + 0.5)
    if q == 2**31:
        q, n = q // 2, n + 1
    product = sums.astype(np.int64) * q
    if rule == "single":
        return (product + 2 ** (30 - n)) // 2 ** (31 - n)
    for places in (31, -n):
        if places:
            sign = np.where(product < 0, -1, 1)
            product = sign * ((product * sign + 2 ** (places - 1)) // 2**places)
    return product


@wrong("06.3")
def rescale_as_floats_then_int(sums, m, rule):
    return (sums * m).astype(np.int64)


# 06.4 ---------------------------------------------------------------------------------------------


@right("06.4")
def pack_as_bits(codes):
    bits = np.unpackbits(codes.view(np.uint8)[:, None], axis=1, bitorder="little")[:, :4]
    flat = np.append(bits.ravel(), np.zeros(4 * (len(codes) % 2), np.uint8))
    return np.packbits(flat, bitorder="little")


@wrong("06.4")
def pack_one_to_a_byte(codes):
    return codes.view(np.uint8)


# 06.5 ---------------------------------------------------------------------------------------------


@right("06.5")
def calibrate_by_loop(sample, candidates, bits):
    best, least = candidates[0], math.inf
    for limit in candidates:
        step = limit / (2 ** (bits - 1) - 1)
        back = np.clip(np.round(sample / step) * step, -limit, limit)
        lost = float(((back - sample) ** 2).sum())
        if lost < least * (1 - 1e-9):
            best, least = limit, lost
    return best


@wrong("06.5")
def calibrate_by_percentile(sample, candidates, bits):
    wanted = np.percentile(np.abs(sample), 99)
    return min(candidates, key=lambda limit: abs(limit - wanted))


# 06.6 ---------------------------------------------------------------------------------------------


@right("06.6")
def channels_in_columns(weights, axis, bits):
    table = np.swapaxes(weights, axis, -1)
    flat = table.reshape(-1, table.shape[-1])
    scale = np.max(np.abs(flat), axis=0) / (2 ** (bits - 1) - 1)
    scale[scale == 0] = 1
    codes = np.round(flat / scale).reshape(table.shape)
    return np.swapaxes(codes, axis, -1).astype("int8"), scale


@wrong("06.6")
def channels_of_the_range(weights, axis, bits):
    others = tuple(a for a in range(weights.ndim) if a != axis % weights.ndim)
    reach = weights.max(axis=others, keepdims=True) - weights.min(axis=others, keepdims=True)
    scales = np.where(reach > 0, reach / (2**bits - 2), 1.0)
    return np.rint(weights / scales).clip(-127, 127).astype(np.int8), scales.ravel()


# 06.7 ---------------------------------------------------------------------------------------------


@right("06.7")
def shifts_the_sign_in(packed, scales, x):
    lower = (packed << 4).view(np.int8) >> 4
    upper = packed.view(np.int8) >> 4
    codes = np.empty((len(packed), 2 * packed.shape[1]))
    codes[:, 0::2], codes[:, 1::2] = lower, upper
    return np.einsum("bf,of,o->bo", x, codes[:, : x.shape[1]], scales)


@wrong("06.7", "With an odd number of features")
def pads_the_input(packed, scales, x):
    padded = np.pad(x, ((0, 0), (0, x.shape[1] % 2)), mode="edge")
    lower, upper = (packed << 4).view(np.int8) >> 4, packed.view(np.int8) >> 4
    codes = np.stack([lower, upper], axis=2).reshape(len(packed), -1)
    return padded @ codes.T.astype(float) * scales


@right("06.7")
def pads_the_input_with_zeros(packed, scales, x):
    padded = np.pad(x, ((0, 0), (0, x.shape[1] % 2)))
    lower, upper = (packed << 4).view(np.int8) >> 4, packed.view(np.int8) >> 4
    codes = np.stack([lower, upper], axis=2).reshape(len(packed), -1)
    return padded @ codes.T.astype(float) * scales


# 06.8 ---------------------------------------------------------------------------------------------


@right("06.8")
def rounds_before_it_clips(x, scale, bits):
    largest = 2.0 ** (bits - 1) - 1
    steps = x / scale
    steps = steps + tf.stop_gradient(tf.round(steps) - steps)
    return scale * tf.minimum(tf.maximum(steps, -largest), largest)


@wrong("06.8", "This passes 1 to x everywhere", "Beyond the ends", "The scale is trained too")
def clips_the_values_then_passes(x, scale, bits):
    largest = 2 ** (bits - 1) - 1
    inside = tf.clip_by_value(x, -largest * scale, largest * scale)
    return inside + tf.stop_gradient(scale * tf.round(inside / scale) - inside)


@wrong("06.8")
def adds_noise_instead(x, scale, bits):
    largest = 2 ** (bits - 1) - 1
    steps = tf.clip_by_value(x / scale + 0.25, -largest, largest)
    return scale * steps


# 06.9 ---------------------------------------------------------------------------------------------


@right("06.9")
def goes_down_recursively(layers, budget_bytes, size_of, probe):
    def below(bits, loss):
        size = size_of(bits)
        if size <= budget_bytes:
            return bits
        steps = []
        for name in (name for name in bits if bits[name] > 2):
            lower = {**bits, name: bits[name] - 1}
            worse = probe(lower)
            steps.append(((worse - loss) / (size - size_of(lower)), worse, lower))
        _, worse, lower = min(steps, key=lambda step: step[0])
        return below(lower, worse)

    start = {name: 8 for name in layers}
    return below(start, probe(start))


@wrong("06.9", "The largest layer", "The same bits everywhere")
def small_layers_keep_eight(layers, budget_bytes, size_of, probe):
    bits = dict.fromkeys(layers, 8)
    for name in sorted(layers, key=layers.get, reverse=True):
        while bits[name] > 2 and size_of(bits) > budget_bytes:
            bits[name] -= 1
    return bits


@wrong("06.9")
def leaves_out_what_keeps_8_bits(layers, budget_bytes, size_of, probe):
    bits = goes_down_recursively(layers, budget_bytes, size_of, probe)
    return {name: count for name, count in bits.items() if count < 8}


@wrong("06.9")
def forgets_a_layer(layers, budget_bytes, size_of, probe):
    bits = dict.fromkeys(layers, 2)
    bits.pop(next(iter(layers)))
    return bits


# 06.10 --------------------------------------------------------------------------------------------


@right("06.10")
def deletes_the_lightest(kernel, bias, after, keep):
    count = len(bias)
    sums = np.abs(kernel).sum(axis=tuple(range(kernel.ndim - 1)))
    gone = sorted(range(count), key=lambda c: (sums[c], -c))[: count - keep]
    rows = [p * count + c for p in range(after.shape[-2] // count) for c in gone]
    less = np.delete(kernel, gone, axis=-1)
    return less, np.delete(bias, gone), np.delete(after, rows, axis=-2)


@wrong("06.10", "The next kernel still reads", "Flattening puts", "A block of neighbouring rows")
def cuts_the_first_place_only(kernel, bias, after, keep):
    sums = np.abs(kernel).reshape(-1, len(bias)).sum(axis=0)
    kept = np.sort(np.argsort(-sums, kind="stable")[:keep])
    return kernel[..., kept], bias[kept], after[..., kept, :]


# 06.11 --------------------------------------------------------------------------------------------


@right("06.11")
def claims_one_after_the_other(rows, lost, won, images):
    said = {}
    said["smaller"] = not any(row["int8_bytes"] > row["float32_bytes"] / 4 for row in rows)
    said["faster"] = True
    for row in rows:
        ours, theirs = sorted(row["int8_ms"]), sorted(row["float32_ms"])
        if not ours or not theirs or ours[-1] >= theirs[0]:
            said["faster"] = False
    said["accurate"] = (lost - won) / images + 2 * math.sqrt(lost + won) / images <= 0.001
    return said


@wrong("06.11")
def within_two_errors_of_nothing(rows, lost, won, images):
    said = claims_one_after_the_other(rows, lost, won, images)
    return said | {"accurate": abs(lost - won) <= 2 * math.sqrt(lost + won)}


@wrong("06.11")
def the_names_of_what_holds(rows, lost, won, images):
    said = claims_one_after_the_other(rows, lost, won, images)
    return [name for name, holds in said.items() if holds]


# 07.11 --------------------------------------------------------------------------------------------


def _coded(raw):
    return base64.b64encode(raw, altchars=b"-_").decode().strip("=")


@right("07.11")
def with_helpers_of_its_own(token, public):
    pieces = token.split(".")
    head, said = (json.loads(base64.b64decode(x + "===", altchars=b"-_")) for x in pieces[:2])
    said["sub"] = "root"

    def sealed(head, secret):
        text = _coded(json.dumps(head).encode()) + "." + _coded(json.dumps(said).encode())
        return f"{text}.{_coded(hmac.new(secret, text.encode(), 'sha256').digest())}"

    bare = _coded(b'{"alg":"none"}') + "." + _coded(json.dumps(said).encode()) + "."
    by_kid = sealed(dict(alg="HS256", kid=head["kid"]), public)
    deep = sealed(dict(alg="HS256", kid="/".join([".."] * 12) + "/dev/null"), b"")
    return dict(unsigned=bare, confused=by_kid, path=deep)


@wrong("07.11")
def forgets_the_last_dot(token, public):
    return {
        name: each.rstrip(".") if name == "unsigned" else each
        for name, each in with_helpers_of_its_own(token, public).items()
    }


@wrong("07.11")
def returns_them_in_a_list(token, public):
    return list(with_helpers_of_its_own(token, public).values())


# 07.12 --------------------------------------------------------------------------------------------


@right("07.12")
def image_by_image(gradient, predict, images, labels, epsilon):
    named = predict(images)
    keep = [i for i in range(len(images)) if named[i] == labels[i]]
    images, labels = images[keep], labels[keep]
    slopes = np.asarray(gradient(images.astype(np.float64), labels))
    toss = np.random.default_rng(11).integers(0, 2, images.shape) * 2 - 1
    counts = []
    for change in (epsilon * np.sign(slopes), epsilon * toss, 255 * np.sign(slopes)):
        moved = (images + change).round().clip(0, 255).astype(np.uint8)
        counts.append(sum(a == b for a, b in zip(predict(moved), labels, strict=True)))
    blind = sum(1 for slope in slopes if np.count_nonzero(slope) == 0)
    shares = [float(count / len(keep)) for count in (*counts, blind)]
    return Evidence(len(keep), shares[0], shares[1], shares[3], shares[2])


@wrong("07.12")
def uniform_noise(gradient, predict, images, labels, epsilon):
    right = predict(images) == labels
    images, labels = images[right], labels[right]
    slopes, random = gradient(images.astype(float), labels), np.random.default_rng(0)

    def kept(change):
        return float(
            np.mean(predict((images + change).round().clip(0, 255).astype("uint8")) == labels)
        )

    blind = float(np.mean([not slope.any() for slope in slopes]))
    noise = kept(random.uniform(-epsilon, epsilon, images.shape))
    signs = np.sign(slopes)
    return Evidence(len(images), kept(epsilon * signs), noise, blind, kept(255 * signs))


@wrong("07.12", "counts images that were wrong before")
def shares_of_all_images(gradient, predict, images, labels, epsilon):
    found = image_by_image(gradient, predict, images, labels, epsilon)
    share = found.judged / len(images)
    return Evidence(found.judged, found.attacked * share, found.noise, found.blind, found.extreme)


# 07.13 --------------------------------------------------------------------------------------------


@right("07.13")
def one_by_one(honest):
    first = honest["inputs"][0]

    def changed(**fields):
        return {"inputs": [{**first, **fields}]}

    bare = {"name": "images", "datatype": "UINT8", "shape": [1, 28, 28, 1]}
    bare["parameters"] = {"binary_data_size": 784}
    mime = "application/json"
    return {
        "content_type": ("text/html", changed(), b""),
        "strict_json": (mime, changed(colour="red"), b""),
        "exact_shape": (mime, changed(shape=[1, 28, 28]), b""),
        "datatype": (mime, changed(data=[1.5, *first["data"][1:]]), b""),
        "value_range": (mime, changed(data=[-5, *first["data"][1:]]), b""),
        "batch_limit": (mime, changed(shape=[40, 28, 28, 1], data=first["data"] * 40), b""),
        "size_adds_up": ("application/octet-stream", {"inputs": [bare]}, bytes(10)),
    }


@wrong("07.13")
def changes_the_honest_request(honest):
    found = one_by_one(honest)
    honest["inputs"][0]["data"][0] = -5
    return found


@wrong("07.13")
def leaves_one_out(honest):
    return {name: each for name, each in one_by_one(honest).items() if name != "datatype"}


# 07.14 --------------------------------------------------------------------------------------------


@right("07.14")
def three_lines(entry):
    return "\n".join(['mnist_cnn"}', json.dumps(entry, ensure_ascii=False), '{"more": "'])


@wrong("07.14")
def a_field_more(entry):
    return three_lines({**entry, "injected": True})


@wrong("07.14")
def takes_the_next_line_with_it(entry):
    return 'x"}\n' + json.dumps(entry) + '\n{"x":"\n'


# 07.1 ---------------------------------------------------------------------------------------------


@right("07.1")
def walks_down_the_lists(tensor, spec):
    no = Refusal(400, "no", "The tensor does not fit.")
    if sorted(tensor) != ["data", "datatype", "name", "shape"] or type(tensor["shape"]) is not list:
        return no
    sizes = tensor["shape"]
    if (tensor["name"], tensor["datatype"]) != (spec.name, spec.datatype):
        return no
    if any(type(size) is not int for size in sizes) or tuple(sizes[1:]) != spec.shape[1:]:
        return no
    if sizes[0] not in range(1, spec.max_batch + 1):
        return no

    def values(part, sizes):
        if not sizes:
            return [part]
        if type(part) is not list or len(part) != sizes[0]:
            raise ValueError
        return [value for inner in part for value in values(inner, sizes[1:])]

    for form in (sizes, [math.prod(sizes)]):
        try:
            found = values(tensor["data"], form)
        except ValueError:
            continue
        if all(type(value) is int and spec.low <= value <= spec.high for value in found):
            return np.array(found, np.uint8).reshape(sizes)
    return no


@wrong("07.1")
def leaves_it_to_numpy(tensor, spec):
    try:
        found = np.array(tensor["data"]).reshape(tensor["shape"])
        named = tensor["name"] == spec.name and tensor["datatype"] == spec.datatype
        fits = found.shape[1:] == spec.shape[1:] and 1 <= len(found) <= spec.max_batch
        if named and fits and found.min() >= spec.low and found.max() <= spec.high:
            return found.astype(np.uint8)
    except (ValueError, TypeError, KeyError):
        pass
    return Refusal(400, "no", "No.")


@wrong("07.1")
def reads_digits_in_texts(tensor, spec):
    data = tensor.get("data")
    if isinstance(data, list):
        data = [int(each) if isinstance(each, str) and each.isdigit() else each for each in data]
        tensor = tensor | {"data": data}
    return walks_down_the_lists(tensor, spec)


# 07.2 ---------------------------------------------------------------------------------------------

_KINDS = {"UINT8": "u1", "INT64": "<i8", "FP32": "<f4"}


@right("07.2")
def sums_first(body, length):
    no = Refusal(400, "no", "The sizes do not fit.")
    if re.fullmatch(r"\d{1,9}", length, re.ASCII) is None or len(body) < int(length):
        return no
    inputs = json.loads(body[: int(length)])["inputs"]
    sizes = [each["parameters"]["binary_data_size"] for each in inputs]
    needs = [math.prod(e["shape"]) * np.dtype(_KINDS[e["datatype"]]).itemsize for e in inputs]
    if sizes != needs or int(length) + sum(sizes) != len(body):
        return no
    begins = itertools.accumulate(sizes, initial=int(length))
    return {
        each["name"]: np.frombuffer(
            body, _KINDS[each["datatype"]], math.prod(each["shape"]), begin
        ).reshape(each["shape"])
        for each, begin in zip(inputs, begins, strict=False)
    }


@wrong("07.2", "A negative size", "int() takes signs")
def catches_everything(body, length):
    try:
        at, found = int(length), {}
        for each in json.loads(body[:at])["inputs"]:
            size = each["parameters"]["binary_data_size"]
            values = np.frombuffer(body[at : at + size], _KINDS[each["datatype"]])
            found[each["name"]] = values.reshape(each["shape"])
            at += size
    except ValueError:
        return Refusal(400, "no", "No.")
    return found if at == len(body) else Refusal(400, "no", "No.")


# 07.3 ---------------------------------------------------------------------------------------------


@right("07.3")
def by_assertions(token, keys, now):
    try:
        head = token.split(".")[0]
        head = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        assert head["alg"] == "ES256"
        key = ECKey.import_key(keys.by_kid[head["kid"]])
        claims = jwt.decode(token, key, algorithms=["ES256"]).claims
        assert (claims["iss"], claims["aud"]) == (keys.issuer, keys.audience)
        assert claims.get("nbf", now) <= now < claims["exp"]
        assert claims["jti"] not in keys.revoked
        words = tuple(claims["scope"].split(" "))
        named = Claims(claims["sub"], words, claims["jti"], claims["exp"], head["kid"])
    except Exception:
        return Refusal(401, "no", "No.")
    return named if keys.scope in words else Refusal(403, "no", "No.")


@wrong("07.3")
def tries_every_key(token, keys, now):
    for kid, pem in keys.by_kid.items():
        try:
            jwt.decode(token, ECKey.import_key(pem), algorithms=["ES256"])
        except Exception as error:
            del error
            continue
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        ours = claims.get("iss") == keys.issuer and claims.get("aud") == keys.audience
        timely = claims.get("nbf", 0) <= now < claims.get("exp", 0)
        if not ours or not timely or claims.get("jti") in keys.revoked:
            return Refusal(401, "no", "No.")
        words = tuple(claims.get("scope", "").split(" "))
        if keys.scope not in words:
            return Refusal(403, "no", "No.")
        return Claims(claims["sub"], words, claims["jti"], claims["exp"], kid)
    return Refusal(401, "no", "No.")


@wrong("07.3")
def allows_a_minute_of_grace(token, keys, now):
    early, late = by_assertions(token, keys, now), by_assertions(token, keys, now - 60)
    return early if isinstance(early, Claims) else late


# 07.4 ---------------------------------------------------------------------------------------------


@right("07.4")
def scans_the_folder(kid, folder):
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and entry.name == kid + ".pem":
                return (folder / entry.name).read_bytes()
    return None


@wrong("07.4", "Honest names have dots")
def allows_some_letters(kid, folder):
    path = folder / f"{kid}.pem"
    fits = re.fullmatch("[A-Za-z0-9_-]+", kid) and len(kid) < 100
    return path.read_bytes() if fits and path.is_file() and not path.is_symlink() else None


@wrong("07.4", "After `resolve` a detour")
def normalizes_the_text(kid, folder):
    path = Path(os.path.normpath(f"{folder}/{kid}.pem"))
    if path.parent != folder or "\0" in str(path) or path.is_symlink():
        return None
    return path.read_bytes() if path.is_file() else None


# 07.5 ---------------------------------------------------------------------------------------------


@right("07.5")
def with_a_key_of_its_own(given, kept):
    return hmac.compare_digest(*(hmac.digest(b"k", each, "sha256") for each in (given, kept)))


@right("07.5")
def all_bits_at_once(given, kept):
    if len(given) != len(kept):
        return False
    bits = np.frombuffer(given, np.uint8) ^ np.frombuffer(kept, np.uint8)
    return not bits.any() if len(bits) else True


@wrong("07.5", "It stops at the first byte")
def lengths_first(given, kept):
    return len(given) == len(kept) and given == kept


# 07.6 ---------------------------------------------------------------------------------------------


@right("07.6")
def window_by_window(traces, per_second, per_day):
    for rate in range(1, per_day // 1440 + 1):
        burst = max(
            -(-(60 * (j - i + 1) - rate * (trace[j] - trace[i])) // 60)
            for trace in traces
            for i in range(len(trace))
            for j in range(i, len(trace))
        )
        if burst + rate / 60 <= per_second and burst + 1440 * rate <= per_day:
            return rate, burst
    return None


@wrong("07.6", "After a second the bucket")
def the_fullest_second(traces, per_second, per_day):
    burst = max(max(trace.count(at) for at in trace) for trace in traces)
    fitting = (n for n in range(1, per_day // 1440 + 1) if burst + 1440 * n <= per_day)
    return next(((n, burst) for n in fitting if burst + n / 60 <= per_second), None)


# 07.7 ---------------------------------------------------------------------------------------------


@right("07.7")
def opens_without_links(folder, trust):
    contents = {}
    for name in [path.name for path in folder.iterdir()]:
        try:
            handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(handle, "rb") as file:
                contents[name] = file.read()
        except OSError as error:
            raise ValueError(name) from error
    if set(contents) != {"model.json", "model.sig", "model.tflite"}:
        raise ValueError("files")
    card, signature, model = (contents[name] for name in sorted(contents))
    if not trust.signed(card, signature) or trust.scan(model) != "clean":
        raise ValueError("signature or scan")
    said = json.loads(card)
    if said["version"] < trust.least_version:
        raise ValueError("version")
    if said["sha256"] != hashlib.sha256(model).hexdigest():
        raise ValueError("digest")
    return model


@wrong("07.7", "A file that is read twice")
def hashes_before_and_after(folder, trust):
    model = opens_without_links(folder, trust)
    again = (folder / "model.tflite").read_bytes()
    return again if len(again) == len(model) else model


# 07.8 ---------------------------------------------------------------------------------------------


@right("07.8")
def cuts_from_the_end(lines, last):
    seen = ["0" * 64]
    for index, line in enumerate(lines):
        body, said = line[:-75] + b"}", line[-66:-2]
        framed = line[-75:-66] == b',"hash":"' and line[-2:] == b'"}'
        if not framed or hashlib.sha256(body).hexdigest().encode() != said:
            return index
        entry = json.loads(body)
        if (entry["seq"], entry["prev"]) != (index, seen[-1]):
            return index
        seen.append(said.decode())
    return None if seen[-1] == last else len(lines)


@wrong("07.8")
def strips_lines(lines, last):
    return cuts_from_the_end([line.strip() for line in lines], last)


# 07.9 ---------------------------------------------------------------------------------------------


@right("07.9")
def asks_each_until_it_knows(issuer, gateways, wait):
    former, fresh = issuer.kid, issuer.make()
    for gateway in gateways:
        gateway.accept(fresh)
    late = list(gateways)
    while late := [gateway for gateway in late if not gateway.knows(fresh)]:
        wait(1)
    issuer.use(fresh)
    for _ in range(4):
        wait(issuer.lifetime_s / 4)
    for gateway in gateways:
        gateway.drop(former)


@wrong("07.9", "Nobody knows the new key yet", "One gateway is not all")
def uses_it_at_the_first(issuer, gateways, wait):
    former, fresh = issuer.kid, issuer.make()
    for gateway in gateways:
        gateway.accept(fresh)
        while not gateway.knows(fresh):
            wait(0.5)
        issuer.use(fresh)
    wait(issuer.lifetime_s)
    for gateway in gateways:
        gateway.drop(former)


# 07.10 --------------------------------------------------------------------------------------------


@right("07.10")
def denials_before_permissions(rules, request):
    for effect in ("deny", "allow"):
        for number, rule in enumerate(rules):
            plain = {
                field: [one.replace("[", "[[]").replace("?", "[?]") for one in rule[field]]
                for field in ("who", "action", "model")
                if field in rule
            }
            named = all(
                any(fnmatch.fnmatchcase(request[field], one) for one in patterns)
                for field, patterns in plain.items()
            )
            begin, end = rule.get("hours", (0, 24))
            hours = [*range(begin, end)] if begin < end else [*range(begin, 24), *range(end)]
            if named and rule["effect"] == effect and request["hour"] in hours:
                return effect == "allow", number
    return False, None


@wrong("07.10")
def only_the_verdict(rules, request):
    return denials_before_permissions(rules, request)[0]


@wrong("07.10")
def a_number_for_nothing(rules, request):
    allowed, number = denials_before_permissions(rules, request)
    return allowed, -1 if number is None else number


# 07, written from the labs' text alone ------------------------------------------------------------


@wrong("07.1", "half of it is neither")
def takes_a_list_for_each_image(tensor, spec):
    found = peels_level_by_level(tensor, spec)
    if isinstance(found, Refusal) and isinstance(tensor.get("data"), list):
        inner = [value for part in tensor["data"] if isinstance(part, list) for value in part]
        if len(tensor["data"]) == (tensor.get("shape") or [0])[0] and inner:
            return peels_level_by_level(tensor | {"data": inner}, spec)
    return found


@right("07.1")
def peels_level_by_level(tensor, spec):
    bad = Refusal(400, "tensor", "One of the tensors is not as specified.")
    if sorted(tensor) != ["data", "datatype", "name", "shape"]:
        return bad
    shape, data = tensor["shape"], tensor["data"]
    if [tensor["name"], tensor["datatype"]] != [spec.name, spec.datatype]:
        return bad
    if not isinstance(shape, list) or any(type(size) is not int for size in shape):
        return bad
    if shape[1:] != list(spec.shape[1:]) or not 1 <= shape[0] <= spec.max_batch:
        return bad
    if not isinstance(data, list):
        return bad
    if data and isinstance(data[0], list):
        level = [data]
        for size in shape:
            if any(not isinstance(part, list) or len(part) != size for part in level):
                return bad
            level = [value for part in level for value in part]
        data = level
    if len(data) != math.prod(shape):
        return bad
    if any(type(value) is not int or not spec.low <= value <= spec.high for value in data):
        return bad
    return np.asarray(data, "u1").reshape(shape)


@wrong("07.2", "A size has no sign", "must say the same", "must be that of the shape")
def adds_up_all_sizes_only(body, length):
    if not re.fullmatch("[0-9]{1,9}", length) or int(length) > len(body):
        return Refusal(400, "no", "No.")
    at, found = int(length), {}
    inputs = json.loads(body[:at])["inputs"]
    if at + sum(one["parameters"]["binary_data_size"] for one in inputs) != len(body):
        return Refusal(400, "no", "No.")
    try:
        for one in inputs:
            kind = {"UINT8": "<u1", "INT64": "<i8", "FP32": "<f4"}[one["datatype"]]
            size = one["parameters"]["binary_data_size"]
            found[one["name"]] = np.frombuffer(body[at : at + size], kind).reshape(one["shape"])
            at += size
    except ValueError:
        return Refusal(400, "no", "No.")
    return found


@wrong("07.3", "whatever you need of it")
def forbids_what_has_no_subject(token, keys, now):
    try:
        kid = extract_compact(token.encode()).headers()["kid"]
        said = jwt.decode(token, ECKey.import_key(keys.by_kid[kid]), algorithms=["ES256"]).claims
        good = [said["iss"], said["aud"]] == [keys.issuer, keys.audience]
        good &= said.get("nbf", 0) <= now < said["exp"] and said["jti"] not in keys.revoked
        words = tuple(said["scope"].split(" "))
    except Exception:
        return Refusal(401, "no", "No.")
    if not good:
        return Refusal(401, "no", "No.")
    if "sub" not in said or keys.scope not in words:
        return Refusal(403, "no", "No.")
    return Claims(said["sub"], words, said["jti"], said["exp"], kid)


_FIRST_KEYS = []


@wrong("07.3", "During a rotation", "do not try another")
def keeps_the_keys_of_the_first_call(token, keys, now):
    _FIRST_KEYS.append(keys.by_kid)
    refused = Refusal(401, "no", "No.")
    try:
        kid = extract_compact(token.encode()).headers()["kid"]
        pem = _FIRST_KEYS[0][kid]
        said = jwt.decode(token, ECKey.import_key(pem), algorithms=["ES256"]).claims
        claims = Claims(said["sub"], tuple(said["scope"].split(" ")), said["jti"], said["exp"], kid)
        if [said["iss"], said["aud"]] != [keys.issuer, keys.audience]:
            return refused
    except Exception:
        return refused
    if not said.get("nbf", 0) <= now < claims.expires or claims.token_id in keys.revoked:
        return refused
    return claims if keys.scope in claims.scopes else Refusal(403, "no", "No.")


@wrong("07.4", "nobody can read")
def reads_what_is_no_folder(kid, folder):
    for path in folder.iterdir():
        if path.name == f"{kid}.pem" and not path.is_symlink() and not path.is_dir():
            return path.read_bytes()
    return None


@right("07.5")
def as_numbers_of_one_length(given, kept):
    numbers = int.from_bytes(given, "big"), int.from_bytes(kept, "big")
    return len(given) == len(kept) and numbers[0] ^ numbers[1] == 0


@right("07.5")
def counts_differences(given, kept):
    pairs = zip(given, kept, strict=False)
    return len(given) == len(kept) and sum(one != other for one, other in pairs) == 0


@wrong("07.5", "A check sum finds accidents")
def by_adler_and_crc(given, kept):
    return len(given) == len(kept) and zlib.crc32(given) == zlib.crc32(kept)


@wrong("07.6", "Sums of floats")
def adds_up_floats(traces, per_second, per_day):
    for rate in range(1, per_day // 1440 + 1):
        burst = 0
        for trace in traces:
            lack, last = 0.0, trace[0]
            for now in trace:
                lack = max(0.0, lack - rate / 60 * (now - last)) + 1
                last, burst = now, max(burst, math.ceil(lack))
        if burst + rate / 60 <= per_second and burst + 1440 * rate <= per_day:
            return rate, burst
    return None


def _judged(card, signature, model, trust):
    said = json.loads(card) if trust.signed(card, signature) else {}
    if said.get("sha256") != hashlib.sha256(model).hexdigest():
        raise ValueError("digest")
    if said["version"] < trust.least_version:
        raise ValueError("version")
    return model


def _three(folder):
    names = ["model.json", "model.sig", "model.tflite"]
    paths = sorted(folder.iterdir())
    if [path.name for path in paths] != names or any(path.is_symlink() for path in paths):
        raise ValueError("folder")
    return [path.read_bytes() for path in paths]


@wrong("07.7", "scan the bytes that you have")
def scans_the_file(folder, trust):
    model = _judged(*_three(folder), trust)
    if trust.scan((folder / "model.tflite").read_bytes()) != "clean":
        raise ValueError("scan")
    return model


@wrong("07.7", "as texts, 10")
def orders_versions_as_texts(folder, trust):
    card, signature, model = _three(folder)
    said = json.loads(card) if trust.signed(card, signature) else {"version": ""}
    if str(said["version"]) < str(trust.least_version) or trust.scan(model) != "clean":
        raise ValueError("version or scan")
    if said["sha256"] != hashlib.sha256(model).hexdigest():
        raise ValueError("digest")
    return model


@wrong("07.8", "do not pass over it")
def passes_over_empty_lines(lines, last):
    return text_by_text([line for line in lines if line], last)


@wrong("07.8")
def drops_bytes_that_are_no_text(lines, last):
    return text_by_text([line.decode(errors="ignore").encode() for line in lines], last)


@right("07.8")
def text_by_text(lines, last):
    before = "0" * 64
    for index, line in enumerate(lines):
        digest = hashlib.sha256(line[:-75] + b"}").hexdigest()
        if line[-75:] != f',"hash":"{digest}"}}'.encode():
            return index
        entry = json.loads(line)
        if (entry["seq"], entry["prev"]) != (index, before):
            return index
        before = digest
    return None if before == last else len(lines)


@wrong("07.9", "tell all of them first")
def gateway_after_gateway(issuer, gateways, wait):
    old, new = issuer.kid, issuer.make()
    for gateway in gateways:
        gateway.accept(new)
        while not gateway.knows(new):
            wait(0.05)
    issuer.use(new)
    wait(issuer.lifetime_s)
    for gateway in gateways:
        gateway.drop(old)


@wrong("07.10", "not any part")
def any_part_with_a_star(rules, request):
    def fits(pattern, text):
        return pattern.strip("*") in text if pattern.endswith("*") else pattern == text

    def applies(rule):
        begin, end = rule.get("hours", (0, 24))
        fields = [name for name in ("who", "action", "model") if name in rule]
        hour = (request["hour"] - begin) % 24 < ((end - begin) % 24 or 24)
        return hour and all(any(fits(one, request[name]) for one in rule[name]) for name in fields)

    found = [(rule["effect"] == "allow", at) for at, rule in enumerate(rules) if applies(rule)]
    return min(found, default=(False, None))


@wrong("07.12", "however small its derivative")
def scales_each_gradient(gradient, predict, images, labels, epsilon):
    def scaled(pixels, names):
        slopes = gradient(pixels, names)
        most = np.abs(slopes).max(axis=(1, 2, 3), keepdims=True)
        return slopes / np.where(most == 0, 1, most)

    right = predict(images) == labels
    images, labels = images[right].astype(float), labels[right]
    slopes = scaled(images, labels)
    coins = np.random.default_rng(1).choice([-1, 1], images.shape)

    def kept(step):
        pixels = np.clip(np.round(images + step), 0, 255).astype(np.uint8)
        return float(np.mean(predict(pixels) == labels))

    blind = float(np.mean(~slopes.any(axis=(1, 2, 3))))
    shares = kept(epsilon * slopes), kept(epsilon * coins), blind, kept(255 * slopes)
    return Evidence(len(images), *shares)


@right("07.14")
def writes_the_log_s_own_fields(entry):
    first = 'm","verdict":"refused","status":404}'
    third = '{"time":"now","seq":8,"what":"infer","model":"m'
    return f"{first}\n{json.dumps(entry, separators=(',', ':'), ensure_ascii=False)}\n{third}"
