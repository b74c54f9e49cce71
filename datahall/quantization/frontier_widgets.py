"""The panel of the frontier: a budget of bytes and of time, and the best model within it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from datahall.plotting import Panel
from datahall.quantization import frontier_figures

__all__ = ["explore_frontier"]


def explore_frontier(rows: Sequence[Mapping[str, Any]]) -> Panel:
    """Choose what a model may take on disk and for one image; see which is the most accurate.

    Args:
        rows: With model, accuracy (%), size_bytes and latency_us; measured in this run.
    """

    def draw(kilobytes: float, microseconds: float) -> Figure:
        return frontier_figures.chart(rows, at_most_kb=kilobytes, at_most_us=microseconds)

    largest = max(row["size_bytes"] for row in rows) / 1000
    slowest = max(row["latency_us"] for row in rows)
    return Panel(
        draw,
        title="Frontier explorer",
        kilobytes=ipywidgets.FloatSlider(
            16.0, min=2.0, max=math.ceil(max(largest, 16)), step=0.5, description="on disk, kB"
        ),
        microseconds=ipywidgets.FloatSlider(
            math.ceil(slowest) + 1.0, min=1.0, max=math.ceil(slowest) + 1.0, step=0.5,
            description="one image, µs",
        ),
    )  # fmt: skip
