"""Networks, schedule, loop and checkpoints: equal to Keras, equal after a crash."""

import os
import signal
import threading
import time

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datahall.errors import DataError, ParameterError, ShapeError, UnitError
from datahall.training import checkpoint, core, loop

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.random((96, 28, 28, 1), dtype=np.float32)
LABELS = GENERATOR.integers(0, 10, 96)


def small(steps: int = 12, *, seed: int = 3, dropout: float = 0.0) -> keras.Model:
    """Return a tiny compiled network; equal seeds give equal networks."""
    keras.utils.set_random_seed(seed)
    parts = [keras.layers.Dropout(dropout, seed=1)] if dropout else []
    model = keras.Sequential(
        [keras.layers.Input(core.SHAPE), keras.layers.Flatten(), *parts, keras.layers.Dense(10)]
    )
    return core.prepare(model, steps)


def test_images_become_floats_without_changing_the_bytes():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    floats = core.as_floats(images)
    assert floats.dtype == np.float32 and floats.shape == (1, 16, 16, 1)
    assert np.array_equal(np.rint(floats[..., 0] * 255).astype(np.uint8), images)


@given(st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))))
def test_a_split_loses_nothing_and_shares_nothing(case):
    count, validation = case
    train, kept = core.split(count, validation=validation)
    assert len(kept) == validation and set(train).isdisjoint(kept)
    assert set(train) | set(kept) == set(range(count))


@given(st.integers(1, 50), st.integers(1, 20))
@settings(deadline=None)
def test_every_epoch_sees_every_example_once(examples, batch):
    steps = core.steps_per_epoch(examples, batch)
    for epoch in range(2):
        seen = [
            loop.batch_indices(epoch * steps + step, examples=examples, batch=batch)
            for step in range(steps)
        ]
        assert sorted(np.concatenate(seen)) == list(range(examples))


def test_epochs_and_seeds_have_orders_of_their_own():
    first = loop.batch_indices(0, examples=50, batch=50)
    assert not np.array_equal(first, loop.batch_indices(1, examples=50, batch=50))
    assert not np.array_equal(first, loop.batch_indices(0, examples=50, batch=50, seed=1))


def test_the_rate_rises_to_its_peak_and_falls_to_its_floor():
    rate = core.OneCycle(0.01, steps=40)
    rates = np.array([float(rate(step)) for step in range(41)])
    assert rates.argmax() in (9, 10) and rates.max() == pytest.approx(0.01)
    assert (np.diff(rates[:10]) > 0).all() and (np.diff(rates[10:]) <= 1e-9).all()
    assert rates[39] == pytest.approx(0.0001) == rates[40]


def test_the_rate_survives_saving(tmp_path):
    model = small()
    loop.train(model, IMAGES, LABELS, steps=5, batch=16)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert float(again.optimizer.learning_rate) == pytest.approx(
        float(model.optimizer.learning_rate)
    )


def test_the_loop_by_hand_makes_the_same_network_as_fit_does():
    by_hand, fitted = small(), small()
    loop.train(by_hand, IMAGES, LABELS, steps=12, batch=32)
    for step in range(12):
        chosen = loop.batch_indices(step, examples=96, batch=32)
        fitted.fit(IMAGES[chosen], LABELS[chosen], batch_size=32, shuffle=False, verbose=0)
    for mine, theirs in zip(by_hand.get_weights(), fitted.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("stop", [1, 4, 5, 11])
def test_a_resumed_training_has_the_digest_of_an_uninterrupted_one(tmp_path, stop, dropout):
    whole = small(dropout=dropout)
    loop.train(whole, IMAGES, LABELS, steps=12, batch=16)
    path = tmp_path / "checkpoint.npz"
    first = small(dropout=dropout)

    def crash(step: int, loss: float) -> None:
        if step == stop:
            raise MemoryError

    with pytest.raises(MemoryError):
        checkpoint.train(
            first, IMAGES, LABELS, path=path, steps=12, every=4, batch=16, after_step=crash
        )
    second = small(dropout=dropout)
    course = checkpoint.train(second, IMAGES, LABELS, path=path, steps=12, every=4, batch=16)
    assert course.start == stop // 4 * 4 and course.step == 12
    assert core.digest(second) == core.digest(whole)


def test_interrupt_stops_the_loop_between_two_steps_and_keeps_a_checkpoint(tmp_path):
    whole, part, rest = small(), small(), small()
    loop.train(whole, IMAGES, LABELS, steps=12, batch=16)
    path = tmp_path / "checkpoint.npz"

    def press(step: int, loss: float) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    course = checkpoint.train(
        part, IMAGES, LABELS, path=path, steps=12, every=100, batch=16, after_step=press
    )
    assert course.interrupted and course.step == 5
    again = checkpoint.train(rest, IMAGES, LABELS, path=path, steps=12, every=100, batch=16)
    assert again.start == 5 and core.digest(rest) == core.digest(whole)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_is_obeyed_at_once():
    with pytest.raises(KeyboardInterrupt), loop.DeferredInterrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        assert interrupt.requested
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)


def test_outside_the_main_thread_a_deferred_interrupt_leaves_the_signal_alone():
    seen = []

    def work() -> None:
        with loop.DeferredInterrupt() as interrupt:
            seen.append(interrupt.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_interrupt_ends_fit_and_keeps_a_checkpoint(tmp_path):
    model, path = small(), tmp_path / "checkpoint.npz"
    keeper = checkpoint.KeepOnInterrupt(path)
    press = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: (
            os.kill(os.getpid(), signal.SIGINT) if batch == 3 else None
        )
    )
    history = model.fit(
        IMAGES, LABELS, batch_size=16, epochs=5, verbose=0, callbacks=[press, keeper]
    )
    assert keeper.interrupted and len(history.epoch) == 1
    again = small()
    assert checkpoint.load(path, again) == 4
    assert core.digest(again) == core.digest(model)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_fit_left_alone_keeps_every_epoch(tmp_path):
    model, path = small(), tmp_path / "checkpoint.npz"
    keeper = checkpoint.KeepOnInterrupt(path)
    model.fit(IMAGES, LABELS, batch_size=16, epochs=2, verbose=0, callbacks=[keeper])
    assert not keeper.interrupted and checkpoint.load(path, small()) == 12


def test_a_checkpoint_leaves_no_other_file_behind(tmp_path):
    checkpoint.save(tmp_path / "checkpoint.npz", small(), step=1)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty", "remove"])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, harm):
    path = checkpoint.save(tmp_path / "checkpoint.npz", small(), step=1)
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[len(content) // 3] ^= 0xFF
    path.write_bytes({"truncate": content[:-500], "empty": b""}.get(harm, bytes(content)))
    if harm == "remove":
        path.unlink()
    with pytest.raises(DataError, match=r"checkpoint .*checkpoint\.npz cannot be read"):
        checkpoint.load(path, small())


def test_a_checkpoint_of_another_network_is_refused_by_shape(tmp_path):
    path = checkpoint.save(tmp_path / "checkpoint.npz", small(), step=1)
    other = core.prepare(core.travelling_network(), 12)
    with pytest.raises(ShapeError, match=r"number 0 of shape \(784, 10\) where .*\(5, 5, 1, 16\)"):
        checkpoint.load(path, other)


def test_the_networks_have_the_parameters_that_the_claims_need():
    counts = [
        core.travelling_network().count_params(),
        core.article_cnn().count_params(),
        core.article_cnn(dense=128, third=False).count_params(),
        core.dense_network(128).count_params(),
        core.dense_network(64).count_params(),
    ]
    assert counts == [106_122, 93_322, 225_034, 101_770, 50_890]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: core.as_floats(np.zeros((28, 28), np.uint8)), ShapeError, r"\(28, 28\)"),
        (lambda: core.as_floats(np.zeros((1, 28, 28))), UnitError, "hold float64"),
        (lambda: core.split(5, validation=5), ParameterError, "validation is 5 of 5"),
        (lambda: core.steps_per_epoch(0, 128), ParameterError, "0 examples in batches of 128"),
        (lambda: core.dense_network(0), ParameterError, "hidden is 0"),
        (lambda: core.OneCycle(0.1, 0), ParameterError, "steps is 0"),
        (lambda: loop.batch_indices(-1, examples=5, batch=2), ParameterError, "step is -1"),
        (lambda: loop.make_step(core.dense_network(2)), ParameterError, "has no optimizer"),
    ],
)
def test_a_call_without_meaning_is_refused_by_a_message(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_step_sees_the_same_batch_whatever_a_caller_did_with_it() -> None:
    batch = loop.batch_indices(0, examples=10, batch=4)
    before = batch.copy()
    batch.sort()
    batch[:] = 0
    np.testing.assert_array_equal(loop.batch_indices(0, examples=10, batch=4), before)


def test_a_checkpoint_of_more_than_a_thousand_arrays_comes_back_in_order(tmp_path) -> None:
    class Many:
        """A network of 1,005 scalars: what a checkpoint needs of one."""

        name = "many"

        class optimizer:  # noqa: N801 (stands where Keras has an object)
            variables: list = []  # noqa: RUF012
            build = staticmethod(lambda _variables: None)

        def __init__(self, values):
            self.variables = [keras.Variable(float(value)) for value in values]
            self.trainable_variables = self.variables

    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, Many(range(1005)), step=7)
    fresh = Many([0] * 1005)
    assert checkpoint.load(path, fresh) == 7
    assert [float(variable.numpy()) for variable in fresh.variables] == list(range(1005))
