"""The runner, ended in twenty ways and moments over a folder of the user's: nothing is lost.

What ends it: signals to it, to its group, to its guardian too, to everything at once. When: before
a kernel runs, in a cell, in a flood of output, while results are written. Afterwards the user's
files are as they were, kernels are gone within seconds, and what was executed so far can be read.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

Write = Callable[..., Path]
COMMAND = (sys.executable, "-m", "datahall.course.cli", "run")
GONE_S = 20.0  # on a busy machine; two on a quiet one

BEFORE = ("nothing", "starting")  # moments before a cell has run
WAYS = [
    *((moment, "KILL", "runner", jobs) for moment in ("nothing", "starting") for jobs in (1, 2)),
    *(("cell", "KILL", "runner", jobs) for jobs in (1, 2, 4)),
    ("cell", "KILL", "group", 2),
    ("cell", "KILL", "runner and guardian", 2),
    ("cell", "KILL", "everything", 2),
    ("cell", "HUP", "group", 2),
    ("cell", "TERM", "runner", 1),
    ("cell", "TERM", "group", 4),
    ("cell", "INT", "group", 2),
    ("cell", "QUIT", "runner", 1),
    ("cell", "ABRT", "runner", 2),
    ("flood", "KILL", "runner", 1),
    ("flood", "TERM", "runner", 2),
    ("writing", "KILL", "runner", 2),
    ("writing", "INT", "runner", 1),
]
assert len(WAYS) == 20
QUICK = {("cell", "KILL", "group", 2), ("cell", "HUP", "group", 2)}


class Run:
    """A run over a folder of the user's, in a session of its own."""

    def __init__(self, folder: Path, write_notebook: Write, moment: str, jobs: int) -> None:
        self.mine, self.out, self.space = folder / "my thesis", folder / "out", folder / "tmp"
        (self.mine / "empty").mkdir(parents=True)
        self.space.mkdir()
        (self.mine / "data.csv").write_text("years of work")
        at = f"import os, pathlib\npathlib.Path({str(self.space)!r}, f'at-{{os.getpid()}}').touch()"
        stay = {
            "flood": "while True:\n    print('x' * 1000)",
            "writing": "print('y' * 20_000_000)",
        }.get(moment, "import time\ntime.sleep(600)")
        cells = ("print('kept')", f"import time\ntime.sleep(1.5)\n{at}", stay, "print('later')")
        books = [write_notebook(self.mine / f"{n}.ipynb", *cells) for n in "abcd"]
        self.before = self.files()
        self.process = subprocess.Popen(
            [*COMMAND, *books, "-j", str(jobs), "-k", "--output-dir", self.out],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(self.space)},
            start_new_session=True,
            text=True,
        )
        self.jobs = jobs

    def files(self) -> dict[str, bytes | None]:
        """Return every file and folder of the user's with its content."""
        paths = sorted(self.mine.rglob("*"))
        return {str(path): path.read_bytes() if path.is_file() else None for path in paths}

    def reach(self, moment: str) -> None:
        """Wait for a moment of the run."""
        deadline = time.monotonic() + 120
        assert self.process.stderr is not None
        if moment == "nothing":
            while not list(self.space.glob("datahall-run-*/.datahall-scratch")):
                self._wait(deadline)
            return
        while not self.process.stderr.readline().startswith("start"):
            assert self.process.poll() is None
        if moment == "starting":
            return
        while len(list(self.space.glob("at-*"))) < self.jobs:
            self._wait(deadline)
        if moment in ("flood", "writing"):
            time.sleep(1.0)

    def _wait(self, deadline: float) -> None:
        assert time.monotonic() < deadline, "the moment did not come"
        assert self.process.poll() is None
        time.sleep(0.02)

    def family(self) -> list[psutil.Process]:
        """Return the runner's descendants, and whatever carries its scratch folder's name."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if str(self.space) in " ".join(process.environ().values()):
                    found.append(process)
        return [process for process in found if process.pid not in (self.process.pid, os.getpid())]

    def end(self, name: str, target: str, family: list[psutil.Process]) -> None:
        """Send a signal to the runner, or to more."""
        number = signal.Signals[f"SIG{name}"]
        if target == "group":
            os.killpg(self.process.pid, number)
            return
        for process in family:
            with contextlib.suppress(psutil.Error):  # one that ends by itself meanwhile
                guardian = any("guardian" in word for word in process.cmdline())
                if target == "everything" or (target == "runner and guardian" and guardian):
                    process.send_signal(number)
        self.process.send_signal(number)


@pytest.fixture
def run(tmp_path: Path, write_notebook: Write) -> Iterator[Callable[[str, int], Run]]:
    started: list[Run] = []

    def start(moment: str, jobs: int) -> Run:
        started.append(Run(tmp_path, write_notebook, moment, jobs))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize(
    ("moment", "name", "target", "jobs"),
    [pytest.param(*way, marks=() if way in QUICK else pytest.mark.slow) for way in WAYS],
)
def test_whatever_ends_the_runner_loses_nothing_and_leaves_no_kernel(
    run: Callable[[str, int], Run], moment: str, name: str, target: str, jobs: int
) -> None:
    one = run(moment, jobs)
    one.reach(moment)
    family = one.family()
    one.end(name, target, family)
    one.process.communicate(timeout=120)
    deadline = time.monotonic() + GONE_S
    while [process for process in family if lives(process)]:
        assert time.monotonic() < deadline, [p for p in family if lives(p)]
        time.sleep(0.05)
    assert one.files() == one.before
    if target not in ("runner and guardian", "everything"):
        while list(one.space.glob("datahall-run-*")):
            assert time.monotonic() < deadline, "the scratch space was left behind"
            time.sleep(0.05)
    executed = [*one.out.glob(".*.part/notebooks/*.ipynb"), *one.out.glob("2*/notebooks/*.ipynb")]
    if moment not in BEFORE:
        assert len(executed) >= jobs
    for path in executed:
        nbformat.validate(nbformat.read(path, 4))
        if moment not in BEFORE:
            texts = [
                o.get("text") for c in nbformat.read(path, 4).cells for o in c.get("outputs", [])
            ]
            assert "kept\n" in texts
    for file in one.out.glob("*/results.json"):
        json.loads(file.read_text())


def lives(process: psutil.Process) -> bool:
    """Tell whether a process still runs."""
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
