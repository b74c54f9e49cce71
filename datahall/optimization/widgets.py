"""Panels of module 02: controls that choose the arguments of a figure."""

from __future__ import annotations

import ipywidgets

from datahall.optimization import figures, surfaces
from datahall.plotting import Panel

__all__ = ["explore_cross_entropy", "explore_optimizers"]


def explore_optimizers() -> Panel:
    """Race four optimizers over a surface; choose rates, momentum and betas."""
    for name in surfaces.SURFACES:
        surfaces.heights(name)  # computed once, so that every redraw is quick
    return Panel(
        figures.race,
        title="Race of the optimizers",
        surface=ipywidgets.Dropdown(options=list(surfaces.SURFACES), description="surface"),
        rate=_log_slider(1.0, low=-2, high=0.5, name="rate of SGD"),
        adaptive_rate=_log_slider(0.3, low=-2, high=0.5, name="rate of Adam"),
        momentum=_slider(0.8, high=0.98, name="momentum"),
        beta_1=_slider(0.9, high=0.98, name="beta 1"),
        beta_2=ipywidgets.SelectionSlider(
            options=[0.0, 0.5, 0.9, 0.99, 0.999], value=0.99, description="beta 2"
        ),
        steps=ipywidgets.IntSlider(40, min=1, max=100, description="steps"),
    )


def explore_cross_entropy() -> Panel:
    """Move three logits and the true class; watch probabilities, loss and gradients."""
    return Panel(
        figures.cross_entropy,
        title="Cross-entropy of three logits",
        a=ipywidgets.FloatSlider(2.0, min=-10, max=10, step=0.5, description="logit 0"),
        b=ipywidgets.FloatSlider(1.0, min=-10, max=10, step=0.5, description="logit 1"),
        c=ipywidgets.FloatSlider(0.0, min=-10, max=10, step=0.5, description="logit 2"),
        truth=ipywidgets.ToggleButtons(options=[0, 1, 2], value=0, description="true class"),
    )


def _slider(value: float, *, high: float, name: str) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(value, min=0, max=high, step=0.02, description=name)


def _log_slider(value: float, *, low: float, high: float, name: str) -> ipywidgets.FloatLogSlider:
    return ipywidgets.FloatLogSlider(value, min=low, max=high, step=0.05, description=name)
