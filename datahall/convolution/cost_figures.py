"""Pictures of what a convolution costs: the ladder, the roofline, the receptive field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullFormatter

from datahall.convolution import cost
from datahall.convolution.core import Array
from datahall.errors import ShapeError
from datahall.plotting import COLORS, GRID, INK, MUTED, describe, figure
from datahall.units import format_quantity

PLAIN = FuncFormatter(lambda value, _: f"{value:,g}")


def ladder(measured_s: Mapping[str, float], model_s: Mapping[str, float]) -> Figure:
    """Show how many times faster than the first rung each rung is, measured and modelled.

    Dots, not bars: on a logarithmic axis, which has no zero, the length of a bar means nothing.

    Args:
        measured_s: Seconds by rung, the slowest first.
        model_s: Seconds by the model, by rung; a rung may have none. Multiples are taken of the
            first rung's own model, if there is one.
    """
    names = list(measured_s)
    slowest = measured_s[names[0]]
    made, axis = figure(7.2, 0.7 + 0.42 * len(names))
    words = []
    for row, name in enumerate(names):
        gain = slowest / measured_s[name]
        axis.axhline(row, color=GRID, linewidth=1, zorder=0)
        axis.plot(gain, row, "o", color=COLORS["blue"], markersize=9)
        text = f"{gain:,.0f} ×"
        words.append(f"{name}: {gain:,.0f} times the first rung's speed")
        if name in model_s:
            modelled = model_s.get(names[0], slowest) / model_s[name]
            axis.plot(modelled, row, "D", color=INK, markersize=6)
            text += f"   (model {modelled:,.0f} ×)"
            words[-1] += f", {modelled:,.0f} by the model"
        axis.text(1.02, row, text, transform=axis.get_yaxis_transform(), va="center", fontsize=9)
    axis.set_xscale("log")
    axis.set_xlim(0.5, None)
    axis.set_yticks(range(len(names)), names)
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel("speed, as a multiple of the first rung (logarithmic)")
    axis.xaxis.set_major_formatter(PLAIN)
    return describe(made, "; ".join(words) + ".")


def roofline(
    layers: Mapping[str, cost.ConvLayer], flop_per_s: float, bytes_per_s: float,
    *, measured_s: Mapping[str, float] | None = None,
) -> Figure:  # fmt: skip
    """Show the roofline of a machine, where layers stand on it, and how much of it they reached.

    Args:
        layers: Layers by name.
        flop_per_s: Peak of arithmetic, in FLOP/s.
        bytes_per_s: Peak of memory traffic, in B/s.
        measured_s: Measured seconds of one pass, by name; a layer may have none.
    """
    made, axis = figure(7.2, 3.0)
    reach = [layer.intensity for layer in layers.values()]
    ridge = flop_per_s / bytes_per_s
    left, right = min([*reach, ridge]) / 3, max([*reach, ridge]) * 6
    line = np.geomspace(left, right, 200)
    roof = np.minimum(flop_per_s, line * bytes_per_s) / 1e9
    axis.loglog(line, roof, color=INK, label="roof")
    axis.axvline(ridge, color=MUTED, linestyle=":", linewidth=1)
    words = []
    for marker, color, (name, layer) in zip("osD^vP*X", _cycle(), layers.items(), strict=False):
        limit = cost.attainable_flop_per_s(layer.intensity, flop_per_s, bytes_per_s)
        rate = layer.flop / measured_s[name] if measured_s and name in measured_s else limit
        axis.plot(layer.intensity, rate / 1e9, marker, color=color, markersize=8, label=name)
        axis.vlines(layer.intensity, rate / 1e9, limit / 1e9, color=color, linewidth=1)
        kind = "arithmetic" if layer.intensity >= ridge else "memory"
        words.append(
            f"{name}: {layer.intensity:.1f} FLOP/B, limited by {kind}"
            + (f", {rate / limit:.0%} of its roof" if measured_s and name in measured_s else "")
        )
    axis.set_xlabel("arithmetic intensity (FLOP/B)")
    axis.set_ylabel("rate (GFLOP/s)")
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_formatter(PLAIN)
        scale.set_minor_formatter(NullFormatter())
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return describe(
        made,
        f"Roof {format_quantity(flop_per_s, 'FLOP/s')}, slope "
        f"{format_quantity(bytes_per_s, 'B/s')}, ridge at {ridge:.1f} FLOP/B. "
        + "; ".join(words)
        + ".",
    )


def receptive(image: Array, names: Sequence[str], fields: Sequence[int]) -> Figure:
    """Show on an image what one number in the middle has seen after each layer.

    Args:
        image: `(height, width)`.
        names: The layers' names.
        fields: Their receptive fields, in elements, from `cost.receptive_fields`.

    Raises:
        ShapeError: Names and fields differ in number.
    """
    if len(names) != len(fields):
        raise ShapeError(f"{len(names)} names for {len(fields)} fields. Expected as many. Add one.")
    made, axis = figure(6.0, 3.0)
    axis.imshow(image, cmap="gray_r", alpha=0.5)
    middle = (image.shape[0] - 1) / 2
    for color, name, field in zip(_cycle(), names, fields, strict=False):
        axis.add_patch(
            Rectangle((middle - field / 2, middle - field / 2), field, field, fill=False,
                      edgecolor=color, linewidth=2, label=f"{name}: {field} × {field}")
        )  # fmt: skip
    axis.set_axis_off()
    axis.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    seen = ", ".join(f"{field} after {name}" for name, field in zip(names, fields, strict=True))
    return describe(made, f"Side of the receptive field on {image.shape[0]} elements: {seen}.")


def budget(layer: cost.ConvLayer, flop_per_s: float, bytes_per_s: float) -> Figure:
    """Compare a layer with its depthwise-separable twin: operations, bytes and least time.

    The least time of the twin is the sum over its two layers.

    Args:
        layer: The ordinary layer.
        flop_per_s: The machine's peak, in FLOP/s.
        bytes_per_s: Its memory bandwidth, in B/s.
    """
    twin = cost.separable(layer)
    twin_s = sum(cost.least_time_s(part, flop_per_s, bytes_per_s) for part in twin)
    rows = {
        ("operations", "FLOP"): (layer.flop, sum(part.flop for part in twin)),
        ("bytes moved", "B"): (layer.bytes_moved, sum(part.bytes_moved for part in twin)),
        ("least time", "s"): (cost.least_time_s(layer, flop_per_s, bytes_per_s), twin_s),
    }
    made, axes = figure(7.2, 1.9, ncols=3)
    made.set_layout_engine(None)  # fixed margins: a widget redraws this at every move
    made.subplots_adjust(left=0.1, right=0.99, bottom=0.03, top=0.86, wspace=0.1)
    words = []
    for axis, ((name, unit), (full, split)) in zip(axes, rows.items(), strict=True):
        axis.barh([0, 1], [full, split], color=[COLORS["blue"], COLORS["orange"]], height=0.6)
        for row, value in enumerate((full, split)):
            axis.text(0, row - 0.42, format_quantity(value, unit), fontsize=9, va="center")
        axis.set_ylim(1.5, -0.7)
        axis.set_yticks([0, 1], ["full", "separable"] if axis is axes[0] else ["", ""])
        axis.tick_params(axis="y", length=0)
        axis.set_title(name)
        axis.set_xticks([])
        axis.spines["bottom"].set_visible(False)
        both = f"{format_quantity(full, unit)} and {format_quantity(split, unit)}"
        words.append(f"{name} {both}")
    ridge = flop_per_s / bytes_per_s
    limit = "arithmetic" if layer.intensity >= ridge else "memory"
    return describe(
        made,
        f"Full and separable: {'; '.join(words)}. The full layer has {layer.weights:,} weights and "
        f"{layer.intensity:.1f} operations a byte: {limit} limits it on this machine (ridge "
        f"{ridge:.1f}); its twin has {twin[0].intensity:.1f} and {twin[1].intensity:.1f}.",
    )


def _cycle() -> list[str]:
    return [COLORS[name] for name in ("blue", "orange", "green", "red", "purple", "sky", "black")]
