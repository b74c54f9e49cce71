"""Three small networks and their recipes: what module 06 makes smaller still.

All are trained by `training.fast` on images that are moved by up to two pixels and cropped to
24 × 24. The presets of the lectures choose the steps.
"""

from __future__ import annotations

from datahall.training.recipe import Conv, Dense, Layer, Pool, Recipe

SIDE = 24
"""Pixels of a side, after two are cut from each border."""


def _recipe(*layers: Layer) -> Recipe:
    return Recipe(
        steps=3000, layers=layers, jitter=2, peak_rate=0.01, smoothing=0.1, weight_decay=0.05
    )


TINY = _recipe(Conv(8, 5, 2), Conv(16, 3, 2), Conv(16, 3, 2), Dense(10))
"""5,146 parameters: about 11 kB as an int8 file."""

SMALL = _recipe(Conv(12, 5, 2), Conv(24, 3, 2), Conv(24, 3, 2), Dense(10))
"""10,306 parameters: about 17 kB as an int8 file, 11 kB with 4 bits."""

MEDIUM = _recipe(Conv(16, 3), Pool(), Conv(32, 3), Pool(), Conv(48, 3), Pool(), Dense(10))
"""23,002 parameters: about 31 kB as an int8 file; the teacher of the smaller ones."""

RECIPES = {"tiny": TINY, "small": SMALL, "medium": MEDIUM}
