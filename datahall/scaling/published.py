"""Published figures of training on many GPUs, with their sources, and what the model says of each.

The table stands in `published.toml`. A bracket of the model has no free number: bandwidth is that
of the published link, the rate of one device is published, and either nothing of the all-reduce is
hidden behind computation or half of it is.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datahall.scaling import core
from datahall.units import BYTES_PER_FLOAT32

HALF = 0.5
"""The share of an all-reduce that the upper end of a bracket takes to be hidden."""


@dataclass(frozen=True)
class Run:
    """A published training.

    Attributes:
        name: Network and devices.
        parameters: Numbers of the gradient.
        batch: Images of one device in one step.
        rate: Images a second of one device alone.
        nodes: Machines.
        per_node: Devices in each.
        network_bit_per_s: Bandwidth of one machine.
        latency_s: Of one message, assumed.
        measured: Published efficiency, 0 to 1.
        source: Where it is published.
    """

    name: str
    parameters: int
    batch: int
    rate: float
    nodes: int
    per_node: int
    network_bit_per_s: float
    latency_s: float
    measured: float
    source: str

    @property
    def compute_s(self) -> float:
        """Seconds that a step computes on each device."""
        return self.batch / self.rate

    @property
    def reduce_s(self) -> float:
        """Seconds of the all-reduce, by a ring of machines over their network."""
        link = core.Link(self.latency_s, self.network_bit_per_s / 8)
        return core.ring_s(BYTES_PER_FLOAT32 * self.parameters, self.nodes, link)

    def efficiency(self, hidden: float) -> float:
        """Return the share of the time that computes, with a share of the all-reduce hidden."""
        return self.compute_s / core.step_s(self.compute_s, self.reduce_s, hidden=hidden)

    @property
    def bracket(self) -> tuple[float, float]:
        """The efficiency with nothing hidden and with half of the all-reduce hidden.

        Example:
            >>> [round(end, 3) for end in runs()[0].bracket]
            [0.904, 0.95]
        """
        return self.efficiency(0), self.efficiency(HALF)

    @property
    def residual(self) -> float:
        """How far the measured efficiency lies outside the bracket; 0 inside, negative below."""
        low, high = self.bracket
        return min(self.measured - low, 0.0) + max(self.measured - high, 0.0)


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def runs() -> list[Run]:
    """Return the published trainings."""
    return [Run(**row) for row in _table()["run"]]


def latency() -> tuple[list[int], list[float]]:
    """Return ranks and seconds of NCCL's all-reduce of 8 bytes."""
    return _table()["latency"]["ranks"], _table()["latency"]["seconds"]


def mlperf() -> tuple[list[int], list[float]]:
    """Return GPUs and minutes to train ResNet-50 in MLPerf Training 3.0."""
    return _table()["mlperf"]["gpus"], _table()["mlperf"]["minutes"]


def rivals() -> dict[str, Any]:
    """Return one measured all-reduce and what three models say of it."""
    return dict(_table()["rivals"])
