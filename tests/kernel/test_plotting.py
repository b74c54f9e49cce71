"""Figures with words, and the frame of every widget."""

from itertools import combinations

import ipywidgets
import numpy as np
import pytest
from matplotlib.figure import Figure

from datahall import plotting
from datahall.errors import CourseError, ParameterError, ShapeError


def draw(size: int = 2, color: str = "blue") -> Figure:
    if size == 5:
        raise ShapeError("size is 5. Less was expected. Move the slider back.")
    made, axes = plotting.figure(2, 1)
    axes.bar(range(size), range(size), color=plotting.COLORS[color])
    return plotting.describe(made, f"{size} bars in {color}.")


def panel() -> plotting.Panel:
    return plotting.Panel(
        draw,
        title="Bars",
        size=ipywidgets.IntSlider(2, 1, 5, description="size"),
        color=ipywidgets.Dropdown(options=list(plotting.COLORS), description="color"),
    )


def test_moving_a_control_changes_the_picture_and_the_words() -> None:
    made = panel()
    before = made._picture.value
    made.controls["size"].value = 4
    assert made.text == "4 bars in blue."
    assert made._picture.value != before
    assert made.draws == 2


def test_a_setting_that_cannot_be_is_explained_and_the_picture_stays() -> None:
    made = panel()
    before = made._picture.value
    made.controls["size"].value = 5
    assert "Move the slider back" in made.text
    assert made._picture.value == before
    made.controls["size"].value = 3
    assert made.text == "3 bars in blue."


def test_reset_puts_every_control_back_and_draws_once() -> None:
    made = panel()
    made.controls["size"].value = 4
    made.controls["color"].value = "red"
    count = made.draws
    made.reset()
    assert made.values == {"size": 2, "color": "blue"}
    assert made.text == "2 bars in blue."
    assert made.draws == count + 1


def test_the_same_figure_drawn_twice_is_the_same_picture() -> None:
    assert plotting.png(draw()) == plotting.png(draw())


def test_a_figure_without_words_cannot_stand_in_a_panel() -> None:
    with pytest.raises(CourseError, match="has no description"):
        plotting.description(plotting.figure()[0])


def test_an_empty_description_is_refused() -> None:
    with pytest.raises(ParameterError, match="The description is empty"):
        plotting.describe(plotting.figure()[0], "  ")


TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
SEEN_BY = {  # Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
    "trichromat": np.eye(3),
    "protanope": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranope": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanope": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def lab(color: str, reader: str) -> np.ndarray:
    """Return a colour's place in CIELAB as a reader sees it: lightness (0 … 100), a, b."""
    values = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SEEN_BY[reader]) @ linear, 0, 1)
    x, y, z = np.cbrt(np.array(TO_XYZ) @ seen / np.sum(TO_XYZ, axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("reader", SEEN_BY)
def test_the_first_four_colors_are_told_apart_by_every_reader(reader: str) -> None:
    places = [lab(color, reader) for color in list(plotting.COLORS.values())[:4]]
    for one, other in combinations(places, 2):
        assert np.linalg.norm(one - other) > 15


def test_the_first_three_colors_differ_in_lightness_alone() -> None:
    lightness = [lab(color, "trichromat")[0] for color in list(plotting.COLORS.values())[:3]]
    for one, other in combinations(lightness, 2):
        assert abs(one - other) > 10
