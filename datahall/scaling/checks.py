"""The checks of module 05's labs, gathered."""

from __future__ import annotations

from datahall.checking import summary_for
from datahall.scaling.ring_checks import critical_batch, merge, ring_step, rivals

__all__ = ["critical_batch", "merge", "ring_step", "rivals", "summary"]

summary = summary_for(__name__)
