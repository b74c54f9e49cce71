"""A quantized network in integers only: sums in int32, then a multiplier and a shift to int8.

Reading order: `multiplier` (a real factor as an integer and a shift), `single`, `double`,
`double_up` and `floating` (four rules of rounding), `Layer` and `sums` (what is accumulated),
`apply` (a layer) and `run` (a network). Which rule a kernel of LiteRT follows, lecture
06_quantization_integers finds by experiment. Nothing here needs LiteRT or TensorFlow;
`litert.layers_of` reads layers from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from datahall.errors import ParameterError, ShapeError
from datahall.quantization.core import Array

MIN, MAX = -128, 127
Q31 = 2**31


def multiplier(real: float | Array) -> tuple[Array, Array]:
    """Return a factor as q · 2^(shift − 31), q an integer of 31 bits.

    Args:
        real: Above zero, below 2³¹; one factor or several.

    Returns:
        q, from 2³⁰ to 2³¹ − 1, and shift, both int64.

    Raises:
        ParameterError: A factor is not above zero, or too large.

    Example:
        >>> [int(part) for part in multiplier(0.75)], [int(part) for part in multiplier(1 / 3)]
        ([1610612736, 0], [1431655765, -1])

    Source:
        LiteRT's `QuantizeMultiplier`; Jacob et al. (2018), section 2.2.
    """
    factors = np.asarray(real, float)
    if not ((factors > 0) & (factors < Q31)).all():
        raise ParameterError(
            f"A factor is {factors.min()} or {factors.max()}. Expected above 0, below 2³¹. It is "
            "input scale times weight scale over output scale."
        )
    share, shift = np.frexp(factors)
    q = np.floor(share * Q31 + 0.5).astype(np.int64)
    full = q == Q31  # rounded up to 1.0: halve it, and shift once more
    return np.where(full, q // 2, q), shift.astype(np.int64) + full


def single(sums: Array, real: float | Array) -> Array:
    """Return sums times a factor, in integers, rounded once: ties go up.

    Args:
        sums: (…, filters), int32.
        real: One factor, or one for each filter, (filters,).

    Returns:
        (…, filters), int64, not saturated.

    Example:
        >>> single(np.array([7984]), 1583594044 / 2**40).tolist()
        [11]
    """
    q, shift = multiplier(real)
    places = 31 - shift
    product = np.asarray(sums, np.int64) * q
    return np.asarray((product + (np.int64(1) << (places - 1))) >> places)


def double(sums: Array, real: float | Array) -> Array:
    """Return sums times a factor, in integers, rounded twice: after 31 bits, and after the shift.

    Args:
        sums: (…, filters), int32.
        real: One factor, or one for each filter, (filters,).

    Returns:
        (…, filters), int64, not saturated.

    Example:
        >>> double(np.array([7984]), 1583594044 / 2**40).tolist()
        [12]

    Source:
        gemmlowp's `SaturatingRoundingDoublingHighMul`, then `RoundingDivideByPOT`.
    """
    q, shift = multiplier(real)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    product = (np.asarray(sums, np.int64) << left) * q
    high = _half_away(product, np.int64(31))
    return _half_away(high, right)


def double_up(sums: Array, real: float | Array) -> Array:
    """Return sums times a factor, in integers, rounded twice like `double`, but ties go up.

    Args:
        sums: (…, filters), int32.
        real: One factor, or one for each filter, (filters,).

    Returns:
        (…, filters), int64, not saturated.

    Example:
        >>> double_up(np.array([3, -3]), 0.5).tolist(), double(np.array([3, -3]), 0.5).tolist()
        ([2, -1], [2, -2])
    """
    q, shift = multiplier(real)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    high = ((np.asarray(sums, np.int64) << left) * q + 2**30) >> 31
    return np.asarray((high + ((np.int64(1) << right) >> 1)) >> right)


def _half_away(numbers: Array, places: Any) -> Array:
    """Shift integers to the right, rounded to the nearest, ties away from zero."""
    half = (np.int64(1) << places) >> 1
    return np.asarray(np.sign(numbers) * ((np.abs(numbers) + half) >> places))


def floating(sums: Array, real: float | Array) -> Array:
    """Return sums times a factor, in float32, rounded to the nearest, ties to even.

    Args:
        sums: (…, filters), int32.
        real: One factor, or one for each filter, (filters,); taken as float32.

    Returns:
        (…, filters), int64, not saturated.

    Example:
        >>> floating(np.array([5, 7]), 0.5).tolist()
        [2, 4]

    Source:
        XNNPACK's `fp32` requantization.
    """
    scaled = np.asarray(sums).astype(np.float32) * np.asarray(real, np.float32)
    return np.rint(scaled).astype(np.int64)


RULES: dict[str, Callable[[Array, Array], Array]] = {
    "single": single,
    "double": double,
    "double, up": double_up,
    "float32": floating,
}
"""The rules of rounding, by the names that the lecture uses."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A quantized layer as it stands in a file.

    Attributes:
        name: Of the layer.
        weights: int8, (filters, kernel_h, kernel_w, channels), or (filters, features) if dense.
        bias: (filters,), int32, in steps of input scale times weight scale.
        input_scale: Scale of the input codes.
        input_zero: Zero point of the input codes.
        weight_scales: (filters,), float32.
        output_scale: Scale of the output codes.
        output_zero: Zero point of the output codes.
        stride: Of a convolution, on both axes.
        same: Whether a convolution pads to as many places as strides fit, or not at all.
        relu: Whether negative results become zero.
    """

    name: str
    weights: Array
    bias: Array
    input_scale: np.float32
    input_zero: int
    weight_scales: Array
    output_scale: np.float32
    output_zero: int
    stride: int = 1
    same: bool = False
    relu: bool = False

    @property
    def dense(self) -> bool:
        """Whether each output sees all inputs."""
        return self.weights.ndim == 2

    @property
    def factors(self) -> Array:
        """What a step of each filter's sum is worth, in steps of the output: (filters,)."""
        scales = self.weight_scales.astype(float)
        return np.asarray(float(self.input_scale) * scales / float(self.output_scale))

    @property
    def factors_float32(self) -> Array:
        """The same in float32 arithmetic, as XNNPACK makes them."""
        return np.asarray(self.input_scale * self.weight_scales / self.output_scale)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the padding before and after an axis so that ⌈size / stride⌉ places fit.

    Args:
        size: Input length along the axis, in elements.
        kernel: Kernel length along the axis, in elements.
        stride: Step between two places, in elements.

    Example:
        >>> same_padding(28, 5, 2)
        (1, 2)
    """
    missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return missing // 2, missing - missing // 2


def sums(layer: Layer, codes: Array, *, pad_with: int | None = None) -> Array:
    """Return what a layer accumulates: inputs less their zero point, times weights, plus bias.

    Args:
        layer: The layer.
        codes: int8, (batch, height, width, channels); (batch, …) if the layer is dense.
        pad_with: The code in the padding; the zero point, which stands for 0, when left out.

    Returns:
        int32, (batch, out_height, out_width, filters) or (batch, filters).

    Raises:
        ShapeError: The codes do not fit the layer.
    """
    weights = layer.weights.reshape(len(layer.weights), -1).T.astype(np.int32)
    if layer.dense:
        rows = codes.reshape(len(codes), -1)
    else:
        rows = _windows(layer, codes, layer.input_zero if pad_with is None else pad_with)
    if rows.shape[-1] != len(weights):
        raise ShapeError(
            f"{layer.name} sums {len(weights)} products, a window of the codes holds "
            f"{rows.shape[-1]}. Expected as many. Feed the layer before it."
        )
    return np.asarray((rows.astype(np.int32) - layer.input_zero) @ weights + layer.bias)


def _windows(layer: Layer, codes: Array, pad_with: int) -> Array:
    kernel_h, kernel_w = layer.weights.shape[1:3]
    if layer.same:
        along_h = same_padding(codes.shape[1], kernel_h, layer.stride)
        along_w = same_padding(codes.shape[2], kernel_w, layer.stride)
        codes = np.pad(codes, ((0, 0), along_h, along_w, (0, 0)), constant_values=pad_with)
    windows = sliding_window_view(codes, (kernel_h, kernel_w), axis=(1, 2))
    placed = windows[:, :: layer.stride, :: layer.stride].transpose(0, 1, 2, 4, 5, 3)
    return placed.reshape(*placed.shape[:3], -1)


def apply(layer: Layer, codes: Array, rule: str) -> Array:
    """Return a layer's output codes.

    Args:
        layer: The layer.
        codes: As for `sums`.
        rule: One of `RULES`.

    Returns:
        int8, the shape of the sums.

    Raises:
        ParameterError: There is no such rule.
        ShapeError: The codes do not fit the layer.
    """
    return rescale(layer, sums(layer, codes), rule)


def rescale(layer: Layer, accumulated: Array, rule: str) -> Array:
    """Return the output codes of what a layer accumulated: rescaled, shifted, saturated, narrowed.

    Args:
        layer: Whose scales and zero points count.
        accumulated: (…, filters), int32.
        rule: The name of one in `RULES`.

    Raises:
        ParameterError: There is no such rule.
    """
    if rule not in RULES:
        raise ParameterError(f"rule is {rule!r}. Expected one of {', '.join(RULES)}.")
    factors = layer.factors_float32 if rule == "float32" else layer.factors
    shifted = RULES[rule](accumulated, factors) + layer.output_zero
    least = max(MIN, layer.output_zero) if layer.relu else MIN
    return np.asarray(np.clip(shifted, least, MAX), np.int8)


def run(layers: Sequence[Layer], codes: Array, rules: Sequence[str]) -> list[Array]:
    """Return the output codes of every layer, each fed with ours before it.

    Args:
        layers: In order.
        codes: (batch, …), int8, the input of the first.
        rules: A rule for each layer.

    Raises:
        ParameterError: There is no such rule.
        ShapeError: Layers and rules differ in number, or the codes do not fit.
    """
    if len(layers) != len(rules):
        raise ShapeError(f"{len(rules)} rules for {len(layers)} layers. Expected one for each.")
    outputs: list[Array] = []
    for layer, rule in zip(layers, rules, strict=True):
        outputs.append(apply(layer, outputs[-1] if outputs else codes, rule))
    return outputs
