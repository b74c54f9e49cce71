"""The checks of module 06's labs."""

from __future__ import annotations

from datahall.checking import summary_for
from datahall.quantization.bits_checks import affine, calibrate, pack, quantize, rescale

__all__ = ["affine", "calibrate", "pack", "quantize", "rescale", "summary"]

summary = summary_for(__name__)
