"""The same training on Ray: same weights, a killed worker changes nothing, nothing is left.

The slow tests run real Ray, with processes of its own; without the extra they are skipped, and say
how to install it.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from datahall import extras
from datahall.errors import CourseError
from datahall.scaling import launcher, on_ray
from datahall.scaling.cluster import Task, free_ports

TRAIN = "datahall.scaling.machines:train"
WORK = {"steps": 40, "every": 4}
SECOND = Task("worker", 1, 2)
RAY = (sys.executable, "-m", "datahall.course.cli", "launch", TRAIN, "--backend", "ray")
SAME = ("-a", "steps=40", "-a", "every=4")
LIMIT_S = 900  # on a busy machine: Ray starts a dozen processes, two of which import TensorFlow

lacks_ray = bool(extras.lacking("ray"))
real = pytest.mark.skipif(lacks_ray, reason=extras.advice("ray") if lacks_ray else "")


def test_without_ray_the_message_is_the_one_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(extras.MODULES, "ray", ("a_package_that_nobody_has",))
    with pytest.raises(CourseError, match='make setup EXTRAS="ray"'):
        on_ray.supervise(TRAIN, WORK)


def files(space: Path) -> set[str]:
    """Return what Ray and jobs may leave: in the temporary folder, in shared memory, at home."""
    known = {
        Path("/tmp"): ("ray", "ray_*"),  # noqa: S108 (where Ray writes unless told otherwise)
        Path("/dev/shm"): ("plasma*", "psm_*"),  # noqa: S108
        Path.home(): (".ray", "ray_results"),
        space: ("*",),
    }
    return {str(path) for at, names in known.items() for name in names for path in at.glob(name)}


def alive(mark: str) -> list[str]:
    """Return the processes that a test has started: by a mark in their environment, or by a file.

    Some of Ray's processes overwrite their environment with their title. All keep a log open.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                marked = process.environ().get("DATAHALL_TEST_MARK") == mark
                writes = any(os.environ["TMPDIR"] in file.path for file in process.open_files())
                found += [f"{process.pid} {process.name()}"] if marked or writes else []
    return found


@pytest.fixture
def nothing_left(monkeypatch):
    """Assert that no process, and so no port, and no file is left; give the processes' mark."""
    mark = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as space:
        before = files(Path(space))
        monkeypatch.setenv("DATAHALL_TEST_MARK", mark)
        monkeypatch.setenv("TMPDIR", space)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield mark
        deadline = time.monotonic() + 30
        while (alive(mark) or files(Path(space)) - before) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert (alive(mark), files(Path(space)) - before) == ([], set())


@pytest.fixture(scope="module")
def undisturbed():
    return next(iter(launcher.supervise(TRAIN, WORK, limit_s=LIMIT_S).results.values()))["digest"]


def kill_at(step: int):
    """Return what sends SIGKILL to worker 1 once it has told of a step."""
    struck: list[int] = []

    def look(job: on_ray.RayJob) -> None:
        if not struck and job.steps(SECOND) >= step:
            struck.append(step)
            job.kill(SECOND)

    return look


@real
@pytest.mark.slow
def test_ray_trains_the_very_weights_of_the_launcher(nothing_left, undisturbed):
    done = subprocess.run([*RAY, *SAME], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    came = json.loads(done.stdout)
    assert {name: one["digest"] for name, one in came.items()} == {
        "worker 0": undisturbed,
        "worker 1": undisturbed,
    }


@real
@pytest.mark.slow
def test_a_worker_of_ray_that_is_killed_changes_nothing(nothing_left, undisturbed):
    came = on_ray.supervise(TRAIN, WORK, restarts=1, after_look=kill_at(9), limit_s=LIMIT_S)
    assert len(came.losses) == 1 and "worker 1" in came.losses[0]
    assert {one["digest"] for one in came.results.values()} == {undisturbed}
    starts = {one["start"] for one in came.results.values()}
    assert len(starts) == 1 and 8 <= min(starts) < 40 and min(starts) % 4 == 0


@real
@pytest.mark.slow
def test_a_worker_lost_once_too_often_is_a_clear_error(nothing_left):
    with pytest.raises(launcher.JobError, match=r"lost 1 times, 0 restarts were allowed.*worker 1"):
        on_ray.supervise(TRAIN, WORK, after_look=kill_at(5), limit_s=LIMIT_S)


@real
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_launcher_ends_ray(nothing_left, number):
    words = [*RAY, "-a", "steps=100000"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as owner:
        deadline = time.monotonic() + LIMIT_S
        while not any("ray::" in name for name in alive(nothing_left)):
            assert time.monotonic() < deadline and owner.poll() is None, alive(nothing_left)
            time.sleep(0.5)
        owner.send_signal(number)
        assert owner.wait(60) in (130, -number)


def join(words: list[str], variables: dict[str, str]):
    """Start a node of Ray; again, where it ends because the machine is too busy for its limits."""
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", "1"]
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        node = subprocess.Popen([*start, *words], env=variables)
        while node.poll() is None and time.monotonic() < deadline:
            family = psutil.Process(node.pid).children(recursive=True)
            if any("ray::RuntimeEnv" in process.name() for process in family):
                time.sleep(20)  # longer than the limit at which it would end
                if node.poll() is None:
                    return node
            time.sleep(0.5)
        node.terminate()
        node.wait(60)
    raise AssertionError("the node did not start")


@real
@pytest.mark.slow
def test_workers_run_on_two_nodes_of_a_cluster_that_is_there(tmp_path, nothing_left, undisturbed):
    """Two nodes on this machine, one processor each, so each worker is on a node of its own."""
    with tempfile.TemporaryDirectory(prefix="n-") as where:
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        own = {"RAY_TMPDIR": where, "TMPDIR": where, "PYTHONPATH": on_ray.lean(Path(where))}
        variables = {**os.environ, **on_ray.VARIABLES, **token, **own}
        address = f"127.0.0.1:{free_ports(1)[0]}"
        small = ["--object-store-memory", str(100 * 2**20), "--plasma-directory", where]
        head = ["--head", "--port", address.split(":")[1], "--include-dashboard", "false"]
        nodes = []
        try:
            for words in ([*head, "--temp-dir", where], ["--address", address]):
                nodes.append(join([*small, *words], variables))
            words = [*RAY, *SAME, "--address", address, "--folder", str(tmp_path)]
            done = subprocess.run(
                words, env=variables, capture_output=True, text=True, timeout=LIMIT_S
            )
        finally:
            for node in nodes:
                node.terminate()
                node.wait(60)
        assert done.returncode == 0, done.stderr
        assert {one["digest"] for one in json.loads(done.stdout).values()} == {undisturbed}
        assert list(tmp_path.iterdir()) == []
