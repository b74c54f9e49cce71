"""The checks of module 07's labs, gathered."""

from __future__ import annotations

from datahall.checking import summary_for
from datahall.serving.admission_checks import admit, decide, key_for, limit, same, tensors
from datahall.serving.attacks_checks import attack, attacks, forge, inject
from datahall.serving.trust_checks import first_altered, load, permits, rotate

__all__ = [
    "admit",
    "attack",
    "attacks",
    "decide",
    "first_altered",
    "forge",
    "inject",
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
