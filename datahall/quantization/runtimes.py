"""One network, many ways to run it: accuracy, bytes and latency of each, measured in one go.

Reading order: `Way` (a file or a call that names digits), `keras_ways`, `litert_ways`, `onnx_ways`,
`openvino_ways`, and `measure`. ONNX Runtime and OpenVINO are the extra `runtimes`.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from datahall import extras
from datahall.errors import ShapeError
from datahall.quantization import litert
from datahall.quantization.core import Array
from datahall.units import KIB

if TYPE_CHECKING:
    import keras

BATCHES = (1, 256)
FAST = 10  # percentile of the runs of a round that counts: what disturbs only makes slower


@dataclass(frozen=True)
class Way:
    """A way to get a network's outputs.

    Attributes:
        name: Runtime, then format.
        size_bytes: Of the file that holds the network.
        run: What is timed; takes what `feed` returns, and returns (batch, classes).
        feed: Prepares float32 images, outside the timing.
        judged: Whether its accuracy is counted; not where it repeats another way's arithmetic.
    """

    name: str
    size_bytes: int
    run: Callable[[Any], Any]
    feed: Callable[[Array], Any] = lambda images: images
    judged: bool = True


def keras_ways(model: keras.Model) -> list[Way]:
    """Return `model.predict`, `model(x)` and a `tf.function` of it, on the same weights."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path, include_optimizer=False)
        size = path.stat().st_size
    compiled = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
    ways: dict[str, Callable[[Any], Any]] = {
        "model.predict": lambda images: model.predict(images, verbose=0),
        "model(x)": lambda images: model(images, training=False).numpy(),
        "tf.function": lambda images: compiled(images).numpy(),
    }
    made = []
    for name, run in ways.items():
        feed = tf.constant if name == "tf.function" else np.asarray
        made.append(Way(f"Keras {name}", size, run, feed, judged=name == "model.predict"))
    return made


def litert_ways(files: Mapping[str, bytes], *, threads: int) -> list[Way]:
    """Return a way for each `.tflite` file, on the default kernels.

    Args:
        files: Contents by variant.
        threads: Of one run.
    """
    ways = []
    for variant, content in files.items():
        runner = litert.Runner(content, threads=threads)
        ways.append(Way(f"LiteRT {variant}", len(content), runner.run, runner.codes))
    return ways


def onnx_files(model: keras.Model, calibration: Array, folder: Path) -> dict[str, Path]:
    """Write a model as ONNX, in float32 and in int8 (QDQ, a grid for each filter).

    Args:
        model: Takes float32 images.
        calibration: (images, height, width, channels), to measure ranges on.
        folder: Where the files go.

    Raises:
        CourseError: The extra `runtimes` is not installed.
    """
    extras.require("runtimes")
    from onnxruntime import quantization

    plain, small = folder / "float32.onnx", folder / "int8.onnx"
    with litert.quiet():
        model.export(plain, format="onnx", verbose=False)
        name = quantization.CalibrationDataReader

        class Reader(name):  # type: ignore[misc, valid-type]  # onnxruntime carries no types
            """Gives one calibration image after the other."""

            def __init__(self) -> None:
                self.rest = iter(calibration)

            def get_next(self) -> dict[str, Array] | None:
                """Return the next image, or None."""
                image = next(self.rest, None)
                return None if image is None else {input_name(plain): image[None]}

        quantization.quantize_static(plain, small, Reader(), per_channel=True)
    return {"float32": plain, "int8": small}


def input_name(path: Path) -> str:
    """Return the name of an ONNX file's only input."""
    import onnx

    return str(onnx.load(path).graph.input[0].name)


def onnx_ways(files: Mapping[str, Path], *, threads: int) -> list[Way]:
    """Return a way for each ONNX file, in ONNX Runtime on the CPU.

    Args:
        files: Paths by variant.
        threads: Of one operation.

    Raises:
        CourseError: The extra `runtimes` is not installed.
    """
    extras.require("runtimes")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    ways = []
    for variant, path in files.items():
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(images: Array, session: Any = session, name: str = input_name(path)) -> Array:
            return np.asarray(session.run(None, {name: images})[0])

        ways.append(Way(f"ONNX {variant}", path.stat().st_size, run))
    return ways


def openvino_ways(files: Mapping[str, Path], *, threads: int) -> list[Way]:
    """Return a way for each ONNX file, in OpenVINO on the CPU, with its defaults.

    Where the processor has bfloat16, OpenVINO computes float32 files in it.

    Args:
        files: Paths by variant.
        threads: Of one run.

    Raises:
        CourseError: The extra `runtimes` is not installed.
    """
    extras.require("runtimes")
    import openvino

    ways = []
    for variant, path in files.items():
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(path, "CPU", settings)
        _make_room_for_signals()
        request = compiled.create_infer_request()

        def run(images: Array, request: Any = request) -> Array:
            return np.asarray(request.infer([images], share_inputs=True)[0])

        ways.append(Way(f"OpenVINO {variant}", path.stat().st_size, run))
    return ways


class _SignalStack(ctypes.Structure):
    _fields_: ClassVar = [
        ("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t),
    ]  # fmt: skip


_room = ctypes.create_string_buffer(256 * KIB)


def _make_room_for_signals() -> None:
    """Give this thread a larger stack for signals than OpenVINO does.

    For processors with AMX it sets one of 11,568 bytes, which the registers alone can fill: then
    the interrupt of a notebook's cell, whose handler needs some too, ends the process.
    """
    if sys.platform == "linux":
        stack = _SignalStack(ctypes.addressof(_room), 0, len(_room))
        ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None)


def accuracy(way: Way, images: Array, labels: Array, *, batch: int = 250) -> float:
    """Return the share of images that a way names right.

    Args:
        way: The way.
        images: (batch, …), float32.
        labels: (batch,).
        batch: Images in one run.

    Raises:
        ShapeError: Images and labels differ in number, or there are none.
    """
    if len(images) != len(labels) or not len(labels):
        raise ShapeError(f"{len(images)} images, {len(labels)} labels. Expected as many, and some.")
    right = 0
    for start in range(0, len(images), batch):
        found = way.run(way.feed(images[start : start + batch]))
        right += int((np.argmax(found, axis=1) == labels[start : start + batch]).sum())
    return right / len(labels)


def latencies_s(
    ways: Sequence[Way], images: Array, *, rounds: int = 3, at_most_s: float = 0.3
) -> list[float]:
    """Return the seconds of one run of each way on the same images.

    Rounds go over all ways in turn, so that what disturbs the machine meets all alike. The figure
    is the 10th percentile of a round's runs, the least of all rounds.

    Args:
        ways: What to time.
        images: One batch, (batch, height, width, channels), float32.
        rounds: How often to go over the ways.
        at_most_s: Seconds of runs for a way in a round; at least 3 runs are timed.
    """
    fed = [way.feed(images) for way in ways]
    best = [float("inf")] * len(ways)
    for way, given in zip(ways, fed, strict=True):
        way.run(given)  # compiles, resizes, fills caches
    for _ in range(rounds):
        for place, (way, given) in enumerate(zip(ways, fed, strict=True)):
            runs: list[float] = []
            begin = time.perf_counter()
            while len(runs) < 3 or time.perf_counter() - begin < at_most_s:
                start = time.perf_counter()
                way.run(given)
                runs.append(time.perf_counter() - start)
            best[place] = min(best[place], float(np.percentile(runs, FAST)))
    return best


def measure(
    ways: Sequence[Way], images: Array, labels: Array, *, rounds: int = 3, at_most_s: float = 0.3
) -> list[dict[str, Any]]:
    """Return a row for each way: accuracy, bytes, latency at batch 1 and 256, throughput.

    Args:
        ways: What to measure.
        images: (images, height, width, channels), float32; all are counted, the first 256 timed.
        labels: Their digits, (images,).
        rounds: Rounds of timing.
        at_most_s: Seconds of runs for a way in a round.

    Raises:
        ShapeError: Images and labels differ in number, or there are none.
    """
    shares = {way.name: accuracy(way, images, labels) for way in ways if way.judged}
    one, many = (
        latencies_s(ways, images[:batch], rounds=rounds, at_most_s=at_most_s) for batch in BATCHES
    )
    count = len(images[: BATCHES[1]])
    rows: list[dict[str, Any]] = []
    for way, single, several in zip(ways, one, many, strict=True):
        like = next(name for name in shares if name.split()[0] == way.name.split()[0])
        rows.append(
            {
                "model": way.name,
                "accuracy": 100 * shares.get(way.name, shares[like]),
                "size_bytes": way.size_bytes,
                "latency_us": 1e6 * single,
                "latency_256_us": 1e6 * several,
                "images_per_s": count / several,
            }
        )
    return rows
