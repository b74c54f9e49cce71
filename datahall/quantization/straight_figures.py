"""Pictures of training for few bits: a staircase and its slope, a valley with a grid over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from datahall.plotting import COLORS, INK, MUTED, describe, figure
from datahall.quantization import valley as valleys
from datahall.quantization.core import Array


def best_on_grid(best: Array, link: float, step: float) -> Array:
    """Return the point of the grid with the least loss, (2,), found by trying those around.

    Args:
        best: (2,), the float optimum.
        link: Correlation of the two inputs.
        step: Of the grid.
    """
    reach = np.arange(-8, 9)
    corner = np.rint(np.asarray(best, float) / step)
    tried = step * (corner + np.stack(np.meshgrid(reach, reach, indexing="ij"), -1))
    flat = tried.reshape(-1, 2)
    return np.asarray(flat[np.argmin(valleys.loss_of(flat, best, link))])


def valley(
    *, first: float = 0.4, second: float = 0.3, link: float = 0.9, step: float = 1.0,
    rate: float = 0.1, steps: int = 60,
) -> Figure:  # fmt: skip
    """Show two weights on a grid: where rounding puts them, and where training through it does.

    Args:
        first: The first weight's float optimum.
        second: The second's.
        link: Correlation of the two inputs, above −1 and below 1.
        step: Of the grid.
        rate: Of gradient descent.
        steps: How many.
    """
    best = np.array([first, second])
    kept, used = valleys.follow(best, link, step=step, rate=rate, steps=steps)
    losses = valleys.loss_of(used, best, link)
    goal = best_on_grid(best, link, step)
    made, axes = figure(7.2, 2.9, ncols=2)
    made.set_layout_engine(None)  # fixed margins: a widget redraws this at every move
    made.subplots_adjust(left=0.08, right=0.98, bottom=0.18, top=0.9, wspace=0.28)
    _draw_valley(axes[0], best, link, step)
    axes[0].plot(*kept.T, color=COLORS["sky"], linewidth=1, label="float weights")
    axes[0].plot(*used[0], "s", color=COLORS["red"], markersize=9, label="rounded")
    found = used[losses.argmin()]
    axes[0].plot(*found, "o", color=COLORS["green"], markersize=8, label="best on the way")
    axes[0].legend(loc="upper right", fontsize=7)
    axes[1].step(range(len(losses)), losses, color=COLORS["blue"], where="post")
    lowest = float(valleys.loss_of(goal, best, link))
    axes[1].axhline(lowest, color=INK, linewidth=0.8, linestyle=":")
    axes[1].set_xlabel("step")
    axes[1].set_ylabel("loss on the grid")
    changes = int((np.diff(used, axis=0) != 0).any(axis=1).sum())
    return describe(
        made,
        f"Best float weights ({first:g}, {second:g}), link {link:g}, grid of step {step:g}. "
        f"Rounded: {_point(used[0])}, loss {losses[0]:.3g}. Trained through the rounding, best on "
        f"the way: {_point(found)}, loss {losses.min():.3g}, after "
        f"{int(losses.argmin())} of {steps} steps; the codes change in {changes} steps and end at "
        f"loss {losses[-1]:.3g}. Least loss on the grid: {_point(goal)}, {lowest:.3g}.",
    )


def _draw_valley(axis: Any, best: Array, link: float, step: float) -> None:
    sides = [np.linspace(each - 1.6 * step, each + 1.6 * step, 80) for each in best]
    mesh = np.stack(np.meshgrid(*sides), -1)
    heights = valleys.loss_of(mesh, best, link)
    axis.contour(*sides, heights, levels=8, colors=[MUTED], linewidths=0.6)
    for x in step * np.arange(np.ceil(sides[0][0] / step), sides[0][-1] / step):
        for y in step * np.arange(np.ceil(sides[1][0] / step), sides[1][-1] / step):
            axis.plot(x, y, ".", color=INK, markersize=4)
    axis.plot(*best, "+", color=INK, markersize=9)
    axis.set_xlabel("first weight")
    axis.set_ylabel("second weight")


def _point(weights: Array) -> str:
    return "(" + ", ".join(f"{each:g}" for each in np.round(weights, 6) + 0.0) + ")"


def by_bits(bits: Sequence[int], lines: Mapping[str, Sequence[float]]) -> Figure:
    """Show accuracy against bits, one line for each way to get there.

    Args:
        bits: Of a weight.
        lines: Accuracies in percent, one for each number of bits, by name.
    """
    made, axis = figure(6.4, 2.8)
    words = []
    places = range(len(bits))
    for (name, line), color, mark in zip(lines.items(), COLORS.values(), "osD^v", strict=False):
        axis.plot(places, [100.001 - each for each in line], f"-{mark}", color=color, label=name)
        told = ", ".join(f"{each:.2f} % at {b}" for each, b in zip(line, bits, strict=True))
        words.append(f"{name}: {told} bits")
    axis.set_yscale("log")
    axis.set_xticks(places, [str(each) for each in bits])
    axis.set_xlabel("bits of a weight")
    axis.set_ylabel("test error (%), logarithmic")
    axis.legend(loc="upper left")
    return describe(made, "; ".join(words) + ".")
