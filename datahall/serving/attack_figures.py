"""Pictures of the attacks: what was changed, security curves, theft, membership, the matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from datahall.plotting import COLORS, INK, describe, figure
from datahall.serving import membership
from datahall.serving.defences import PLACES, Defence, Defences

if TYPE_CHECKING:
    from datahall.serving.mutants import Matrix

_LINES = (("blue", "o"), ("orange", "s"), ("red", "^"))


def pictures(rows: Mapping[str, NDArray[np.uint8]], named: Mapping[str, NDArray[Any]]) -> Figure:
    """Show the same digits in several versions, each with the label that a service gives it.

    Args:
        rows: Images (n, 28, 28, 1), uint8, by the name of the version.
        named: Labels (n,), by the same names.
    """
    count = len(next(iter(rows.values())))
    made, axes = figure(
        0.72 * count + 0.6, 0.92 * len(rows), nrows=len(rows), ncols=count, squeeze=False
    )
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image, label in zip(line, images, named[name], strict=True):
            axis.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_title(str(label), fontsize=9, pad=2)
            axis.set_xticks([])
            axis.set_yticks([])
        line[0].set_ylabel(name, fontsize=8)
    told = "; ".join(f"{name}: {', '.join(map(str, each))}" for name, each in named.items())
    return describe(made, f"{count} digits in {len(rows)} versions and what they are called: "
                          f"{told}.")  # fmt: skip


def security_curve(rows: Sequence[Mapping[str, float]]) -> Figure:
    """Show the share of right labels against epsilon, for the attacks and for noise.

    Args:
        rows: As `evasion.security_curve` returns them.
    """
    made, axis = figure(6.4, 2.8)
    epsilons = [row["epsilon"] for row in rows]
    names = [name for name in rows[0] if name != "epsilon"]
    for (color, marker), name in zip(_LINES, names, strict=False):
        shares = [100 * row[name] for row in rows]
        axis.plot(epsilons, shares, color=COLORS[color], marker=marker, label=name)
    axis.set_xlabel("epsilon, gray levels")
    axis.set_ylabel("still named rightly, %")
    axis.set_ylim(-3, 103)
    axis.legend()
    last = ", ".join(f"{name} {100 * rows[-1][name]:.0f} %" for name in names)
    return describe(made, f"Still named rightly, from epsilon {epsilons[0]:g} to {epsilons[-1]:g} "
                          f"gray levels; at the end: {last}.")  # fmt: skip


def theft(rows: Sequence[Mapping[str, float]], *, budget: int | None = None) -> Figure:
    """Show how often a copy agrees with the service, against the queries that it cost.

    Args:
        rows: `queries`, and an agreement from 0 to 1 under each other name.
        budget: What the service answers in a day.
    """
    made, axis = figure(6.4, 2.8)
    queries = [row["queries"] for row in rows]
    names = [name for name in rows[0] if name != "queries"]
    for (color, marker), name in zip(_LINES, names, strict=False):
        shares = [100 * row[name] for row in rows]
        axis.plot(queries, shares, color=COLORS[color], marker=marker, label=name)
    if budget is not None:
        axis.axvline(budget, color=INK, linestyle="--", label="daily budget")
    axis.set_xscale("log")
    axis.set_xlabel("queries (logarithmic)")
    axis.set_ylabel("copy says the same, %")
    axis.legend()
    told = "; ".join(
        f"{name}: {100 * rows[0][name]:.0f} % to {100 * rows[-1][name]:.0f} %" for name in names
    )
    return describe(made, f"Agreement of a copy after {queries[0]:g} to {queries[-1]:g} queries. "
                          f"{told}.")  # fmt: skip


def losses(groups: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> Figure:
    """Show how the losses of members and of other images lie, for each model.

    Args:
        groups: By the model's name, losses of members (n,) and of others (m,).
    """
    made, axes = figure(6.4, 2.6, ncols=len(groups), squeeze=False)
    told = []
    for axis, (name, (members, others)) in zip(axes[0], groups.items(), strict=True):
        edges = np.linspace(-5, 1.2, 30)
        for color, group, values in (("blue", "members", members), ("orange", "others", others)):
            places = np.log10(np.maximum(values, 1e-5))
            share = np.full(len(values), 100 / len(values))
            axis.hist(places, edges, weights=share, color=COLORS[color], alpha=0.6, label=group)
        area = membership.auc(members, others)
        axis.set_title(f"{name}: area {area:.2f}")
        axis.set_xlabel("log₁₀ of the loss")
        told.append(f"{name}: {area:.2f}")
    axes[0][0].set_ylabel("images, %")
    axes[0][0].legend()
    return describe(made, f"Losses of members and of others; area under the curve: "
                          f"{', '.join(told)}.")  # fmt: skip


def places(levels: Mapping[str, Defences]) -> Figure:
    """Show which defences stand in which place, for each level of the service.

    Args:
        levels: By the level's name, the defences that are on.
    """
    made, axes = figure(7.2, 5.2, ncols=len(PLACES))
    for axis, place in zip(axes, PLACES, strict=True):
        here = [one for one in Defence if one.place == place]
        for row, one in enumerate(here):
            for column, on in enumerate(levels.values()):
                color = COLORS["blue"] if one in on else "white"
                axis.plot(column, row, "o", color=color,
                          markeredgecolor=INK, markersize=7)  # fmt: skip
        axis.set_yticks(range(len(here)), [one.value for one in here], fontsize=7)
        axis.set_xticks(range(len(levels)), list(levels), fontsize=7)
        axis.set_xlim(-0.5, len(levels) - 0.5)
        axis.set_ylim(max(16, len(here)) - 0.5, -0.7)
        axis.set_title(place)
    told = "; ".join(f"{name}: {len(on)} of {len(Defence)}" for name, on in levels.items())
    return describe(made, f"Defences in the gateway, the app and the loading of the model. On: "
                          f"{told}.")  # fmt: skip


def matrix(found: Matrix) -> Figure:
    """Show which attack breaks which mutant; the intact service is one of the columns.

    Args:
        found: What `mutants.matrix` returned.
    """
    made, axis = figure(6.4, 5.6)
    rows, columns = found.attacks, found.services
    numbers = {found.own(attack): str(row) for row, attack in enumerate(rows, start=1)}
    numbers[found.intact] = "0"
    for row, attack in enumerate(rows):
        for column, service in enumerate(columns):
            if found.broken(attack, service):
                color = COLORS["blue" if found.own(attack) == service else "orange"]
                axis.plot(column, row, "s", color=color, markersize=5)
    axis.set_xticks(
        range(len(columns)), [numbers.get(each, each) for each in columns], fontsize=6.5
    )
    labels = [f"{each}  {row}" for row, each in enumerate(rows, start=1)]
    axis.set_yticks(range(len(rows)), labels, fontsize=7)
    axis.set_xlim(-0.7, len(columns) - 0.3)
    axis.set_ylim(len(rows) - 0.4, -0.7)
    axis.set_xlabel("service without the defence of this number (0: the intact service)")
    axis.grid(visible=False)
    own = sum(found.broken(each, found.own(each)) for each in rows)
    other = sum(found.broken(a, s) for a in rows for s in columns) - own
    return describe(
        made,
        f"{len(rows)} attacks against {len(columns)} services: {own} break the service that lacks "
        f"their defence, {other} other cells are broken, the intact service "
        f"{sum(found.broken(each, found.intact) for each in rows)} times.",
    )


def levels(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """Show which attacks succeed on which level of the service.

    Args:
        rows: `attack`, and whether it succeeded under the name of each level.
        names: Names of the levels, in order.
    """
    made, axis = figure(2.3 + 1.1 * len(names), 0.17 * len(rows) + 0.9)
    grid = np.array([[bool(row[name]) for name in names] for row in rows])
    axis.imshow(np.where(grid, 0.75, 0.1), cmap="OrRd", vmin=0, vmax=1, aspect="auto")
    for row, column in zip(*np.nonzero(grid), strict=True):
        axis.text(column, row, "×", ha="center", va="center", fontsize=8)
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(rows)), [row["attack"] for row in rows], fontsize=7)
    axis.xaxis.tick_top()
    told = ", ".join(
        f"{name} {int(count)}" for name, count in zip(names, grid.sum(axis=0), strict=True)
    )
    return describe(made, f"Of {len(rows)} attacks succeed: {told}.")
