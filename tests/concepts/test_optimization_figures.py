import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.optimization import figures, network, printed, schedules, surfaces, widgets
from datahall.plotting import description, png


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_heights_that_are_kept_for_the_next_caller_cannot_be_changed():
    x, _, losses = surfaces.heights("stretched bowl", size=5)
    for kept in (x, losses):
        with pytest.raises(ValueError, match="read-only"):
            kept[:] = 0


def test_the_slopes_drawn_peak_at_one_a_quarter_and_one():
    figure = figures.activation_slopes()
    tops = {line.get_label(): line.get_ydata().max() for line in figure.axes[1].lines}
    assert list(tops.values()) == pytest.approx([1.0, 0.25, 1.0])
    assert "sigmoid 0.25" in description(figure)


def test_the_cross_entropy_figure_draws_probabilities_and_slopes_of_its_logits():
    figure = figures.cross_entropy(0.0, np.log(3), -50.0, truth=1)
    shares = [bar.get_height() for bar in figure.axes[0].patches]
    gradients = [bar.get_height() for bar in figure.axes[2].patches]
    assert shares == pytest.approx([0.25, 0.75, 0.0])
    assert gradients == pytest.approx([0.25, -0.25, 0.0])
    assert "loss is 0.288 nats" in description(figure)


def test_the_network_figure_names_every_shape():
    text = description(figures.shapes(network.new_network()))
    assert "(2, 5), (5,), (5, 2), (2,): 27 numbers" in text


def test_a_race_draws_one_path_an_optimizer_from_the_start():
    figure = figures.race("stretched bowl", steps=7)
    start = surfaces.bowl().start
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 8]
    assert len(drawn) == 4
    assert all((line.get_xdata()[0], line.get_ydata()[0]) == tuple(start) for line in drawn)
    assert "after 7 steps" in description(figure)


def test_a_race_that_diverges_says_so():
    assert "SGD diverged" in description(figures.race("stretched bowl", rate=3.0, steps=60))


@pytest.mark.parametrize("name", surfaces.SURFACES)
def test_a_picture_of_a_race_is_small(name):
    assert len(png(figures.race(name))) <= 50_000  # lectures show the other two, below 40 kB


def test_the_difference_figure_marks_the_best_step():
    figure = figures.difference_error([1e-8, 1e-5, 1e-2], [1e-7, 1e-11, 1e-4])
    assert "least at a step of 1e-05" in description(figure)


def test_the_epsilon_figure_says_where_each_curve_crosses_one_half():
    sizes = np.geomspace(1e-9, 1e-3, 61)
    figure = figures.epsilon(sizes, sizes / (sizes + 1e-5), sizes / (sizes + 1e-8))
    assert "gradients of 1e-05 with Keras" in description(figure)


def test_the_schedule_figure_draws_each_rate():
    rate = schedules.exponential(0.1, every=10, factor=0.5)
    figure = figures.schedule({"exponential": rate}, steps=11)
    assert lines(figure.axes[0])["exponential"].get_ydata()[-1] == pytest.approx(0.05)


def test_the_conditioning_figure_lists_measured_and_predicted():
    row = {"features": "scaled", "condition": 12.0, "predicted": 42.4, "measured": 35}
    assert "scaled: 35 steps of 42" in description(figures.conditioning([row]))


def test_the_residual_figure_tells_the_mean_of_each_group_of_predictions():
    predicted = np.array([300e3, 100e3, 110e3, 310e3])
    off = np.array([20e3, -10e3, 50e3, -40e3])
    figure = figures.residuals(predicted + off, predicted, groups=2)
    text = description(figure)
    assert "Means in 2 groups, from the lowest predictions up, in $1,000: +20.0; -10.0." in text
    assert "Half are off by less than $30,000" in text
    means = [line.get_ydata().tolist() for line in figure.axes[0].lines if line.get_linewidth() > 2]
    assert means[:2] == [[20, 20], [-10, -10]]


def test_the_accuracy_figure_reads_the_marked_update():
    figure = figures.accuracies({"seed 0": [0.5, 0.6, 0.9]}, marked=2)
    assert "seed 0 0.60 and 0.90" in description(figure)


def test_the_optimizer_panel_redraws_for_every_control():
    panel = widgets.explore_optimizers()
    for name, value in [
        ("rate", 0.5),
        ("adaptive_rate", 0.1),
        ("momentum", 0.5),
        ("beta_1", 0.5),
        ("beta_2", 0.9),
        ("steps", 10),
        ("surface", "network"),
        ("surface", "house prices"),
    ]:
        before = (panel.text, panel.draws)
        panel.controls[name].value = value
        assert panel.text != before[0], name
        assert panel.draws == before[1] + 1


def test_the_cross_entropy_panel_redraws_and_resets():
    panel = widgets.explore_cross_entropy()
    first = panel.text
    for name, value in [("a", -4.0), ("b", 3.0), ("c", 5.0), ("truth", 2)]:
        before = panel.text
        panel.controls[name].value = value
        assert panel.text != before, name
    panel.reset()
    assert panel.text == first


def test_the_program_of_a2_barely_moves_in_its_hundred_updates_and_learns_in_the_end():
    points, targets = network.two_halves(100, seed=0)
    run = printed.program_of_a2(points, targets, updates=1000, seed=0)
    assert run.accuracy.shape == run.moved.shape == (1001,)
    assert run.accuracy[100] < 0.8 < 0.95 < run.accuracy[-1]
    assert run.moved[0] == 0 and run.moved[1] == pytest.approx(0.001, rel=1e-3)
    assert 0.05 < run.moved[100] < 0.15 < run.moved[-1]


def test_a_line_divides_the_two_halves():
    points, targets = network.two_halves(50, seed=1)
    assert np.array_equal(points.sum(axis=1) > 0, targets[:, 1] == 1)


def test_an_unknown_surface_cannot_be_raced_on():
    with pytest.raises(ParameterError, match="There is no surface 'hill'"):
        figures.race("hill")
