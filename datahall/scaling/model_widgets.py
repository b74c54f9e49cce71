"""The panel of the model: network, link, algorithm and devices; time, efficiency and cost."""

from __future__ import annotations

import ipywidgets

from datahall.plotting import Panel
from datahall.scaling import model_figures

__all__ = ["explore_scaling"]


def explore_scaling() -> Panel:
    """Choose a network, its link and the number of devices; see time, efficiency and cost."""
    return Panel(
        model_figures.scaling,
        title="Scaling explorer",
        network=ipywidgets.Dropdown(options=list(model_figures.NETWORKS), description="network"),
        gbit_per_s=ipywidgets.SelectionSlider(
            options=[1, 10, 25, 50, 100, 200, 400, 800], value=25, description="Gbit/s"
        ),
        latency_us=ipywidgets.SelectionSlider(
            options=[1, 5, 15, 50, 200], value=15, description="latency, µs"
        ),
        algorithm=ipywidgets.ToggleButtons(
            options=list(model_figures.TIMES), description="algorithm"
        ),
        devices=ipywidgets.SelectionSlider(
            options=model_figures.DEVICES, value=64, description="devices"
        ),
        price=ipywidgets.BoundedFloatText(
            2.0, min=0, max=100, step=0.1, description="price an hour"
        ),
    )
