"""Slips in a solution that no bank holds, one a line: each must be refused, without a wrong idea.

Each stands for a kind that a check once let through, or told wrongly: ties, two axes, one element,
small and large numbers, exact types, scales that are no powers of two.
"""

from collections.abc import Mapping

import numpy as np

from datahall.optimization import core

NAMES = {"np": np, "core": core}
_WHOLE = "np.sign(steps) * np.floor(np.abs(steps) + 0.5)"
_TOTAL = "total / sum(examples)"
_NEXT = "min(fitting)[1:]"
_FULL = "re.fullmatch(rule, path)"
_PACKED = "halves[0::2] | (halves[1::2] << 4)"
_SINGLE = "(product + (1 << (30 - n))) >> (31 - n)"

# Exercise; what slips; what the message must contain ("" for any); words of ideas that may be told.
SLIPS: list[tuple[str, Mapping[str, str], str, tuple[str, ...]]] = [
    ("02.1", {"    largest": "    if logits.shape[1] == 1: return 1 / (1 + np.exp(-logits))\n"
              "    largest"}, "", ()),
    ("02.3", {"rate * gradient": "rate * np.clip(gradient, -5, 5)"}, "", ()),
    ("02.3", {"    velocity =": "    momentum = momentum or 0.9\n    velocity ="},
     "the same as without `momentum`. ", ()),
    ("05.1", {_TOTAL: "(total / sum(examples)).astype(np.float32)"}, "float32 instead of", ()),
    ("05.1", {"np.zeros_like(gradients[0])": "np.zeros(len(gradients[0]))"}, "", ()),
    ("05.1", {_TOTAL: "np.mean(gradients, axis=0)"}, "", ("weight each mean",)),
    ("05.1", {_TOTAL: "np.nanmean(gradients, axis=0)"}, "", ("weight each mean",)),
    ("05.1", {"total = total + count * gradient": "gradient *= count; total = total + gradient"},
     "Work on copies of the arrays in it: gradients[0].copy().", ()),
    ("05.1", {"total = np": "while 0 in examples: gradients.pop(examples.index(0)), "
              "examples.remove(0)\n    total = np"}, "Work on a copy: gradients.copy().", ()),
    ("05.1", {"if count > 0": "if True"}, "0 · NaN is NaN", ("0 · NaN",)),
    ("05.2", {"measured <= 1.5 * least": "measured < 1.5 * least"}, "", ()),
    ("05.2", {"least <= measured": "least < measured"}, "", ()),
    ("05.9", {"(ranks - 1)": "max(ranks - 1, 1)"}, "", ()),
    ("05.9", {"return (": "return np.int32("}, "", ()),
    ("05.11", {_FULL: 're.match(rule + "$", path)'}, "", ()),
    ("05.11", {_FULL: '(re.match(rule, path) or [""])[0] == path'}, "", ()),
    ("05.11", {_FULL: "re.fullmatch(rule, path, re.IGNORECASE)"}, "", ()),
    ("05.11", {"len(matching) > 1": "len(matching) == 2"}, "", ()),
    ("05.11", {"raise ValueError": "raise KeyError"},
     "expected it to raise ValueError (two rules for a path). Your own code raises it.", ()),
    ("05.11", {"len(matching) > 1": "len(matching) != 1"}, "Your own code raises it.", ()),
    ("05.12", {_NEXT: "min(fitting, key=lambda one: (one[0], -one[1]))[1:]"}, "", ()),
    ("05.12", {"range(1, devices + 1)": "range(1, devices)"}, "returned None, expected", ()),
    ("05.12", {"layer_bytes + kept": "layer_bytes + kept / per_stage"}, "", ()),
    ("06.1", {"    scale =": "    if low == -high: return high / largest, 0\n    scale ="}, "", ()),
    ("06.1", {"low == high": "high - low < 1e-6"}, "", ()),
    ("06.1", {"(high - low) / (largest - least)": "max((high - low) / (largest - least), 1e-6)"},
     "", ()),
    ("06.2", {"np.int8": "np.int16"}, "the dtype is int16 instead of int8", ()),
    ("06.2", {"-128, 127)": "0, 255)", "np.int8": "np.uint8"}, "uint8 instead of int8", ()),
    ("06.2", {"x / scale": "x * (1 / scale)"}, "", ()),
    ("06.2", {"+ 0.5": "+ 0.5 + 1e-9"}, "", ()),
    ("06.2", {"x / scale": "(x / scale).astype(np.float32)"}, "", ()),
    ("06.2", {"astype(np.int8)": "astype(np.int8).ravel()"}, "shape", ()),
    ("06.2", {_WHOLE: "np.sign(steps) * np.ceil(np.abs(steps) - 0.5)"}, "Away from zero.", ()),
    ("06.3", {"q, n = 2**30, n + 1": "pass"}, "", ()),
    ("06.3", {_SINGLE: f"({_SINGLE}).astype(np.int32)"}, "int32 instead of int64", ()),
    ("06.3", {"sums.astype(np.int64)": "sums.ravel().astype(np.int64)"}, "shape", ()),
    ("06.3", {"1 << (30 - n)": "1 << min(30 - n, 31)"}, "", ()),
    ("06.3", {"q, n = round(share * 2**31)": "q, n = int(share * 2**31)"}, "expected", ()),
    ("06.4", {_PACKED: f"({_PACKED}).astype(np.int8)"}, "int8 instead of uint8", ()),
    ("06.4", {_PACKED: f"({_PACKED}).astype(np.int64)"}, "int64 instead of uint8", ()),
    ("06.5", {"min(candidates, key": "min(sorted(candidates, reverse=True), key"}, "", ()),
    ("06.5", {"min(candidates, key": "min(sorted(candidates), key"}, "", ()),
    ("06.5", {"np.rint(sample / scale)": "sample / scale"}, "", ()),
]  # fmt: skip
