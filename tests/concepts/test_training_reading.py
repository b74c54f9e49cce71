"""Readings, figures, widgets and callbacks: the data they show, the words beside them."""

import json
import shutil
import subprocess
from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from datahall import plotting
from datahall.errors import ParameterError, ShapeError
from datahall.training import callbacks, core, figures, metrics, reading, widgets

GENERATOR = np.random.default_rng(1)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return core.travelling_network()


@pytest.fixture(scope="module")
def digits():
    images = np.zeros((3, 28, 28), np.uint8)
    images[0, 4:24, 13:16] = 255
    images[1, 5:8, 5:20] = 200
    images[2, 2:9, 2:9] = 90
    return images


@given(hnp.arrays(np.uint8, (9, 9), elements=st.sampled_from([0, 0, 0, 7, 255])))
def test_centring_moves_ink_to_the_middle_and_loses_none(image):
    moved = reading.centre(image)
    assert sorted(moved.ravel()) == sorted(image.ravel())
    if image.any():
        before, after = (np.array(ndimage.center_of_mass(part)) - 4 for part in (image, moved))
        assert (np.abs(after) <= np.maximum(np.abs(before), 0.5) + 1e-9).all()


def test_a_reading_is_what_the_network_itself_says(model, digits):
    seen = reading.Reader(model)(digits[0])
    logits = model(core.as_floats(digits[:1]), training=False)
    np.testing.assert_allclose(seen.probabilities, keras.ops.softmax(logits)[0], atol=1e-6)
    first = keras.Model(model.inputs[0], model.get_layer("conv_1").output)(
        core.as_floats(digits[:1])
    )
    np.testing.assert_allclose(seen.maps["conv_1"], np.moveaxis(first[0], -1, 0), atol=1e-5)
    assert {name: maps.shape for name, maps in seen.maps.items()} == {
        "conv_1": (16, 14, 14),
        "conv_2": (32, 7, 7),
    }


def test_a_mosaic_keeps_every_map_in_its_place():
    maps = np.arange(1, 7, dtype=np.float32).reshape(6, 1, 1) * np.ones((1, 2, 3), np.float32)
    maps[3] = 0
    picture = reading.mosaic(maps, columns=3)
    assert picture.shape == (5, 11)
    assert np.isnan(picture[2]).all() and np.isnan(picture[:, [3, 7]]).all()
    assert (picture[:2, :3] == 1).all() and (picture[3:, :3] == 0).all()


def test_the_confusion_figure_names_the_most_frequent_mistake():
    matrix = np.diag([5, 6, 7])
    matrix[2, 0] = 4
    words = plotting.description(figures.confusion(matrix))
    assert words == (
        "22 images, 4 of them read wrongly. The most frequent mistake: a 2 read as 0, 4 times."
    )


def test_the_curves_show_the_history_that_they_got():
    history = {
        "loss": [0.5, 0.2],
        "val_loss": [0.4, 0.3],
        "accuracy": [0.8, 0.95],
        "val_accuracy": [0.9, 0.93],
    }
    figure = figures.learning_curves(history)
    drawn = [line.get_ydata().tolist() for axis in figure.axes for line in axis.get_lines()]
    assert drawn == [history[k] for k in ("loss", "val_loss", "accuracy", "val_accuracy")]
    assert "from 0.400 to 0.300" in plotting.description(figure)


def test_the_roc_figure_draws_the_curves_and_says_their_areas():
    false_rate, true_rate, _ = metrics.roc_curve([True, False, True], [0.9, 0.4, 0.3])
    figure = figures.roc({"is it a 1?": (false_rate, true_rate)})
    assert figure.axes[0].get_lines()[0].get_ydata().tolist() == true_rate.tolist()
    assert "is it a 1?: area 0.5000" in plotting.description(figure)


def test_the_spread_of_seeds_carries_wilson_intervals():
    figure = figures.spread([0.98, 0.99], trials=1000)
    low, high = metrics.wilson_interval(980, 1000)
    assert figure.axes[0].get_lines()[0].get_xdata() == pytest.approx([low, high])
    assert "from 0.9800 to 0.9900" in plotting.description(figure)


def test_a_sheet_names_its_digits(digits):
    words = plotting.description(figures.sheet(digits, ["1", "7", "0"], columns=2))
    assert words == "3 digits, from the top left: 1; 7; 0."


def test_the_pad_reads_what_is_drawn_and_redraws_once_a_change(model, digits):
    panel = widgets.explore_drawing(model, digits)
    pad, before, text = panel.controls["drawing"], panel.draws, panel.text
    drawing = np.zeros((28, 28), np.uint8)
    drawing[10:18, 6:22] = 255
    pad.value = drawing.tobytes()  # what the browser sends
    assert panel.draws == before + 1 and panel.text != text
    assert np.array_equal(pad.image, drawing)
    seen = reading.Reader(model)(reading.centre(drawing))
    assert plotting.description(figures.reading(seen)) == panel.text


def test_the_pads_button_loads_one_digit_after_the_other(digits):
    pad = widgets.DrawingPad(digits)
    shown = [pad.image.copy()]
    for _ in range(3):
        pad._handle_custom_msg({"action": "load"}, [])
        shown.append(pad.image.copy())
    assert all(np.array_equal(shown[k], digits[k % 3]) for k in range(4))


def test_an_empty_pad_is_called_empty(model, digits):
    panel = widgets.explore_drawing(model, digits)
    panel.controls["drawing"].value = bytes(28 * 28)
    assert panel.text.startswith("The image is empty, and still the network says")
    panel.reset()
    assert "pixels carry ink" in panel.text


def test_the_pads_script_is_whole_and_asks_nothing_of_a_network():
    script = widgets.DrawingPad._esm
    text = script.read_text() if hasattr(script, "read_text") else str(script)
    assert "http" not in text and "import " not in text and "aria-label" in text
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; `apt-get install nodejs` lets the script be parsed")
    check = subprocess.run(
        [node, "--input-type=module", "--check"], input=text, text=True, capture_output=True
    )
    assert check.returncode == 0, check.stderr


def test_the_live_loss_recovers_the_loss_of_every_step():
    keras.utils.set_random_seed(0)
    model = core.prepare(core.dense_network(4), steps=6)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    images = GENERATOR.random((24, 28, 28, 1), dtype=np.float32)
    labels = GENERATOR.integers(0, 10, 24)
    live = widgets.LiveLoss(total=6)
    model.fit(images, labels, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[live])
    single = [model.test_on_batch(images[k : k + 8], labels[k : k + 8]) for k in (0, 8, 16)]
    assert live.losses == pytest.approx(
        [float(np.ravel(value)[0]) for value in single * 2], rel=1e-4
    )


def test_shift_equals_scipy(digits):
    for down, right in [(0, 0), (3, -2), (-5, 1), (30, 0)]:
        theirs = ndimage.shift(digits, (0, down, right), order=0, cval=0)
        assert np.array_equal(callbacks.shift(digits, down, right), theirs)


def test_stop_early_does_what_keras_does():
    images = GENERATOR.random((64, 28, 28, 1), dtype=np.float32)
    labels = GENERATOR.integers(0, 10, 64)  # noise: validation must get worse

    def run(callback: keras.callbacks.Callback) -> tuple[int, str]:
        keras.utils.set_random_seed(5)
        model = core.dense_network(32)
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        history = model.fit(
            images[:32],
            labels[:32],
            validation_data=(images[32:], labels[32:]),
            epochs=30,
            batch_size=8,
            verbose=0,
            callbacks=[callback],
        )
        return len(history.epoch), core.digest(model)

    ours = run(callbacks.StopEarly(patience=3))
    theirs = run(keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True))
    assert ours == theirs and ours[0] < 30


def solution_of_03_5():
    """The answer of exercise 03.5 as the solution notebook has it."""
    notebook = nbformat.read(ROOT / "solutions" / "03_training_solution.ipynb", 4)
    source = next(cell.source for cell in notebook.cells if cell.id == "exercise-03-5")
    names = {"keras": keras}
    exec(source, names)  # noqa: S102 (our own solution)
    return names["StopEarly"]


@pytest.mark.parametrize("kind", [callbacks.StopEarly, solution_of_03_5()])
def test_a_loss_that_is_no_number_stops_training_and_leaves_the_last_weights(kind):
    model, stop = core.dense_network(2), kind(patience=2)
    model.stop_training = False
    stop.set_model(model)
    before = model.get_weights()
    for epoch in range(2):
        assert not model.stop_training
        stop.on_epoch_end(epoch, {"val_loss": float("nan")})
    assert model.stop_training
    stop.on_train_end()
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("kind", [callbacks.StopEarly, solution_of_03_5()])
def test_a_stop_that_another_callback_asked_for_stays(kind):
    model, stop = core.dense_network(2), kind(patience=3)
    stop.set_model(model)
    for loss in (1.0, 2.0):  # a new best, then none
        model.stop_training = True
        stop.on_epoch_end(0, {"val_loss": loss})
        assert model.stop_training


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: reading.centre(np.zeros(3, np.uint8)), ShapeError, r"shape \(3,\)"),
        (lambda: reading.mosaic(np.ones((5, 1, 1), np.float32), 2), ShapeError, "5 maps do not"),
        (lambda: callbacks.StopEarly(0), ParameterError, "patience is 0"),
    ],
)
def test_a_call_without_meaning_is_refused_by_a_message(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_descriptions_can_travel_as_json(model, digits):
    words = plotting.description(figures.reading(reading.Reader(model)(digits[1])))
    assert json.loads(json.dumps(words)) == words
