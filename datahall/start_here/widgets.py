"""One widget: the first sliders of the course."""

from __future__ import annotations

import ipywidgets

from datahall import plotting
from datahall.start_here import figures


def explore_batch_memory(memory_gib: float = 8.0) -> plotting.Panel:
    """Show the bytes of a batch while its size is moved.

    Args:
        memory_gib: The memory to compare with, in GiB.
    """
    counts = [1, 32, 256, 1_000, 10_000, 60_000, 1_000_000, 14_000_000, 1_000_000_000]
    return plotting.Panel(
        lambda images, side: figures.batch_memory(images, side, memory_gib),
        title="How much memory does a batch take?",
        images=ipywidgets.SelectionSlider(
            options=[(_short(count), count) for count in counts], value=60_000, description="images"
        ),
        side=ipywidgets.SelectionSlider(
            options=[14, 28, 64, 128, 224, 512, 1024], value=28, description="side in pixels"
        ),
    )


def _short(count: int) -> str:
    """Write a count so that it fits beside a slider: `14 million`."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if count >= size:
            return f"{count // size} {word}"
    return f"{count:,}"
