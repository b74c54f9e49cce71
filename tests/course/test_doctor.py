"""The doctor: finds what is broken, says what to do, and names nobody in its report."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datahall.course import doctor
from datahall.course.doctor import BAD, OK, WARNING, Finding, hardware, software, storage

Command = Callable[..., Any]


def test_this_machine_can_run_the_course_and_the_report_names_nobody(
    datahall: Command, tmp_path: Path
) -> None:
    said = datahall("doctor", "--json", "--report", tmp_path / "report.md")
    told = json.loads(said.out)
    assert told["ok"] is True, [f for f in told["findings"] if f["status"] == "bad"]
    assert said.code == 0
    looked_at = [finding["what"] for finding in told["findings"]]
    assert looked_at[:9] == [
        "Python", "Memory", "Processor", "Instruction sets", "Disk", "Packages", "TensorFlow",
        "JupyterLab", "Kernel",
    ]  # fmt: skip
    assert {"Widgets", "Browser", "Data mnist", "Data folder", "Results folder"} <= set(looked_at)
    report = (tmp_path / "report.md").read_text()
    assert report.startswith("# Datahall: report of a machine")
    for secret in (str(Path.home()), str(tmp_path), socket.gethostname(), str(Path.cwd())):
        assert secret not in report
    assert f"/{getpass.getuser()}" not in report


def test_a_tensorflow_that_cannot_be_imported_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ImportError('libcudart.so.99 is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = software.tensorflow()
    assert finding.status == BAD
    assert finding.found == "ImportError: libcudart.so.99 is missing"
    assert "make setup" in finding.advice


def test_a_tensorflow_that_hangs_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorflow.py").write_text("import time\ntime.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(software, "TENSORFLOW_LIMIT_S", 0.5)
    assert software.tensorflow().found == "not imported within 0.5 s"


def test_a_tensorflow_that_crashes_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorflow.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGILL)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert software.tensorflow().found == "exit code -4"


def test_a_damaged_data_set_is_bad_with_the_way_to_mend_it(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "datasets" / "mnist", tmp_path / "mnist")
    damaged = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    monkeypatch.setenv("DATAHALL_DATA", str(tmp_path))
    finding = next(finding for finding in storage.data() if finding.what == "Data mnist")
    assert finding.status == BAD
    assert "t10k-labels" in finding.advice


def test_a_data_folder_that_cannot_be_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAHALL_HOME", "/proc/nowhere/datahall")
    finding = storage.data_folder()
    assert finding.status == BAD
    assert "DATAHALL_HOME" in finding.advice


def test_no_browser_is_only_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BROWSER", raising=False)
    assert software.browser().status in (OK, WARNING)


def test_instruction_sets_are_named(root: Path) -> None:
    assert hardware.instructions().found.startswith(("AVX2", "not told"))


@pytest.mark.parametrize(
    ("statuses", "can"), [([OK], True), ([OK, WARNING], True), ([OK, WARNING, BAD], False)]
)
def test_only_what_is_bad_stops_the_course(statuses: list[str], can: bool) -> None:
    assert doctor.can_run([Finding("x", status, "y") for status in statuses]) is can


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{Path.home()}/data can be written", "~/data can be written"),
        ("/mnt/anna/course cannot be written", "<folder> cannot be written"),
        (f"on {socket.gethostname()} as ever", "on <host> as ever"),
        ("2.21.0 with Keras 3.15.1, devices: CPU", "2.21.0 with Keras 3.15.1, devices: CPU"),
        ("a | b", "a / b"),
    ],
)
def test_folders_and_names_are_left_out(text: str, shown: str) -> None:
    assert doctor.anonymous(text) == shown


def test_a_full_disk_is_bad_however_large_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=500m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("mounting a disk needs root")
    try:
        monkeypatch.setenv("DATAHALL_HOME", str(disk / "home"))
        assert storage.disk().status == "warning"
        (disk / "full").write_bytes(bytes(300_000_000))
        assert storage.disk().status == "bad"
    finally:
        subprocess.run(["umount", disk], check=True)
