"""Ctrl-C and worse: kernels gone, what was finished kept, exit code 130."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from datahall.course.run import results
from datahall.course.run.processes import is_alive

Write = Callable[..., Path]
Kernels = Callable[[], list[psutil.Process]]

COMMAND = (sys.executable, "-m", "datahall.course.cli")
STUBBORN = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"


class Running:
    """A run of a notebook whose second cell waits, in a process of its own."""

    def __init__(self, folder: Path, write_notebook: Write, before: str = "") -> None:
        self.out, self.reached = folder / "out", folder / "reached"
        reached = f"import pathlib\npathlib.Path({str(self.reached)!r}).touch()\n"
        wait = f"{before}{reached}import time\ntime.sleep(600)"
        slow = write_notebook(folder / "slow.ipynb", "print('kept')", wait)
        later = write_notebook(folder / "later.ipynb", "print(1)")
        self.process = subprocess.Popen(
            [*COMMAND, "run", slow, later, "-j", "1", "--output-dir", self.out],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 90
        while not self.reached.exists():
            assert time.monotonic() < deadline, "the cell was not reached"
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.05)

    def end(self, *signals: signal.Signals) -> str:
        """Send signals, wait, and return what was written."""
        for number in signals:
            self.process.send_signal(number)
            time.sleep(0.3)
        return self.process.communicate(timeout=60)[0]


def words(process: psutil.Process) -> list[str]:
    """Return the words of a process' command line; the guardian's names the scratch folder."""
    return [word for word in process.cmdline() if Path(word).is_dir()]


@pytest.fixture
def running(tmp_path: Path, write_notebook: Write) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(before: str = "") -> Running:
        started.append(Running(tmp_path, write_notebook, before))
        return started[-1]

    yield start
    for run in started:
        run.process.kill()
        run.process.communicate()


@pytest.mark.usefixtures("no_kernel_left")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_kernels_keeps_what_is_finished_and_exits_with_130(
    running: Callable[..., Running], number: signal.Signals
) -> None:
    run = running()
    text = run.end(number)
    assert run.process.returncode == 130
    assert "Traceback" not in text
    found = results.load(run.out / "latest")
    assert [book.status for book in found.notebooks] == ["interrupted", "interrupted"]
    slow = found["slow"]
    assert slow.failure is not None
    assert slow.failure.line == "cell cell-b (3): the run was interrupted here"
    assert [cell.status for cell in slow.cells] == ["passed", "failed"]
    executed = nbformat.read(run.out / "latest" / "notebooks" / "slow.ipynb", 4)
    assert executed.cells[1].outputs[0].text == "kept\n"
    assert (run.out / "latest" / "report.html").is_file()


@pytest.mark.usefixtures("no_kernel_left")
def test_a_cell_that_ignores_the_interrupt_is_ended_too(running: Callable[..., Running]) -> None:
    run = running(STUBBORN)
    run.end(signal.SIGINT)
    assert run.process.returncode == 130
    assert results.load(run.out / "latest")["slow"].status == "interrupted"


@pytest.mark.usefixtures("no_kernel_left")
def test_a_second_interrupt_ends_everything_at_once(running: Callable[..., Running]) -> None:
    run = running(STUBBORN)
    run.end(signal.SIGINT, signal.SIGINT)
    assert run.process.returncode == 130
    assert results.load(run.out / "latest")["slow"].status == "interrupted"


@pytest.mark.usefixtures("no_kernel_left")
def test_an_interrupt_before_the_first_cell_ends_the_run(
    tmp_path: Path, write_notebook: Write
) -> None:
    path = write_notebook(tmp_path / "book.ipynb", "import time\ntime.sleep(600)")
    command = [*COMMAND, "run", path, "--output-dir", tmp_path / "out"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("start"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    (run,) = results.load(tmp_path / "out" / "latest").notebooks
    assert (run.status, [cell.status for cell in run.cells]) == ("interrupted", ["not run"])


def test_a_runner_that_is_killed_leaves_no_kernel(
    running: Callable[..., Running], kernels: Kernels
) -> None:
    before = {process.pid for process in kernels()}
    run = running()
    family = psutil.Process(run.process.pid).children(recursive=True)

    def mine() -> list[psutil.Process]:
        return [process for process in family if is_alive(process)]

    assert {process.pid for process in kernels()} - before
    (scratch,) = {
        Path(word) for process in family for word in words(process) if "datahall-run-" in word
    }
    assert (scratch / ".datahall-scratch").is_file()
    run.process.kill()
    run.process.wait()
    deadline = time.monotonic() + 30
    while mine() or scratch.exists():
        assert time.monotonic() < deadline, f"left behind: {mine()} {scratch}"
        time.sleep(0.1)
    assert not list(run.out.glob("2*"))
