"""Pictures of lecture 03_training_fast: the ladder of ideas, down to the floor."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from datahall import plotting
from datahall.errors import ShapeError


def ladder(ideas: Sequence[str], seconds: Sequence[float], *, floor_s: float) -> Figure:
    """Draw the training time of each rung as a dot, and the floor that arithmetic sets.

    Dots, not bars: on a logarithmic axis, which has no zero, the length of a bar means nothing.

    Args:
        ideas: What each rung adds, the first one first.
        seconds: Training time of each rung, in seconds.
        floor_s: Seconds that the last rung's operations take at the machine's peak.

    Raises:
        ShapeError: There is not one time for each idea.
    """
    if len(ideas) != len(seconds) or not ideas:
        raise ShapeError(
            f"there are {len(ideas)} ideas and {len(seconds)} times. Expected one time an idea, at "
            "least one. Give both lists from the same ladder."
        )
    fig, axes = plotting.figure(6.4, 0.42 * len(ideas) + 0.8)
    places = range(len(ideas))
    for place in places:
        axes.axhline(place, color=plotting.GRID, linewidth=1, zorder=0)
    axes.plot(seconds, places, "o", color=plotting.COLORS["blue"], markersize=9)
    axes.axvline(floor_s, color=plotting.COLORS["orange"], linestyle="--", label="floor")
    beside = {"xytext": (8, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
    for place, value in zip(places, seconds, strict=True):
        axes.annotate(f"{value:.3g} s", (value, place), **beside)
    axes.set_yticks(list(places), list(ideas))
    axes.set_ylim(len(ideas) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.set_xlim(floor_s / 2, max(seconds) * 4)
    axes.set_xlabel("training time, s (logarithmic)")
    axes.legend(loc="lower right")
    steps = f"{len(ideas) - 1} idea" + "s" * (len(ideas) != 2)
    return plotting.describe(
        fig,
        f"From {seconds[0]:.3g} s to {seconds[-1]:.2g} s in {steps}, "
        f"{seconds[0] / seconds[-1]:.0f} times less. The last rung's floor is {floor_s:.2g} s.",
    )
