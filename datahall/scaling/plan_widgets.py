"""The panel in which a reader picks a cluster."""

from __future__ import annotations

import ipywidgets
from matplotlib.figure import Figure

from datahall.plotting import Panel
from datahall.scaling import plan_figures
from datahall.scaling.planning import DEVICES, MODELS

__all__ = ["pick_your_cluster"]


def pick_your_cluster() -> Panel:
    """Pick model, devices, network and how to split, by keyboard; see what limits the training."""

    def draw(data: int, tensor: int, stages: int, batch: int, **others: object) -> Figure:
        powers = {"data": 2**data, "tensor": 2**tensor, "stages": 2**stages, "batch": 2**batch}
        return plan_figures.cluster(**powers, **others)  # type: ignore[arg-type]

    def power(name: str, value: int, most: int, least: int = 0) -> ipywidgets.IntSlider:
        return ipywidgets.IntSlider(value, min=least, max=most, description=f"{name}, 2^")

    controls = {
        "model": ipywidgets.Dropdown(
            options=list(MODELS), value="GPT 145.6 B", description="model"
        ),
        "device": ipywidgets.Dropdown(
            options=list(DEVICES), value="A100 80 GB", description="device"
        ),
        "data": power("data", 5, 10),
        "tensor": power("tensor", 3, 4),
        "stages": power("stages", 3, 6),
        "batch": power("batch", 11, 13, 5),
        "zero": ipywidgets.IntSlider(0, min=0, max=3, description="ZeRO"),
        "network_gbit_s": ipywidgets.IntSlider(
            200, min=25, max=800, step=25, description="Gbit/s a device"
        ),
        "price": ipywidgets.FloatSlider(
            2.0, min=0.5, max=10, step=0.5, description="price an hour"
        ),
    }
    return Panel(draw, title="Pick your cluster", **controls)
