"""The figures and panels of module 01 show the numbers that `core` computes."""

from __future__ import annotations

import numpy as np
import pytest

from datahall import plotting, runtime
from datahall.convolution import core, cost, cost_figures, figures, widgets
from datahall.errors import ShapeError

DIGITS = np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)
KERNEL = np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]])
PEAK = runtime.Peak(100e9, 10e9)


def test_sliding_says_where_the_kernel_stands_and_what_the_sum_is() -> None:
    made = figures.sliding(DIGITS[0], KERNEL, row=2, column=3, stride=2, padding=1)
    out = core.correlate(DIGITS[0], KERNEL, stride=2, padding=1)
    text = plotting.description(made)
    assert "row 2, column 3 of 14 × 14: the kernel covers rows 4 to 6 and columns 6 to 8" in text
    assert f"= {out[2, 3]}".replace("-", "−") in text
    shown = made.axes[2].images[0].get_array()
    np.testing.assert_array_equal(shown, out)


def test_sliding_moves_a_place_beyond_the_last_to_the_last() -> None:
    made = figures.sliding(DIGITS[0], KERNEL, row=99, column=99)
    assert "row 25, column 25 of 26 × 26" in plotting.description(made)


def test_a_sliding_figure_redrawn_is_the_figure_drawn_anew() -> None:
    kept = figures.Sliding()
    kept.draw(DIGITS[0], np.ones((3, 3)), row=9, column=9, stride=3, padding=2)
    redrawn = kept.draw(DIGITS[1], KERNEL, row=2, column=3, stride=2, padding=0)
    anew = figures.sliding(DIGITS[1], KERNEL, row=2, column=3, stride=2, padding=0)
    assert plotting.description(redrawn) == plotting.description(anew)
    assert plotting.png(redrawn) == plotting.png(anew)


def test_matrices_writes_every_number_and_frames_the_marked_cells() -> None:
    plane = np.array([[1.0, -2.5], [0.0, 4.0]])
    made = figures.matrices({"plane": plane}, marks={"plane": [(0, 1)]})
    assert [text.get_text() for text in made.axes[0].texts] == ["1", "−2.5", "0", "4"]
    assert (made.axes[0].patches[-1].get_x(), made.axes[0].patches[-1].get_y()) == (0.5, -0.5)
    assert "2 × 2, from −2.5 to 4, sum 2.5" in plotting.description(made)


def test_matrices_refuses_what_would_not_be_read() -> None:
    with pytest.raises(ShapeError, match=r"'big' has shape \(20, 20\). Expected a plane"):
        figures.matrices({"big": np.zeros((20, 20))})


def test_places_draws_one_row_a_place_and_counts_what_is_never_seen() -> None:
    made = figures.places(8, 3, stride=2)
    assert [text.get_text() for text in made.axes[0].texts][-1] == "place 2"
    assert "stands at 3 places; elements never under it: 1" in plotting.description(made)


def test_filtered_names_the_strongest_answer() -> None:
    image = np.zeros((6, 6))
    image[3] = 10
    text = plotting.description(figures.filtered(image, {"edge": KERNEL}))
    assert "edge answers from −30 to 30, most strongly at row 2" in text


def test_the_ladder_puts_measured_and_model_side_by_side() -> None:
    made = cost_figures.ladder({"slow": 2.0, "fast": 0.5}, {"slow": 1.0, "fast": 0.1})
    assert "fast: 4 times the first rung's speed, 10 by the model" in plotting.description(made)
    assert not made.axes[0].patches  # no bars: a logarithmic axis has no zero
    dots = [line.get_xdata()[0] for line in made.axes[0].lines if line.get_marker() == "o"]
    assert dots == [1.0, 4.0]


def test_the_roofline_names_each_layers_limit_and_share() -> None:
    layer = cost.ConvLayer(28, 28, 32, 64)
    least = cost.least_time_s(layer, 100e9, 10e9)
    made = cost_figures.roofline(
        {"a": layer, "b": cost.separable(layer)[0]}, 100e9, 10e9, measured_s={"a": 2 * least}
    )
    text = plotting.description(made)
    assert "a: 71.8 FLOP/B, limited by arithmetic, 50% of its roof" in text
    assert "b: 2.1 FLOP/B, limited by memory" in text


def test_receptive_draws_squares_as_large_as_the_fields() -> None:
    made = cost_figures.receptive(DIGITS[0], ["one", "two"], [3, 8])
    assert [patch.get_width() for patch in made.axes[0].patches] == [3, 8]
    with pytest.raises(ShapeError, match="1 names for 2 fields"):
        cost_figures.receptive(DIGITS[0], ["one"], [3, 8])


def test_a_numerical_gradients_best_step_is_named() -> None:
    made = figures.step_errors([0.1, 0.01], {"central": [1e-2, 1e-4]})
    assert "central: least error 1e-04 at step 1e-02" in plotting.description(made)


def test_every_control_of_the_kernel_explorer_changes_picture_and_text() -> None:
    panel = widgets.explore_kernel(DIGITS)
    grid = panel.controls["kernel"]
    moves = {
        "digit": 1, "stride": 2, "padding": 2, "row": 3, "column": 4,
        "kernel": widgets.KERNELS["sharpen"],
    }  # fmt: skip
    for name, value in moves.items():
        picture, text = panel._picture.value, panel.text
        panel.controls[name].value = value
        assert panel._picture.value != picture and panel.text != text, name
    for cell in grid.cells:
        text = panel.text
        cell.value = cell.value + 1
        assert panel.text != text
    assert grid.preset.value == widgets.OWN


def test_a_preset_fills_the_nine_fields_and_a_typed_number_makes_it_ones_own() -> None:
    grid = widgets.KernelGrid(widgets.KERNELS["sharpen"])
    assert [cell.value for cell in grid.cells] == list(widgets.KERNELS["sharpen"])
    grid.preset.value = "mean of nine"
    assert grid.value == widgets.KERNELS["mean of nine"]
    grid.cells[4].value = 2
    assert grid.preset.value == widgets.OWN and grid.value[4] == 2
    for cell, number in zip(grid.cells, widgets.KERNELS["leave alone"], strict=True):
        cell.value = number
    assert grid.preset.value == "leave alone"


def test_the_windows_sliders_end_where_the_output_ends_and_reset_brings_all_back() -> None:
    panel = widgets.explore_kernel(DIGITS)
    first = dict(panel.values)
    panel.controls["row"].value = 27
    panel.controls["stride"].value = 4
    assert panel.controls["row"].max == 6 and panel.controls["row"].value == 6
    panel.reset()
    assert panel.values == first and panel.controls["row"].max == 27


def test_every_control_of_the_cost_explorer_changes_the_text() -> None:
    panel = widgets.explore_cost(PEAK)
    moves = {"side": 56, "channels": 64, "filters": 128, "kernel": 5, "stride": 2, "batch": 8}
    for name, value in moves.items():
        text = panel.text
        panel.controls[name].value = value
        assert panel.text != text, name


def test_redrawing_adds_nothing_to_the_figure() -> None:
    kept = figures.Sliding()
    counts = set()
    for row in range(5):
        made = kept.draw(DIGITS[0], KERNEL, row=row, column=row)
        counts.add(tuple(len(axis.get_children()) for axis in made.axes))
    assert len(counts) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(10450, "10450"), (-0.111, "−0.11"), (2.0, "2"), (-0.0, "0"), (0.001234, "0.0012")],
)
def test_numbers_are_written_as_a_person_would(value: float, text: str) -> None:
    made = figures.matrices({"one": np.array([[value]])})
    assert made.axes[0].texts[0].get_text() == text
