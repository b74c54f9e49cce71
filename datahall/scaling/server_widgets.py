"""The panel of the parameter server: rule, workers and one slow worker; who waits, and for whom."""

from __future__ import annotations

import ipywidgets

from datahall.plotting import Panel
from datahall.scaling import server_figures
from datahall.scaling.server import RULES

__all__ = ["explore_waits"]


def explore_waits() -> Panel:
    """Choose who waits for whom and how slow one worker is; see waits and staleness."""
    return Panel(
        server_figures.waits,
        title="Who waits for whom",
        rule=ipywidgets.ToggleButtons(options=list(RULES), value="synchronous", description="rule"),
        workers=ipywidgets.IntSlider(value=4, min=2, max=8, description="workers"),
        slower=ipywidgets.FloatSlider(
            value=4.0, min=1.0, max=8.0, step=0.5, description="times slower"
        ),
        bound=ipywidgets.IntSlider(value=2, min=0, max=8, description="bound, steps"),
    )
