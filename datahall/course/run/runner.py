"""Executes notebooks strictly and in parallel, and publishes what they found.

Read `run`: it plans (`plan`), carries the plan out (`schedule`, `pool`, `worker`, `execution`),
judges (`verdict`), and writes `results.json` and `report.html` (`results`, `report`, `folder`).
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import datahall
from datahall import datasets, runtime
from datahall.course import catalogue
from datahall.course.exits import MachineError
from datahall.course.report import report
from datahall.course.run import plan
from datahall.course.run.folder import RunFolder
from datahall.course.run.plan import Item
from datahall.course.run.results import NotebookRun, Results
from datahall.course.run.schedule import Schedule, Settings, describe
from datahall.course.run.view import View

TIMEOUT_S = 1800.0
_PACKAGES = (
    "datahall",
    "tensorflow-cpu",
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "scikit-learn",
    "papermill",
    "nbclient",
    "ipykernel",
)


def run(
    requests: Sequence[str | Path] = (),
    *,
    preset: str = "classroom",
    parameters: Mapping[str, Any] | None = None,
    jobs: int = 2,
    timeout_s: float | None = TIMEOUT_S,
    keep_going: bool = False,
    output_dir: Path | None = None,
    home: Path | None = None,
    pages: bool = True,
    view: View | None = None,
) -> Results:
    """Execute notebooks and return what was found; it is also in `results.folder`.

    Args:
        requests: Numbers, slugs, stems or paths; every lecture of the course that exists if there
            are none.
        preset: `smoke`, `classroom` or `full`.
        parameters: Values for every one of the notebooks, before the preset's; text is read as the
            declared type.
        jobs: Notebooks at a time.
        timeout_s: Seconds for each notebook, or None for no limit.
        keep_going: Whether to start others after one has failed.
        output_dir: Where the folder of the run is made; `build/` of the checkout if None.
        home: The notebooks' data folder (`DATAHALL_HOME`); a fresh one, removed afterwards, if
            None.
        pages: Whether to write each executed notebook as a page too.
        view: Shows progress; nothing is shown if None.

    Returns:
        The results; a notebook that failed is told there, not raised.

    Raises:
        InputError: A notebook or preset does not exist, or a file is damaged.
        ParameterError: A parameter is unknown or of the wrong type.
        MachineError: A kernel is missing, or the results cannot be written.
    """
    view = view or View()
    settings = Settings(jobs=max(1, jobs), timeout_s=timeout_s, keep_going=keep_going, pages=pages)
    items = plan.make(requests, preset=preset, given=parameters)
    check_kernels(items)
    folder = RunFolder(output_dir)
    started, begin = datetime.now(UTC), time.perf_counter()
    try:
        schedule = Schedule(items, folder, settings, view, home)
        view.begin([item.name for item in items], settings.jobs)
        with _interrupts(schedule):
            try:
                runs = schedule.run()
            finally:
                view.end()
        about = {
            "id": folder.id,
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - begin, 3),
            "preset": preset,
            **describe(settings),
            "interrupted": bool(schedule.interrupts),
            "course_version": datahall.__version__,
        }
        return _publish(about, items, runs, folder)
    finally:
        folder.drop_scratch()


def check_kernels(items: Sequence[Item]) -> None:
    """Refuse a plan that names a kernel which this machine does not have.

    Raises:
        MachineError: It names the notebook, the kernel, and those that are installed.
    """
    wanted = {
        item.source.kernel: item for item in items if item.source.kernel not in (None, "python3")
    }
    if not wanted:
        return
    from jupyter_client.kernelspec import KernelSpecManager

    installed = sorted(KernelSpecManager().find_kernel_specs())
    for kernel, item in wanted.items():
        if kernel not in installed:
            raise MachineError(
                f"{item.name} needs the kernel {kernel!r}, which is not installed. Installed: "
                f"{', '.join(installed)}. "
                "Install it, or choose another kernel in JupyterLab and save the notebook."
            )


@contextlib.contextmanager
def _interrupts(schedule: Schedule) -> Iterator[None]:
    """Turn Ctrl-C and a termination request into an orderly end, as long as the run goes on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [signal.SIGINT, signal.SIGTERM]
    before = {name: signal.signal(name, lambda *_: schedule.interrupt()) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _publish(
    about: dict[str, Any], items: Sequence[Item], runs: Sequence[NotebookRun], folder: RunFolder
) -> Results:
    machine = runtime.fingerprint()
    machine.pop("versions", None)
    placed = tuple(
        replace(run, path=_shown(item.source.path)) for run, item in zip(runs, items, strict=True)
    )
    results = Results(
        about, machine, versions(), code_digest(), data_digests(), placed, folder.final
    )
    folder.write("results.json", results.to_json())
    folder.write("report.html", report.render(results))
    folder.publish()
    return results


def _shown(path: Path) -> str:
    """Return a path relative to the checkout or the working folder, else only the file's name."""
    for base in (_root(), Path.cwd()):
        if base is not None and path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.name


def _root() -> Path | None:
    with contextlib.suppress(MachineError):
        return catalogue.repository_root()
    return None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def code_digest() -> str:
    """Return one SHA-256 over the package's Python files and `course.toml`, names and contents."""
    package = Path(datahall.__file__).parent
    digest = hashlib.sha256()
    for file in sorted([*package.rglob("*.py"), package / "course.toml"]):
        digest.update(
            file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes() + b"\0"
        )
    return digest.hexdigest()


def data_digests() -> dict[str, str]:
    """Return one SHA-256 for each data set of the course, as its manifest states it."""
    return {name: datasets.digest(name) for name in datasets.names()}
