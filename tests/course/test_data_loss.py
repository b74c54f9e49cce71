"""Whatever ends a run, nothing of the user's is lost; the machinery removes only what it made."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from datahall import guardian
from datahall.course.run import folder, results
from datahall.course.run.folder import RunFolder
from datahall.course.run.processes import is_alive

Write = Callable[..., Path]
COMMAND = (sys.executable, "-m", "datahall.course.cli", "run")


def snapshot(top: Path) -> dict[str, str]:
    """Return the digest of every file below a folder, and the empty folders."""
    return {
        str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in top.rglob("*")
    }


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_a_runner_killed_over_a_folder_of_the_users_deletes_nothing(
    tmp_path: Path, write_notebook: Write, jobs: int
) -> None:
    mine, space = tmp_path / "my thesis", tmp_path / "tmp"
    (mine / "empty").mkdir(parents=True)
    space.mkdir()
    (mine / "data.csv").write_text("years of work")
    wait = f"import pathlib, os\npathlib.Path({str(space)!r}, f'at-{{os.getpid()}}').touch()\n"
    books = [
        write_notebook(mine / f"{name}.ipynb", f"{wait}import time\ntime.sleep(600)")
        for name in "abcd"
    ]
    before = snapshot(mine)
    run = subprocess.Popen(
        [*COMMAND, *books, "-j", str(jobs), "--output-dir", tmp_path / "out"],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(space)},
    )
    deadline = time.monotonic() + 90
    while len(list(space.glob("at-*"))) < jobs:
        assert time.monotonic() < deadline, "the cells were not reached"
        time.sleep(0.05)
    run.kill()
    run.wait()
    while list(space.glob("datahall-run-*")):
        assert time.monotonic() < deadline, "the scratch space was left behind"
        time.sleep(0.1)
    assert snapshot(mine) == before


def test_a_killed_run_can_be_read_as_far_as_it_came_and_leaves_no_detached_process(
    tmp_path: Path, write_notebook: Write
) -> None:
    reached = tmp_path / "reached"
    starts = (
        "import subprocess, sys, pathlib, time\n"
        "nap = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "child = subprocess.Popen(nap, start_new_session=True)\n"
        f"pathlib.Path({str(reached)!r}).write_text(str(child.pid))\n"
        "time.sleep(600)"
    )
    books = [
        write_notebook(tmp_path / "a.ipynb", "1"),
        write_notebook(tmp_path / "b.ipynb", starts),
    ]
    command = [*COMMAND, *books, "-j", "1", "--output-dir", tmp_path / "out"]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while not (reached.exists() and reached.read_text()):
        assert time.monotonic() < deadline, "the cell was not reached"
        time.sleep(0.05)
    detached = psutil.Process(int(reached.read_text()))
    run.kill()
    run.wait()
    while is_alive(detached):
        assert time.monotonic() < deadline, "a detached process was left"
        time.sleep(0.05)
    (file,) = (tmp_path / "out").glob(".*.part/results.json")
    found = results.load(file)
    assert [(book.name, book.status) for book in found.notebooks] == [("a", "passed")]
    assert found.run["interrupted"]


def test_scratch_is_removed_only_where_this_program_made_it(tmp_path: Path) -> None:
    made = Path(guardian.make("run"))
    assert guardian.remove(str(made))
    assert not made.exists()
    users = tmp_path / "datahall-run-mine"
    users.mkdir()
    (users / "thesis.txt").write_text("x")
    assert not guardian.remove(str(users))  # the right name, no mark
    moved = Path(guardian.make("run"))
    link = tmp_path / "datahall-run-link"
    link.symlink_to(moved)
    assert not guardian.remove(str(link))
    copied = tmp_path / "datahall-run-copy"
    moved.rename(copied)
    assert not guardian.remove(str(copied))  # a mark that names another place
    assert (users / "thesis.txt").exists()


def test_clean_keeps_at_least_what_was_asked_for(tmp_path: Path) -> None:
    for _ in range(3):
        run = RunFolder(tmp_path)
        run.publish()
        run.drop_scratch()
    assert folder.clean(tmp_path, keep=5) == (0, 0)
    assert len(list(tmp_path.glob("2*"))) == 3


def test_clean_leaves_a_folder_alone_that_only_bears_the_name_of_a_run(tmp_path: Path) -> None:
    mine = tmp_path / "20260101-000000-aaaa"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    link = tmp_path / "20260102-000000-aaaa"
    link.symlink_to(mine)
    assert folder.clean(tmp_path) == (0, 0)
    assert (mine / "thesis.txt").read_text() == "x"
