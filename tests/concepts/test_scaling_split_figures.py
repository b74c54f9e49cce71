"""The pictures of splitting show what their words say."""

from __future__ import annotations

from collections import Counter

from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from datahall.plotting import COLORS
from datahall.scaling import split_figures

DEVICES = [COLORS[name].lower() for name in ("blue", "orange", "green", "purple")]


def test_each_way_gives_each_device_the_same_area_of_what_it_splits():
    ways = split_figures.four_ways().axes
    assert len(ways) == 4
    for axis in ways:
        areas: Counter[str] = Counter()
        for box in axis.patches:
            assert isinstance(box, Rectangle)
            areas[to_hex(box.get_facecolor())] += round(100 * box.get_width() * box.get_height())
        network = 4 * 80 * 4
        batch = 0 if "#ffffff" in areas else 4 * 80
        assert sum(areas[color] for color in DEVICES) == network + batch
        assert len({areas[color] for color in DEVICES}) == 1
