"""Pictures of module 06: the grid under the values, calibration, formats, and the rules' traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from datahall.errors import ShapeError
from datahall.plotting import COLORS, INK, MUTED, describe, figure
from datahall.quantization import core, formats
from datahall.quantization.calibration import Range
from datahall.quantization.core import Array


def grids(
    weights: Array, *, bits: int, kind: str, channels: bool, reach: float
) -> tuple[Array, ...]:
    """Return the step of each channel, what comes back, and the codes, on the chosen grid.

    Args:
        weights: (…, filters).
        bits: Of a code.
        kind: "symmetric" or "affine".
        channels: A grid for each channel of the last axis, or one for all.
        reach: Share of the range that the codes cover, above 0.
    """
    flat = weights.reshape(-1, weights.shape[-1]).astype(float)
    columns = flat.T if channels else np.broadcast_to(flat.ravel(), (flat.shape[1], flat.size))
    steps, zeros = [], []
    for column in columns:
        low, high = reach * float(column.min()), reach * float(column.max())
        if kind == "symmetric":
            step, zero = core.symmetric(max(-low, high), bits=bits), 0
        else:
            step, zero = core.affine(low, high, bits=bits)
        steps.append(step)
        zeros.append(zero)
    scale, zero_point = np.array(steps), np.array(zeros)
    codes = core.half_away(flat / scale) + zero_point
    least, largest = core.limits(bits)
    codes = np.clip(codes, -largest if kind == "symmetric" else least, largest)
    return scale, scale * (codes - zero_point), codes


def grid(
    weights: Array, *, bits: int = 4, kind: str = "symmetric", channels: bool = False,
    reach: float = 1.0,
) -> Figure:  # fmt: skip
    """Show the weights of a layer, the numbers that the codes stand for, and each filter's error.

    Args:
        weights: (…, filters).
        bits: Of a code.
        kind: "symmetric" or "affine".
        channels: A grid for each filter, or one for all.
        reach: Share of the range that the codes cover, above 0.
    """
    scale, back, codes = grids(weights, bits=bits, kind=kind, channels=channels, reach=reach)
    flat = weights.reshape(-1, weights.shape[-1]).astype(float)
    size = np.sqrt(np.square(flat).mean(axis=0))
    errors = 100 * np.sqrt(np.square(back - flat).mean(axis=0)) / np.where(size > 0, size, 1)
    made, axes = figure(7.2, 2.7, ncols=2)
    made.set_layout_engine(None)  # fixed margins: a widget redraws this at every move
    made.subplots_adjust(left=0.09, right=0.99, bottom=0.2, top=0.88, wspace=0.28)
    axes[0].hist(flat.ravel(), bins=80, color=COLORS["sky"])
    shown = np.unique(back[:, 0] if channels else back)
    if len(shown) <= 64:
        axes[0].vlines(shown, 0, 0.12, colors=INK, transform=axes[0].get_xaxis_transform())
    axes[0].set_title("weights, and where codes stand" + (" (filter 0)" if channels else ""))
    axes[0].set_xlabel("weight")
    axes[0].set_ylabel("number")
    axes[1].bar(range(len(errors)), errors, color=COLORS["orange"])
    axes[1].set_title("error of each filter")
    axes[1].set_xlabel("filter")
    axes[1].set_ylabel("% of its size")
    whole = 100 * core.error(flat, back) / float(np.sqrt(np.square(flat).mean()))
    least, largest = core.limits(bits)
    cut = np.count_nonzero(
        (codes == largest) | (codes == (-largest if kind == "symmetric" else least))
    )
    return describe(
        made,
        f"{bits} bits, {kind}, {'a grid for each filter' if channels else 'one grid'} over "
        f"{reach:.0%} of the range: steps {scale.min():.2g} to {scale.max():.2g}, "
        f"{len(np.unique(codes))} of {2**bits} codes used, {cut:,} of {codes.size:,} "
        f"weights at the ends. Error {whole:.2g} % of the weights' size; worst filter "
        f"{errors.max():.2g} %, best {errors.min():.2g} %.",
    )


def ranges(values: Array, cuts: Mapping[str, Range]) -> Figure:
    """Show how values are distributed, and how far each calibration reaches.

    Args:
        values: The sample, any shape.
        cuts: (low, high) by the calibration's name.
    """
    made, axis = figure(7.2, 2.6)
    axis.hist(np.ravel(values), bins=120, color=COLORS["sky"], log=True)
    colors = [COLORS[name] for name in ("blue", "orange", "green", "red")]
    for row, (color, (name, (_, high))) in enumerate(zip(colors, cuts.items(), strict=False)):
        dash = ("-", "--", ":", "-.")[row]
        axis.axvline(high, color=color, linestyle=dash, linewidth=2, label=f"{name}: {high:.3g}")
    axis.set_xlabel("activation")
    axis.set_ylabel("number (logarithmic)")
    axis.legend(loc="upper right")
    ends = "; ".join(f"{name} ends at {high:.3g}" for name, (_, high) in cuts.items())
    return describe(made, f"{np.size(values):,} values up to {np.max(values):.3g}. {ends}.")


def representables(kinds: Sequence[formats.Format], *, high: float = 4.0) -> Figure:
    """Show every number from 0 to `high` that each format can represent.

    Args:
        kinds: Formats of at most 16 bits.
        high: Where the axis ends.
    """
    made, axis = figure(7.2, 0.6 + 0.45 * len(kinds))
    words = []
    for row, kind in enumerate(kinds):
        numbers = formats.representable(kind)
        near = numbers[(numbers >= 0) & (numbers <= high)]
        axis.vlines(near, row - 0.35, row + 0.35, color=COLORS["blue"], linewidth=0.6)
        words.append(f"{kind.name}: {near.size:,}")
    axis.set_yticks(range(len(kinds)), [kind.name for kind in kinds])
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.set_ylim(len(kinds) - 0.5, -0.5)
    axis.set_xlabel("number")
    return describe(made, f"Numbers from 0 to {high:g}. {'; '.join(words)}.")


def flow(stages: Sequence[tuple[str, str]]) -> Figure:
    """Show one number on its way through a layer: what is done, and what it is then.

    Args:
        stages: (what is done, the value after it), in order.
    """
    made, axis = figure(7.2, 1.5)
    for place, (name, value) in enumerate(stages):
        axis.add_patch(
            FancyBboxPatch((place, 0), 0.72, 1, boxstyle="round,pad=0.04", facecolor="white",
                           edgecolor=COLORS["blue"], linewidth=1.4)
        )  # fmt: skip
        axis.text(place + 0.36, 0.72, name, ha="center", va="center", fontsize=8, color=MUTED)
        axis.text(place + 0.36, 0.28, value, ha="center", va="center", fontsize=9, color=INK)
        if place:
            axis.annotate(
                "", (place - 0.04, 0.5), (place - 0.24, 0.5), arrowprops={"arrowstyle": "->"}
            )
    axis.set_xlim(-0.1, len(stages) - 0.15)
    axis.set_ylim(-0.2, 1.2)
    axis.set_axis_off()
    told = "; ".join(f"{name}: {value}" for name, value in stages)
    return describe(made, " ".join(told.replace("\n", " ").split()) + ".")


def traces(layers: Sequence[str], rules: Sequence[str], counts: Mapping[str, Array]) -> Figure:
    """Show how many codes each rule gets wrong, layer by layer, for each set of kernels.

    Args:
        layers: Names.
        rules: Names.
        counts: (layers, rules), differing codes, by the kernels' name.

    Raises:
        ShapeError: A table has another shape.
    """
    made, axes = figure(7.2, 2.6, ncols=len(counts), squeeze=False)
    words = []
    for axis, (kernels, table) in zip(axes[0], counts.items(), strict=True):
        if np.shape(table) != (len(layers), len(rules)):
            raise ShapeError(
                f"{kernels} has shape {np.shape(table)}. Expected ({len(layers)}, {len(rules)})."
            )
        axis.imshow(np.log10(1.0 + np.asarray(table)), cmap="Blues", vmin=0, vmax=4, aspect="auto")
        for row, column in np.ndindex(np.shape(table)):
            count = int(table[row][column])
            axis.text(column, row, f"{count:,}", ha="center", va="center", fontsize=9,
                      color="white" if count > 150 else INK,
                      fontweight="bold" if count == 0 else "normal")  # fmt: skip
        axis.set_title(f"{kernels} kernels")
        axis.set_xticks(range(len(rules)), [rule.replace(", ", ",\n") for rule in rules])
        axis.set_yticks(range(len(layers)), layers if axis is axes[0][0] else [""] * len(layers))
        axis.tick_params(length=0)
        exact = []
        for layer, line in zip(layers, table, strict=True):
            right = [rule for rule, count in zip(rules, line, strict=True) if count == 0]
            exact.append(f"{layer} ({'; '.join(right) or 'none'})")
        words.append(f"{kernels} kernels, rules without a difference: {', '.join(exact)}")
    return describe(made, ". ".join(words) + ".")


def tradeoff(rows: Sequence[Mapping[str, object]]) -> Figure:
    """Show accuracy against size, and latency against size, of the same models.

    Args:
        rows: Each with "model", "accuracy" (%), "size_bytes" and "latency_us" (batch 1).
    """
    made, axes = figure(6.8, 2.9, ncols=2)
    kinds = sorted({str(row["model"]).split()[0] for row in rows})
    styles = dict(zip(kinds, zip(COLORS.values(), "osD^vP", strict=False), strict=False))
    words, named = [], set()
    for row in rows:
        kind, _, rest = str(row["model"]).partition(" ")
        color, marker = styles[kind]
        kilobytes = float(str(row["size_bytes"])) / 1000
        for axis, key in zip(axes, ("accuracy", "latency_us"), strict=True):
            axis.plot(kilobytes, float(str(row[key])), marker, color=color, markersize=7,
                      label=None if kind in named else kind)  # fmt: skip
        named.add(kind)
        axes[1].annotate(rest, (kilobytes, float(str(row["latency_us"]))), fontsize=7,
                         xytext=(4, 3), textcoords="offset points")  # fmt: skip
        words.append(
            f"{row['model']}: {kilobytes:.0f} kB, {float(str(row['accuracy'])):.2f} %, "
            f"{float(str(row['latency_us'])):.0f} µs"
        )
    for axis, label in zip(axes, ("accuracy (%)", "latency of one image (µs)"), strict=True):
        axis.set_xlabel("file (kB)")
        axis.set_ylabel(label)
        axis.margins(x=0.25, y=0.15)
    axes[1].set_yscale("log")
    axes[0].legend(loc="best")
    return describe(made, "; ".join(words) + ".")


def codes(image: Array, fine: Array, coarse: Array) -> Figure:
    """Show an image, its codes on a fine grid, and its codes on a coarse one.

    Args:
        image: (height, width), 0 to 1.
        fine: Codes, the same shape.
        coarse: Codes, the same shape.
    """
    made, axes = figure(6.4, 2.3, ncols=3)
    words = []
    for axis, title, shown in zip(
        axes, ("image", "fine grid", "coarse grid"), (image, fine, coarse), strict=True
    ):
        axis.imshow(shown, cmap="gray_r")
        axis.set_title(title)
        axis.set_axis_off()
        words.append(
            f"{title}: {len(np.unique(shown))} values from {shown.min():g} to {shown.max():g}"
        )
    return describe(made, "; ".join(words) + ".")
