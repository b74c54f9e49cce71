"""The set-up on a tiny checkout: what it makes, what it leaves alone, and how it is kept up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Checkout


def wait_for(path: Path) -> None:
    """Wait until a file exists."""
    for _ in range(1200):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path.name} did not appear")


def test_a_first_setup_installs_lock_and_project_and_a_second_does_nothing(checkout: Checkout):
    first = checkout.setup(PYTHONDONTWRITEBYTECODE="1")
    assert first.returncode == 0, first.stderr
    assert "environment ready after" in first.stdout
    assert checkout.holds("tinywheel")
    assert checkout.holds("backend")  # the project's folder is on the path: it is editable
    # Compiled at set-up, even where Python is told not to write compiled files.
    assert list(checkout.venv.glob("lib/*/site-packages/__pycache__/tinywheel.*.pyc"))
    made = checkout.stamp.stat().st_mtime_ns
    second = checkout.setup()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert checkout.stamp.stat().st_mtime_ns == made


def test_a_changed_lock_updates_the_environment_and_takes_out_what_it_no_longer_names(
    checkout: Checkout,
):
    assert checkout.setup().returncode == 0
    mark = checkout.venv / "not-built-afresh"
    mark.touch()
    checkout.lock("otherwheel")
    assert checkout.setup().returncode == 0
    assert checkout.holds("otherwheel")
    assert not checkout.holds("tinywheel")
    assert mark.exists()


def test_a_change_of_accelerator_builds_the_environment_afresh_and_is_remembered(
    checkout: Checkout,
):
    assert checkout.setup().returncode == 0
    checkout.lock("gpuwheel", file="requirements-gpu.lock")
    assert checkout.setup("--accelerator", "gpu").returncode == 0
    assert checkout.holds("gpuwheel")
    assert not checkout.holds("tinywheel")
    again = checkout.setup()
    assert (again.returncode, again.stdout) == (0, "")
    assert json.loads(checkout.stamp.read_text())["accelerator"] == "gpu"


def test_an_extra_is_added_in_place_remembered_and_dropped_when_that_is_asked(checkout: Checkout):
    assert checkout.setup().returncode == 0
    mark = checkout.venv / "not-built-afresh"
    mark.touch()
    checkout.lock("jaxwheel", file="requirements-jax.lock")
    added = checkout.setup("--extras", "jax")
    assert added.returncode == 0, added.stderr
    assert "cpu + jax" in added.stdout
    assert checkout.holds("jaxwheel")
    assert mark.exists()
    again = checkout.setup()
    assert (again.returncode, again.stdout) == (0, "")
    checkout.lock("otherwheel")
    assert checkout.setup().returncode == 0  # the main lock has changed: the extra stays
    assert checkout.holds("jaxwheel")
    assert checkout.setup("--extras", "none").returncode == 0
    assert checkout.holds("otherwheel")
    assert not checkout.holds("jaxwheel")


def test_an_installer_killed_half_way_is_not_trusted_and_the_next_call_completes(
    checkout: Checkout,
):
    (checkout.project / "wait").touch()
    begun = subprocess.Popen(checkout.command(), env=checkout.environment(), start_new_session=True)
    wait_for(checkout.project / "caught")
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    assert checkout.holds("tinywheel")  # half of it is there, and works
    assert not checkout.stamp.exists()
    (checkout.project / "wait").unlink()
    mark = checkout.venv / "half-made"
    mark.touch()
    assert checkout.setup().returncode == 0
    assert checkout.stamp.exists()
    assert not mark.exists()


def test_a_setup_waits_for_the_installer_of_one_that_was_killed(checkout: Checkout):
    (checkout.project / "wait").touch()
    begun = subprocess.Popen(checkout.command(), env=checkout.environment())
    wait_for(checkout.project / "caught")
    begun.kill()  # the set-up alone: its pip lives on
    begun.wait()
    second = subprocess.Popen(
        checkout.command(), env=checkout.environment(), stdout=subprocess.PIPE, text=True
    )
    assert second.stdout is not None
    assert "another set-up is at work" in second.stdout.readline()
    (checkout.project / "wait").unlink()
    output, _ = second.communicate(timeout=120)
    assert second.returncode == 0
    assert "environment ready after" in output


def test_of_two_setups_at_once_one_works_and_both_end_well(checkout: Checkout):
    both = [
        subprocess.Popen(
            checkout.command(), env=checkout.environment(), stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert "".join(outputs).count("environment ready after") == 1


@pytest.mark.slow
def test_a_moved_checkout_gets_an_environment_of_its_own_place(checkout: Checkout, tmp_path: Path):
    assert checkout.setup().returncode == 0
    moved = type(checkout)(tmp_path / "moved", checkout.wheels)
    checkout.project.rename(moved.project)
    assert moved.setup().returncode == 0
    assert json.loads(moved.stamp.read_text())["venv"] == str(moved.venv)
