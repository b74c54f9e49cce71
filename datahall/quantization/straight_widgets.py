"""The panel of training for few bits: a valley, a grid, and the way between two points of it."""

from __future__ import annotations

import ipywidgets

from datahall.plotting import Panel
from datahall.quantization import straight_figures

__all__ = ["explore_valley"]


def explore_valley() -> Panel:
    """Choose the valley, the grid and the rate; see whether training beats rounding."""
    slider = ipywidgets.FloatSlider
    return Panel(
        straight_figures.valley,
        title="Valley explorer",
        first=slider(0.4, min=0.0, max=1.0, step=0.05, description="first weight"),
        second=slider(0.3, min=0.0, max=1.0, step=0.05, description="second weight"),
        link=slider(0.9, min=-0.95, max=0.95, step=0.05, description="link"),
        step=slider(1.0, min=0.25, max=1.5, step=0.25, description="grid step"),
        rate=slider(0.1, min=0.01, max=0.5, step=0.01, description="rate"),
        steps=ipywidgets.IntSlider(60, min=5, max=200, step=5, description="steps"),
    )
