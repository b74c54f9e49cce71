"""Pictures of splitting: four ways to share a network out, and pipelines moment by moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from datahall.plotting import COLORS, INK, MUTED, PAPER, describe, figure
from datahall.scaling import pipeline
from datahall.scaling.memory import State
from datahall.scaling.pipeline import SCHEDULES
from datahall.units import GB

_DEVICES = [COLORS[name] for name in ("blue", "orange", "green", "purple")]
_WAYS = {
    "data parallel": ("rows", "copies"),
    "sharded data parallel": ("rows", "pieces"),
    "tensor parallel": ("whole", "rows"),
    "pipeline parallel": ("whole", "columns"),
}


def four_ways() -> Figure:
    """Show what four devices hold of the batch (left) and of a network of four layers (right)."""
    made, axes = figure(7.2, 2.5, ncols=4)
    for axis, (name, (batch, network)) in zip(axes, _WAYS.items(), strict=True):
        axis.set_title(name, fontsize=9)
        _batch(axis, batch)
        for layer in range(4):
            _layer(axis, layer, network)
        axis.text(0.4, 4.35, "batch", ha="center", fontsize=8, color=MUTED)
        axis.text(3.3, 4.35, "four layers", ha="center", fontsize=8, color=MUTED)
        axis.set_xlim(-0.1, 5.3)
        axis.set_ylim(4.6, -0.1)
        axis.set_axis_off()
    return describe(
        made,
        "A batch and a network of four layers on four devices, a colour and a number each. Data "
        "parallel: the batch is cut, every device holds all layers. Sharded data parallel: the "
        "batch is cut, and of every layer each device stores a quarter. Tensor parallel: all see "
        "the whole batch, each holds a quarter of every layer and computes with it. Pipeline "
        "parallel: all see the whole batch in turn, each holds one layer.",
    )


def _batch(axis: Any, way: str) -> None:
    for row in range(4):
        cut = way == "rows"
        _box(axis, (0, row), (0.8, 1), _DEVICES[row] if cut else PAPER, str(row) if cut else "")


def _layer(axis: Any, layer: int, way: str) -> None:
    left = 1.5 + 0.95 * layer
    if way == "copies":  # each device has its copy: four stripes side by side
        for device in range(4):
            _box(axis, (left + 0.2 * device, 0), (0.2, 4), _DEVICES[device], "")
    elif way == "columns":
        _box(axis, (left, 0), (0.8, 4), _DEVICES[layer], str(layer))
    else:
        for row in range(4):
            stored = way == "pieces"
            _box(axis, (left, row), (0.8, 1), _DEVICES[row], str(row), hatch="//" if stored else "")


def _box(
    axis: Any, corner: tuple[float, float], size: tuple[float, float], face: str, text: str,
    *, hatch: str = "",
) -> None:  # fmt: skip
    axis.add_patch(Rectangle(corner, *size, facecolor=face, edgecolor=PAPER if face != PAPER
                             else MUTED, linewidth=0.8, hatch=hatch))  # fmt: skip
    middle = (corner[0] + size[0] / 2, corner[1] + size[1] / 2)
    axis.text(*middle, text, ha="center", va="center", fontsize=8, color=INK)


def timelines(stages: int, microbatches: int) -> Figure:
    """Show when each stage of a pipeline works on which microbatch, for both schedules."""
    made, axes = figure(7.4, 0.6 * stages + 1.6, nrows=2, sharex=True)
    words = []
    for axis, schedule in zip(axes, SCHEDULES, strict=True):
        orders = [pipeline.order(schedule, stage, stages, microbatches) for stage in range(stages)]
        found = pipeline.run(orders)
        for stage, row in enumerate(found.spans):
            for (kind, number), start, end in row:
                face = COLORS["blue" if kind == "F" else "orange"]
                _box(axis, (start, stage - 0.42), (end - start, 0.84), face, str(number))
        axis.set_xlim(0, found.total)
        axis.set_ylim(stages - 0.5, -0.5)
        axis.set_yticks(range(stages), [f"stage {stage}" for stage in range(stages)])
        axis.set_title(schedule, fontsize=10)
        words.append(
            f"{schedule}: {found.total:g} units, {found.idle:.0%} idle, stage 0 keeps the outputs "
            f"of up to {found.stored[0]} microbatches"
        )
    axes[-1].set_xlabel("time; forward (blue) 1 unit, backward (orange) 2")
    return describe(made, f"{stages} stages, {microbatches} microbatches. {'; '.join(words)}.")


def held(states: Mapping[str, State], *, limit: float) -> Figure:
    """Show what a device holds of the training state, beside its memory.

    Args:
        states: By name.
        limit: Bytes of the device.
    """
    made, axis = figure(6.4, 0.45 * len(states) + 1.2)
    parts = {"weights": "blue", "gradients": "orange", "optimizer": "green"}
    for row, each in enumerate(states.values()):
        left = 0.0
        for part, color in parts.items():
            width = getattr(each, part) / GB
            axis.barh(row, width, left=left, color=COLORS[color], label=None if row else part)
            left += width
    axis.axvline(limit / GB, color=COLORS["red"], linestyle="--")
    axis.set_yticks(range(len(states)), list(states))
    axis.invert_yaxis()
    axis.set_xlabel("GB of a device")
    axis.legend(frameon=False, fontsize=8)
    words = ", ".join(
        f"{name} {each.total / GB:.3g} GB ({'fits' if each.total <= limit else 'does not fit'})"
        for name, each in states.items()
    )
    return describe(made, f"Training state on a device of {limit / GB:g} GB: {words}.")
