"""Figures with words, and the frame of every widget."""

import ipywidgets
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


def test_the_colors_differ_in_lightness_for_readers_without_colour_vision() -> None:
    def lightness(color: str) -> float:
        red, green, blue = (int(color[k : k + 2], 16) / 255 for k in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    first_four = [lightness(c) for c in list(plotting.COLORS.values())[:2]]
    assert abs(first_four[0] - first_four[1]) > 0.2
