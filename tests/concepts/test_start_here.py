"""Module 00: bytes of a batch, and the figure that shows them."""

import pytest

from datahall import plotting
from datahall.errors import ShapeError
from datahall.start_here import core, figures, widgets


def test_the_training_set_as_bytes_is_the_size_of_its_file_without_the_header() -> None:
    assert core.batch_size_bytes(60_000, 28, 28, bytes_per_value=1) == 47_040_016 - 16


def test_batch_size_bytes_refuses_a_negative_size() -> None:
    with pytest.raises(ShapeError, match="height is -1"):
        core.batch_size_bytes(1, -1, 28)


@pytest.mark.parametrize(("memory", "words"), [(0.1, "uint8 fit"), (8, "float64 fit")])
def test_the_figure_says_what_fits(memory: float, words: str) -> None:
    text = plotting.description(figures.batch_memory(60_000, 28, memory))
    assert words in text
    assert "47.0 MB" in text


def test_nothing_fits_into_too_small_a_memory() -> None:
    assert "none of them fits" in plotting.description(figures.batch_memory(60_000, 28, 0.01))


def test_moving_a_slider_of_the_widget_changes_the_words() -> None:
    panel = widgets.explore_batch_memory()
    before = panel.text
    panel.controls["side"].value = 224
    assert panel.text != before
