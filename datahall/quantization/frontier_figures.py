"""Pictures of compression: the cliff of pruning, and the frontier of all models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from datahall.plotting import COLORS, INK, MUTED, describe, figure
from datahall.quantization import frontier as frontiers

Row = Mapping[str, Any]


def cliff(
    shares: Sequence[float], lines: Mapping[str, Sequence[float]], sizes: Sequence[float]
) -> Figure:
    """Show accuracy and packed bytes against the share of weights that are gone.

    Args:
        shares: Sparsities.
        lines: Accuracies in percent, one a sparsity, by the way of pruning.
        sizes: Bytes of the packed file, one a sparsity.
    """
    made, axes = figure(7.2, 2.7, ncols=2)
    words = []
    for (name, line), color, mark in zip(lines.items(), COLORS.values(), "osD^", strict=False):
        axes[0].plot([100 * each for each in shares], line, f"-{mark}", color=color, label=name)
        pairs = zip(shares, line, strict=True)
        words.append(f"{name}: " + ", ".join(f"{a:.1f} % at {s:.0%}" for s, a in pairs))
    axes[1].plot([100 * each for each in shares], [size / 1000 for size in sizes], "-o", color=INK)
    pairs = zip(shares, sizes, strict=True)
    words.append("packed: " + ", ".join(f"{size / 1000:.1f} kB at {s:.0%}" for s, size in pairs))
    for axis, label in zip(axes, ("accuracy (%)", "file, packed by gzip (kB)"), strict=True):
        axis.set_xlabel("weights that are zero (%)")
        axis.set_ylabel(label)
    axes[0].legend(loc="lower left")
    axes[1].set_ylim(bottom=0)
    return describe(made, "; ".join(words) + ".")


def chart(
    rows: Sequence[Row], *, at_most_kb: float = math.inf, at_most_us: float = math.inf
) -> Figure:
    """Show test error against bytes and against latency; who is not beaten; who fits a budget.

    Args:
        rows: With model, accuracy (%), size_bytes and latency_us.
        at_most_kb: Budget on disk, kB.
        at_most_us: Budget for one image, µs.
    """
    made, axes = figure(7.2, 3.1, ncols=2)
    made.set_layout_engine(None)  # fixed margins: a widget redraws this at every move
    made.subplots_adjust(left=0.11, right=0.98, bottom=0.17, top=0.95, wspace=0.25)
    unbeaten = frontiers.frontier(rows)
    chosen = frontiers.best(rows, at_most_bytes=1000 * at_most_kb, at_most_us=at_most_us)
    for row in rows:
        inside = any(row is each for each in unbeaten)
        color, size = (COLORS["blue"], 7) if inside else (MUTED, 4)
        error = max(100 - row["accuracy"], 0.01)
        axes[0].plot(row["size_bytes"] / 1000, error, "o" if inside else "x", color=color, ms=size)
        axes[1].plot(row["latency_us"], error, "o" if inside else "x", color=color, ms=size)
        if row is chosen:
            axes[0].plot(row["size_bytes"] / 1000, error, "o", mfc="none", mec=INK, ms=13)
            axes[1].plot(row["latency_us"], error, "o", mfc="none", mec=INK, ms=13)
    for axis, limit, label in zip(
        axes, (at_most_kb, at_most_us), ("on disk (kB)", "one image (µs)"), strict=True
    ):
        axis.set_xscale("log")
        axis.set_yscale("log")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_locator(LogLocator(subs=(1, 2, 5)))
            side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            side.set_minor_formatter(NullFormatter())
        axis.set_xlabel(label)
        if math.isfinite(limit):
            axis.axvline(limit, color=COLORS["orange"], linestyle="--")
    axes[0].set_ylabel("test error (%)")
    told = "; ".join(_told(row) for row in unbeaten)
    within = _within(at_most_kb, at_most_us)
    best = f"Best {within}: {_told(chosen)}." if chosen is not None else f"None fits {within}."
    return describe(made, f"{len(rows)} models, not beaten: {told}. {best}")


def _told(row: Row) -> str:
    return (
        f"{row['model']} ({row['accuracy']:.2f} %, {row['size_bytes'] / 1000:.1f} kB, "
        f"{row['latency_us']:.1f} µs)"
    )


def _within(at_most_kb: float, at_most_us: float) -> str:
    limits = []
    if math.isfinite(at_most_kb):
        limits.append(f"within {at_most_kb:g} kB")
    if math.isfinite(at_most_us):
        limits.append(f"within {at_most_us:g} µs")
    return " and ".join(limits) or "without a budget"
