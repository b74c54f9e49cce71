"""Files that appear whole, a start that repeats, a stopwatch and a ceiling."""

import ast
import getpass
import json
import os
import platform
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

from datahall import runtime, state
from datahall.errors import ParameterError, UnitError
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


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path) -> None:
    """Seen by the calls to the system: written, synced, and only then renamed."""
    program = (
        "import os, pathlib, sys\n"
        "from datahall import state\n"
        "seen = []\n"
        "def watch(event, arguments):\n"
        "    if event in ('os.rename', 'open'):\n"
        "        seen.append((event, *map(str, arguments[:2])))\n"
        "real = os.fsync\n"
        "def fsync(handle):\n"
        "    name = os.readlink(f'/proc/self/fd/{handle}')\n"
        "    seen.append(('fsync', name, os.fstat(handle).st_size))\n"
        "    real(handle)\n"
        "os.fsync = fsync\n"
        "sys.addaudithook(watch)\n"
        "state.write_atomically(pathlib.Path(sys.argv[1]), 'x' * 1000)\n"
        "print(repr([s for s in seen if sys.argv[1].rpartition('/')[0] in str(s[1])]))\n"
    )
    file = tmp_path / "x"
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True
    )
    events = ast.literal_eval(done.stdout)
    synced = [n for n, event in enumerate(events) if event[0] == "fsync"]
    renamed = [n for n, event in enumerate(events) if event[0] == "os.rename"]
    assert len(synced) == len(renamed) == 1
    temporary = events[synced[0]][1]
    assert events[synced[0]][2] == 1000, "all of it was handed to the system before the sync"
    assert events[renamed[0]] == ("os.rename", temporary, str(file))
    assert synced < renamed


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", True])
def test_start_refuses_a_seed_that_numpy_cannot_take(seed: object) -> None:
    with pytest.raises(ParameterError, match="seed is"):
        runtime.start(seed)  # type: ignore[arg-type]


def test_a_seed_makes_random_numbers_repeat_and_another_changes_them() -> None:
    def draw(seed: int) -> tuple[float, float]:
        runtime.start(seed=seed)
        return np.random.random(), random.random()  # noqa: S311 (the generator under test)

    first = draw(3)
    assert draw(3) == first
    other = draw(4)
    assert other[0] != first[0]
    assert other[1] != first[1]


def test_logical_devices_and_seeds_reach_keras_imported_later() -> None:
    program = (
        "from datahall import runtime; runtime.start(seed=5, devices=2)\n"
        "import keras, tensorflow as tf\n"
        "def draw():\n"
        "    layer = keras.layers.Dense(1); layer.build((None, 2))\n"
        "    return [*layer.get_weights()[0].ravel(), float(tf.random.uniform(()))]\n"
        "a = draw(); next_ = draw()\n"
        "runtime.start(seed=5); b = draw()\n"
        "runtime.start(seed=6); c = draw()\n"
        "differ = lambda p, q: all(x != y for x, y in zip(p, q))\n"
        "print(len(tf.config.list_logical_devices('CPU')), a == b, differ(a, next_), differ(a, c))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "2 True True True\n"
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


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[runtime.Peak]:
    """The peaks that are measured from now on, in an empty data folder, on a quiet machine."""
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path))
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    found: list[runtime.Peak] = []
    measure = runtime._measure_peak
    monkeypatch.setattr(runtime, "_measure_peak", lambda: found.append(measure()) or found[-1])
    return found


def test_the_peak_is_measured_once_and_kept(measured: list[runtime.Peak], tmp_path: Path) -> None:
    first = runtime.peak()
    assert first.flop_per_s > 1e9
    assert first.bytes_per_s > 1e8
    assert runtime.peak() == first
    assert len(measured) == 1
    file = tmp_path / "cache" / "peak.json"
    (kept,) = json.loads(file.read_text()).values()
    assert kept["flop_per_s"] == first.flop_per_s
    file.write_text("{half")
    assert runtime.peak().flop_per_s > 1e9
    assert len(measured) == 2
    runtime.peak(refresh=True)
    assert len(measured) == 3


def test_the_peak_of_another_number_of_threads_is_another(measured: list[runtime.Peak]) -> None:
    """The threads in use count, not what a variable of the environment asks for."""
    with threadpoolctl.threadpool_limits(1):
        one = runtime.peak()
        assert runtime.blas_threads() == 1
    assert len(measured) == 1
    with threadpoolctl.threadpool_limits(2):
        runtime.peak()
    assert len(measured) == 2
    with threadpoolctl.threadpool_limits(1):
        assert runtime.peak() == one
    assert len(measured) == 2


def test_a_peak_of_a_busy_machine_is_measured_again_and_the_better_kept(
    measured: list[runtime.Peak], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (100.0, 100.0, 100.0))
    first = runtime.peak()
    second = runtime.peak()
    assert len(measured) == 2
    assert second.flop_per_s == max(each.flop_per_s for each in measured)
    assert second.flop_per_s >= first.flop_per_s


def test_the_fingerprint_names_neither_user_nor_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way in which Python tells names is made to tell one that stands out."""
    for module, name in ((platform, "node"), (socket, "gethostname"), (getpass, "getuser")):
        monkeypatch.setattr(module, name, lambda: "a-name-to-be-found")
    monkeypatch.setenv("USER", "a-name-to-be-found")
    monkeypatch.setenv("LOGNAME", "a-name-to-be-found")
    monkeypatch.setenv("HOSTNAME", "a-name-to-be-found")
    monkeypatch.setenv("HOME", "/home/a-name-to-be-found")
    system = platform.uname()._replace(node="a-name-to-be-found")
    monkeypatch.setattr(platform, "uname", lambda: system)
    found = runtime.fingerprint()
    text = json.dumps(found)
    assert "a-name-to-be-found" not in text
    assert os.uname().nodename not in text.split('"')
    assert set(found) == {
        *("cpu", "cpu_flags", "cores", "memory_bytes", "system", "python", "versions")
    }


def test_a_timing_leaves_the_warm_up_out_and_ends_when_the_seconds_are_spent() -> None:
    calls: list[float] = []
    timing = runtime.measure(lambda: calls.append(0.0), repeat=4, warmup=2)
    assert (len(calls), len(timing.runs)) == (6, 4)
    assert timing.best_s == min(timing.runs) <= timing.median_s <= max(timing.runs)
    spent = runtime.measure(lambda: time.sleep(0.05), repeat=100, warmup=0, at_most_s=0.12)
    assert 1 <= len(spent.runs) <= 3
    assert len(runtime.measure(lambda: time.sleep(0.01), warmup=1, at_most_s=0.0).runs) == 1


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
