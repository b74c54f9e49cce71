"""Pictures of trainings beyond one machine: who starts whom, and the busiest machine's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from datahall.plotting import COLORS, INK, MUTED, PAPER, describe, figure
from datahall.scaling import beyond

_HANDS = {  # title of a panel: what stands on each host from above, who starts whom
    "datahall launch, once on each host": (
        ("launcher", "worker"),
        ("launcher", "worker"),
    ),
    "Ray, once": (
        ("raylet", "driver", "controller", "worker"),
        ("raylet", "worker"),
    ),
}
_DEEP = 4  # the height of a host, in processes
_COLOR = {"worker": COLORS["blue"], "launcher": COLORS["orange"], "driver": COLORS["orange"]}


def who_starts_whom() -> Figure:
    """Show the processes on two hosts, under our launcher and under Ray."""
    made, axes = figure(7.4, 3.0, ncols=2)
    for axis, (title, hosts) in zip(axes, _HANDS.items(), strict=True):
        axis.set_title(title, fontsize=9)
        for place, names in enumerate(hosts):
            _host(axis, place, names)
        ends = [(1.1, 0.4 - _DEEP), (1.9, 0.4 - _DEEP)]
        axis.add_patch(FancyArrowPatch(*ends, arrowstyle="<->", mutation_scale=10, color=INK))
        axis.text(1.5, 0.6 - _DEEP, "all-reduce", ha="center", fontsize=7, color=MUTED)
        axis.set_xlim(-0.1, 3.1)
        axis.set_ylim(-_DEEP - 0.1, 0.6)
        axis.set_axis_off()
    told = "; ".join(
        f"{title}: " + ", ".join(f"host {n} has {' and '.join(h)}" for n, h in enumerate(hosts))
        for title, hosts in _HANDS.items()
    )
    return describe(made, f"{told}. In both, the workers' all-reduce goes from worker to worker.")


def _host(axis: Any, place: int, names: Sequence[str]) -> None:
    left = 1.8 * place
    axis.add_patch(Rectangle((left, -_DEEP), 1.2, _DEEP + 0.5, facecolor=PAPER, edgecolor=MUTED))
    axis.text(left + 0.6, 0.15, f"host {place}", ha="center", fontsize=8, color=MUTED)
    for row, name in enumerate(names):
        low = 0.1 - _DEEP if name == "worker" else -1.0 * row - 0.75
        face = _COLOR.get(name, COLORS["green"])
        axis.add_patch(Rectangle((left + 0.1, low), 1.0, 0.6, facecolor=face, edgecolor=PAPER))
        axis.text(left + 0.6, low + 0.3, name, ha="center", va="center", fontsize=8, color=PAPER)


def busiest(workers: Sequence[int]) -> Figure:
    """Show what the busiest machine sends in a step, in gradients' sizes.

    Args:
        workers: Numbers of workers, ascending.

    Returns:
        A line for one server, for eight, for as many as workers, and for the ring.
    """
    made, axis = figure(6.4, 3.0)
    ways = {"1 server": 1, "8 servers": 8, "a server for each worker": None, "ring": 0}
    told = []
    for (name, servers), color in zip(ways.items(), COLORS.values(), strict=False):
        sent = [beyond.sent_bytes(1.0, n, n if servers is None else servers) for n in workers]
        axis.plot(workers, sent, marker="o", color=color, label=name)
        told.append(f"{name}: {sent[0]:.3g} to {sent[-1]:.3g}")
    axis.set(xscale="log", yscale="log", xlabel="workers", ylabel="sent / size of the gradients")
    axis.legend(frameon=False)
    return describe(
        made,
        f"Bytes that the busiest machine sends in a step, in sizes of the gradients, for "
        f"{workers[0]} to {workers[-1]} workers. {'. '.join(told)}.",
    )
