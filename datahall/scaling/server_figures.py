"""Pictures of a parameter server: who computes when, and what the age of gradients does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from datahall.plotting import COLORS, INK, MUTED, describe, figure
from datahall.scaling import staleness
from datahall.scaling.server import Rule, Served, simulate

FAST_S = 1.0  # of a step of an ordinary worker, in the simulation


def timeline(served: Served, workers: int, *, until_s: float = math.inf) -> Figure:
    """Draw each worker's steps, from pull to push; a gap is a wait. The number is the staleness.

    Args:
        served: What the server saw.
        workers: How many there were; worker 1 is the top row.
        until_s: Where the picture ends.
    """
    end_s = min(until_s, served.took_s)
    made, axis = figure(7.4, 0.42 * workers + 1.1)
    computing = dict.fromkeys(range(1, workers + 1), 0.0)
    for each in served.pushes:
        width = min(each.end_s, end_s) - each.begin_s
        if width <= 0:
            continue
        computing[each.rank] += width
        colors = [name for name in COLORS.values() if name != COLORS["red"]]
        axis.barh(
            each.rank, width, left=each.begin_s, height=0.7, edgecolor="white", alpha=0.6,
            color=colors[(each.rank - 1) % len(colors)],
        )  # fmt: skip
        if each.end_s <= end_s and width > 0.02 * end_s:
            middle = each.begin_s + width / 2
            axis.text(middle, each.rank, str(each.staleness), ha="center", va="center", color=INK)
    axis.set(xlim=(0, end_s), xlabel="seconds", yticks=range(1, workers + 1))
    axis.set_yticklabels([f"worker {rank}" for rank in range(1, workers + 1)])
    axis.invert_yaxis()
    shares = ", ".join(f"worker {r} {busy / end_s:.0%}" for r, busy in computing.items())
    ages = served.staleness
    return describe(
        made,
        f"From 0 to {end_s:.3g} s, share of the time spent on gradients that are used: {shares}. "
        f"In the whole run {served.updates} updates in {served.took_s:.3g} s; staleness "
        f"{np.mean(ages):.3g} on average, {max(ages)} at most.",
    )


def waits(rule: Rule, workers: int, slower: float, bound: int) -> Figure:
    """Draw a simulated server with one slow worker, for the time that it needs for four steps.

    Args:
        rule: Who waits for whom.
        workers: How many; the last one is slow.
        slower: How many times as long a step takes it.
        bound: Of the rule "bounded".
    """
    speeds = [FAST_S * (1 + 0.1 * place) for place in range(workers - 1)] + [slower * FAST_S]
    until_s = 4 * slower * FAST_S
    updates = 1
    while (served := simulate(speeds, updates, rule, bound=bound)).took_s < until_s:
        updates += 1
    return timeline(served, workers, until_s=until_s)


def ages(rate: float, all_of: Sequence[int], *, steps: int = 40) -> Figure:
    """Draw gradient descent on a parabola with gradients of several ages.

    Args:
        rate: Learning rate times curvature.
        all_of: The staleness of each curve.
        steps: Updates.
    """
    made, axis = figure(6.4, 2.8)
    words = []
    for color, age in zip(COLORS.values(), all_of, strict=False):
        places = staleness.delayed(rate, age, steps)
        axis.plot(np.clip(places, -3, 3), color=color, label=f"staleness {age}")
        limit = staleness.stable_rate(age)
        verdict = "converges" if rate < limit else "does not converge"
        words.append(f"staleness {age}: {verdict}, its limit is {limit:.3g}")
    axis.axhline(0, color=MUTED, linewidth=0.6)
    axis.set(xlabel="update", ylabel="θ", ylim=(-3, 3))
    axis.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)
    return describe(made, f"Learning rate times curvature is {rate:g}. {'; '.join(words)}.")


def against_age(points: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Draw accuracy against mean staleness.

    Args:
        points: For each curve (mean staleness, accuracy) of its runs.
    """
    made, axis = figure(6.4, 2.8)
    words = []
    for (name, pairs), color in zip(points.items(), COLORS.values(), strict=False):
        ordered = sorted(pairs)
        axis.plot(*zip(*ordered, strict=True), "o-", color=color, label=name)
        told = ", ".join(f"{accuracy:.2f} at {age:.1f}" for age, accuracy in ordered)
        words.append(f"{name}: {told}")
    axis.set(xlabel="mean staleness", ylabel="accuracy", ylim=(0, 1))
    axis.legend(frameon=False, fontsize=8)
    return describe(made, f"Accuracy against mean staleness. {'; '.join(words)}.")
