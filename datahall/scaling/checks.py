"""The checks of module 05's labs, gathered."""

from __future__ import annotations

from datahall.checking import summary_for
from datahall.scaling.ring_checks import critical_batch, merge, ring_step, rivals
from datahall.scaling.split_checks import choose, device_bytes, rules_used, zero_bytes

__all__ = [
    "choose",
    "critical_batch",
    "device_bytes",
    "merge",
    "ring_step",
    "rivals",
    "rules_used",
    "summary",
    "zero_bytes",
]

summary = summary_for(__name__)
