"""Searches and number formats: what is tried, what is kept, what is measured."""

import time

import keras
import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.training import core, loop, precision, search

GENERATOR = np.random.default_rng(2)
LABELS = GENERATOR.integers(0, 10, 120)
IMAGES = np.zeros((120, 28, 28, 1), np.float32)
IMAGES[np.arange(120), LABELS, 3:9, 0] = 1.0  # the row of a bar tells the class


def test_a_grid_holds_every_pair_once():
    settings = search.grid_settings(6)
    pairs = {(setting["rate"], setting["hidden"]) for setting in settings}
    assert len(settings) == len(pairs) == 6
    assert len({rate for rate, _ in pairs}) == 3 and {hidden for _, hidden in pairs} == {32, 128}


def test_random_draws_are_repeatable_and_try_more_rates_than_a_grid():
    settings = search.random_settings(6, seed=4)
    assert settings == search.random_settings(6, seed=4) != search.random_settings(6, seed=5)
    assert len({setting["rate"] for setting in settings}) == 6
    assert all(32 <= setting["hidden"] <= 128 for setting in settings)


def test_a_search_keeps_the_trial_that_validates_best():
    training, validation = (IMAGES[:90], LABELS[:90]), (IMAGES[90:], LABELS[90:])
    settings = [{"rate": 1e-7, "hidden": 32}, {"rate": 0.01, "hidden": 32}]
    trials = search.run(settings, training, validation, epochs=8, batch=10)
    assert search.best(trials).setting == settings[1]
    assert trials[1].validation_accuracy > 0.9 > trials[0].validation_accuracy
    found = search.accuracy(trials[1].model, *validation)
    assert found == trials[1].validation_accuracy
    assert all(trial.seconds > 0 for trial in trials)


def test_what_is_kept_is_judged_on_the_validation_images_not_on_the_training_images():
    settings = [{"rate": 1e-7, "hidden": 32}, {"rate": 0.01, "hidden": 32}]
    training, options = (IMAGES[:90], LABELS[:90]), {"epochs": 8, "batch": 10}
    (idle,) = search.run(settings[:1], training, (IMAGES[90:], LABELS[90:]), **options)
    as_idle = np.asarray(idle.model(IMAGES[90:])).argmax(axis=1)  # right is who has learned nothing
    trials = search.run(settings, training, (IMAGES[90:], as_idle), **options)
    learned = [search.accuracy(trial.model, *training) for trial in trials]
    assert learned[0] < 0.5 and learned[1] > 0.9
    assert trials[0].validation_accuracy == 1 and trials[1].validation_accuracy < 0.5
    kept = search.best([trials[1], trials[0]])
    assert kept.validation_accuracy == max(trial.validation_accuracy for trial in trials)
    assert kept.setting == settings[0]


def test_a_loss_named_by_a_string_trains_as_its_class_does():
    digests = []
    for loss in ("sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy()):
        keras.utils.set_random_seed(1)
        model = core.dense_network(8)
        model.compile(keras.optimizers.SGD(0.1), loss)
        loop.train(model, IMAGES, LABELS, steps=6, batch=20)
        digests.append(model.get_weights())
    for one, other in zip(*digests, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_half_the_bits_halve_the_outputs_and_not_the_weights():
    full = precision.kept_bytes("float32", batch=2)
    half = precision.kept_bytes("mixed_bfloat16", batch=2)
    assert full["weights"] == half["weights"] == 4 * 93_322
    assert half["activations"] * 2 == full["activations"]


def test_a_policy_is_put_back_even_after_a_failure():
    before = keras.config.dtype_policy().name
    with pytest.raises(KeyError), precision.policy("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise KeyError
    assert keras.config.dtype_policy().name == before


def test_every_policy_is_timed_and_larger_batches_take_longer():
    names, begin = ("float32", "mixed_bfloat16"), time.perf_counter()
    small, large = (precision.compare(names, batch=batch, rounds=2) for batch in (2, 256))
    elapsed = time.perf_counter() - begin
    assert set(small) == set(large) == set(names)
    assert all(large[name] > 3 * small[name] > 0 for name in names)
    assert 2 * sum([*small.values(), *large.values()]) < elapsed  # two rounds each, in seconds


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: search.grid_settings(5), "trials is 5"),
        (lambda: precision.kept_bytes("float8"), "the policy is 'float8'"),
    ],
)
def test_a_call_without_meaning_is_refused_by_a_message(call, words):
    with pytest.raises(ParameterError, match=words):
        call()
