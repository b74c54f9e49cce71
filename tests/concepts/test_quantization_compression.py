"""Pruning, distillation, shared weights, and the frontier of what they make."""

from __future__ import annotations

import gzip

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from datahall.errors import DataError, ParameterError, ShapeError
from datahall.plotting import description
from datahall.quantization import (
    clustering,
    distilling,
    frontier,
    frontier_figures,
    frontier_widgets,
    litert,
    pruning,
    straight_through,
    tuning,
)
from datahall.quantization.frontier import Candidate
from datahall.quantization.tuning import TuningPlan
from datahall.training import fast
from datahall.training.recipe import Conv, Dense, Pool, Recipe

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (64, 28, 28), dtype=np.uint8)
LABELS = GENERATOR.integers(0, 10, 64)
NET = Recipe(1, layers=(Conv(4, 5, 4), Dense(10)), jitter=2)


def network(recipe: Recipe = NET) -> keras.Sequential:
    """Return a network small enough to train in a test, always the same."""
    keras.utils.set_random_seed(3)
    return fast.as_keras(recipe)


@given(st.floats(0, 0.99), st.booleans())
@settings(max_examples=40, deadline=None)
def test_masks_keep_the_largest_and_drop_the_share(sparsity, whole):
    kernels = [GENERATOR.normal(size=shape) for shape in ((3, 3, 2), (40,), (7, 5))]
    stays = pruning.masks(kernels, sparsity, whole=whole)
    if whole:
        groups = [(np.concatenate([k.ravel() for k in kernels]), stays)]
    else:
        groups = [(kernel.ravel(), [mask]) for kernel, mask in zip(kernels, stays, strict=True)]
    for values, held in groups:
        flat = np.concatenate([mask.ravel() for mask in held])
        assert (~flat).sum() == round(sparsity * values.size)
        if 0 < flat.sum() < flat.size:
            assert np.abs(values[flat]).min() >= np.abs(values[~flat]).max()


@pytest.mark.parametrize(("kernels", "share"), [([np.ones(3)], 1.0), ([], 0.5), ([np.ones(2)], -1)])
def test_a_share_that_leaves_nothing_is_refused(kernels, share):
    with pytest.raises(ParameterError, match=r"Write 80 % as 0\.8"):
        pruning.masks(kernels, share)


def test_the_schedule_rises_to_its_end():
    rates = [pruning.cubic(step, start=10, stop=50, final=0.9) for step in range(70)]
    assert rates[10] == 0 and rates[50] == pytest.approx(0.9) and rates[69] == rates[50]
    assert (np.diff(rates) >= 0).all() and rates[20] > 0.9 / 2


def test_a_pruner_reaches_its_share_while_the_network_trains():
    model = network()
    pruner = pruning.Pruner(model, 0.75, 16)
    tuning.tune(
        model, IMAGES, LABELS, TuningPlan(16, batch=16), change=pruner.change,
        between=pruner.between, every=4,
    )  # fmt: skip
    pruned = straight_through.settle(model, pruner.change)
    kernels = [each for each in pruned.get_weights() if each.ndim > 1]
    zeros = sum(int((each == 0).sum()) for each in kernels)
    assert pruner.sparsity == 0.75
    assert zeros == round(0.75 * sum(each.size for each in kernels))


def test_narrowing_by_dead_filters_changes_nothing():
    recipe = Recipe(1, layers=(Conv(4, 3), Pool(), Conv(6, 3), Pool(), Dense(8), Dense(10)))
    model = network(recipe)
    weights = model.get_weights()
    for kernel, bias, dead in ((weights[0], weights[1], [1]), (weights[2], weights[3], [0, 4])):
        kernel[..., dead] = 0
        bias[dead] = 0
    model.set_weights(weights)
    less, kept = pruning.narrow(recipe, weights, [3, 4])
    small = fast.as_keras(less)
    small.set_weights(kept)
    images = tuning.cropped_floats(IMAGES[:8], 24)
    assert small(images).numpy() == pytest.approx(model(images).numpy(), abs=1e-5)
    assert [layer.filters for layer in less.layers if isinstance(layer, Conv)] == [3, 4]
    assert small.count_params() < model.count_params()


def test_the_filters_with_the_largest_weights_stay_in_their_order():
    weights = network().get_weights()
    weights[0] *= np.array([1, 9, 3, 7])
    _, kept = pruning.narrow(NET, weights, [2])
    assert (kept[0] == weights[0][..., [1, 3]]).all()


@pytest.mark.parametrize("widths", [[0], [5], [2, 2], []])
def test_widths_that_do_not_fit_are_refused(widths):
    with pytest.raises(ParameterError, match="one for each convolution"):
        pruning.narrow(NET, network().get_weights(), widths)


def test_weights_of_another_network_are_refused():
    with pytest.raises(ShapeError, match="recipe that the network was trained by"):
        pruning.narrow(NET, network().get_weights()[:-1], [2])


def test_the_loss_of_distillation_is_that_of_its_formula():
    teacher = network()
    images = tuning.cropped_floats(IMAGES, 24)
    logits = GENERATOR.normal(size=(64, 10)).astype(np.float32)
    found = float(
        distilling.soft_loss(teacher, temperature=3.0, share=0.7)(
            images, LABELS.astype(np.int32), logits
        )
    )
    soft = distilling.softened(teacher(images).numpy(), 3.0)
    to_teacher = -(soft * np.log(distilling.softened(logits, 3.0))).sum(axis=1)
    to_labels = -np.log(distilling.softened(logits, 1.0)[np.arange(64), LABELS])
    assert found == pytest.approx(np.mean(0.7 * 9 * to_teacher + 0.3 * to_labels), rel=1e-4)


def test_a_student_of_itself_learns_nothing():
    teacher = network()
    student = straight_through.settle(teacher, list)
    loss = distilling.soft_loss(teacher, share=1.0)
    plan = TuningPlan(5, batch=16, weight_decay=0.0)
    tuning.tune(student, IMAGES, LABELS, plan, loss=loss)
    for old, new in zip(teacher.get_weights(), student.get_weights(), strict=True):
        assert new == pytest.approx(old, abs=2e-2)  # Adam steps on rounding errors, but no further


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"share": 1.5}])
def test_a_loss_without_sense_is_refused(wrong):
    with pytest.raises(ParameterError, match="Expected more than 0"):
        distilling.soft_loss(None, **wrong)
    with pytest.raises(ParameterError, match="such as 4"):
        distilling.softened(np.zeros(3), 0.0)


VALUES = arrays.arrays(
    np.float64, st.integers(2, 60), elements=st.floats(-100, 100, allow_subnormal=False)
)


@given(VALUES, st.integers(2, 16))
@settings(max_examples=60, deadline=None)
def test_centres_are_the_means_of_those_nearest(values, count):
    found = clustering.centres(values, count, rounds=500).astype(float)
    codes = clustering.nearest(values, found)
    assert (np.diff(found) >= 0).all()
    off = np.abs(values[:, np.newaxis] - found)
    assert off[np.arange(values.size), codes] == pytest.approx(off.min(axis=1), abs=1e-4)
    for code in np.unique(codes):
        assert found[code] == pytest.approx(values[codes == code].mean(), abs=1e-3)


@pytest.mark.parametrize("count", [1, 17])
def test_codebooks_that_do_not_pack_are_refused(count):
    with pytest.raises(ParameterError, match="Expected 2 to 16"):
        clustering.centres(np.arange(5.0), count)


def test_a_clustered_network_comes_back_from_its_file():
    model = network()
    books = [clustering.centres(w, 7) for w in model.get_weights() if w.ndim > 1]
    change = clustering.shared(books)
    tuning.tune(model, IMAGES, LABELS, TuningPlan(4, batch=16), change=change)
    made = straight_through.settle(model, change)
    weights = made.get_weights()
    assert all(len(np.unique(np.round(w, 5))) <= 7 for w in weights if w.ndim > 1)
    content = clustering.pack(weights, books)
    back = clustering.unpack(content)
    for old, new in zip(weights, back, strict=True):
        assert new == pytest.approx(old, abs=1e-6)
    codes = sum(-(-w.size // 2) for w in weights if w.ndim > 1)
    biases = sum(4 * w.size for w in weights if w.ndim == 1)
    books_bytes, shapes = 2 * (2 + 4 * 7), (1 + 4) * 2 + (1 + 1) * 2 + (1 + 2) * 2 + (1 + 1) * 2
    assert len(content) == codes + biases + books_bytes + shapes


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"\x02"])
def test_a_damaged_file_is_refused(damage):
    weights = network().get_weights()
    books = [clustering.centres(w, 5) for w in weights if w.ndim > 1]
    with pytest.raises(DataError, match="ends early"):
        clustering.unpack(damage(clustering.pack(weights, books)))


def test_a_code_behind_the_codebook_is_refused():
    content = clustering.pack([np.array([[0.0, 1.0]])], [np.array([0.0, 1.0])])
    with pytest.raises(DataError, match="no packed network"):
        clustering.unpack(content[:-1] + b"\x77")


@given(arrays.arrays(np.int8, 64, elements=st.integers(0, 15)))
@settings(max_examples=40, deadline=None)
def test_entropy_lies_between_nothing_and_the_bits_of_all_codes(codes):
    kinds = len(np.unique(codes))
    found = clustering.entropy_bits(codes)
    assert -1e-12 <= found <= np.log2(kinds) + 1e-9
    if kinds > 1:
        assert found > 0


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "accuracy": st.integers(90, 99),
            "size_bytes": st.integers(1, 9),
            "latency_us": st.integers(1, 9),
        }
    ),
    min_size=1,
    max_size=12,
)


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_every_row_is_on_the_frontier_or_beaten_by_one_that_is(rows):
    def beats(one, two):
        pairs = [
            (one["accuracy"], two["accuracy"]),
            (two["size_bytes"], one["size_bytes"]),
            (two["latency_us"], one["latency_us"]),
        ]
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    kept = frontier.frontier(rows)
    for row in rows:
        if any(row is each for each in kept):
            assert not any(beats(other, row) for other in rows)
        else:
            assert any(beats(other, row) for other in kept)


def test_the_best_within_a_budget():
    rows = [
        {"model": "a", "accuracy": 99.0, "size_bytes": 30_000, "latency_us": 20.0},
        {"model": "b", "accuracy": 98.0, "size_bytes": 10_000, "latency_us": 30.0},
        {"model": "c", "accuracy": 98.0, "size_bytes": 9_000, "latency_us": 10.0},
    ]
    assert frontier.best(rows, at_most_bytes=16_000)["model"] == "c"
    assert frontier.best(rows, at_most_bytes=40_000, at_most_us=25)["model"] == "a"
    assert frontier.best(rows, at_most_bytes=1) is None
    with pytest.raises(ParameterError, match="more than zero"):
        frontier.best(rows, at_most_bytes=0)
    text = description(frontier_figures.chart(rows, at_most_kb=16))
    assert text.startswith("3 models, not beaten: c (98.00 %, 9.0 kB, 10.0 µs); a (")
    assert text.endswith("Best within 16 kB: c (98.00 %, 9.0 kB, 10.0 µs).")
    assert "None fits within 1 kB" in description(frontier_figures.chart(rows, at_most_kb=1))


def test_the_explorer_draws_what_the_controls_say():
    rows = [{"model": "a", "accuracy": 99.0, "size_bytes": 30_000, "latency_us": 20.0}]
    panel = frontier_widgets.explore_frontier(rows)
    assert "None fits within 16 kB" in panel.text
    panel.controls["kilobytes"].value = 30
    assert "Best within 30 kB" in panel.text


def test_candidates_are_judged_as_they_run_and_weighed_as_they_are_stored():
    model = network()
    images = tuning.cropped_floats(IMAGES, 24)
    labels = model(images).numpy().argmax(axis=1)
    labels[:16] = (labels[:16] + 1) % 10
    file = litert.convert(model, "float32")
    packed = frontier.zipped(file)
    pair = [Candidate("plain", file), Candidate("packed", file, packed), Candidate("plain", file)]
    rows = frontier.judged(pair, images, labels, rounds=1, at_most_s=0.01)
    assert [row["accuracy"] for row in rows] == [75.0, 75.0, 75.0]
    assert [row["size_bytes"] for row in rows] == [len(file), len(packed), len(file)]
    assert gzip.decompress(packed) == file and packed == frontier.zipped(file)
    assert [row["seeds"] for row in frontier.averaged(rows)] == [2, 1]


def test_the_cliff_tells_every_point():
    text = description(frontier_figures.cliff([0, 0.5], {"once": [99, 50]}, [2000, 1000]))
    assert text == "once: 99.0 % at 0%, 50.0 % at 50%; packed: 2.0 kB at 0%, 1.0 kB at 50%."
