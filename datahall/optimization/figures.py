"""Figures of module 02: each takes numbers, draws, and describes what it drew in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import ArrayLike

from datahall.optimization import activations, losses, optimizers, surfaces
from datahall.optimization.activations import Array
from datahall.optimization.network import Network
from datahall.optimization.optimizers import Optimizer, Schedule
from datahall.plotting import COLORS, GRID, INK, MUTED, describe, figure

__all__ = [
    "accuracies",
    "activation_slopes",
    "conditioning",
    "cross_entropy",
    "descents",
    "difference_error",
    "epsilon",
    "paths",
    "race",
    "residuals",
    "schedule",
    "shapes",
]

FAINT = "#aab4bb"  # contours stay behind the paths
_LINES = ["-", "--", "-.", ":"]  # lines differ in dash as well as in colour


def activation_slopes() -> Figure:
    """Draw ReLU, sigmoid and tanh beside their derivatives."""
    x = np.linspace(-5, 5, 201)
    fig, (left, right) = figure(7.2, 2.8, ncols=2)
    tops = []
    for name, dash in zip(("relu", "sigmoid", "tanh"), _LINES, strict=False):
        values = getattr(activations, name)(x)
        gradients = getattr(activations, f"{name}_derivative")(x)
        left.plot(x, values, dash, label=name)
        right.plot(x, gradients, dash, label=name)
        tops.append(f"{name} {gradients.max():g}")
    left.set(title="value", xlabel="sum before the activation", ylim=(-1.2, 3))
    right.set(title="derivative", xlabel="sum before the activation")
    left.legend()
    return describe(fig, f"Three activations and their derivatives. Largest: {', '.join(tops)}.")


def cross_entropy(a: float = 2.0, b: float = 1.0, c: float = 0.0, truth: int = 0) -> Figure:
    """Draw three logits' probabilities, the loss on its curve, and the gradient at each logit.

    Args:
        a: Logit of class 0.
        b: Logit of class 1.
        c: Logit of class 2.
        truth: The true class, 0, 1 or 2.
    """
    logits, targets = np.array([[a, b, c]]), losses.one_hot([truth], 3)
    shares = losses.softmax(logits)[0]
    loss = losses.cross_entropy_from_logits(targets, logits)
    gradients = losses.cross_entropy_gradient(targets, logits)[0]
    fig, (left, middle, right) = figure(8.4, 2.7, ncols=3)
    _place(fig, left=0.05, right=0.99, bottom=0.19, top=0.89, wspace=0.27)
    classes = np.arange(3)
    colors = [COLORS["blue"] if k == truth else GRID for k in classes]
    left.bar(classes, shares, color=colors, edgecolor=INK)
    left.set(title="softmax: probability", xlabel="class", xticks=classes, ylim=(0, 1.08))
    for k, share in enumerate(shares):
        left.text(k, share + 0.02, f"{share:.3f}", ha="center", fontsize=9)
    curve = np.linspace(0.005, 1, 200)
    middle.plot(curve, -np.log(curve), color=COLORS["blue"])
    middle.plot(max(shares[truth], 0.005), min(loss, 5.3), "o", color=COLORS["red"], markersize=8)
    middle.set(title="loss = -log p(true)", xlabel="p(true)", ylabel="nats", ylim=(0, 5.5))
    right.bar(classes, gradients, color=colors, edgecolor=INK)
    right.axhline(0, color=INK, linewidth=1)
    right.set(title="gradient: softmax - target", xlabel="class", xticks=classes, ylim=(-1.1, 1.1))
    return describe(
        fig,
        f"Logits {a:g}, {b:g}, {c:g} give probabilities {shares[0]:.3f}, {shares[1]:.3f}, "
        f"{shares[2]:.3f}. Class {truth} is true: the loss is {loss:.3f} nats, the gradient is "
        f"{gradients[0]:+.3f}, {gradients[1]:+.3f}, {gradients[2]:+.3f}.",
    )


def shapes(network: Network) -> Figure:
    """Draw a network of two dense layers, the shape of every array beside it."""
    sizes = [network.hidden_weights.shape[0], *network.output_weights.shape]
    fig, axes = figure(6.4, 2.9)
    places = [[(x, y) for y in np.linspace(-1, 1, n + 2)[1:-1]] for x, n in enumerate(sizes)]
    for before, after in pairwise(places):
        for start in before:
            for end in after:
                axes.plot(*zip(start, end, strict=True), color=MUTED, linewidth=0.8, zorder=1)
    for column, color in zip(places, ("sky", "orange", "green"), strict=True):
        axes.scatter(
            *zip(*column, strict=True), s=320, color=COLORS[color], edgecolor=INK, zorder=2
        )
    names = ["points\n(batch, {})", "hidden, after ReLU\n(batch, {})", "logits\n(batch, {})"]
    for x, (name, size) in enumerate(zip(names, sizes, strict=True)):
        axes.text(x, -1.35, name.format(size), ha="center", va="center", fontsize=9)
    arrays = network.arrays
    for x in (0, 1):
        weights, bias = arrays[2 * x], arrays[2 * x + 1]
        label = f"weights {weights.shape}\nbias {bias.shape}"
        axes.text(x + 0.5, 1.05, label, ha="center", va="center", fontsize=9)
    axes.set(xlim=(-0.4, 2.4), ylim=(-1.6, 1.3))
    axes.axis("off")
    listed = ", ".join(str(array.shape) for array in arrays)
    return describe(
        fig,
        f"A network with {sizes[0]} inputs, {sizes[1]} hidden units and {sizes[2]} outputs. "
        f"Its arrays have shapes {listed}: {network.parameters} numbers.",
    )


def difference_error(steps: ArrayLike, errors: ArrayLike) -> Figure:
    """Draw how far a central difference is from the exact gradient, over the step.

    Input shape: both (points,), positive.
    """
    steps, errors = np.asarray(steps), np.asarray(errors)
    fig, axes = figure(5.6, 2.8)
    axes.loglog(steps, errors, "o-", color=COLORS["blue"])
    axes.set(xlabel="step of the difference", ylabel="largest error", title="numerical gradient")
    best = int(errors.argmin())
    axes.plot(steps[best], errors[best], "o", color=COLORS["red"], markersize=9)
    return describe(
        fig,
        f"Error of a central difference over its step, on two logarithmic axes. It falls with the "
        f"step, is least at a step of {steps[best]:.0e}, and rises again when rounding takes over.",
    )


def paths(surface: surfaces.Surface, name: str, tracks: Mapping[str, Array]) -> Figure:
    """Draw paths over a surface's contours, and the loss along each beside it.

    Args:
        surface: What they ran on.
        name: Its name in `surfaces.SURFACES`.
        tracks: (steps + 1, 2) by label; at most six.
    """
    x, y, height = surfaces.heights(name)
    fig, (left, right) = figure(7.0, 2.8, ncols=2, width_ratios=[1.25, 1])
    _place(fig, left=0.115, right=0.985, bottom=0.18, top=0.9, wspace=0.22)
    above = np.maximum(height - surface.least, 1e-9)
    levels = np.geomspace(max(above.min(), above.max() * 1e-4), above.max(), 7)
    left.contour(x, y, above, levels=levels, colors=FAINT, linewidths=0.8, antialiased=False)
    said = []
    for k, (label, track) in enumerate(tracks.items()):
        color, dash = list(COLORS.values())[k], _LINES[k % len(_LINES)]
        left.plot(track[:, 0], track[:, 1], dash, color=color, linewidth=1.6)
        with np.errstate(over="ignore", invalid="ignore"):
            excess = np.array([surface.value(p) for p in track]) - surface.least
        right.semilogy(np.clip(excess, 1e-8, 1e6), dash, color=color, label=label)
        said.append(f"{label} {_size(excess[-1])}")
    left.plot(*surface.start, "s", color=INK, markersize=6)
    left.set(xlim=surface.limits[:2], ylim=surface.limits[2:], title=surface.title)
    left.set(xlabel=surface.labels[0], ylabel=surface.labels[1])
    right.set(title="loss above the lowest", xlabel="step", ylim=(1e-6, 1e7))
    right.yaxis.set_major_locator(FixedLocator([1e-6, 1e-3, 1, 1e3, 1e6]))
    right.yaxis.set_minor_locator(NullLocator())
    right.legend(loc="upper center", fontsize=8, ncols=2)
    steps = len(next(iter(tracks.values()))) - 1
    return describe(
        fig, f"On {surface.title}, loss above the lowest after {steps} steps: {', '.join(said)}."
    )


def _place(fig: Figure, **margins: float) -> None:
    """Fix the margins: a widget redraws in half the time when nothing has to be measured."""
    fig.set_layout_engine(None)
    fig.subplots_adjust(**margins)


def _size(excess: float) -> str:
    return f"{excess:.2g}" if np.isfinite(excess) and excess < 1e6 else "diverged"


def race(
    surface: str = "stretched bowl",
    rate: float = 1.0,
    adaptive_rate: float = 0.3,
    momentum: float = 0.8,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    steps: int = 40,
) -> Figure:
    """Race SGD, momentum, RMSProp and Adam over one surface.

    Args:
        surface: One of `surfaces.SURFACES`.
        rate: Learning rate of SGD and momentum, as a share of the surface's own rate.
        adaptive_rate: Learning rate of RMSProp and Adam.
        momentum: Of SGD with momentum.
        beta_1: Of Adam.
        beta_2: Of Adam; also RMSProp's decay.
        steps: How many steps each takes.
    """
    chosen = surfaces.named(surface)
    runners: dict[str, Optimizer] = {
        "SGD": optimizers.SGD(rate * chosen.rate),
        "momentum": optimizers.SGD(rate * chosen.rate, momentum=momentum),
        "RMSProp": optimizers.RMSProp(adaptive_rate, decay=beta_2),
        "Adam": optimizers.Adam(adaptive_rate, beta_1=beta_1, beta_2=beta_2),
    }
    with np.errstate(over="ignore", invalid="ignore"):
        tracks = {
            name: optimizers.descend(chosen.gradient, chosen.start, runner, steps=steps)
            for name, runner in runners.items()
        }
    return paths(chosen, surface, tracks)


def epsilon(gradients: ArrayLike, keras: ArrayLike, paper: ArrayLike) -> Figure:
    """Draw the length of Adam's first step over the size of the gradient, for both places of ε.

    Args:
        gradients: (points,), sizes of the gradient.
        keras: (points,), length of the step with ε where Keras has it.
        paper: (points,), the same where the paper has it.
    """
    gradients, keras, paper = np.asarray(gradients), np.asarray(keras), np.asarray(paper)
    fig, axes = figure(5.8, 2.9)
    axes.semilogx(gradients, keras, "-", label="ε where Keras puts it")
    axes.semilogx(gradients, paper, "--", label="ε where the paper puts it")
    axes.set(
        xlabel="size of the gradient", ylabel="step / learning rate", title="Adam's first step"
    )
    axes.legend()
    half = [gradients[np.searchsorted(curve, 0.5)] for curve in (keras, paper)]
    return describe(
        fig,
        "Adam's first step, as a share of the learning rate, over the size of the gradient. It "
        f"reaches one half at gradients of {half[0]:.0e} with Keras' ε and {half[1]:.0e} with the "
        "paper's.",
    )


def schedule(curves: Mapping[str, Schedule], *, steps: int) -> Figure:
    """Draw learning-rate schedules over the step."""
    fig, axes = figure(6.0, 2.7)
    said = []
    for (label, rate), dash in zip(curves.items(), _LINES, strict=False):
        rates = [rate(step) for step in range(steps)]
        axes.plot(rates, dash, label=label)
        said.append(f"{label} from {rates[0]:.3g} over {max(rates):.3g} to {rates[-1]:.3g}")
    axes.set(xlabel="step", ylabel="learning rate", ylim=(0, None))
    axes.legend()
    return describe(fig, f"Learning rates over {steps} steps: {'; '.join(said)}.")


def descents(
    curves: Mapping[str, ArrayLike], *, label: str, title: str = "", over: str = "step"
) -> Figure:
    """Draw values over the step on a logarithmic axis: losses, errors, distances.

    Args:
        curves: Positive values, (steps,), by name; at most six.
        label: What is drawn, with its unit.
        title: Of the figure.
        over: What the values stand over.
    """
    fig, axes = figure(6.4, 3.0)
    said = []
    for k, (name, given) in enumerate(curves.items()):
        values = np.asarray(given, dtype=float)
        color = list(COLORS.values())[k]
        axes.semilogy(values, _LINES[k % len(_LINES)], color=color, label=name)
        said.append(f"{name} from {values[0]:.2g} to {values[-1]:.2g}")
    axes.set(xlabel=over, ylabel=label, title=title)
    axes.legend()
    return describe(fig, f"{label} over the {over}: {'; '.join(said)}.")


def conditioning(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw measured steps over the condition number, beside the prediction.

    Args:
        rows: Each with "features", "condition", "predicted", "measured".
    """
    condition = np.array([row["condition"] for row in rows], dtype=float)
    measured = np.array([row["measured"] for row in rows], dtype=float)
    order = condition.argsort()
    predicted = np.array([row["predicted"] for row in rows], dtype=float)
    fig, axes = figure(6.4, 3.1)
    axes.loglog(condition[order], predicted[order], "-", color=MUTED, label="predicted, at most")
    axes.loglog(condition, measured, "o", color=COLORS["red"], markersize=8, label="measured")
    axes.set(xlabel="condition number", ylabel="steps to a thousandth of the error")
    axes.legend()
    said = [
        f"{row['features']}: {row['measured']:,} steps of {row['predicted']:,.0f}" for row in rows
    ]
    return describe(fig, f"Steps of gradient descent, measured of predicted. {'; '.join(said)}.")


def residuals(actual: ArrayLike, predicted: ArrayLike, *, groups: int = 5) -> Figure:
    """Draw paid minus predicted prices over the prediction, and their mean in groups of houses.

    Grouped by what was paid, every model looks wrong: the highest prices lie above their
    prediction. Grouped by the prediction, the mean of a right model is near zero in each group.

    Args:
        actual: Prices paid, (houses,), in dollars.
        predicted: Prices predicted, (houses,), in dollars.
        groups: Groups of equal size, from the lowest predictions to the highest.
    """
    predicted = np.asarray(predicted) / 1e3
    off = np.asarray(actual) / 1e3 - predicted
    fig, axes = figure(5.6, 3.2)
    axes.plot(predicted, off, ".", color=COLORS["sky"], markersize=3, label="one house")
    axes.axhline(0, color=MUTED, linestyle="--", linewidth=1)
    said = []
    for group in np.array_split(predicted.argsort(kind="stable"), groups):
        mean, ends = off[group].mean(), predicted[group][[0, -1]]
        axes.plot(ends, [mean, mean], color=COLORS["red"], linewidth=2.5)
        said.append(f"{mean:+.1f}")
    axes.plot([], [], color=COLORS["red"], linewidth=2.5, label="mean of a group")
    axes.set(xlabel="predicted, $1,000", ylabel="paid − predicted, $1,000")
    axes.legend(fontsize=8)
    return describe(
        fig,
        f"Paid minus predicted prices of {len(off)} houses, over the prediction. Half are off by "
        f"less than ${np.median(np.abs(off)):.0f},000. Means in {groups} groups, from the lowest "
        f"predictions up, in $1,000: {'; '.join(said)}.",
    )


def accuracies(curves: Mapping[str, ArrayLike], *, marked: int) -> Figure:
    """Draw accuracies over the update, with one update marked.

    Args:
        curves: Accuracy after each update, (updates,), by name; at most six.
        marked: The update that the dotted line marks, counted from 1.
    """
    fig, axes = figure(6.4, 2.9)
    said = []
    for k, (name, given) in enumerate(curves.items()):
        values = np.asarray(given, dtype=float)
        color = list(COLORS.values())[k]
        axes.plot(np.arange(1, len(values) + 1), values, color=color, linewidth=1.2, label=name)
        said.append(f"{name} {values[marked - 1]:.2f} and {values[-1]:.2f}")
    axes.axvline(marked, color=INK, linestyle=":", linewidth=1)
    axes.set(xlabel="update", ylabel="accuracy", ylim=(0, 1.03))
    axes.legend(fontsize=8, ncols=2)
    total = len(values)
    return describe(fig, f"Accuracy after {marked} and {total} updates: {'; '.join(said)}.")
