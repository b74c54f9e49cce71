"""Accuracy, bytes, latency and memory of one network in every runtime, measured in one run.

The network of claim C03 (93,322 parameters), trained here once, or with --network travelling the
one that travels through the course. Ways: Keras (model.predict, model(x), tf.function), LiteRT
(float32, float16, dynamic, int8, int8 in and out), ONNX Runtime and OpenVINO (float32, int8).
Rounds go over all ways in turn; a figure is the 10th percentile of a round's runs, the least of all
rounds. Peak memory is that of a process of its own that loads the runtime and the file and runs
256 images (Linux only); what Python and NumPy take is in it.

Goals, one image, int8 in LiteRT against: tf.function at least 20 times, model(x) 150 times,
model.predict 1,000 times, the best of ONNX Runtime and OpenVINO 2 times. int8 at most 0.30 of the
float32 file, within 0.1 point on 10,000 images.

ONNX Runtime and OpenVINO are an extra: make setup EXTRAS="runtimes"
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import finish, options, record, say, table

from datahall import extras, runtime

CODE = ["quantization/runtimes.py", "quantization/litert.py", "training/core.py"]
GOALS = {"tf.function": 20.0, "model(x)": 150.0, "model.predict": 1000.0, "other runtimes": 2.0}
SHARE_GOAL, LOST_GOAL = 0.30, 0.1
OTHERS = ("ONNX", "OpenVINO")
MEMORY = """
import sys
from pathlib import Path
import numpy as np
kind, path, threads, side = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
images = np.zeros((256, side, side, 1), np.float32)
if kind == "LiteRT":
    from datahall.quantization import litert
    runner = litert.Runner(path, threads=threads)
    runner.run(runner.codes(images))
elif kind in ("ONNX", "OpenVINO"):
    from datahall.quantization import runtimes
    make = runtimes.onnx_ways if kind == "ONNX" else runtimes.openvino_ways
    make({"": path}, threads=threads)[0].run(images)
else:
    import keras
    model = keras.saving.load_model(path, compile=False)
    model.predict(images, batch_size=256, verbose=0)
status = Path("/proc/self/status").read_text()  # getrusage's peak is the parent's, after a fork
print(1024 * int(status.split("VmHWM:")[1].split()[0]))
"""


def network(which: str) -> tuple[Any, Any, Any]:
    """Return a trained network, and the training and test part of its data."""
    from datahall import artifact, datasets
    from datahall.training import core, stand_in

    mnist = datasets.load("mnist")
    if which == "travelling":
        return artifact.load(stand_in.stand_in()), mnist.train, mnist.test
    say("training the network of claim C03, two epochs")
    model = core.article_cnn()
    model.compile("adam", "sparse_categorical_crossentropy")
    images = core.as_floats(mnist.train.images)
    model.fit(images, mnist.train.labels, batch_size=64, epochs=2, verbose=0)
    return model, mnist.train, mnist.test


def peak_memory(kind: str, path: Path, threads: int, side: int) -> int:
    """Return the peak memory of a process that runs a file, in bytes."""
    command = [sys.executable, "-c", MEMORY, kind, str(path), str(threads), str(side)]
    done = subprocess.run(  # noqa: S603 (our own interpreter)
        command, capture_output=True, text=True, check=True, timeout=300
    )
    return int(done.stdout.split()[-1])


def measured(given: Any, folder: Path) -> list[dict[str, Any]]:
    """Return a row for each way."""
    from datahall.quantization import litert, runtimes
    from datahall.training import core

    model, train, test = network(given.network)
    sample = core.as_floats(train.images[: given.calibration])
    say("converting")
    files = {variant: litert.convert(model, variant, sample) for variant in litert.VARIANTS}
    places = {"Keras": folder / "model.keras"}
    model.save(places["Keras"])
    for variant, content in files.items():
        places[f"LiteRT {variant}"] = folder / f"{variant}.tflite"
        places[f"LiteRT {variant}"].write_bytes(content)
    ways = runtimes.keras_ways(model) + runtimes.litert_ways(files, threads=given.threads)
    if not extras.lacking("runtimes"):
        onnx = runtimes.onnx_files(model, sample, folder)
        ways += runtimes.onnx_ways(onnx, threads=given.threads)
        ways += runtimes.openvino_ways(onnx, threads=given.threads)
        places |= {f"{kind} {variant}": path for kind in OTHERS for variant, path in onnx.items()}
    say(f"measuring {len(ways)} ways, {given.rounds} rounds")
    images = core.as_floats(test.images[: given.images])
    labels = test.labels[: given.images]
    rows = runtimes.measure(ways, images, labels, rounds=given.rounds, at_most_s=given.seconds)
    for row in rows:
        kind = str(row["model"]).split()[0]
        path = places.get(row["model"], places["Keras"])
        row["peak_memory_bytes"] = peak_memory(kind, path, given.threads, images.shape[1])
    return rows


def ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return how many times longer one image takes elsewhere than in the best int8 LiteRT file."""
    took = {row["model"]: row["latency_us"] for row in rows}
    best = min(took["LiteRT int8"], took["LiteRT int8 in and out"])
    found = {name: took[f"Keras {name}"] / best for name in GOALS if f"Keras {name}" in took}
    others = [value for name, value in took.items() if name.startswith(OTHERS)]
    return found | ({"other runtimes": min(others) / best} if others else {})


def text(values: dict[str, Any]) -> str:
    """Return the tables for a person."""
    head = ["way", "accuracy, %", "kB", "1 image, µs", "256 images, µs", "images/s", "memory, MB"]
    lines = [
        (
            row["model"], f"{row['accuracy']:.2f}", f"{row['size_bytes'] / 1e3:.1f}",
            f"{row['latency_us']:.1f}", f"{row['latency_256_us']:.0f}",
            f"{row['images_per_s']:,.0f}", f"{row['peak_memory_bytes'] / 1e6:.0f}",
        )
        for row in values["rows"]
    ]  # fmt: skip
    goals = [
        (f"one image, {name} / int8 in LiteRT", f"{found:.1f}", f"≥ {GOALS[name]:g}")
        for name, found in values["ratios"].items()
    ]
    goals += [
        ("int8 file / float32 file", f"{values['share']:.3f}", f"≤ {SHARE_GOAL}"),
        ("points lost", f"{values['lost']:.2f}", f"≤ {LOST_GOAL}"),
    ]
    note = f"{values['network']}, {values['threads']} threads of LiteRT and the other runtimes, "
    note += f"{values['keras_threads']} of TensorFlow, load {os.getloadavg()[0]:.1f}"
    advice = "" if not extras.lacking("runtimes") else "\n" + extras.advice("runtimes")
    return "\n\n".join(
        [note + advice, table(head, lines), table(["goal", "found", "bound"], goals)]
    )


def main() -> int:
    """Measure, print, and return 0 if all goals are reached, else 1."""
    parser = options(__doc__, record="build/inference.json")
    parser.add_argument("--network", choices=("c03", "travelling"), default="c03")
    parser.add_argument("--threads", type=int, default=2, help="of LiteRT and other runtimes")
    parser.add_argument("--images", type=int, default=10_000, help="test images counted")
    parser.add_argument("--calibration", type=int, default=500, help="training images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4, help="a way, a round")
    given = parser.parse_args()
    runtime.start(seed=0)
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(given, Path(folder))
    by_name = {row["model"]: row for row in rows}
    plain, small = by_name["LiteRT float32"], by_name["LiteRT int8 in and out"]
    values = {
        "network": given.network,
        "threads": given.threads,
        "keras_threads": os.cpu_count(),
        "images": given.images,
        "rows": rows,
        "ratios": ratios(rows),
        "share": small["size_bytes"] / plain["size_bytes"],
        "lost": plain["accuracy"] - small["accuracy"],
    }
    finish(json.loads(json.dumps(record("inference", values, code=CODE))), text(values), given)
    reached = all(found >= GOALS[name] for name, found in values["ratios"].items())
    return 0 if reached and values["share"] <= SHARE_GOAL and values["lost"] <= LOST_GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
