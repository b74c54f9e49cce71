"""Ways to run a network: the same digits, the right bytes, honest clocks."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from datahall import extras
from datahall.errors import CourseError, ShapeError
from datahall.quantization import litert, runtimes
from datahall.quantization.runtimes import Way
from datahall.units import KIB


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(10, name="logits"),
        ],
        name="net",
    )


IMAGES = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)


def test_ways_of_float32_name_the_same_digits(model: keras.Model):
    wanted = model.predict(IMAGES, verbose=0)
    files = {"float32": litert.convert(model, "float32")}
    ways = [*runtimes.keras_ways(model), *runtimes.litert_ways(files, threads=1)]
    for way in ways:
        assert way.run(way.feed(IMAGES)) == pytest.approx(wanted, abs=1e-5), way.name
        assert runtimes.accuracy(way, IMAGES, wanted.argmax(axis=1), batch=7) == 1
    assert ways[-1].size_bytes == len(files["float32"])


def test_rows_hold_what_was_measured(model: keras.Model):
    labels = model.predict(IMAGES, verbose=0).argmax(axis=1)
    labels[:10] = (labels[:10] + 1) % 10
    rows = runtimes.measure(runtimes.keras_ways(model), IMAGES, labels, rounds=1, at_most_s=0.01)
    assert [row["model"] for row in rows] == [
        "Keras model.predict", "Keras model(x)", "Keras tf.function",
    ]  # fmt: skip
    for row in rows:
        assert row["accuracy"] == 75
        assert row["images_per_s"] == pytest.approx(40 / (row["latency_256_us"] / 1e6))
        assert row["latency_us"] > 0


def test_the_clock_sees_one_run_of_what_was_fed():
    seen = []
    slow = Way("slow", 0, lambda fed: time.sleep(0.02), lambda images: seen.append(1) or images)
    fast = Way("fast", 0, lambda fed: time.sleep(0.001))
    found = runtimes.latencies_s([slow, fast], IMAGES, rounds=2, at_most_s=0)
    assert 0.02 <= found[0] < 0.2 and found[1] >= 0.001
    assert seen == [1]


@pytest.mark.parametrize("labels", [np.zeros(3, int), np.zeros(0, int)])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(ShapeError, match="Expected as many"):
        runtimes.accuracy(Way("any", 0, lambda fed: fed), IMAGES, labels)


@pytest.mark.skipif(bool(extras.lacking("runtimes")), reason=extras.advice("runtimes"))
def test_other_runtimes_name_the_same_digits(model: keras.Model, tmp_path: Path):
    wanted = model.predict(IMAGES, verbose=0)
    files = runtimes.onnx_files(model, IMAGES, tmp_path)
    ways = runtimes.onnx_ways(files, threads=1) + runtimes.openvino_ways(files, threads=1)
    assert [way.name for way in ways] == [
        "ONNX float32", "ONNX int8", "OpenVINO float32", "OpenVINO int8",
    ]  # fmt: skip
    for way in ways:
        share = {"ONNX float32": 1e-4, "OpenVINO float32": 0.02}.get(
            way.name, 0.1
        )  # 0.02: bfloat16
        tolerance = share * float(np.abs(wanted).max())
        assert way.run(IMAGES) == pytest.approx(wanted, abs=tolerance), way.name
        assert way.size_bytes == files[way.name.split()[1]].stat().st_size


@pytest.mark.skipif(bool(extras.lacking("runtimes")), reason=extras.advice("runtimes"))
@pytest.mark.skipif(sys.platform != "linux", reason="stacks for signals are set on Linux only")
def test_an_interrupt_after_openvino_finds_room_on_its_stack(model: keras.Model, tmp_path: Path):
    files = runtimes.onnx_files(model, IMAGES, tmp_path)
    for way in runtimes.openvino_ways(files, threads=1):
        way.run(IMAGES)
    now = runtimes._SignalStack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(now))
    assert now.size >= 64 * KIB
    reached: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: reached.append(number))
    try:
        os.kill(os.getpid(), signal.SIGINT)
        assert reached == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch, tmp_path: Path):
    monkeypatch.setitem(extras.MODULES, "runtimes", ("no_such_module",))
    for call in (
        lambda: runtimes.onnx_files(None, IMAGES, tmp_path),
        lambda: runtimes.onnx_ways({}, threads=1),
        lambda: runtimes.openvino_ways({}, threads=1),
    ):
        with pytest.raises(CourseError, match='make setup EXTRAS="runtimes"'):
            call()
