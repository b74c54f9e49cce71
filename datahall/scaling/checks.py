"""The checks of module 05's labs, gathered."""

from __future__ import annotations

from datahall.checking import summary_for
from datahall.scaling.machines_checks import Checkpoint, finish_s, order, straggler
from datahall.scaling.ring_checks import critical_batch, merge, ring_step, rivals
from datahall.scaling.split_checks import choose, device_bytes, rules_used, zero_bytes

__all__ = [
    "Checkpoint",
    "choose",
    "critical_batch",
    "device_bytes",
    "finish_s",
    "merge",
    "order",
    "ring_step",
    "rivals",
    "rules_used",
    "straggler",
    "summary",
    "zero_bytes",
]

summary = summary_for(__name__)
