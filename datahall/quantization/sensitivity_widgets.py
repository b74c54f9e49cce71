"""The panel of the lecture on sensitivity: bits for each layer, calibration, measured accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets
from matplotlib.figure import Figure

from datahall.plotting import Panel
from datahall.quantization import sensitivity_figures
from datahall.quantization.bitfile import MENU
from datahall.quantization.calibration import Range
from datahall.quantization.emulation import Emulator

__all__ = ["chosen_bits", "explore_bits"]

FLOAT = "float32"


def chosen_bits(
    network: Emulator,
    ranges: Mapping[str, Mapping[str, Range]],
    *,
    calibration: str = FLOAT,
    activation_bits: int = 8,
    **bits: int,
) -> Figure:
    """Show what a choice takes of a file, and the accuracy that was measured with it.

    Args:
        network: The network.
        ranges: By the calibration's name, ranges of the layers' outputs.
        calibration: One of these, or "float32" for outputs that stay as they are.
        activation_bits: Of the outputs' codes.
        **bits: Of the kernels' codes, by layer.
    """
    cut = ranges.get(calibration)
    right = network.accuracy(bits, ranges=cut, activation_bits=activation_bits)
    total = len(network.file(bits))
    parts = {
        name: -(-kernel.size * bits[name] // 8) for name, (kernel, _) in network.weights.items()
    }
    outputs = "outputs in float32" if cut is None else f"outputs in {activation_bits} bits"
    told = f"{100 * right:.1f} % right, {total:,} B, {outputs}"
    return sensitivity_figures.budget(bits, parts, told)


def explore_bits(network: Emulator, ranges: Mapping[str, Mapping[str, Range]]) -> Panel:
    """Choose bits for each layer, the calibration of its outputs, and their bits.

    Args:
        network: The network; each move measures it anew.
        ranges: As for `chosen_bits`.
    """

    def draw(**values: object) -> Figure:
        return chosen_bits(network, ranges, **values)  # type: ignore[arg-type]

    layers = {
        name: ipywidgets.IntSlider(4, min=MENU[0], max=MENU[-1], description=f"{name}, bits")
        for name in network.weights
    }
    return Panel(
        draw,
        title="Bits for each layer",
        **layers,
        calibration=ipywidgets.Dropdown(options=[FLOAT, *ranges], description="calibration"),
        activation_bits=ipywidgets.IntSlider(8, min=2, max=8, description="output bits"),
    )
