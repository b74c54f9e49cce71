"""Panels of module 01: a kernel to edit and slide over a digit, and a layer to price."""

from __future__ import annotations

from typing import Any

import ipywidgets
import numpy as np
import traitlets
from matplotlib.figure import Figure

from datahall import runtime
from datahall.convolution import core, cost, cost_figures, figures
from datahall.convolution.core import Array
from datahall.plotting import Panel

__all__ = ["KernelGrid", "explore_cost", "explore_kernel"]

KERNELS: dict[str, tuple[float, ...]] = {
    "horizontal edge": (-1, -1, -1, 0, 0, 0, 1, 1, 1),
    "vertical edge": (-1, 0, 1, -1, 0, 1, -1, 0, 1),
    "diagonal edge": (-1, -1, 0, -1, 0, 1, 0, 1, 1),
    "outline (Laplace)": (0, 1, 0, 1, -4, 1, 0, 1, 0),
    "sharpen": (0, -1, 0, -1, 5, -1, 0, -1, 0),
    "mean of nine": (0.11,) * 9,
    "shift by one": (0, 0, 0, 1, 0, 0, 0, 0, 0),
    "leave alone": (0, 0, 0, 0, 1, 0, 0, 0, 0),
}
OWN = "my own"


class KernelGrid(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """Nine number fields and a list of known kernels, as one control.

    Attributes:
        value: The nine numbers in reading order.
    """

    value = traitlets.Tuple()
    description = traitlets.Unicode("kernel")

    def __init__(self, value: tuple[float, ...]) -> None:
        self._quiet = False
        self.preset = ipywidgets.Dropdown(
            options=[*KERNELS, OWN], description="kernel", style={"description_width": "8.5em"}
        )
        self.cells = [
            ipywidgets.BoundedFloatText(
                min=-9, max=9, step=1, tooltip=f"kernel row {cell // 3}, column {cell % 3}",
                layout=ipywidgets.Layout(width="4.6em"),
            )
            for cell in range(9)
        ]  # fmt: skip
        rows = [ipywidgets.HBox(self.cells[row : row + 3]) for row in (0, 3, 6)]
        grid = ipywidgets.VBox(rows, layout=ipywidgets.Layout(margin="0 0 0 9em"))
        super().__init__([self.preset, grid])
        self.preset.observe(self._chosen, names="value")
        for cell in self.cells:
            cell.observe(self._typed, names="value")
        self.observe(self._set, names="value")
        self.value = value

    def _chosen(self, change: Any) -> None:
        if change["new"] in KERNELS:
            self.value = KERNELS[change["new"]]

    def _typed(self, _: object) -> None:
        if not self._quiet:
            self.value = tuple(cell.value for cell in self.cells)

    def _set(self, change: Any) -> None:
        self._quiet = True
        try:
            for cell, number in zip(self.cells, change["new"], strict=True):
                cell.value = number
            known = (name for name, kernel in KERNELS.items() if kernel == change["new"])
            self.preset.value = next(known, OWN)
        finally:
            self._quiet = False


def explore_kernel(images: Array) -> Panel:
    """Edit a kernel, slide it over a digit, and see the sum being made at each place.

    Args:
        images: `(images, height, width)`, 0 to 255, at least one; the digits to choose from.
    """
    canvas = figures.Sliding()  # one figure, redrawn in place: a move must feel immediate

    def draw(
        digit: int, kernel: tuple[float, ...], stride: int, padding: int, row: int, column: int
    ) -> Figure:
        weights = np.array(kernel).reshape(3, 3)
        return canvas.draw(
            images[digit], weights, row=row, column=column, stride=stride, padding=padding
        )

    controls = {
        "digit": ipywidgets.IntSlider(0, min=0, max=len(images) - 1, description="digit"),
        "kernel": KernelGrid(KERNELS["horizontal edge"]),
        "stride": ipywidgets.IntSlider(1, min=1, max=4, description="stride"),
        "padding": ipywidgets.IntSlider(1, min=0, max=3, description="padding"),
        "row": ipywidgets.IntSlider(7, min=0, max=27, description="window row"),
        "column": ipywidgets.IntSlider(8, min=0, max=27, description="window column"),
    }

    def fit(_: object) -> None:
        """Let the window's sliders end where the output ends."""
        for name, size in (("row", images.shape[1]), ("column", images.shape[2])):
            places = core.output_size(
                size, 3, stride=controls["stride"].value, padding=controls["padding"].value
            )
            controls[name].max = places - 1

    for name in ("stride", "padding"):
        controls[name].observe(fit, names="value")
    fit(None)
    return Panel(draw, title="Kernel explorer", **controls)


def explore_cost(peak: runtime.Peak | None = None) -> Panel:
    """Choose a layer; see its operations, bytes and least time beside its separable twin's.

    Args:
        peak: The machine's limits; measured (once) when left out.
    """
    limits = runtime.peak() if peak is None else peak

    def draw(
        side: int, channels: int, filters: int, kernel: int, stride: int, batch: int
    ) -> Figure:
        layer = cost.ConvLayer(
            side, side, channels, filters, kernel, stride, padding="same", batch=batch
        )
        return cost_figures.budget(layer, limits.flop_per_s, limits.bytes_per_s)

    powers = [2**power for power in range(10)]
    return Panel(
        draw,
        title="Cost explorer",
        side=ipywidgets.IntSlider(28, min=4, max=224, step=4, description="side"),
        channels=ipywidgets.SelectionSlider(options=powers, value=32, description="channels"),
        filters=ipywidgets.SelectionSlider(options=powers, value=64, description="filters"),
        kernel=ipywidgets.IntSlider(3, min=1, max=11, step=2, description="kernel"),
        stride=ipywidgets.IntSlider(1, min=1, max=4, description="stride"),
        batch=ipywidgets.SelectionSlider(options=powers, value=1, description="batch"),
    )
