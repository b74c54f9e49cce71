"""The panel of the ring: step through it, piece by piece."""

from __future__ import annotations

import ipywidgets
from matplotlib.figure import Figure

from datahall.plotting import Panel
from datahall.scaling import ring_figures

__all__ = ["step_through_the_ring"]


def step_through_the_ring(ranks: int = 4) -> Panel:
    """Step through a ring all-reduce with the slider, its arrow keys, or by choosing the ranks."""

    def draw(ranks: int, step: int) -> Figure:
        return ring_figures.ring(ranks, min(step, 2 * (ranks - 1)))

    controls = {
        "ranks": ipywidgets.IntSlider(ranks, min=2, max=6, description="ranks"),
        "step": ipywidgets.IntSlider(0, min=0, max=2 * (ranks - 1), description="step"),
    }

    def fit(_: object) -> None:
        """Let the slider end where the ring ends."""
        controls["step"].max = 2 * (controls["ranks"].value - 1)

    controls["ranks"].observe(fit, names="value")
    return Panel(draw, title="The ring, step by step", **controls)
