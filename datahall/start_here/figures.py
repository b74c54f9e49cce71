"""One figure: what a batch takes, beside what the machine has."""

from __future__ import annotations

from matplotlib.figure import Figure

from datahall import plotting
from datahall.start_here import core
from datahall.units import GIB, format_quantity

_KINDS = (("uint8", 1, "sky"), ("float32", 4, "blue"), ("float64", 8, "orange"))


def batch_memory(images: int = 60_000, side: int = 28, memory_gib: float = 8.0) -> Figure:
    """Draw the bytes of a batch of square grey images in three types, beside a memory.

    Args:
        images: Images in the batch.
        side: Height and width of an image, in pixels.
        memory_gib: The memory to compare with, in GiB (2**30 bytes).
    """
    sizes = {
        name: core.batch_size_bytes(images, side, side, bytes_per_value=each)
        for name, each, _ in _KINDS
    }
    memory = memory_gib * GIB
    made, axes = plotting.figure(5.4, 2.2)
    names = list(sizes)
    bars = axes.barh(names, list(sizes.values()), color=[plotting.COLORS[c] for *_, c in _KINDS])
    axes.bar_label(bars, [format_quantity(size, "B") for size in sizes.values()], padding=4)
    axes.axvline(memory, color=plotting.INK, linestyle="--", linewidth=1.2)
    axes.set_xscale("log")
    axes.set_xlim(1, 1e18)
    axes.invert_yaxis()
    axes.set_xlabel(f"bytes (dashed: {memory_gib:g} GiB of memory)")
    axes.set_title(f"{images:,} images of {side} × {side}")
    fits = [name for name, size in sizes.items() if size <= memory]
    verdict = f"{', '.join(fits)} fit" if fits else "none of them fits"
    listed = ", ".join(f"{name} {format_quantity(size, 'B')}" for name, size in sizes.items())
    return plotting.describe(
        made,
        f"{images:,} images of {side} × {side} pixels: {listed}; in {memory_gib:g} GiB {verdict}.",
    )
