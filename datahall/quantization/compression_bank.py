"""Answers to the exercises of module 06's second lab, on fewer bits and fewer channels."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from datahall.checking import Bank, Slip, Wrong
from datahall.quantization.compression_trials import tf
from datahall.quantization.core import Array
from datahall.quantization.sensitivity import Bits

# A bank is a table: what slips, what is said, which idea it reveals.
# fmt: off
_NAMES = {"np": np, "tf": tf, "Callable": Callable}  # that the solutions use


def _one_by_one(weights: Array, axis: int, bits: int) -> tuple[Array, Array]:
    top, channels = 2 ** (bits - 1) - 1, np.moveaxis(weights, axis, 0)
    scales = [float(abs(each).max()) / top or 1.0 for each in channels]
    codes = [np.round(each / scale) for each, scale in zip(channels, scales, strict=True)]
    return np.moveaxis(np.array(codes), 0, axis).astype(np.int8), np.array(scales)


_LIMITS, _WHOLE = "np.abs(weights).max(axis=others, keepdims=True)", "np.rint(weights / scales)"

PER_CHANNEL = Bank.of(
    "06.6",
    _NAMES,
    right=[_one_by_one],
    wrong=[
        Slip({_LIMITS: f"0 * {_LIMITS} + np.abs(weights).max()"},
             "Each channel has a largest weight of its own: take the maximum channel by channel.",
             "one scale for the whole kernel"),
        Slip({"axis % weights.ndim": "weights.ndim - 1"},
             "The channels lie along `axis`, which need not be the last one.",
             "always the last axis"),
        Slip({"axis % weights.ndim": "axis"},
             "A negative axis counts from the end: −1 is the last one.", "negative axes"),
        Slip({"tuple(a for a in range(weights.ndim) if a != axis % weights.ndim)": "(axis,)"},
             "Take the maximum over all axes but this one, not over this one.",
             "reduces the channels' axis"),
        Slip({"np.abs(weights).max": "weights.max"},
             "The largest weight may be negative: take absolute values first.",
             "forgets negative weights"),
        Slip({"np.where(limits > 0, limits / largest, 1.0)": "limits / largest"},
             "A channel of zeros has scale 1: 0 / 0 is no code.", "a channel of zeros"),
        Slip({"2 ** (bits - 1) - 1": "2 ** (bits - 1)"},
             "The largest code is 2^(bits − 1) − 1; int8 has no 128.", "one code too many"),
        Slip({"2 ** (bits - 1) - 1": "2**bits - 1"},
             "Codes have a sign: the largest is 2^(bits − 1) − 1.", "unsigned codes"),
        Slip({_WHOLE: "np.trunc(weights / scales)"},
             "Round to the nearest code; a cast to int8 alone cuts the fraction off.", "cuts off"),
        Slip({_WHOLE: "np.floor(weights / scales + 0.5)"},
             "Halves go to the even neighbour here: np.rint does that.", "halves go up"),
        Slip({"weights / scales": "weights * scales"},
             "A code counts steps: divide by the scale.", "multiplies by the scale"),
        Slip({".ravel()": ""},
             "Return one number a channel, in one axis: flatten the scales.", "scales with axes"),
        Slip({"codes.astype(np.int8)": "codes * scales"},
             "Return the codes, not the weights that they stand for.", "returns the weights"),
    ],
)


def _bit_by_bit(packed: Array, scales: Array, x: Array) -> Array:
    out = np.zeros((len(x), len(packed)))
    for feature in range(x.shape[1]):
        half = (packed[:, feature // 2].astype(int) >> 4 * (feature % 2)) % 16
        out += np.outer(x[:, feature], ((half + 8) % 16 - 8) * scales)
    return out


_STACK = "np.stack([packed & 0x0F, packed >> 4], axis=2).reshape(len(packed), -1)"
_CUT, _SIGN = "halves[:, : x.shape[1]]", "np.where(codes > 7, codes - 16, codes)"

MULTIPLY = Bank.of(
    "06.7",
    _NAMES,
    right=[_bit_by_bit],
    wrong=[
        Slip({"packed & 0x0F, packed >> 4": "packed >> 4, packed & 0x0F"},
             "The first code of a byte is in its lower four bits.", "the upper half first"),
        Slip({_SIGN: "codes"},
             "Halves from 8 on are negative: take 16 away from them.", "forgets the sign"),
        Slip({_SIGN: "codes - 8"},
             "Two's complement, not an offset: 0 is 0, and 15 is −1.", "shifts codes by 8"),
        Slip({"codes > 7": "codes > 8"}, "8 is the first negative one: 1000 stands for −8.",
             "8 stays positive"),
        Slip({_SIGN: "np.where(codes > 7, 8 - codes, codes)"},
             "Two's complement, not a sign bit and a size: 1111 is −1, not −7.", "sign and size"),
        Slip({_CUT: "halves"},
             "With an odd number of features a row holds one half too many: cut it off.",
             "keeps the half that belongs to nobody"),
        Slip({_CUT: "halves[:, : x.shape[1] // 2 * 2]", "(x @": "(x[:, : codes.shape[1]] @"},
             "The last feature of an odd number has a code too: the lower half of the last byte.",
             "drops the last feature"),
        Slip({_STACK: "np.concatenate([packed & 0x0F, packed >> 4], axis=1)"},
             "Neighbours share a byte: lower and upper halves take turns.",
             "all lower halves, then all upper"),
        Slip({_CUT: "halves.ravel()[: len(packed) * x.shape[1]].reshape(len(packed), -1)"},
             "Each row begins with a fresh byte: cut the spare half off in every row.",
             "lets rows run on"),
        Slip({") * scales": ") / scales"}, "A code counts steps: multiply by the scale.",
             "divides by the scale"),
        Slip({"(x @ codes.T) * scales": "((x @ codes.T) * scales).T"},
             "Return (batch, filters): a row for each input.", "turned round"),
        Slip({"(x @": "(np.rint(x) @"}, "Only weights have codes here; the inputs stay real.",
             "rounds the inputs"),
    ],
)


def _own_gradient(x: Any, scale: Any, bits: int) -> Any:
    largest = 2 ** (bits - 1) - 1

    straight = tf.custom_gradient(lambda steps: (tf.round(steps), lambda upstream: upstream))
    inside = tf.maximum(tf.minimum(straight(x / scale), largest), -largest)
    return inside * scale


_CLIP, _TOP = "tf.clip_by_value(x / scale, -largest, largest)", "2 ** (bits - 1) - 1"
_THROUGH = "steps + tf.stop_gradient(tf.round(steps) - steps)"


FAKE_QUANTIZE = Bank.of(
    "06.8",
    _NAMES,
    right=[_own_gradient],
    wrong=[
        Slip({_THROUGH: "tf.round(steps)"},
             "tf.round has no gradient: add the rounding as a number that the tape does not see.",
             "rounds, and nothing comes back"),
        Slip({"return whole * scale": "return x + tf.stop_gradient(whole * scale - x)"},
             "This passes 1 to x everywhere, and nothing to the scale: stop only what `round` "
             "adds, and let clip, division and product be differentiated.",
             "straight through the whole grid"),
        Slip({"whole * scale": "whole * tf.stop_gradient(scale)",
              "x / scale": "x / tf.stop_gradient(scale)"},
             "The scale is trained too: do not stop it.", "takes the scale for a constant"),
        Slip({"x / scale": "x / tf.stop_gradient(scale)"},
             "The scale stands in x / s as well: there it has a derivative too.",
             "forgets the scale in the division"),
        Slip({_CLIP: "x / scale"}, "Codes stop at the ends of the grid: clip the steps.",
             "does not clip"),
        Slip({_CLIP: "x / scale", _THROUGH: "steps + tf.stop_gradient(tf.clip_by_value("
              "tf.round(steps), -largest, largest) - steps)"},
             "Beyond the ends x has no influence: the clip belongs outside of stop_gradient.",
             "passes gradients beyond the ends"),
        Slip({_TOP: "2**bits - 1"}, "Codes have a sign: the largest is 2^(bits − 1) − 1.",
             "unsigned codes"),
        Slip({"tf.clip_by_value(x / scale, -largest": "tf.clip_by_value(x / scale, -largest - 1"},
             "The grid is symmetric: it ends at −l and l.", "a code more below zero"),
        Slip({"tf.round(steps)": "tf.floor(steps)"}, "Round to the nearest, do not cut off.",
             "cuts off"),
        Slip({"tf.round(steps)": "tf.floor(steps + 0.5)"},
             "Halves go to the even neighbour: tf.round does that.", "halves go up"),
        Slip({"return whole * scale": "return whole"}, "Return values, not codes: times the scale.",
             "returns codes"),
        Slip({"tf.round(steps)": "np.round(steps.numpy())"},
             "NumPy needs a number, and in a tf.function there is none yet: tf.round.",
             "leaves TensorFlow"),
        Slip({_THROUGH: "tf.custom_gradient(lambda t: (tf.round(t), tf.ones_like))(steps)"},
             "Your own gradient is the derivative times what comes from above: multiply.",
             "forgets the upstream gradient"),
    ],
)

Sizes = dict[str, int]
Measure = Callable[[Bits], Any]


def _with_prices(layers: Sizes, budget_bytes: int, size_of: Measure, probe: Measure) -> Bits:
    now = {layer: 8 for layer in layers}
    while (size := size_of(now)) > budget_bytes:
        lower, before = [{**now, one: now[one] - 1} for one in now if now[one] > 2], probe(now)
        prices = [(probe(each) - before) / (size - size_of(each)) for each in lower]
        now = lower[prices.index(min(prices))]
    return now


def _same_everywhere(layers: Sizes, budget_bytes: int, size_of: Measure, probe: Measure) -> Bits:
    each = (dict.fromkeys(layers, bits) for bits in range(8, 1, -1))
    return next(bits for bits in each if size_of(bits) <= budget_bytes)


def _alone(layers: Sizes, budget_bytes: int, size_of: Measure, probe: Measure) -> Bits:
    bits = full = dict.fromkeys(layers, 8)
    harm = {(one, count): probe(full | {one: count}) for one in layers for count in range(2, 9)}
    while (size := size_of(bits)) > budget_bytes:
        lower = {one: bits | {one: bits[one] - 1} for one in bits if bits[one] > 2}
        rise = {one: harm[one, bits[one] - 1] - harm[one, bits[one]] for one in lower}
        bits = lower[min(lower, key=lambda one: rise[one] / (size - size_of(lower[one])))]
    return bits


def _all_of_them(layers: Sizes, budget_bytes: int, size_of: Measure, probe: Measure) -> Bits:
    each = itertools.product(range(2, 9), repeat=len(layers))
    choices = [dict(zip(layers, bits, strict=True)) for bits in each]
    return min((bits for bits in choices if size_of(bits) <= budget_bytes), key=probe)


SPEND = Bank.of(
    "06.9",
    _NAMES,
    right=[_with_prices],
    wrong=[
        Wrong(_same_everywhere, "The same bits everywhere waste some: layers differ in their need.",
              "uniform bits"),
        Wrong(_alone, "Losses of single layers do not add up: measure with the bits that the "
              "others have by now.", "adds what layers lose alone"),
        Wrong(_all_of_them, "All choices are 7 to the number of layers: search step by step.",
              "tries all choices"),
        Slip({"size_of(bits)": "sum(layers.values())", "size_of(trial)":
              "sum(layers[k] * b for k, b in trial.items()) / 8"},
             "Measure the file: scales, biases and names are in it too.", "counts codes only"),
        Slip({" / (size - less)": ""},
             "A step that saves more may cost more: divide the rise by the bytes saved.",
             "forgets the bytes saved"),
        Slip({"tried[each][0]": "-layers[each]"},
             "The largest layer need not be the one to spare bits: probe.", "the largest first"),
        Slip({"size > budget": "size >= budget"},
             "A file of exactly the budget fits: stop there.", "one step too far"),
        Slip({"bits[name] - 1": "2", "bits[name] -= 1": "bits[name] = 2"},
             "Take one bit at a time: 5 bits may do what 8 do, and 2 cannot.", "all or nothing"),
        Slip({"min(tried": "max(tried"}, "Give up the cheapest bit, not the dearest.",
             "takes the dearest step"),
    ],
)


def _by_masking(kernel: Array, bias: Array, after: Array, keep: int) -> tuple[Array, Array, Array]:
    sums = abs(kernel).sum(axis=tuple(range(kernel.ndim - 1)))
    stays = np.zeros(len(bias), bool)
    stays[sorted(range(len(bias)), key=lambda channel: (-sums[channel], channel))[:keep]] = True
    rows = np.tile(stays, after.shape[-2] // len(bias))
    return kernel[..., stays], bias[stays], after[..., rows, :]


_KEPT, _SIZE = "np.sort(order[:keep])", "np.abs(kernel).reshape(-1, channels).sum(axis=0)"
_BACK = "return kernel[..., kept], bias[kept], fewer"
_TAKEN = "places[..., kept, :]"
_MASK = "np.isin(np.arange(channels), kept)"

PRUNE = Bank.of(
    "06.10",
    _NAMES,
    right=[_by_masking],
    wrong=[
        Slip({_BACK: f"return kernel * {_MASK}, bias * {_MASK}, after"},
             "Zeros are multiplied like other numbers: take the channels out of the arrays.",
             "sets weights to zero"),
        Slip({_BACK: "return kernel[..., kept], bias[kept], after"},
             "The next kernel still reads the removed channels: take its rows out too.",
             "leaves the next layer as it is"),
        Slip({"bias[kept], fewer": "bias, fewer"}, "Each channel has a bias: it goes too.",
             "leaves the bias"),
        Slip({_TAKEN: "np.moveaxis(after.reshape(*window, channels, -1, filters), -3, -2)"
              "[..., kept, :]"},
             "Flattening puts the channels of one place side by side: row place · channels + "
             "channel.", "takes a block of rows for a channel"),
        Slip({"argsort(-weight": "argsort(weight"}, "Keep the channels with the largest sums.",
             "keeps the smallest"),
        Slip({_KEPT: "order[:keep]"}, "Keep the old order of the channels: sort what you keep.",
             "orders channels by size"),
        Slip({"order[:keep]": "order[: channels - keep]"},
             "`keep` is the number that stay, not the number that go.", "removes `keep`"),
        Slip({"np.abs(kernel)": "kernel"},
             "Positive and negative weights cancel in a sum: take absolute values.",
             "sums with signs"),
        Slip({_SIZE: "np.abs(kernel).reshape(-1, channels).max(axis=0)"},
             "All weights of a channel count, not the largest only.", "the largest weight only"),
        Slip({_KEPT: "np.arange(keep)"}, "Which channels weigh most? They need not be the first.",
             "keeps the first ones"),
        Slip({_KEPT: "np.sort(np.argsort(weight, kind='stable')[::-1][:keep])"},
             "Of channels with equal sums the earlier ones stay.", "the later of equals"),
        Slip({_SIZE: "np.abs(after).reshape(-1, channels, after.shape[-1]).sum(axis=(0, 2))"},
             "The weights that make a channel decide, not those that read it.",
             "judges by the next layer"),
    ],
)


def _row_by_row(
    rows: list[dict[str, Any]], lost: int, won: int, images: int
) -> dict[str, bool]:
    claims = {"smaller": True, "faster": True}
    for row in rows:
        claims["smaller"] &= row["int8_bytes"] / row["float32_bytes"] <= 0.25
        runs = [(ours, theirs) for ours in row["int8_ms"] for theirs in row["float32_ms"]]
        claims["faster"] &= bool(runs) and not any(a >= b for a, b in runs)
    loss, doubt = (lost - won) / images, 2 * np.sqrt(lost + won) / images
    return claims | {"accurate": bool(loss + doubt <= 0.001)}


_QUARTER = 'all(4 * row["int8_bytes"] <= row["float32_bytes"] for row in rows)'
_DOUBT = "2 * (lost + won) ** 0.5"
_MEASURED = 'row["int8_ms"] and row["float32_ms"] and '
_SLOWEST = 'max(row["int8_ms"]) < min(row["float32_ms"])'

ALLOWED = Bank.of(
    "06.11",
    _NAMES,
    right=[_row_by_row],
    wrong=[
        Slip({"faster = all(": "faster = any("},
             "The claim has no small print: it must hold in every row.", "one fast row is enough"),
        Slip({_QUARTER: 'all(round(row["float32_bytes"] / row["int8_bytes"]) >= 4 for row in rows)'
              }, "3.8 times is not four times: do not round before you judge.", "rounds 3.8 to 4"),
        Slip({"int8_bytes\"] <=": "int8_bytes\"] <"}, "Exactly a quarter is a quarter.",
             "refuses exactly a quarter"),
        Slip({_MEASURED + _SLOWEST: 'max(row["int8_ms"], default=0) < '
              'min(row["float32_ms"], default=9e9)'},
             "What was not measured allows nothing.", "unmeasured counts as fast"),
        Slip({_MEASURED: ""}, "A row may have no runs: look first.", "forgets empty rows"),
        Slip({_SLOWEST: 'np.mean(row["int8_ms"]) < np.mean(row["float32_ms"])'},
             "Means hide how far runs spread: compare the slowest with the fastest.", "means"),
        Slip({_SLOWEST: 'min(row["int8_ms"]) < min(row["float32_ms"])'},
             "The best runs are not all runs: the slowest int8 run counts.", "best against best"),
        Slip({_SLOWEST: _SLOWEST.replace("<", "<=")}, "As fast is not faster.", "takes a tie"),
        Slip({f" + {_DOUBT}": ""}, "The loss itself is uncertain: add two standard errors.",
             "no uncertainty"),
        Slip({f"+ {_DOUBT}": f"- {_DOUBT}"},
             "The doubt speaks against the claim: add it to the loss.", "the kind side of doubt"),
        Slip({f"{_DOUBT} <=": f"{_DOUBT} <"}, "Exactly 0.1 points are at most 0.1 points.",
             "refuses exactly 0.1 points"),
        Slip({"lost - won +": "lost +"}, "Images that int8 gains count too: lost − won.",
             "forgets what was won"),
        Slip({"lost - won + ": "won - lost + "}, "A loss is lost − won.", "the sign"),
        Slip({"images / 1000": "images / 10"}, "0.1 points are a share of 0.001, not of 0.1.",
             "points for shares"),
    ],
)
