"""Panels of module 06: a grid under the weights of a layer."""

from __future__ import annotations

import ipywidgets
from matplotlib.figure import Figure

from datahall.plotting import Panel
from datahall.quantization import figures
from datahall.quantization.core import Array

__all__ = ["explore_grid"]


def explore_grid(layers: dict[str, Array]) -> Panel:
    """Choose the grid of a layer; see where its codes stand and what each filter loses.

    Args:
        layers: Weights, (…, filters), by the layer's name.
    """

    def draw(layer: str, bits: int, kind: str, channels: bool, reach: int) -> Figure:
        return figures.grid(
            layers[layer], bits=bits, kind=kind, channels=channels, reach=reach / 100
        )

    return Panel(
        draw,
        title="Grid explorer",
        layer=ipywidgets.Dropdown(options=list(layers), description="layer"),
        bits=ipywidgets.IntSlider(4, min=2, max=8, description="bits"),
        kind=ipywidgets.Dropdown(options=["symmetric", "affine"], description="grid"),
        channels=ipywidgets.Checkbox(value=False, description="a grid for each filter"),
        reach=ipywidgets.IntSlider(100, min=10, max=100, step=5, description="reach (%)"),
    )
