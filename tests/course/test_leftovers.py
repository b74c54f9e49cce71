"""After a run, a failing cell or Ctrl-C: no process, so no port, and no file is left.

What a run starts carries a mark of the test in its environment; what it writes goes to a temporary
folder of the test. The short tests start a job and a group of their own; the slow ones run the
real lectures of module 05.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from datahall.course import catalogue

Write = Callable[..., Path]
COMMAND = (sys.executable, "-m", "datahall.course.cli", "run", "--preset", "smoke", "--no-cache")
LIMIT_S = 900
LECTURES = [
    notebook.stem
    for module in catalogue.load().modules
    if module.slug == "scaling"
    for notebook in module.notebooks
]
ZERO = "ZeroDivisionError"  # what the cell of a test fails with

BEGIN = """
from datahall.scaling import group, launcher
job = launcher.Job("time:sleep", {}, limit_s=300).__enter__()
def wait(peers):
    import time
    peers.tell("there")
    time.sleep(300)
ranks = group.Group(2, wait, limit_s=300).__enter__()
next(iter(ranks.events()))
import pathlib
"""


class Space:
    """A temporary folder, and a mark by which the processes of a test are known."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, secrets.token_hex(8)
        self.reached = folder.parent / "reached"
        self.environment = {
            **os.environ,
            "TMPDIR": str(folder),
            "DATAHALL_TEST_MARK": self.mark,
        }

    def processes(self) -> list[str]:
        """Return what still runs of the test."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = process.environ().get("DATAHALL_TEST_MARK") == self.mark
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
        return found

    def left(self) -> tuple[list[str], list[str]]:
        """Return what is left: processes and files; wait a while for nothing."""
        deadline = time.monotonic() + 20
        while True:
            files = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))
            if not (found := (self.processes(), files))[0] + found[1]:
                return found
            if time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start a run."""
        out = ("--output-dir", self.folder.parent / "out")
        return subprocess.Popen(
            [*COMMAND, *map(str, (*words, *out))],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def interrupt(self, run: subprocess.Popen[str], after_s: float) -> None:
        """Send Ctrl-C to a run some time after it has reached a cell that says so."""
        deadline = time.monotonic() + LIMIT_S
        while not self.reached.exists():
            assert time.monotonic() < deadline, "the cell was not reached"
            assert run.poll() is None, run.communicate()[0]
            time.sleep(0.05)
        time.sleep(after_s)
        run.send_signal(signal.SIGINT)


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Space]:
    folder = tmp_path / "tmp"
    folder.mkdir()
    one = Space(folder)
    yield one
    assert one.left() == ([], [])


def ends(run: subprocess.Popen[str], code: int, says: str = "") -> None:
    said = run.communicate(timeout=LIMIT_S)[0]
    assert run.returncode == code and says in said, said


def test_a_failing_cell_leaves_nothing_of_a_job_and_a_group(
    space: Space, tmp_path: Path, write_notebook: Write
) -> None:
    book = write_notebook(tmp_path / "book.ipynb", BEGIN, "1 / 0", "print('later')")
    ends(space.start(book), 1, ZERO)


def test_ctrl_c_leaves_nothing_of_a_job_and_a_group(
    space: Space, tmp_path: Path, write_notebook: Write
) -> None:
    wait = f"pathlib.Path({str(space.reached)!r}).touch()\nimport time\ntime.sleep(300)"
    book = write_notebook(tmp_path / "book.ipynb", BEGIN, wait)
    run = space.start(book)
    space.interrupt(run, 0.2)
    ends(run, 130)


def copy(root: Path, stem: str, to: Path, source: str, share: float) -> Path:
    """Write a copy of a lecture with one more cell, after a share of its code cells."""
    notebook = nbformat.read(root / "notebooks" / f"{stem}.ipynb", 4)
    code = [n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    place = code[int(share * (len(code) - 1))] + 1
    notebook.cells.insert(place, nbformat.v4.new_code_cell(source, id="of-a-test"))
    nbformat.write(notebook, to)
    return to


@pytest.mark.slow
def test_the_module_of_scaling_leaves_nothing(space: Space) -> None:
    ends(space.start("05"), 0)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("stem", LECTURES)
def test_a_failing_cell_of_a_lecture_leaves_nothing(
    space: Space, root: Path, tmp_path: Path, stem: str, share: float
) -> None:
    ends(space.start(copy(root, stem, tmp_path / "copy.ipynb", "1 / 0", share)), 1, ZERO)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.4, 0.7])
@pytest.mark.parametrize("stem", LECTURES)
def test_ctrl_c_in_a_lecture_leaves_nothing(
    space: Space, root: Path, tmp_path: Path, stem: str, share: float
) -> None:
    touch = f"import pathlib\npathlib.Path({str(space.reached)!r}).touch()"
    run = space.start(copy(root, stem, tmp_path / "copy.ipynb", touch, share))
    space.interrupt(run, 0.5)
    ends(run, 130)
