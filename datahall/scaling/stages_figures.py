"""Pictures of a pipeline that ran: the predicted grid above the measured one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from datahall.plotting import COLORS, INK, PAPER, describe, figure
from datahall.scaling.pipeline import Timeline
from datahall.scaling.stages import StageRun


def grids(predicted: Timeline, measured: Sequence[StageRun], pass_s: float) -> Figure:
    """Show when each stage made its passes, as predicted (above) and as measured.

    Args:
        predicted: By the simulation, in forward passes.
        measured: By real processes.
        pass_s: Seconds of a forward pass.
    """
    rows = [
        [(one, start / pass_s, end / pass_s) for one, start, end in each.spans] for each in measured
    ]
    ends = predicted.total, max(row[-1][2] for row in rows)
    made, axes = figure(7.4, 0.6 * len(rows) + 1.6, nrows=2, sharex=True)
    for axis, name, spans in zip(
        axes, ("predicted", "measured"), (predicted.spans, rows), strict=True
    ):
        _grid(axis, spans)
        axis.set_title(name, fontsize=10)
        axis.set_xlim(0, max(ends))
    axes[-1].set_xlabel("time in forward passes; forward blue, backward orange")
    kept = ", ".join(
        f"stage {stage}: {each.kept} and {stored}"
        for stage, (each, stored) in enumerate(zip(measured, predicted.stored, strict=True))
    )
    return describe(
        made,
        f"{len(rows)} stages. The last pass ends at {ends[0]:g} forward passes as predicted, at "
        f"{ends[1]:.3g} as measured. Microbatches kept at most, measured and predicted: {kept}.",
    )


def _grid(axis: Any, spans: Sequence[Any]) -> None:
    for stage, row in enumerate(spans):
        for (kind, number), start, end in row:
            face = COLORS["blue" if kind == "F" else "orange"]
            axis.add_patch(
                Rectangle((start, stage - 0.42), end - start, 0.84, facecolor=face, edgecolor=PAPER)
            )
            middle = (start + end) / 2, stage
            axis.text(*middle, str(number), ha="center", va="center", fontsize=8, color=INK)
    axis.set_ylim(len(spans) - 0.5, -0.5)
    axis.set_yticks(range(len(spans)), [f"stage {stage}" for stage in range(len(spans))])
