"""Published figures, training on real ranks, links of a bandwidth, and the model's pictures."""

from __future__ import annotations

import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.scaling import (
    clocking,
    core,
    group,
    model_figures,
    model_widgets,
    parallel,
    peers,
    published,
)

PLAN = parallel.Plan(6, batch=16, hidden=8)


def test_the_brackets_are_those_of_the_formula_and_five_published_values_lie_inside():
    runs = published.runs()
    assert len(runs) == 7 and sum(run.residual == 0 for run in runs) == 5
    for run in runs:
        compute = run.batch / run.rate
        ring = (
            2
            * (run.nodes - 1)
            * (run.latency_s + 32 * run.parameters / run.nodes / run.network_bit_per_s)
        )
        assert run.bracket[0] == pytest.approx(compute / (compute + ring))
        assert run.bracket[1] == pytest.approx(compute / (compute + ring / 2))
    assert max(run.residual for run in runs) < 0.01


@pytest.mark.parametrize(
    ("measured", "residual"), [(0.95, 0), (0.904, -0.0), (0.5, -0.404), (0.96, 0.01)]
)
def test_a_residual_is_the_distance_from_the_bracket(measured: float, residual: float):
    row = vars(published.runs()[0]) | {"measured": measured}
    assert published.Run(**row).residual == pytest.approx(residual, abs=1e-3)


def test_the_rivals_of_the_source_follow_from_its_numbers():
    one = published.rivals()
    size, cards = one["payload_bytes"], one["per_node"] * one["link_bytes_per_s"]
    link = core.Link(0, cards)
    assert size / one["link_bytes_per_s"] == pytest.approx(one["one_card_s"], rel=2e-3)
    assert core.ring_s(size, 32, link) == pytest.approx(one["flat_ring_s"], rel=2e-3)
    assert core.ring_s(size, 4, link) == pytest.approx(one["hierarchical_s"][0], rel=2e-3)


@pytest.mark.processes
@pytest.mark.parametrize("ranks", [2, 3])
def test_several_ranks_train_as_one_does_with_the_whole_batch(ranks: int):
    whole = parallel.Plan(6, batch=16 * ranks, hidden=8)
    one = group.run(1, parallel.train_on_digits, whole, 400)[0]
    for course in group.run(ranks, parallel.train_on_digits, PLAN, 400):
        np.testing.assert_allclose(course.weights, one.weights, atol=1e-6)
    accumulated = parallel.Plan(6, batch=16, accumulate=ranks, hidden=8)
    alone = group.run(1, parallel.train_on_digits, accumulated, 400)[0]
    np.testing.assert_allclose(alone.weights, one.weights, atol=1e-6)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("send", "bytes_a_number"), [("float32", 4), ("float16", 2), ("largest", 0.08)]
)
def test_bytes_and_bits_of_what_is_sent(send: parallel.Send, bytes_a_number: float):
    plan = parallel.Plan(5, batch=16, hidden=8, send=send)
    first, second = group.run(2, parallel.train_on_digits, plan, 400)
    assert first.weights.tobytes() == second.weights.tobytes()
    assert first.sent_bytes == pytest.approx(5 * bytes_a_number * first.weights.size, rel=1e-2)


def test_what_is_left_out_is_sent_later():
    alone, sums = peers.Peers(0, {}), np.zeros(8)
    largest = parallel.Largest(2, 8)
    arrays = np.random.default_rng(1).normal(size=(30, 8))
    for array in arrays:
        sums += largest(alone, array.copy())
    np.testing.assert_allclose(sums + largest.left, arrays.sum(0), atol=1e-5)
    assert np.abs(largest.left).max() < 4 * np.abs(arrays).max()


def test_the_noise_scale_is_that_of_a_gradient_whose_noise_is_known():
    generator = np.random.default_rng(0)
    signal, noise = np.full(50, 0.2), 3.0  # |G|² = 2, tr Σ = 450

    def square(batch: int) -> float:
        draws = signal + noise / np.sqrt(batch) * generator.normal(size=(20_000, 50))
        return float((draws**2).sum(1).mean())

    assert parallel.noise_scale(4, 400, square(4), square(400)) == pytest.approx(225, rel=0.05)


def test_a_gradient_is_that_of_differences():
    x, y = parallel.digits(20)
    like = parallel.first_network(PLAN)
    weights = parallel.network.flatten(like)
    found = parallel.gradient(weights, like, x, y)
    eye = np.zeros_like(weights)
    for place in (-1, -3, -20, len(weights) // 2):
        eye[:] = 0
        eye[place] = 1e-6
        up, down = (
            parallel.network.loss(
                parallel.network.unflatten(weights + sign * eye, like),
                x,
                parallel.losses.one_hot(y, 10),
            )
            for sign in (1, -1)
        )
        assert found[place] == pytest.approx((up - down) / 2e-6, abs=1e-6)


def test_what_cannot_run_is_refused():
    with pytest.raises(ParameterError, match="share above 0"):
        parallel.Plan(1, share=0)
    with pytest.raises(ParameterError, match=r"batches of 10 and 10"):
        parallel.noise_scale(10, 10, 1, 1)
    with pytest.raises(ParameterError, match="Average over more batches"):
        parallel.noise_scale(10, 20, 1, 2)
    with pytest.raises(ParameterError, match="Take runs further apart"):
        parallel.critical_batch((10, 20), (100, 50))
    with pytest.raises(ParameterError, match="bytes_per_s is 0"):
        peers.Peers(0, {}).pace(0)


@pytest.mark.processes
def test_a_paced_link_takes_the_time_of_its_bytes():
    size, rate = 2**19, 20e6
    ring = clocking.least_s(2, "ring", [size], repeat=3, link_bytes_per_s=rate)[size]
    tree = clocking.least_s(2, "tree", [size], repeat=3, link_bytes_per_s=rate)[size]
    assert size / rate <= ring and 2 * size / rate <= tree  # never faster than its link
    assert ring <= 1.5 * size / rate and tree <= 1.5 * 2 * size / rate


@pytest.mark.processes
def test_a_bare_stream_moves_what_a_ring_of_two_moves():
    took = clocking.least_s(2, clocking.BARE, [2**20], repeat=2)
    assert 0 < took[2**20] < 5


def test_the_pictures_tell_the_models_numbers():
    text = model_figures.brackets(published.runs()).datahall_description
    assert text.count("inside") == 5 and "ResNet-101, 512 Pascal 0.900 in 0.806 to 0.892" in text
    made = model_figures.scaling("VGG-16 (P100)", 25, 15, "ring", 64, 2.0)
    assert "efficiency 0.54 to 0.70" in made.datahall_description
    assert "591 to 767 at a price of 2" in made.datahall_description
    with pytest.raises(ParameterError, match="not in the model"):
        model_figures.scaling("VGG", 25, 15, "ring", 64, 2.0)
    text = model_figures.predictions({"ring": ([1, 2], [1, 1.6])}).datahall_description
    assert text == "ring: median error 12%."


def test_the_panel_shows_what_the_controls_say():
    panel = model_widgets.explore_scaling()
    panel.controls["devices"].value = 16_384
    panel.controls["algorithm"].value = "tree"
    assert "16384 devices, tree, 25 Gbit/s" in panel.text
