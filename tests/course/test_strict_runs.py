"""What papermill lets pass, the runner fails, with cell and reason; no process is left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import psutil
import pytest

from datahall.course.exits import Exit
from datahall.course.run import runner
from datahall.course.run.results import Results

Write = Callable[..., Path]
Kernels = Callable[[], list[psutil.Process]]

ZOO = {
    "passes": ("x = 1", "print(x + 1)"),
    "exits": ("print('before')", "import sys; sys.exit(0)", "print('never')"),
    "exits_with_one": ("import sys; sys.exit(1)",),
    "quits": ("quit()",),
    "killed": (
        "big = bytes(50_000_000)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    ),
    "ends": ("import os; os._exit(0)",),
    "fails": ("print('output')\nprint(6 * 7)\n1 / 0", "print('never')"),
    "broken_bound": (
        "from datahall import reporting\nreporting.report('loss', 0.5, 'nats')",
        "reporting.expect('accuracy', 0.9, at_least=0.98)",
    ),
    "raises_on_purpose": ("1 / 0",),
    "skips": ("x = 1", "print(2)"),
    "leaves_children": (
        "import subprocess, sys\n"
        "code = 'import time; time.sleep(600)'\n"
        "p = subprocess.Popen([sys.executable, '-c', code], start_new_session=True)",
    ),
    "says_nothing": ("", "   "),
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory, write_notebook: Write) -> Results:
    folder = tmp_path_factory.mktemp("zoo")
    paths = [write_notebook(folder / f"{name}.ipynb", *cells) for name, cells in ZOO.items()]
    for name, tag in (("raises_on_purpose", "raises-exception"), ("skips", "skip-execution")):
        tagged = nbformat.read(folder / f"{name}.ipynb", 4)
        tagged.cells[1].metadata["tags"] = [tag]
        nbformat.write(tagged, folder / f"{name}.ipynb")
    return runner.run(paths, keep_going=True, timeout_s=60, pages=False, output_dir=folder / "out")


def failure(results: Results, name: str) -> tuple[str, str | None, int | None, str]:
    run = results[name]
    assert run.status == "failed"
    assert run.failure is not None
    return run.failure.kind, run.failure.cell_id, run.failure.cell_number, run.failure.message


def test_a_notebook_whose_cells_all_ran_passes(zoo: Results) -> None:
    run = zoo["passes"]
    assert (run.status, run.failure) == ("passed", None)
    assert [(cell.id, cell.number, cell.status) for cell in run.cells] == [
        ("cell-a", 2, "passed"),
        ("cell-b", 3, "passed"),
    ]
    assert run.seconds > 0
    assert run.cpu_seconds > 0
    assert run.peak_memory_bytes > 10_000_000


def test_sys_exit_zero_fails_the_notebook(zoo: Results) -> None:
    kind, cell, number, message = failure(zoo, "exits")
    assert (kind, cell, number) == ("exit", "cell-b", 3)
    assert "sys.exit(0)" in message
    assert [c.status for c in zoo["exits"].cells] == ["passed", "failed", "not run"]


def test_sys_exit_one_fails_the_notebook(zoo: Results) -> None:
    assert failure(zoo, "exits_with_one")[0] == "exit"


def test_quit_in_the_last_cell_fails_the_notebook(zoo: Results) -> None:
    kind, cell, _, message = failure(zoo, "quits")
    assert (kind, cell) == ("exit", "cell-a")
    assert "ended the kernel" in message


def test_a_kernel_killed_with_signal_nine_is_told_with_cell_signal_and_memory(zoo: Results) -> None:
    kind, cell, number, message = failure(zoo, "killed")
    assert (kind, cell, number) == ("kernel-died", "cell-b", 3)
    assert "signal 9 (SIGKILL)" in message
    assert "of memory" in message
    assert zoo["killed"].peak_memory_bytes > 50_000_000


def test_a_kernel_that_ends_by_itself_is_told_with_its_exit_code(zoo: Results) -> None:
    kind, cell, _, message = failure(zoo, "ends")
    assert (kind, cell) == ("kernel-died", "cell-a")
    assert "exit code 0" in message


def test_a_cell_that_fails_after_output_keeps_the_output_and_the_traceback(zoo: Results) -> None:
    kind, cell, _, message = failure(zoo, "fails")
    assert (kind, cell, message) == ("error", "cell-a", "ZeroDivisionError: division by zero")
    run = zoo["fails"]
    assert run.failure is not None
    assert "1 / 0" in run.failure.traceback
    assert "\x1b" not in run.failure.traceback
    assert zoo.folder is not None
    assert run.output is not None
    executed = nbformat.read(zoo.folder / run.output, 4)
    texts = [
        output.get("text", "") for cell in executed.cells for output in cell.get("outputs", [])
    ]
    assert "output\n42\n" in texts


def test_the_executed_notebook_holds_our_verdict_and_not_papermills(zoo: Results) -> None:
    assert zoo.folder is not None
    executed = nbformat.read(zoo.folder / "notebooks" / "killed.ipynb", 4)
    assert executed.metadata["datahall"]["status"] == "failed"
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    status = {cell.id: cell.metadata["datahall"]["status"] for cell in code}
    assert status == {"cell-a": "passed", "cell-b": "failed"}


def test_a_cell_tagged_raises_exception_still_fails(zoo: Results) -> None:
    assert failure(zoo, "raises_on_purpose")[:2] == ("error", "cell-a")


def test_a_cell_that_is_skipped_by_its_tag_fails(zoo: Results) -> None:
    kind, cell, _, message = failure(zoo, "skips")
    assert (kind, cell) == ("unfinished", "cell-a")
    assert "skip-execution" in message


def test_values_are_collected_even_when_a_bound_breaks(zoo: Results) -> None:
    assert failure(zoo, "broken_bound")[:2] == ("error", "cell-b")
    loss, accuracy = zoo["broken_bound"].values
    assert (loss.name, loss.value, loss.unit, loss.cell_id) == ("loss", 0.5, "nats", "cell-a")
    assert (accuracy.bound, accuracy.holds) == ({"at_least": 0.98}, False)
    assert zoo["broken_bound"].bounds.broken == 1


def test_a_notebook_without_code_passes(zoo: Results) -> None:
    assert zoo["says_nothing"].status == "passed"
    assert zoo["says_nothing"].cells == ()


def test_no_process_of_any_notebook_survives(zoo: Results, kernels: Kernels) -> None:
    assert zoo["leaves_children"].status == "passed"
    assert not [p for p in kernels() if zoo.run["id"] in p.environ().get("DATAHALL_KERNEL", "")]


def test_a_run_with_a_failure_exits_with_one(zoo: Results) -> None:
    assert zoo.exit_code == Exit.FAILED


@pytest.mark.usefixtures("no_kernel_left")
def test_a_time_limit_shows_where_the_cell_hung(tmp_path: Path, write_notebook: Write) -> None:
    path = write_notebook(tmp_path / "slow.ipynb", "x = 1", "import time\ntime.sleep(600)")
    results = runner.run([path], timeout_s=4, pages=False, output_dir=tmp_path / "out")
    kind, cell, number, message = failure(results, "slow")
    assert (kind, cell, number) == ("timeout", "cell-b", 3)
    assert "time limit of 4.0 s" in message
    run = results["slow"]
    assert run.failure is not None
    assert "KeyboardInterrupt" in run.failure.traceback


@pytest.mark.usefixtures("no_kernel_left")
def test_a_cell_that_ignores_the_interrupt_is_killed_at_its_time_limit(
    tmp_path: Path, write_notebook: Write
) -> None:
    stubborn = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)"
    path = write_notebook(tmp_path / "stubborn.ipynb", stubborn)
    results = runner.run([path], timeout_s=4, pages=False, output_dir=tmp_path / "out")
    assert failure(results, "stubborn")[:2] == ("timeout", "cell-a")


def test_kernels_do_not_inherit_the_switch_that_forbids_bytecode(
    tmp_path: Path, write_notebook: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    path = write_notebook(
        tmp_path / "bytecode.ipynb",
        "import sys\nassert not sys.dont_write_bytecode",
        "import os\nassert os.environ['DATAHALL_HEADLESS'] == '1'",
        f"assert os.environ['DATAHALL_HOME'] != {os.environ.get('DATAHALL_HOME', '')!r}",
    )
    assert runner.run([path], pages=False, output_dir=tmp_path / "out").ok


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("/nowhere/python", "the kernel did not start (FileNotFoundError"),
        ("false", "the kernel did not start (RuntimeError: Kernel died"),
    ],
)
def test_a_kernel_that_does_not_start_is_told(
    tmp_path: Path,
    write_notebook: Write,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    says: str,
) -> None:
    folder = tmp_path / "jupyter" / "kernels" / "broken"
    folder.mkdir(parents=True)
    spec = {"argv": [program, "{connection_file}"], "display_name": "broken", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    path = write_notebook(tmp_path / "book.ipynb", "print(1)", kernel="broken")
    results = runner.run([path], pages=False, output_dir=tmp_path / "out")
    kind, cell, _, message = failure(results, "book")
    assert (kind, cell) == ("kernel-start", None)
    assert says in message
