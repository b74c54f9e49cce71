"""Slips in a solution that no bank holds, one a line: each must be refused, without a wrong idea.

Each stands for a kind that a check once let through, or told wrongly: ties, two axes, one element,
small and large numbers, exact types, scales that are no powers of two.
"""

from collections.abc import Mapping

import numpy as np

from datahall.optimization import core
from datahall.serving import admission_answers, trust_answers

NAMES = {"np": np, "core": core} | admission_answers.NAMES | trust_answers.NAMES
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
    ("07.1", {"and spec.low <= v <= spec.high": "and v <= spec.high"}, "below zero", ()),
    ("07.1", {"<= spec.max_batch": "< spec.max_batch"}, "", ()),
    ("07.1", {"Refusal(400": "Refusal(422"}, "its status: it is 422 instead of 400", ()),
    ("07.1", {"astype(np.uint8)": "astype(np.int64)"}, "int64 instead of uint8", ()),
    ("07.1", {".reshape(shape)": ".ravel()"}, "shape", ()),
    ("07.1", {"spec.name, spec.datatype, [": "tensor['name'], spec.datatype, ["}, "", ()),
    ("07.2", {"{1,9}": "+"}, "ten digits", ()),
    ("07.2", {"[0-9]{1,9}": "[0-9]{1,9}\\n?"}, "a header with a line end", ()),
    ("07.2", {'math.prod(one["shape"])': "len(one['shape'])"}, "", ()),
    ("07.2", {".reshape(one[\"shape\"])": ""}, "shape", ()),
    ("07.3", {"now < claims.expires": "now - 60 < claims.expires"}, "At 1300 it has expired.", ()),
    ("07.3", {'said["jti"], said["exp"]': 'said["sub"], said["exp"]'}, "its token_id", ()),
    ("07.3", {'tuple(said["scope"].split(" "))': '(said["scope"],)'}, "two rights", ()),
    ("07.3", {"Refusal(401, \"not_valid\"": "Refusal(403, \"not_valid\""}, "", ()),
    ("07.4", {'f"{kid}.pem"': 'f"{kid.strip()}.pem"'}, "'ada '", ()),
    ("07.4", {'f"{kid}.pem"': 'f"{kid.lower()}.pem"'}, "'ADA'", ()),
    ("07.4", {'f"{kid}.pem"': "kid.removesuffix('.pem') + '.pem'"}, "'ada.pem'", ()),
    ("07.5", {"sha256(value)": "sha256(value.strip())"}, "white space", ()),
    ("07.5", {"(*digests)": "(digests[0][:1], digests[1][:1])"}, "", ()),
    ("07.5", {"return hmac": "return not hmac"}, "", ()),
    ("07.6", {"max(0, level": "max(1, level"}, "", ("round up only",)),
    ("07.6", {"range(1, per_day": "range(2, per_day"}, "", ()),
    ("07.6", {"1440 * rate": "1439 * rate"}, "the burst counts in a day", ("the burst too",)),
    ("07.7", {"is_symlink() for name in names": "is_symlink() for name in names[1:]"},
     "the card is a link", ()),
    ("07.7", {"trust.least_version": "trust.least_version - 1"}, "4 is the least", ("An old mod",)),
    ("07.7", {"return model": "return bytearray(model)"}, "returned bytearray", ()),
    ("07.8", {'"0" * 64': '""'}, "", ()),
    ("07.8", {"else len(lines)": "else (len(lines) if lines else None)"}, "nothing is left", ()),
    ("07.8", {"else len(lines)": "else 0"}, "", ()),
    ("07.9", {"wait(issuer.lifetime_s)": "wait(issuer.lifetime_s - 1)"}, "good token of key-1", ()),
    ("07.9", {"        gateway.accept(new)": "        gateway.accept(new); gateway.drop('spare')"},
     "does not accept spare", ()),
    ("07.10", {"(0, 24)": "(0, 23)"}, "", ()),
    ("07.10", {"default=(False, None)": "default=(False, 0)"}, "it should be None", ()),
    ("07.10", {'("who", "action", "model")': '("who", "model")'}, "all fields", ()),
]  # fmt: skip
