"""The checks of module 07's labs, gathered."""

from __future__ import annotations

from datahall.checking import summary_for
from datahall.serving.admission_checks import admit, decide, key_for, limit, same, tensors
from datahall.serving.trust_checks import first_altered, load, permits, rotate

__all__ = [
    "admit",
    "decide",
    "first_altered",
    "key_for",
    "limit",
    "load",
    "permits",
    "rotate",
    "same",
    "summary",
    "tensors",
]

summary = summary_for(__name__)
