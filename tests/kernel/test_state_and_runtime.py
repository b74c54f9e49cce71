"""Files that appear whole, a start that repeats, a stopwatch and a ceiling."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datahall import runtime, state
from datahall.errors import DataError, ParameterError, UnitError
from datahall.units import format_duration, format_number, format_quantity


def test_write_atomically_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    file = tmp_path / "x"
    state.write_atomically(file, "old")
    tiny = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource, sys, pathlib; from datahall import state\n"
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
            f"state.write_atomically(pathlib.Path({str(file)!r}), 'x' * 1000)",
        ],
        capture_output=True,
        text=True,
    )
    assert tiny.returncode == 1
    assert "cannot be written" in tiny.stderr
    assert file.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"], "nothing half-made is left"


def _make(path: Path, log: Path) -> None:
    def work(temporary: Path) -> None:
        with log.open("a") as file:
            file.write("made\n")
        time.sleep(0.2)
        temporary.write_text("whole")

    state.made_once(path, work)


def test_made_once_is_made_by_one_process_while_the_others_wait(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    arguments = (tmp_path / "thing", tmp_path / "log")
    processes = [context.Process(target=_make, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert (tmp_path / "thing").read_text() == "whole"
    assert (tmp_path / "log").read_text() == "made\n"


def test_made_once_leaves_nothing_when_making_fails(tmp_path: Path) -> None:
    def fail(temporary: Path) -> None:
        temporary.mkdir()
        raise DataError("no luck.")

    with pytest.raises(DataError, match="no luck"):
        state.made_once(tmp_path / "thing", fail)
    assert not (tmp_path / "thing").exists()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", True])
def test_start_refuses_a_seed_that_numpy_cannot_take(seed: object) -> None:
    with pytest.raises(ParameterError, match="seed is"):
        runtime.start(seed)  # type: ignore[arg-type]


def test_start_makes_numpy_repeat() -> None:
    runtime.start(seed=3)
    first = np.random.random()
    runtime.start(seed=3)
    assert first == np.random.random()


def test_logical_devices_and_seeds_reach_keras_imported_later() -> None:
    program = (
        "from datahall import runtime; runtime.start(seed=5, devices=2)\n"
        "import keras, tensorflow as tf\n"
        "w = keras.layers.Dense(1); w.build((None, 2)); a = w.get_weights()[0]\n"
        "runtime.start(seed=5)\n"
        "w = keras.layers.Dense(1); w.build((None, 2)); b = w.get_weights()[0]\n"
        "print(len(tf.config.list_logical_devices('CPU')), bool((a == b).all()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "2 True\n"
    assert done.stderr == "", "TensorFlow's greetings are kept away"


def test_devices_after_tensorflow_has_computed_are_refused_if_they_are_others() -> None:
    import tensorflow

    now = len(tensorflow.config.list_logical_devices("CPU"))  # from here on they are fixed
    runtime.start(devices=now)
    with pytest.raises(ParameterError, match=f"devices is {now + 1}.*Restart the kernel"):
        runtime.start(devices=now + 1)


def printed(program: str) -> str:
    """Return what a fresh interpreter prints; nothing may come over standard error."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_devices_threads_and_seeds_reach_a_tensorflow_that_is_imported_but_has_not_computed() -> (
    None
):
    program = (
        "import os; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\n"
        "from datahall import runtime\n"
        "{first}\n"
        "runtime.start(seed=5, devices=2, threads=1)\n"
        "import keras, tensorflow as tf, numpy as np, random\n"
        "w = keras.layers.Dense(1); w.build((None, 2))\n"
        "from tensorflow.python.framework.config import is_op_determinism_enabled as sure\n"
        "print(len(tf.config.list_logical_devices('CPU')), w.get_weights()[0].tolist(), sure(),\n"
        "      tf.random.uniform(()).numpy(), np.random.random(), random.random())\n"
    )
    cold = printed(program.format(first=""))
    loaded = "with runtime._without_greetings(): import tensorflow"
    assert printed(program.format(first=loaded)) == cold
    assert cold.startswith("2 ")


def test_threads_reach_a_numpy_that_is_imported_already() -> None:
    program = (
        "import numpy as np\n"
        "from datahall import runtime; runtime.start(threads=1)\n"
        "from threadpoolctl import threadpool_info\n"
        "a = np.ones((256, 256)) @ np.ones((256, 256))\n"
        "print({pool['num_threads'] for pool in threadpool_info()})"
    )
    assert printed(program) == "{1}\n"


def test_an_import_does_not_move_the_random_streams() -> None:
    program = (
        "from datahall import runtime; runtime.start(seed=1)\n"
        "import random, numpy as np\n"
        "print(random.random(), np.random.random())\n"
        "{then}\n"
        "print(random.random(), np.random.random())\n"
    )
    assert printed(program.format(then="import keras")) == printed(program.format(then=""))


def test_interactive_only_under_a_jupyter_server_with_a_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.delenv("DATAHALL_HEADLESS", raising=False)
    assert not runtime.interactive()
    monkeypatch.setenv("JPY_SESSION_NAME", "x.ipynb")
    assert runtime.interactive()
    monkeypatch.setenv("DATAHALL_HEADLESS", "1")
    assert not runtime.interactive()


def test_the_peak_is_kept_and_a_damaged_cache_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path))
    first = runtime.peak()
    assert first.flop_per_s > 1e9
    assert first.bytes_per_s > 1e8
    file = tmp_path / "cache" / "peak.json"
    kept = [entry["flop_per_s"] for entry in json.loads(file.read_text()).values()]
    assert first.flop_per_s in kept
    file.write_text("{half")
    assert runtime.peak().flop_per_s > 1e9


def test_the_fingerprint_names_neither_user_nor_host() -> None:
    text = json.dumps(runtime.fingerprint())
    assert os.uname().nodename not in text or len(os.uname().nodename) < 4
    assert str(Path.home()) not in text


def test_numbers_and_quantities_are_written_as_people_read_them() -> None:
    assert format_number(0) == "0"
    assert format_number(float("nan")) == "nan"
    assert format_number(0.99995, 3) == "1.00"
    assert format_quantity(999.6e9, "FLOP/s") == "1.00 TFLOP/s"
    assert format_quantity(0.5, "B") == "0.500 B"
    assert format_quantity("none", "s") == "none s"


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(UnitError, match="seconds is -1"):
        format_duration(-1)
