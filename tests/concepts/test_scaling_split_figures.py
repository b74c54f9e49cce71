"""The pictures of splitting show what their words say."""

from __future__ import annotations

from collections import Counter

from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from datahall.plotting import COLORS, description
from datahall.scaling import memory, split_figures

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


def test_the_timelines_draw_every_pass_with_its_time():
    made = split_figures.timelines(3, 4)
    for axis in made.axes:
        boxes = [box for box in axis.patches if isinstance(box, Rectangle)]
        assert Counter(round(box.get_width()) for box in boxes) == {1: 12, 2: 12}
        assert max(box.get_x() + box.get_width() for box in boxes) == 18
    assert "GPipe: 18 units, 33% idle" in description(made)
    assert "1F1B: 18 units, 33% idle, stage 0 keeps the outputs of up to 3" in description(made)


def test_the_bars_say_what_fits():
    states = {"all": memory.state(10**10), "cut": memory.state(10**10, stage=3, data=4)}
    made = split_figures.held(states, limit=80e9)
    assert "all 160 GB (does not fit), cut 40 GB (fits)" in description(made)
    assert sum(box.get_width() for box in made.axes[0].patches) == 200
