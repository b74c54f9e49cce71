"""`benchmarks/batch.py` counts the time of every process, and judges by its goals."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

COUNT = """
import sys; sys.path.insert(0, "benchmarks")
import batch
from pathlib import Path
batch.adopt_orphans()
place = batch.Place(Path(sys.argv[1]))
took = place.run(sys.executable, "-c", sys.argv[2])
place.run(sys.executable, "-c", "pass")
print(took.cpu_s, took.wall_s, place.cost.cpu_s)
"""


@pytest.fixture(scope="module")
def batch(root: Path) -> Iterator[ModuleType]:
    """The benchmark as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root / "benchmarks")
        yield importlib.import_module("batch")


def python(root: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that imports the benchmark."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)


def test_the_time_of_an_orphan_in_its_own_session_is_counted(root: Path, tmp_path: Path) -> None:
    burn = "while time.process_time() < limit: pass"
    program = (
        "import os, time\nborn = os.fork()\nlimit = 0.5 if born else 1.0\n"
        f"if not born: os.setsid()\n{burn}\nos._exit(0)\n"
    )
    done = python(root, COUNT, str(tmp_path / "place"), program)
    assert done.returncode == 0, done.stderr
    cpu_s, wall_s, both_s = map(float, done.stdout.split())
    assert 1.5 <= cpu_s < both_s
    assert wall_s >= 1.0


def test_a_command_that_fails_is_no_measurement(root: Path, tmp_path: Path) -> None:
    done = python(root, COUNT, str(tmp_path / "place"), "raise SystemExit('it broke')")
    assert done.returncode == 1
    assert "it broke" in done.stderr
    assert "failed: " in done.stderr


def measured(**changed: float) -> dict[str, Any]:
    """Return figures that meet every goal, some of them changed."""
    cpu = {"papermill": 100.0, "datahall": 60.0, "first": 60.0, "again": 1.7} | changed
    empty = {"papermill": 5.0, "alone_cold": 3.0, "kernel_warm": 0.05}
    empty["further_warm"] = cpu.pop("further", 0.3)
    costs = {name: {"cpu_s": value, "wall_s": 1.0} for name, value in cpu.items() if value}
    return {"lectures": 10, "costs": costs, "cells_cpu_s": 50.0, "empty_cpu_s": empty}


@pytest.mark.parametrize(
    ("changed", "met"),
    [
        ({}, [True, True, True]),
        ({"datahall": 61.0}, [False, True, True]),
        ({"further": 0.31}, [True, False, True]),
        ({"again": 1.9}, [True, True, False]),
        ({"first": 0, "again": 0}, [True, True, None]),
    ],
)
def test_goals_are_met_missed_or_not_measured(batch: ModuleType, changed, met) -> None:
    found = measured(**changed)
    goals = batch.judge(found)
    text = batch.show(found, goals)
    assert [goal["met"] for goal in goals.values()] == met
    words = {True: "met", False: "missed", None: "not measured"}
    rows = text.partition("goal")[2].splitlines()[2:5]
    assert [row.rsplit("  ", 1)[1] for row in rows] == [words[each] for each in met]
    if not changed:
        (ours,) = (line for line in text.splitlines() if line.startswith("datahall  "))
        assert ours.split()[1:] == ["60.0", "1", "0.60", "1.00"]  # (60 - 50) over ten lectures
