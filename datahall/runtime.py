"""The machine: a reproducible start, a stopwatch to trust, and the limits of this computer.

Read `start` first (every notebook calls it), then `measure`, then `peak`. TensorFlow is never
imported here: what it reads from the environment is set before it is imported, and it is seeded
right after, by an import hook. In a warm kernel it is imported already, but has not computed: what
it reads is read when it first computes.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil
from threadpoolctl import threadpool_limits

from datahall import guard, state
from datahall.errors import DataError, ParameterError

_GREETINGS = (
    "before absl::InitializeLog()",
    "oneDNN custom operations are on",
    "This TensorFlow binary is optimized",
    "To enable the following instructions",
)
_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def start(
    seed: int = 0,
    *,
    devices: int | None = None,
    threads: int | None = None,
    deterministic: bool = True,
) -> None:
    """Make the rest of this notebook repeatable, and quiet. Call it before TensorFlow computes.

    Sets the log level, the number of threads and determinism in the environment, seeds `random` and
    NumPy, and sees to it that TensorFlow and Keras are seeded: now if they are imported, else when
    they are. Figures show their description. Prints nothing.

    Args:
        seed: The seed of every random generator, from 0 to 2**32 - 1.
        devices: How many logical CPU devices TensorFlow shall see; None leaves its one.
        threads: Threads for one operation, NumPy's included; None lets each use every core.
        deterministic: Refuse operations whose result depends on the order of threads.

    Raises:
        ParameterError: The seed, devices or threads are out of range, or TensorFlow has computed
            and has another number of `devices`.
    """
    _check_start(seed, devices, threads)
    if devices is not None and "tensorflow" in sys.modules:
        _set_devices(devices)
        devices = None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ["TF_DETERMINISTIC_OPS"] = "1" if deterministic else "0"
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
        threadpool_limits(threads)  # NumPy read the variable when it was imported
    random.seed(seed)
    np.random.seed(seed)
    _SeedOnImport.settings = (seed, devices)
    if not any(isinstance(finder, _SeedOnImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SeedOnImport())
    _seed_frameworks()
    if guard.wanted():  # only tests set the variable
        guard.install()
    if "IPython" in sys.modules:
        from datahall import plotting

        plotting.register()


def _check_start(seed: int, devices: int | None, threads: int | None) -> None:
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ParameterError(
            f"seed is {seed!r}. A whole number from 0 to 4294967295 was expected. Choose one, for "
            "example 0."
        )
    for name, value in (("devices", devices), ("threads", threads)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ParameterError(
                f"{name} is {value!r}. A whole number of at least 1, or None, was expected. Leave "
                "it out to use all."
            )


def _set_devices(devices: int) -> None:
    """Split TensorFlow's CPU, which must have computed nothing yet."""
    config = sys.modules["tensorflow"].config
    try:
        config.set_logical_device_configuration(
            config.list_physical_devices("CPU")[0],
            [config.LogicalDeviceConfiguration()] * devices,
        )
    except RuntimeError as error:
        now = len(config.list_logical_devices("CPU"))
        if now != devices:
            raise ParameterError(
                f"devices is {devices}, but TensorFlow has computed with {now} already and keeps "
                "them. Restart the kernel and call runtime.start before anything is computed."
            ) from error


class _SeedOnImport(importlib.abc.MetaPathFinder):
    """Seeds TensorFlow and Keras as soon as they have been imported."""

    settings: tuple[int, int | None] = (0, None)
    loading: set[str] = set()  # noqa: RUF012 (one set for the process)
    looking: set[str] = set()  # noqa: RUF012 (names whose usual loader is being looked up)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Wrap the loader of tensorflow and keras; leave every other module alone."""
        if fullname not in ("tensorflow", "keras") or fullname in self.looking:
            return None
        self.looking.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self.looking.discard(fullname)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_seed(module: ModuleType) -> None:
            with _streams_kept():
                self.loading.add(fullname)
                try:
                    with _without_greetings():
                        load(module)
                finally:
                    self.loading.discard(fullname)
                _seed_frameworks()

        spec.loader.exec_module = load_and_seed  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _streams_kept() -> Iterator[None]:
    """Keep the generators of Python and NumPy where they are: an import must not move them."""
    kept = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])


@contextlib.contextmanager
def _without_greetings() -> Iterator[None]:
    """Drop the lines that TensorFlow always writes on import; pass on all others.

    TF_CPP_MIN_LOG_LEVEL does not reach them: they are logged before the log is set up.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            lines = caught.read().decode(errors="replace").splitlines()
            news = [line for line in lines if not any(known in line for known in _GREETINGS)]
            if news:
                print("\n".join(news), file=sys.stderr)


def _seed_frameworks() -> None:
    """Seed what has been imported completely; called again when more is."""
    if _SeedOnImport.loading:
        return
    seed, devices = _SeedOnImport.settings
    tensorflow, keras = sys.modules.get("tensorflow"), sys.modules.get("keras")
    if tensorflow is not None:
        if devices is not None:
            _set_devices(devices)
            _SeedOnImport.settings = (seed, None)
        tensorflow.random.set_seed(seed)
    if keras is not None:
        keras.utils.set_random_seed(seed)


def interactive() -> bool:
    """Tell whether a person reads along: a Jupyter server's kernel, not declared headless."""
    return bool(os.environ.get("JPY_SESSION_NAME")) and not os.environ.get("DATAHALL_HEADLESS")


def cpu_model() -> str:
    """Return the processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """Return the instruction sets that matter here; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next(line for line in lines if line.startswith("flags")).split()
    except (OSError, StopIteration):
        return []
    return [flag for flag in _CPU_FLAGS if flag in flags]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fingerprint() -> dict[str, Any]:
    """Return the facts that a measured value depends on, without names of user or host."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for package in ("numpy", "tensorflow-cpu", "tensorflow", "keras"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cpu": cpu_model(),
        "cpu_flags": cpu_flags(),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def blas_threads() -> int:
    """Return how many threads NumPy's matrix products use in this process, whoever set them."""
    from threadpoolctl import threadpool_info

    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(pools, default=1)


@dataclass(frozen=True)
class Timing:
    """How long a function took, over several runs, in seconds."""

    runs: tuple[float, ...]

    @property
    def best_s(self) -> float:
        """The least time: the run disturbed least, and the figure to set beside a model."""
        return min(self.runs)

    @property
    def median_s(self) -> float:
        """The middle time: what one may expect on this machine as busy as it is."""
        return statistics.median(self.runs)


def measure(
    function: Callable[[], object], *, repeat: int = 5, warmup: int = 1, at_most_s: float = 2.0
) -> Timing:
    """Time a function several times, after running it once unmeasured.

    Args:
        function: What to time; called without arguments.
        repeat: How many runs to time.
        warmup: How many runs to make first, so that compilation and caches do not count.
        at_most_s: Stop repeating when so many seconds are spent; at least one run is timed.

    Example:
        >>> timing = measure(lambda: sum(range(1000)), repeat=3)
        >>> len(timing.runs), timing.best_s <= timing.median_s
        (3, True)
    """
    begin = time.perf_counter()
    for _ in range(warmup):
        function()
    runs: list[float] = []
    while len(runs) < repeat and (not runs or time.perf_counter() - begin < at_most_s):
        start_s = time.perf_counter()
        function()
        runs.append(time.perf_counter() - start_s)
    return Timing(tuple(runs))


@dataclass(frozen=True)
class Peak:
    """The limits of this machine, as measured on it.

    Attributes:
        flop_per_s: Best rate of a float32 matrix product, in operations a second (a multiply-add
            counts as two).
        bytes_per_s: Best rate of a copy larger than the caches, bytes read plus bytes written, a
            second.
        load: The machine's load average when it was measured.
    """

    flop_per_s: float
    bytes_per_s: float
    load: float = 0.0

    @property
    def balance(self) -> float:
        """Operations a byte at which both limits meet: the ridge of the roofline."""
        return self.flop_per_s / self.bytes_per_s


def peak(*, refresh: bool = False) -> Peak:
    """Return what this machine can do at best: the ceiling for every "share of the limit".

    Measured once, in about a second, and kept in the user's data folder with the processor's name,
    its cores and the threads that a matrix product really uses. A value that was taken on a busy
    machine is measured again, and the better one kept.
    """
    file = state.data_folder() / "cache" / "peak.json"
    key = f"{cpu_model()}, {cores()} cores, {blas_threads()} threads"
    try:
        kept = json.loads(file.read_text())
        old = Peak(**kept[key]) if key in kept else None
    except (OSError, ValueError, TypeError):
        kept, old = {}, None
    if old is not None and old.load < 0.5 * cores() and not refresh:
        return old
    new = _measure_peak()
    if old is not None:
        new = Peak(
            max(new.flop_per_s, old.flop_per_s), max(new.bytes_per_s, old.bytes_per_s), new.load
        )
    with contextlib.suppress(DataError):  # a folder that cannot be written costs a second next time
        state.write_atomically(file, json.dumps(kept | {key: asdict(new)}, indent=1))
    return new


def _measure_peak() -> Peak:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    generator = np.random.default_rng(0)
    rates = []
    for size in (512, 1024, 2048):
        a = generator.random((size, size), dtype=np.float32)
        out = np.empty_like(a)
        timing = measure(lambda a=a, out=out: np.matmul(a, a, out=out), repeat=12, at_most_s=0.6)  # type: ignore[misc]
        rates.append(2 * size**3 / timing.best_s)
    source = np.ones(2**25, dtype=np.float32)  # 128 MiB: larger than the caches
    target = np.empty_like(source)
    copy = measure(lambda: np.copyto(target, source), repeat=8, at_most_s=0.6)
    return Peak(max(rates), 2 * source.nbytes / copy.best_s, load)
