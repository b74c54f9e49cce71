"""A real child process, killed with SIGKILL or interrupted with SIGINT, loses nothing but time."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from datahall.errors import CourseError
from datahall.training import crash

pytestmark = pytest.mark.processes

PLAN = {"steps": 30, "every": 8, "batch": 32}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the digest of the training that nothing disturbs."""
    path = tmp_path_factory.mktemp("whole") / "checkpoint.npz"
    return crash.run(path, steps=30, every=1000, batch=32).digest


def test_a_process_killed_at_a_random_step_resumes_to_the_same_weights(tmp_path, whole):
    path = tmp_path / "checkpoint.npz"
    moment = int(np.random.default_rng(os.getpid()).integers(9, 29))
    killed = crash.run(path, **PLAN, kill_after=moment)
    assert killed.exit_code == -signal.SIGKILL and killed.digest == "", f"moment {moment}"
    resumed = crash.run(path, **PLAN)
    assert resumed.exit_code == 0 and 8 <= resumed.start <= resumed.step == 30, f"moment {moment}"
    assert resumed.digest == whole, f"moment {moment}"


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(1, 30))
def test_every_moment_of_the_kill_ends_in_the_same_weights(tmp_path, whole, moment):
    path = tmp_path / "checkpoint.npz"
    assert crash.run(path, **PLAN, kill_after=moment).exit_code == -signal.SIGKILL
    assert crash.run(path, **PLAN).digest == whole


def test_interrupt_ends_the_process_with_130_and_a_checkpoint_that_goes_on(tmp_path, whole):
    path = tmp_path / "checkpoint.npz"
    command = [sys.executable, "-m", "datahall.training.crash", str(path), "--steps=30"]
    command += ["--every=100", "--batch=32"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line.startswith("step"):
                child.send_signal(signal.SIGINT)
                break
        last = child.stdout.read().strip().splitlines()[-1]
    assert child.returncode == 130 and last.startswith("interrupted")
    resumed = crash.run(path, **PLAN)
    assert resumed.start == int(last.split()[1]) and resumed.digest == whole


def test_a_process_that_fails_by_itself_is_named_with_its_last_words(tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"no checkpoint")
    with pytest.raises(CourseError, match=r"exit code 1 .*DataError: the checkpoint .* cannot"):
        crash.run(tmp_path / "checkpoint.npz", **PLAN)


def test_a_process_that_takes_too_long_is_given_up(tmp_path):
    with pytest.raises(CourseError, match="exit code -9 at step 0"):
        crash.run(tmp_path / "checkpoint.npz", **PLAN, limit_s=0.2)
