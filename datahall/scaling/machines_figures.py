"""Pictures of what machines do together: a job with a loss, step by step."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.figure import Figure

from datahall import plotting


def attempts(spans: Sequence[tuple[int, int]], *, every: int) -> Figure:
    """Draw the steps of each attempt of a job, checkpoints marked.

    Args:
        spans: For each attempt its first step and the step it came to.
        every: Steps between two checkpoints.

    Returns:
        One bar an attempt, a dotted line a checkpoint, the work done twice hatched.
    """
    fig, axis = plotting.figure(height=1.0 + 0.5 * len(spans))
    colors = list(plotting.COLORS.values())
    end = max(last for _, last in spans)
    for place, (first, last) in enumerate(spans):
        axis.barh(place, last - first, left=first, height=0.6, color=colors[place])
        axis.text(first + 0.2, place, f"attempt {place + 1}", va="center", color="white")
    for step in range(every, end + 1, every):
        axis.axvline(step, color="0.6", linestyle=":", zorder=0)
    for before, after in itertools.pairwise(spans):
        axis.axvspan(after[0], before[1], color="0.85", hatch="//", zorder=0)
    axis.set(yticks=[], xlabel="step", xlim=(0, end))
    axis.invert_yaxis()
    twice = sum(before[1] - after[0] for before, after in itertools.pairwise(spans))
    words = "; ".join(
        f"attempt {place + 1}: steps {first} to {last}" for place, (first, last) in enumerate(spans)
    )
    return plotting.describe(
        fig, f"{words}. A checkpoint every {every} steps. {twice} steps are done twice."
    )
