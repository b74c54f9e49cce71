"""The fast recipe: equal to Keras step by step, honest about its images, free of Keras."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from datahall import datasets
from datahall.datasets.mnist import Split
from datahall.errors import CourseError, ParameterError, ShapeError
from datahall.training import fast, fast_figures, ladder, race
from datahall.training.recipe import (
    ARTICLE,
    QUICK,
    TO_98,
    TO_99,
    Conv,
    Dense,
    Pool,
    Recipe,
    one_cycle,
    operations,
    order,
    shifts,
    weights_of,
)

pytestmark = pytest.mark.processes

EXACT = replace(TO_98, compute="float32", steps=12, halves=1)
TRAVELLING = (Conv(16, 5, 2), Conv(32, 3, 2), Dense(64), Dense(10))


@pytest.fixture(scope="module")
def train() -> Split:
    return datasets.load("mnist").train


@pytest.fixture(scope="module")
def short(train: Split) -> fast.Trained:
    return fast.train(train.images[:2000], train.labels[:2000], EXACT, seed=3)


def keras_twin(recipe: Recipe, train: Split, seed: int, count: int) -> list[np.ndarray]:
    """Train the same steps with Keras' own layers, loss, optimizer and `train_on_batch`."""
    import keras

    from datahall.training import core

    network = fast.as_keras(recipe)
    vector = fast.first_weights(recipe, seed=seed)
    network.set_weights(fast.Trained(recipe, vector, 0, 0).weights())
    adam = keras.optimizers.AdamW(
        core.OneCycle(recipe.peak_rate, recipe.steps, warmup=recipe.warmup, floor=0.0),
        weight_decay=recipe.weight_decay,
        beta_1=recipe.beta_1,
        beta_2=recipe.beta_2,
    )
    adam.exclude_from_weight_decay(var_names=["bias"])
    loss = keras.losses.CategoricalCrossentropy(True, label_smoothing=recipe.smoothing)
    network.compile(adam, loss)
    images = core.as_floats(fast.cropped(train.images[:count], recipe.crop))
    wanted = keras.utils.to_categorical(train.labels[:count], 10)
    for places in order(count, recipe, seed=seed):
        network.train_on_batch(images[places], wanted[places])
    return network.get_weights()


def test_twelve_steps_of_the_loop_equal_twelve_steps_of_keras(train, short):
    twin = keras_twin(EXACT, train, seed=3, count=2000)
    moved = short.vector - fast.first_weights(EXACT, seed=3)
    assert np.abs(moved).max() > 0.01
    for own, other in zip(short.weights(), twin, strict=True):
        np.testing.assert_allclose(own, other, atol=2e-4)


def test_one_step_equals_keras_to_a_thousandth_of_the_step(train):
    recipe = replace(EXACT, steps=1, warmup=0.5, peak_rate=0.001)
    own = fast.train(train.images[:256], train.labels[:256], recipe, seed=1)
    twin = np.concatenate([w.ravel() for w in keras_twin(recipe, train, seed=1, count=256)])
    step = np.abs(twin - fast.first_weights(recipe, seed=1)).max()
    assert np.mean(np.abs(own.vector - twin) < 1e-3 * step) > 0.999


def test_two_halves_give_the_gradient_of_the_whole_batch(train, short):
    halves = fast.train(train.images[:2000], train.labels[:2000], replace(EXACT, halves=2), seed=3)
    np.testing.assert_allclose(halves.vector, short.vector, atol=1e-3)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(train):
    recipe = replace(TO_99, steps=6)
    first, again, other = (
        fast.train(train.images[:1000], train.labels[:1000], recipe, seed=seed).vector
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_reporting_progress_does_not_change_the_weights(train, short):
    seen: list[int] = []
    told = fast.train(train.images[:2000], train.labels[:2000], EXACT, seed=3, progress=seen.append)
    assert seen[-1] == EXACT.steps and seen == sorted(seen)
    np.testing.assert_array_equal(told.vector, short.vector)


def test_the_network_handed_to_keras_gives_the_same_classes(train, short):
    from datahall.training import core

    images = train.images[2000:2300]
    network = short.to_keras()
    outputs = network.predict(core.as_floats(fast.cropped(images, EXACT.crop)), verbose=0)
    assert np.mean(outputs.argmax(axis=1) == short.predict(images)) == 1


@pytest.mark.parametrize("layers", [ARTICLE, TRAVELLING])
def test_a_network_of_the_recipe_is_the_network_of_the_course(layers):
    from datahall.training import core

    built = fast.as_keras(replace(EXACT, layers=layers, crop=0))
    same = core.article_cnn() if layers is ARTICLE else core.travelling_network()
    assert [w.shape for w in built.get_weights()] == [w.shape for w in same.get_weights()]
    same.set_weights(built.get_weights())
    images = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    ours, theirs = (net.predict(images, verbose=0) for net in (built, same))
    if layers is ARTICLE:  # ours are logits, the article's probabilities
        ours = np.exp(ours) / np.exp(ours).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_short_training_in_bfloat16_learns_most_digits(train):
    recipe = replace(TO_98, steps=60)
    trained = fast.train(train.images[:6000], train.labels[:6000], recipe, seed=0)
    assert trained.accuracy(train.images[50_000:51_000], train.labels[50_000:51_000]) > 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "accuracy"), [(TO_98, 0.983), (TO_99, 0.990)])
def test_every_one_of_five_seeds_reaches_its_accuracy_on_the_validation_images(recipe, accuracy):
    races = race.run("loop", recipe, seeds=range(5), threads=1, validation=True)
    assert min(each.end.accuracy for each in races) >= accuracy


def test_the_rate_is_the_one_cycle_of_the_course():
    from datahall.training import core

    recipe = replace(TO_98, steps=50)
    theirs = core.OneCycle(recipe.peak_rate, 50, warmup=recipe.warmup, floor=0.0)
    expected = [float(theirs(step)) for step in range(50)]
    np.testing.assert_allclose(one_cycle(recipe), expected, rtol=1e-5, atol=1e-7)


def test_a_recipe_without_warm_up_keeps_its_rate():
    rates = one_cycle(replace(TO_98, steps=5, warmup=0.0))
    np.testing.assert_allclose(rates, [TO_98.peak_rate] * 5)


def test_every_epoch_takes_each_image_once_and_in_another_order():
    places = order(10, replace(TO_98, steps=10, batch=2), seed=0).reshape(2, 10)
    assert [sorted(epoch) for epoch in places.tolist()] == [list(range(10))] * 2
    assert places[0].tolist() != places[1].tolist()


def test_an_image_moves_by_at_most_the_jitter_both_ways():
    corners = shifts(replace(TO_99, steps=200), seed=0)
    assert corners.shape == (200, 2, 2)
    assert set(np.unique(corners).tolist()) == {0, 1, 2}


def test_operations_of_a_step_are_those_counted_by_hand():
    # forward: 10·10 places × 36 × 16, 5·5 places × 144 × 32, 800 × 64, 64 × 10
    first, rest = 57_600, 115_200 + 51_200 + 640
    assert operations(TO_98) == 2 * 128 * (2 * first + 3 * rest)


def test_a_small_network_shrinks_as_keras_says():
    recipe = replace(TO_98, layers=(Conv(3, 3, 2), Pool(), Conv(4, 3, 2, "valid"), Dense(10)))
    shapes = [weight.shape for weight in weights_of(recipe)]
    assert shapes == [w.shape for w in fast.as_keras(recipe).get_weights()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, r"steps is 0, .* at least 1"),
        ({"batch": 127}, r"batch 127, halves 2\. .* halves divide"),
        ({"crop": 14}, r"crop is 14"),
        ({"crop": 1, "jitter": 2}, r"crop is 1, jitter 2\. .* within it"),
        ({"smoothing": 1.0}, r"smoothing is 1\.0|smoothing 1\.0"),
        ({"compute": "int8"}, r"compute is 'int8'.* float32, bfloat16 or float16"),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        replace(TO_98, **change)


def test_a_network_that_shrinks_to_nothing_is_refused():
    with pytest.raises(ShapeError, match=r"leaves no pixel of an image cropped by 2"):
        weights_of(replace(TO_98, layers=(*QUICK[:2], Pool(8), Dense(10))))


def test_images_and_labels_that_do_not_fit_are_refused(train):
    images, labels = train.images[:4], train.labels[:4]
    with pytest.raises(ShapeError, match=r"labels have shape \(3,\), there are 4 images"):
        fast.train(images, labels[:3], EXACT)
    with pytest.raises(ShapeError, match=r"uint8 of shape \(batch, 28, 28\)"):
        fast.train(images / 255, labels, EXACT)
    with pytest.raises(ParameterError, match=r"labels go from 5 to 10.* 0 to 9"):
        fast.train(images, labels + 5, EXACT)


def test_the_fast_path_imports_no_keras_and_keras_works_afterwards():
    program = """
import json, sys
from datahall.training import fast, race, recipe
tf = fast.tensorflow()
heavy = [name for name in ("keras", "sklearn", "pandas", "matplotlib") if name in sys.modules]
import keras
network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
same = tf.keras.layers.Dense is keras.layers.Dense
print(json.dumps([heavy, network.count_params(), same]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [[], 3, True]


def test_a_race_tells_accuracy_and_clocks_of_every_lap():
    tiny = replace(TO_98, steps=2)
    first, second = race.run("loop", tiny, seeds=(0, 1), threads=1, validation=True)
    assert (first.seed, second.seed) == (0, 1)
    lap = first.end
    assert 0 < lap.accuracy < 0.9
    assert 0 < lap.train_s < lap.cold_s and 0 < lap.train_cpu_s < lap.cold_cpu_s
    assert first.first_at(0.99) is None and first.first_at(0.0) is lap


def test_a_race_is_judged_on_the_validation_images_when_asked_to(train):
    recipe = replace(TO_98, steps=5)
    (lone,) = race.run("loop", recipe, threads=1, validation=True)
    twin = fast.train(train.images[:50_000], train.labels[:50_000], recipe, seed=0)
    test = datasets.load("mnist").test
    on_held = twin.accuracy(train.images[50_000:], train.labels[50_000:])
    assert abs(on_held - twin.accuracy(test.images, test.labels)) > 0.01  # the two can be told
    assert abs(lone.end.accuracy - on_held) < 0.005


def test_validation_images_are_no_training_images_and_no_test_images(train):
    test = datasets.load("mnist").test
    images, labels, judged, truth = race._data(True, None, None)
    assert len(images) == 50_000 and len(judged) == race.VALIDATION == 10_000
    np.testing.assert_array_equal(np.concatenate([images, judged]), train.images)
    np.testing.assert_array_equal(np.concatenate([labels, truth]), train.labels)
    images, labels, judged, truth = race._data(False, 7, 5)
    np.testing.assert_array_equal(images, train.images[:7])
    np.testing.assert_array_equal(labels, train.labels[:7])
    np.testing.assert_array_equal(judged, test.images[:5])
    np.testing.assert_array_equal(truth, test.labels[:5])


def test_weight_decay_shrinks_kernels_and_leaves_biases():
    recipe = replace(EXACT, weight_decay=0.5)
    shapes = weights_of(recipe)
    size = sum(weight.size for weight in shapes)
    state, tf = fast._Adam(np.ones(size, np.float32), recipe), fast.tensorflow()
    state.update(tf.zeros(size), tf.constant(0.1), tf.constant(1.0))
    parts = fast.Trained(recipe, state.weights.numpy(), 0, 0).weights()
    for weight, part in zip(shapes, parts, strict=True):
        np.testing.assert_allclose(part, 0.95 if weight.fan_in else 1.0, rtol=1e-6)


def test_the_clock_of_training_stands_while_a_network_is_judged(train, monkeypatch):
    import keras

    judge_s, evaluate = 1.0, keras.Model.evaluate

    def slowly(*given, **options):
        time.sleep(judge_s)
        return evaluate(*given, **options)

    monkeypatch.setattr(keras.Model, "evaluate", slowly)
    few = (train.images[:128], train.labels[:128], train.images[:64], train.labels[:64])
    begin = time.perf_counter()
    laps = race._article({"epochs": 2, "spawned": time.time()}, None, 0, few)
    assert len(laps) == 2
    assert laps[0].train_s < laps[1].train_s < time.perf_counter() - begin - 2 * judge_s


def test_a_race_has_the_threads_asked_for_and_no_settings_of_whoever_started_it(monkeypatch):
    for name in ("TF_DETERMINISTIC_OPS", "TF_NUM_INTRAOP_THREADS", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, "7")
    assert race._environment(1)["TF_NUM_INTRAOP_THREADS"] == "1"
    given = race._environment(None)
    assert not {"TF_DETERMINISTIC_OPS", "TF_NUM_INTRAOP_THREADS"} & given.keys()
    assert "PYTHONDONTWRITEBYTECODE" not in given


def test_the_recipe_by_keras_fit_reports_a_lap_too():
    (lone,) = race.run("fit", replace(TO_98, steps=2), validation=True)
    assert lone.program == "fit" and len(lone.laps) == 1


def test_an_unknown_program_and_a_failing_one_are_told_apart():
    with pytest.raises(ParameterError, match=r"'swim'.* article, fit, loop"):
        race.run("swim")
    with pytest.raises(ParameterError, match=r"program is 'loop' with 0 recipes"):
        race.run("loop")
    with pytest.raises(CourseError, match=r"exit code 1; its last words: .*ShapeError"):
        race.run("loop", replace(TO_98, layers=(Pool(32), Dense(10))))


def test_a_line_through_two_trainings_parts_the_set_up_from_the_step():
    laps = (race.Lap(0.0, 1.5, 2.0, 9, 9), race.Lap(0.0, 3.5, 6.0, 9, 9))
    found = ladder.line(10, laps[0], 50, laps[1])
    assert (found.setup_s, found.step_s, found.step_cpu_s) == pytest.approx((1.0, 0.05, 0.1))
    assert found.after(100) == pytest.approx(6.0)
    with pytest.raises(ParameterError, match=r"few is 50, many is 10"):
        ladder.line(50, laps[0], 10, laps[1])


def test_the_ladder_ends_at_the_recipe_and_begins_at_the_work_of_c03():
    assert ladder.LADDER[-1].recipe == ladder.ABLATION[0].recipe == TO_98
    first = ladder.LADDER[0].recipe
    assert (first.layers, first.batch, first.steps) == (ARTICLE, 64, 5 * -(-60_000 // 64))


def test_every_row_of_the_ablation_leaves_out_one_thing_only():
    for row in ladder.ABLATION[1:]:
        changed = {
            name for name, value in vars(TO_98).items() if getattr(row.recipe, name) != value
        }
        changed -= {"beta_2"} if "beta_1" in changed else set()
        assert len(changed) == (row.program == "loop"), row.idea


def test_rungs_that_share_a_process_are_told_apart():
    found = ladder.train(ladder.ABLATION[9:], seeds=(0, 1), share=0.03)
    assert [[each.seed for each in races] for races in found] == [[0, 1], [0, 1]]
    assert found[0][0].end.accuracy != found[1][0].end.accuracy


def test_the_picture_of_the_ladder_says_what_it_shows():
    figure = fast_figures.ladder(["as printed", "fewer steps"], [50.0, 2.0], floor_s=0.5)
    assert not figure.axes[0].patches  # no bars: a logarithmic axis has no zero
    dots = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert dots.get_xdata().tolist() == [50.0, 2.0]
    from datahall import plotting

    assert "50 s to 2 s in 1 idea, 25 times less" in plotting.description(figure)
    with pytest.raises(ShapeError, match=r"1 ideas and 2 times"):
        fast_figures.ladder(["one"], [1.0, 2.0], floor_s=0.5)
