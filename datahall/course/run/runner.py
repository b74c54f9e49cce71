"""Executes notebooks strictly and in parallel, and publishes what they found.

Read `run`: it plans (`plan`, `prepare`), executes (`schedule`, `execute`), judges (`outcome`),
keeps what was found (`record`, `results`), and writes `results.json` and `report.html` (`folder`,
`report`). No room is entered twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import datahall
from datahall import datasets, runtime
from datahall.course import catalogue, warm
from datahall.course.exits import MachineError
from datahall.course.report import rendering
from datahall.course.run import kernel as kernels
from datahall.course.run import plan
from datahall.course.run.execute import complete
from datahall.course.run.folder import RunFolder
from datahall.course.run.plan import Item
from datahall.course.run.results import NotebookRun, Results, plain_text
from datahall.course.run.schedule import Schedule, Settings
from datahall.course.run.view import Shielded, View

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
    kernel: str | None = None,
    cache: bool = False,
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
        kernel: The kernel for all of them; each one's own if None.
        cache: Whether a lecture of the course that ran before, and would run the same, is given
            back instead of executed. Not with `home` or `kernel`.
        view: Shows progress; nothing is shown if None.

    Returns:
        The results; a notebook that failed is told there, not raised.

    Raises:
        InputError: A notebook or preset does not exist, or a file is damaged.
        ParameterError: A parameter is unknown or of the wrong type.
        MachineError: A kernel is missing, or the results cannot be written.
    """
    view = Shielded(view or View())
    settings = Settings(max(1, jobs), timeout_s, keep_going, pages, kernel)
    items = plan.make(requests, preset=preset, given=parameters)
    check_kernels(items, kernel)
    for item in items:
        _ = item.prepared  # what cannot be carried into a notebook is refused before anything runs
    folder = RunFolder(output_dir)
    book = _Book(items, folder, settings, preset)
    try:
        with _zygotes(items) as zygotes:
            cached = cache and home is None and kernel is None
            schedule = Schedule(items, folder, settings, view, home, book.keep, zygotes, cached)
            _carry_out(schedule, view)
        return book.publish(schedule.runs)
    finally:
        folder.drop_scratch()


def _carry_out(schedule: Schedule, view: View) -> None:
    view.begin([item.name for item in schedule.items], schedule.settings.jobs)
    if not schedule.zygotes:
        view.note("a cold kernel (`datahall warm`, left running, keeps warm ones)")
    try:
        complete(schedule.run())
    finally:
        view.end()


@contextlib.contextmanager
def _zygotes(items: Sequence[Item]) -> Iterator[Mapping[str, str]]:
    """Give the variables of warm kernels: those that a user keeps, or own ones for several."""
    kept = warm.find()
    if kept or len(items) < 2:
        yield kept
        return
    with warm.zygotes() as own:
        yield own


class _Book:
    """The results of a run: written anew whenever a notebook ends, published at the end."""

    def __init__(
        self, items: Sequence[Item], folder: RunFolder, settings: Settings, preset: str
    ) -> None:
        self._items, self._folder, self._settings = (
            {item.name: item for item in items},
            folder,
            settings,
        )
        self._begin, self._started = time.perf_counter(), datetime.now(UTC)
        self._preset = preset
        self._machine = runtime.fingerprint()
        self._machine.pop("versions", None)
        self._about = (versions(), code_digest(), data_digests())

    def keep(self, runs: Sequence[NotebookRun]) -> None:
        """Write what is known by now: a run that is killed can be read as far as it came."""
        with contextlib.suppress(MachineError):  # `publish` tells
            self._folder.write("results.json", self._results(runs).to_json())

    def publish(self, runs: Sequence[NotebookRun]) -> Results:
        """Write results and report, and give the folder its name."""
        results = self._results(runs)
        self._folder.write("results.json", results.to_json())
        self._folder.write("report.html", rendering.render(results))
        self._folder.publish()
        return results

    def _results(self, runs: Sequence[NotebookRun]) -> Results:
        placed = [replace(run, path=_shown(self._items[run.name].source.path)) for run in runs]
        over = len(runs) == len(self._items)
        run = {
            "id": self._folder.id,
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._begin, 3),
            "preset": self._preset,
            **self._settings.describe(),
            "interrupted": not over or any(run.status == "interrupted" for run in runs),
            "course_version": datahall.__version__,
        }
        return Results(run, self._machine, *self._about, tuple(placed), self._folder.final)


def check_kernels(items: Sequence[Item], kernel: str | None = None) -> None:
    """Refuse a plan that names a kernel which this machine does not have.

    Args:
        items: The notebooks of the plan.
        kernel: The kernel for all of them, or None for each one's own.

    Raises:
        MachineError: It names the notebook, the kernel, and those that are installed.
    """
    wanted = {kernel or item.source.kernel: item for item in items}
    for name, item in wanted.items():
        if name is not None and not kernels.exists(name):
            raise MachineError(
                f"{item.name} needs the kernel {name!r}, which is not installed. Installed: "
                f"{', '.join(sorted(kernels.installed()))}. Install it, or choose another with "
                "--kernel."
            )


def _shown(path: Path) -> str:
    """Return a path relative to the checkout or the working folder, else only the file's name."""
    for base in (_root(), Path.cwd()):
        if base is not None and path.is_relative_to(base):
            return plain_text(path.relative_to(base).as_posix())
    return plain_text(path.name)


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
