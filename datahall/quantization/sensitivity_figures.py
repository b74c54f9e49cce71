"""Pictures of the lecture on sensitivity: layers alone, weights and codes, a descent, a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from datahall.plotting import COLORS, INK, describe, figure
from datahall.quantization import core
from datahall.quantization.core import Array
from datahall.quantization.sensitivity import Choice

_LINES = ("blue", "orange", "green", "red")


def alone(bits: Sequence[int], losses: Mapping[str, Sequence[float]]) -> Figure:
    """Show the loss with one layer in so many bits and all others in float32.

    Args:
        bits: Of a code.
        losses: For each layer, the loss at each of these.
    """
    made, axis = figure(6.4, 2.8)
    for color, marker, (name, each) in zip(_LINES, "osD^", losses.items(), strict=False):
        axis.plot(bits, each, color=COLORS[color], marker=marker, label=name)
    axis.set_xlabel("bits of this layer")
    axis.set_ylabel("loss")
    axis.legend()
    told = "; ".join(f"{name}: {each[0]:.3g} to {each[-1]:.3g}" for name, each in losses.items())
    return describe(made, f"Loss with one layer in {bits[0]} to {bits[-1]} bits. {told}.")


def heat(kernel: Array, *, bits: int) -> Figure:
    """Show weights, codes and errors of a kernel as maps, a column for each filter.

    Args:
        kernel: (…, filters).
        bits: Of a code.
    """
    flat = np.asarray(kernel, float).reshape(-1, kernel.shape[-1])
    codes, scales = core.quantize_channels(flat, bits=bits)
    lost = codes * scales - flat
    made, axes = figure(7.2, 3.0, ncols=3)
    for axis, title, each in zip(
        axes, ("weights", "codes", "errors"), (flat, codes, lost), strict=True
    ):
        reach = float(np.abs(each).max()) or 1.0
        shown = axis.imshow(each, cmap="PuOr", vmin=-reach, vmax=reach, aspect="auto")
        axis.set_title(title)
        axis.set_xlabel("filter")
        made.colorbar(shown, ax=axis)
    size = np.sqrt(np.square(flat).mean(axis=0))
    share = 100 * np.sqrt(np.square(lost).mean(axis=0)) / np.where(size > 0, size, 1)
    return describe(
        made,
        f"{flat.shape[0]} × {flat.shape[1]} weights in {bits} bits: {len(np.unique(codes))} codes "
        f"used, largest error {np.abs(lost).max():.2g}; of the filters' size {share.min():.2g} % "
        f"(filter {int(share.argmin())}) to {share.max():.2g} % (filter {int(share.argmax())}).",
    )


def descent(choices: Sequence[Choice], uniform: Sequence[Choice], budget_bytes: int) -> Figure:
    """Show loss against bytes: bits taken one by one, and the same bits everywhere.

    Args:
        choices: Step by step.
        uniform: Choices with the same bits in all layers.
        budget_bytes: What the file may have.
    """
    made, axis = figure(6.4, 2.8)
    for color, marker, name, each in (
        ("blue", ".", "bit by bit", choices),
        ("orange", "s", "the same everywhere", uniform),
    ):
        places = [choice.size_bytes / 1000 for choice in each]
        losses = [choice.loss for choice in each]
        axis.plot(places, losses, color=COLORS[color], marker=marker, label=name)
    axis.axvline(budget_bytes / 1000, color=INK, linestyle="--", label="budget")
    axis.set_yscale("log")
    axis.set_xlabel("kB on disk")
    axis.set_ylabel("loss (logarithmic)")
    axis.legend()
    first, last = choices[0], choices[-1]
    return describe(
        made,
        f"{len(choices)} choices from {first.size_bytes:,} B (loss {first.loss:.3g}) to "
        f"{last.size_bytes:,} B (loss {last.loss:.3g}); budget {budget_bytes:,} B.",
    )


def budget(bits: Mapping[str, int], parts: Mapping[str, int], told: str) -> Figure:
    """Show what each layer takes of a file.

    Args:
        bits: Of a code, by layer.
        parts: Bytes, by layer.
        told: What was measured, for the title.
    """
    made, axis = figure(6.4, 2.4)
    names = [f"{name}, {bits[name]} bits" for name in parts]
    axis.barh(names, [size / 1000 for size in parts.values()], color=COLORS["sky"])
    axis.invert_yaxis()
    axis.set_xlabel("kB")
    axis.set_title(told)
    each = ", ".join(f"{name} {size:,} B" for name, size in zip(names, parts.values(), strict=True))
    return describe(made, f"{told}. {each}.")
