"""Panels of the lectures on attacks: how far a pixel may go, and which defences are on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets
from matplotlib.figure import Figure
from numpy.typing import NDArray

from datahall.plotting import Panel, describe, description
from datahall.serving import attack_figures, evasion
from datahall.serving.evasion import Gradient, Pixels, Predict

__all__ = ["attacked_digits", "explore_epsilon", "explore_level", "fallen"]


def attacked_digits(
    gradient: Gradient,
    predict: Predict,
    images: Pixels,
    labels: NDArray[Any],
    *,
    epsilon: int = 13,
    steps: int = 1,
) -> Figure:
    """Show digits before and after an attack, and what a service calls them.

    Args:
        gradient: The attacker's.
        predict: The service's labels.
        images: (n, 28, 28, 1), uint8.
        labels: (n,), the right ones.
        epsilon: Gray levels that a pixel may change by.
        steps: Of the attack; 1 is one step of the full size.
    """
    if steps == 1:
        changed = evasion.fgsm(gradient, images, labels, epsilon)
    else:
        changed = evasion.pgd(gradient, images, labels, epsilon, steps=steps)
    versions = {"as it was": images, "attacked": changed}
    made = attack_figures.pictures(versions, {n: predict(each) for n, each in versions.items()})
    return describe(made, f"Epsilon {epsilon}, steps {steps}: {description(made)}")


def explore_epsilon(
    gradient: Gradient, predict: Predict, images: Pixels, labels: NDArray[Any]
) -> Panel:
    """Choose how far pixels may go, and in how many steps.

    Args:
        gradient: The attacker's.
        predict: The service's labels; it is asked at each move.
        images: (n, 28, 28, 1), uint8.
        labels: (n,), the right ones.
    """

    def draw(**values: Any) -> Figure:
        return attacked_digits(gradient, predict, images, labels, **values)

    return Panel(
        draw,
        title="Digits under attack",
        epsilon=ipywidgets.IntSlider(13, min=0, max=128, description="epsilon"),
        steps=ipywidgets.IntSlider(1, min=1, max=20, description="steps"),
    )


def fallen(cells: Mapping[str, Mapping[str, bool]], *, level: str, place: str) -> Figure:
    """Show which attacks break a level of the service, of those that one place should stop.

    Args:
        cells: By attack, by level, whether it succeeded; and under "place" where it is stopped.
        level: Name of the level.
        place: `gateway`, `app`, `model` or `all`.
    """
    rows = [
        {"attack": name, level: row[level]}
        for name, row in cells.items()
        if place in ("all", row["place"])
    ]
    made = attack_figures.levels(rows, [level])
    made.axes[0].set_xlabel(f"stopped in: {place}")
    return describe(made, f"Stopped in {place}: {description(made)}")


def explore_level(cells: Mapping[str, Mapping[str, Any]], levels: list[str]) -> Panel:
    """Choose a level and a place.

    Args:
        cells: As for `fallen`.
        levels: Names of the levels.
    """

    def draw(**values: Any) -> Figure:
        return fallen(cells, **values)

    places = ["all", "gateway", "app", "model"]
    return Panel(
        draw,
        title="Attacks that succeed",
        level=ipywidgets.Dropdown(options=levels, value=levels[0], description="level"),
        place=ipywidgets.Dropdown(options=places, value="all", description="stopped in"),
    )
