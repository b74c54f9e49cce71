"""The checks of module 06's labs."""

from __future__ import annotations

from datahall.checking import summary_for
from datahall.quantization.bits_checks import affine, calibrate, pack, quantize, rescale
from datahall.quantization.compression_checks import (
    allowed,
    fake_quantize,
    multiply,
    per_channel,
    prune,
    spend,
)

__all__ = [
    "affine",
    "allowed",
    "calibrate",
    "fake_quantize",
    "multiply",
    "pack",
    "per_channel",
    "prune",
    "quantize",
    "rescale",
    "spend",
    "summary",
]

summary = summary_for(__name__)
