"""Training for few bits: the estimator, the loop that it runs in, and a file with 4-bit kernels."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from datahall.errors import DataError, ParameterError, ShapeError
from datahall.plotting import description
from datahall.quantization import (
    core,
    int4_file,
    litert,
    small_networks,
    straight_figures,
    straight_through,
    straight_widgets,
    tuning,
    valley,
)
from datahall.quantization.tuning import TuningPlan
from datahall.training.recipe import weights_of

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (64, 28, 28), dtype=np.uint8)
LABELS = GENERATOR.integers(0, 10, 64)


def network() -> keras.Sequential:
    """Return a network small enough to train in a test, always the same."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((24, 24, 1), name="image"),
            keras.layers.Conv2D(4, 5, 4, "same", activation="relu", name="conv"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(10, bias_initializer="normal", name="logits"),
        ],
        name="net",
    )


KERNELS = arrays.arrays(
    np.float32, (3, 2, 4), elements=st.floats(-8, 8, width=32, allow_subnormal=False)
)


def test_a_kernel_too_small_for_a_scale_is_rounded_to_zero():
    kernel = np.full((3, 2, 4), np.finfo(np.float32).tiny, np.float32)
    assert np.all(straight_through.rounded(kernel, 3).numpy() == 0)


@given(KERNELS, st.integers(2, 8))
@settings(max_examples=40, deadline=None)
def test_a_rounded_kernel_stands_on_the_grid_of_its_filters(kernel, bits):
    codes, scales = core.quantize_channels(kernel, bits=bits)
    values = straight_through.straight_through(kernel, bits).numpy()
    tie = np.abs(np.abs(kernel / scales) % 1 - 0.5) < 1e-4  # to even in Keras, away in ours
    assert np.where(tie, 0, values - codes * scales) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_slope_goes_straight_through(bits):
    kernel = tf.Variable(GENERATOR.normal(size=(3, 3, 2, 4)).astype(np.float32))
    weight = GENERATOR.normal(size=kernel.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(weight * straight_through.straight_through(kernel, bits))
    assert tape.gradient(total, kernel).numpy() == pytest.approx(weight)


def test_settled_kernels_have_few_values_and_biases_stay():
    before = network()
    after = straight_through.settle(before, straight_through.few_bits(3))
    for old, new in zip(before.get_weights(), after.get_weights(), strict=True):
        if old.ndim == 1:
            assert (old == new).all()
        else:
            filters = new.reshape(-1, new.shape[-1]).T
            assert all(len(np.unique(np.round(each, 5))) <= 7 for each in filters)
            assert not (old == new).all()


def test_bits_that_make_no_grid_are_refused():
    with pytest.raises(ParameterError, match="Expected 2 to 16"):
        straight_through.few_bits(1)


@pytest.mark.parametrize("link", [0.9, -0.8, 0.5])
def test_training_finds_what_trying_every_point_finds(link):
    best = np.array([0.4, 0.3])
    _, used = valley.follow(best, link)
    goal = straight_figures.best_on_grid(best, link, 1.0)
    lowest = valley.loss_of(used, best, link).min()
    assert lowest == pytest.approx(float(valley.loss_of(goal, best, link)))
    assert lowest <= valley.loss_of(used[0], best, link)


def test_without_a_link_the_nearest_point_is_the_best():
    for best in GENERATOR.random((20, 2)):
        assert (straight_figures.best_on_grid(best, 0.0, 0.5) == 0.5 * np.rint(best / 0.5)).all()


@pytest.mark.parametrize("wrong", [{"link": 1.0}, {"link": 0, "steps": 0}, {"link": 0, "step": 0}])
def test_a_valley_without_a_bottom_is_refused(wrong):
    with pytest.raises(ParameterError, match="between −1 and 1"):
        valley.follow(np.zeros(2), **wrong)


def test_the_pictures_say_what_they_show():
    text = description(straight_figures.valley(first=0.4, second=0.3, link=0.9))
    assert "Rounded: (0, 0), loss 0.233" in text and "Least loss on the grid: (1, 0), 0.063" in text
    text = description(straight_figures.by_bits([8, 2], {"one": [99.0, 50.0], "two": [99, 90]}))
    assert text == "one: 99.00 % at 8, 50.00 % at 2 bits; two: 99.00 % at 8, 90.00 % at 2 bits."


def test_the_explorer_draws_what_the_controls_say():
    panel = straight_widgets.explore_valley()
    assert "Least loss on the grid: (1, 0), 0.063" in panel.text
    panel.controls["link"].value = 0.0
    assert "Least loss on the grid: (0, 0), 0.125" in panel.text


def test_the_loop_begins_with_the_loss_that_the_network_has():
    model, plan = network(), TuningPlan(3, batch=64, moved=False)
    inputs = tuning.cropped_floats(IMAGES, 24)
    wanted = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, model(inputs))
    losses = tuning.tune(model, IMAGES, LABELS, plan)
    assert losses[0] == pytest.approx(float(wanted), rel=1e-5)
    assert losses.shape == (3,) and losses[2] < losses[0]


def test_the_same_seed_trains_the_same_network_whatever_happens_between():
    seen, runs = [], []
    change = straight_through.few_bits(4)
    for between, every in ((None, 50), (seen.append, 4)):
        model = network()
        tuning.tune(
            model,
            IMAGES,
            LABELS,
            TuningPlan(10, batch=16),
            change=change,
            between=between,
            every=every,
        )
        runs.append(model.get_weights())
    assert seen == [4, 8, 10]
    for one, two in zip(*runs, strict=True):
        assert one == pytest.approx(two, abs=1e-6)


@pytest.mark.parametrize("labels", [LABELS[:3], LABELS[:0]])
def test_labels_that_do_not_fit_are_refused_by_the_loop(labels):
    with pytest.raises(ShapeError, match="Expected as many"):
        tuning.tune(network(), IMAGES, labels, TuningPlan(1))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 1, "batch": 5}])
def test_a_plan_that_cannot_be_run_is_refused(wrong):
    with pytest.raises(ParameterError, match="even batch"):
        TuningPlan(**wrong)


@pytest.mark.parametrize(("images", "side"), [(IMAGES[0], 24), (IMAGES / 1, 24), (IMAGES, 25)])
def test_images_that_cannot_be_cropped_are_refused(images, side):
    with pytest.raises(ShapeError, match="Expected"):
        tuning.cropped_floats(images, side)


@pytest.fixture(scope="module")
def settled() -> tuple[keras.Sequential, bytes]:
    model = straight_through.settle(network(), straight_through.few_bits(4))
    return model, litert.convert(model, "int8", tuning.cropped_floats(IMAGES, 24))


def test_a_four_bit_file_holds_our_codes_and_runs_on_all_kernels(settled):
    model, int8 = settled
    int4 = int4_file.to_int4(int8)
    for (name, codes), kernel in zip(
        int4_file.codes_of(int4).items(), model.get_weights()[::2], strict=True
    ):
        wanted, _ = core.quantize_channels(kernel, bits=4)
        assert (np.moveaxis(wanted, -1, 0) == codes).all(), name
    saved = litert.parts(int8)["weights"] - litert.parts(int4)["weights"]
    assert saved == litert.parts(int8)["weights"] // 2
    images = tuning.cropped_floats(IMAGES, 24)
    wanted = model(images).numpy()
    for kernels in litert.KERNELS:
        found = litert.Runner(int4, kernels=kernels).run(images)
        assert found == pytest.approx(wanted, abs=0.03 * float(np.abs(wanted).max())), kernels


def test_one_layer_alone_can_have_four_bits(settled):
    _, int8 = settled
    mixed = int4_file.to_int4(int8, {"logits"})
    before, after = int4_file.codes_of(int8), int4_file.codes_of(mixed)
    assert (before["conv"] == after["conv"]).all()
    assert np.abs(after["logits"]).max() == 7


def test_files_and_names_that_do_not_fit_are_refused(settled):
    _, int8 = settled
    with pytest.raises(ParameterError, match="no layer of this file"):
        int4_file.to_int4(int8, {"dense_7"})
    with pytest.raises(DataError, match="not int8"):
        int4_file.to_int4(int4_file.to_int4(int8))


@pytest.mark.parametrize(("name", "size"), [("tiny", 5146), ("small", 10306), ("medium", 23002)])
def test_the_small_networks_have_the_size_they_state(name, size):
    recipe = small_networks.RECIPES[name]
    assert sum(weight.size for weight in weights_of(recipe)) == size
