"""Where results go: whole or not at all, two runs at once, a folder that cannot be written, a full
disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from datahall.course.exits import MachineError
from datahall.course.run import folder, results, runner
from datahall.course.run.folder import RunFolder

Write = Callable[..., Path]
Command = Callable[..., Any]


def test_a_run_appears_under_its_name_when_it_is_whole(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write("results.json", "{}")
    assert not run.final.exists()
    assert not (tmp_path / "latest").exists()
    assert run.publish() == run.final
    assert not run.work.exists()
    assert (tmp_path / "latest").resolve() == run.final
    run.drop_scratch()
    assert not run.scratch.path.exists()


def test_latest_leads_to_the_newest_run(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path), RunFolder(tmp_path)
    assert first.id != second.id
    for run in (first, second):
        run.publish()
        run.drop_scratch()
    assert (tmp_path / "latest").resolve() == second.final


def test_somebody_elses_folder_named_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    run = RunFolder(tmp_path)
    run.publish()
    run.drop_scratch()
    assert not (tmp_path / "latest").is_symlink()
    assert run.final.is_dir()


def test_two_runs_at_once_do_not_meet(tmp_path: Path, write_notebook: Write) -> None:
    paths = [write_notebook(tmp_path / f"{n}.ipynb", f"print({n})") for n in (1, 2)]
    found: dict[int, results.Results] = {}

    def run(index: int) -> None:
        found[index] = runner.run([paths[index]], pages=False, output_dir=tmp_path / "out")

    threads = [threading.Thread(target=run, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[index].ok for index in (0, 1)] == [True, True]
    assert found[0].folder != found[1].folder
    for index in (0, 1):
        folder = found[index].folder
        assert folder is not None
        assert [book.name for book in results.load(folder).notebooks] == [str(index + 1)]


def test_two_files_of_the_same_name_get_two_results(tmp_path: Path, write_notebook: Write) -> None:
    paths = []
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        paths.append(write_notebook(tmp_path / part / "same.ipynb", f"print('{part}')"))
    found = runner.run(paths, pages=False, output_dir=tmp_path / "out")
    assert [book.name for book in found.notebooks] == ["same", "same-2"]
    assert found.ok


def test_a_notebook_of_ones_own_finds_the_files_beside_it(
    tmp_path: Path, write_notebook: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "{own} data").mkdir()
    (tmp_path / "{own} data" / "table.txt").write_text("3")
    path = write_notebook(
        tmp_path / "{own} data" / "reads.ipynb", "assert open('table.txt').read() == '3'"
    )
    monkeypatch.chdir("/")
    assert runner.run([path], pages=False, output_dir=tmp_path / "out").ok


def test_a_folder_that_is_a_file_is_refused_before_anything_runs(
    datahall: Command, tmp_path: Path, write_notebook: Write
) -> None:
    (tmp_path / "file").write_text("")
    path = write_notebook(tmp_path / "book.ipynb", "print(1)")
    said = datahall("run", path, "--output-dir", tmp_path / "file")
    assert said.code == 3
    assert "cannot be written" in said.err
    assert "--output-dir" in said.err
    assert "start " not in said.err


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a small disk, with options, and returns its folder."""
    mount, disk = shutil.which("mount"), tmp_path / "disk"
    disk.mkdir()

    def run(options: str) -> Path:
        if os.geteuid() != 0 or mount is None:
            pytest.skip("mounting a disk needs root")
        command = [mount, "-t", "tmpfs", "-o", options, "tmpfs", disk]
        if subprocess.run(command, check=False).returncode != 0:
            pytest.skip("this kernel allows no mount")
        return disk

    yield run
    if disk.is_mount():
        subprocess.run(["umount", disk], check=True)


def test_a_disk_that_cannot_be_written_is_refused(mounted: Callable[[str], Path]) -> None:
    disk = mounted("ro,size=200k")
    with pytest.raises(MachineError, match=r"Read-only file system.*--output-dir"):
        RunFolder(disk)


@pytest.mark.usefixtures("no_kernel_left")
def test_a_full_disk_is_told_and_nothing_half_is_published(
    datahall: Command, mounted: Callable[[str], Path], tmp_path: Path, write_notebook: Write
) -> None:
    small_disk = mounted("size=200k")
    path = write_notebook(tmp_path / "big.ipynb", "print('x' * 400_000)", "print(1)")
    said = datahall("run", path, "--output-dir", small_disk)
    assert said.code == 3
    assert "the disk is full: the executed notebook could not be written" in said.err
    assert "Traceback" not in said.err
    (run,) = results.load(small_disk / "latest").notebooks
    assert (run.status, run.failure and run.failure.kind) == ("failed", "output")
    assert not list(small_disk.rglob("*.part"))


def test_a_run_writes_nothing_but_its_own_folder(tmp_path: Path, write_notebook: Write) -> None:
    (tmp_path / "src").mkdir()
    path = write_notebook(tmp_path / "src" / "book.ipynb", "print(1)")
    before = path.read_bytes()
    runner.run([path], output_dir=tmp_path / "out")
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "src"]
    assert [p.name for p in (tmp_path / "src").iterdir()] == ["book.ipynb"]


def test_clean_removes_runs_and_nothing_else(datahall: Command, tmp_path: Path) -> None:
    for _ in range(3):
        run = RunFolder(tmp_path)
        run.write("results.json", "x" * 100)
        run.publish()
        run.drop_scratch()
    half = RunFolder(tmp_path)
    half.drop_scratch()
    (tmp_path / "mine").mkdir()
    mark_bytes = len(f"{half.id}\n")
    assert folder.clean(tmp_path, keep=2) == (1, 100 + mark_bytes)
    said = datahall("clean", "--output-dir", tmp_path)
    assert said.out == f"removed 2 runs, {200 + 2 * mark_bytes} B\n"
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([half.work.name, "mine"])


def test_a_checkout_that_cannot_be_written_runs_with_another_folder(
    tmp_path: Path, root: Path
) -> None:
    run = f"{sys.executable} -m datahall.course.cli run 00 --preset smoke --output-dir {tmp_path}"
    only_read = f"mount --bind {root} {root} && mount -o remount,ro,bind {root}"
    script = f"{only_read} || exit 99; ! touch {root}/x 2>/dev/null || exit 98; cd {root} && {run}"
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("making a checkout read-only needs root and unshare")
    command = ["unshare", "--mount", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 99:
        pytest.skip("this kernel allows no mount")
    assert done.returncode == 0, done.stderr
    assert results.load(tmp_path / "latest")["00_start_here"].status == "passed"
