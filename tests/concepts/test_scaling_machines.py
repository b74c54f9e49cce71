"""Several processes as one job: what it returns, how it ends, and that nothing is left of it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from datahall.errors import ParameterError
from datahall.scaling import launcher, machines, nursery, recovery
from datahall.scaling.cluster import Cluster, Task, free_ports, me

HERE = "tests.concepts.test_scaling_machines"
TRAIN = "datahall.scaling.machines:train"
SECOND = Task("worker", 1, 2)

PROGRAM = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from datahall.scaling.cluster import me
from datahall.scaling.worker import scratch, tell

def who(**given):
    return {"who": str(me()), "given": given}

def sees():
    return os.environ.get("CUDA_VISIBLE_DEVICES", "none")

def hang(child=False):
    tell("step 1")
    if child:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    time.sleep(300)

def die_once():
    mark = scratch() / "died"
    if me().index == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    tell("step 3")
    return mark.exists()

def fail():
    raise ValueError("no such data")

def role():
    if me().role == "worker":
        os.kill(os.getpid(), signal.SIGKILL)
    if me().role == "ps":
        time.sleep(300)
    time.sleep(1)
    return "finished"
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    (tmp_path / "program_of_a_test.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield "program_of_a_test:"
    assert left(tmp_path) == ([], [])
    assert {path.name for path in tmp_path.iterdir()} <= {"program_of_a_test.py", "__pycache__"}


def left(folder: Path) -> tuple[list[int], list[Path]]:
    """Return what is left of jobs whose folders stand here: processes, folders."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        alive = [p.pid for p in psutil.process_iter() if names(p, str(folder))]
        folders = list(folder.glob("datahall-job-*"))
        if not alive and not folders:
            break
        time.sleep(0.1)
    return alive, folders


def names(process: psutil.Process, folder: str) -> bool:
    with contextlib.suppress(psutil.Error):
        of_a_job = process.environ().get("DATAHALL_JOB_FOLDER", "").startswith(folder)
        return of_a_job and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_a_task_reads_who_it_is_and_refuses_nonsense():
    config = Cluster.of(["a:1", "b:2", "c:3"]).config(Task("worker", 2, 3))
    assert me({"TF_CONFIG": config}) == Task("worker", 2, 3)
    assert json.loads(config)["cluster"] == {"worker": ["a:1", "b:2", "c:3"]}
    for text in ("{", "[]", '{"cluster": {}, "task": {"type": "worker", "index": 0}}'):
        with pytest.raises(ParameterError, match="TF_CONFIG"):
            me({"TF_CONFIG": text})


@pytest.mark.parametrize("hosts", [["a"], ["a:0"], ["a:70000"], [":1"], ["a:1", "a:1"]])
def test_addresses_without_a_port_or_twice_are_refused(hosts):
    with pytest.raises(ParameterError, match="host"):
        Cluster.of(hosts)


def test_free_ports_differ_and_are_free():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))


def test_the_least_waste_is_at_young_s_interval():
    best = recovery.best_interval_s(write_s=40, loss_s=126_000)
    least = recovery.waste(best, write_s=40, loss_s=126_000)
    assert best == pytest.approx(3175, abs=1)
    for factor in (0.5, 0.9, 1.1, 2):
        assert recovery.waste(factor * best, write_s=40, loss_s=126_000) > least
    with pytest.raises(ParameterError, match="write_s is 0"):
        recovery.waste(1, write_s=0, loss_s=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hosts": ("a:1", "b:1")}, "rank is None"),
        ({"rank": 0}, "rank is 0"),
        ({"hosts": ("a:1",), "rank": 1}, "rank is 1"),
        ({"roles": {"worker": 0}}, "At least 1"),
        ({"roles": {"boss": 1}}, "boss"),
        ({"limit_s": 0}, "more than 0 s"),
    ],
)
def test_a_job_that_cannot_be_is_refused(options, words):
    with pytest.raises(ParameterError, match=words):
        launcher.Job("math:sqrt", **options)


@pytest.mark.processes
def test_every_process_knows_who_it_is_and_what_it_was_given(program):
    came = launcher.supervise(program + "who", {"x": 1}, roles={"worker": 3}).results
    assert {str(t): v for t, v in came.items()} == {
        f"worker {n}": {"who": f"worker {n}", "given": {"x": 1}} for n in range(3)
    }


@pytest.mark.processes
def test_the_gpus_of_a_machine_are_shared_out_among_its_workers(program, monkeypatch):
    """No GPU is needed: only what each worker may see is looked at."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert list(launcher.supervise(program + "sees").results.values()) == ["4,5", "6,7"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    assert list(launcher.supervise(program + "sees").results.values()) == ["4", "4"]


@pytest.mark.processes
def test_a_lost_worker_ends_the_job_and_a_restart_finishes_it(program):
    with pytest.raises(launcher.JobError, match="worker 1 was lost: killed by SIGKILL"):
        launcher.supervise(program + "die_once")
    came = launcher.supervise(program + "die_once", restarts=1)
    assert len(came.losses) == 1 and list(came.results.values()) == [True, True]


@pytest.mark.processes
def test_a_failure_names_its_error_and_a_slow_job_its_limit(program):
    with pytest.raises(launcher.JobError, match="exit code 1; its last words: ValueError: no such"):
        launcher.supervise(program + "fail")
    with pytest.raises(launcher.JobError, match=r"not finished after 3 s.*step 1"):
        launcher.supervise(program + "hang", {"child": True}, limit_s=3)


@pytest.mark.processes
def test_with_a_chief_a_lost_worker_is_not_the_end(program):
    came = launcher.supervise(program + "role", roles={"chief": 1, "worker": 1, "ps": 1})
    assert came.results == {Task("chief"): "finished"}


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_whatever_ends_the_launcher_ends_its_job(program, tmp_path, number):
    call = f"launcher.supervise('{program}hang', {{'child': True}})"
    code = f"from datahall.scaling import launcher; {call}"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as owner:
        deadline = time.monotonic() + 60
        while (
            time.monotonic() < deadline
            and not all("step" in log.read_text() for log in tmp_path.glob("datahall-job-*/*.log"))
        ) or len(list(tmp_path.glob("datahall-job-*/*.log"))) < 2:
            time.sleep(0.1)
        owner.send_signal(number)
        owner.wait(20)
    assert left(tmp_path) == ([], [])


@pytest.mark.processes
def test_the_same_command_starts_each_host_s_own_worker(program):
    first, second = free_ports(2)
    words = ["launch", program + "who", "--hosts", f"127.0.0.1:{first},127.0.0.1:{second}"]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "datahall.course.cli", *words, "--rank", str(rank), "-a", "x=2"],
            stdout=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    told = [json.loads(one.communicate(timeout=60)[0]) for one in both]
    assert told == [{f"worker {n}": {"who": f"worker {n}", "given": {"x": 2}}} for n in range(2)]


def kill_at(step: int, task: Task):
    """Return what kills a worker once it has told of a step."""
    struck: list[int] = []

    def look(job: launcher.Job) -> None:
        if not struck and job.steps(task) >= step:
            struck.append(step)
            job.kill(task)

    return look


@pytest.fixture(scope="module")
def warm():
    with nursery.Nursery() as held:
        yield held


@pytest.fixture(scope="module")
def undisturbed(warm):
    return launcher.supervise(TRAIN, {"steps": 16, "every": 4}, nursery=warm).results


def resumes(warm, undisturbed, step: int, task: Task) -> None:
    look = kill_at(step, task)
    came = launcher.supervise(
        TRAIN, {"steps": 16, "every": 4}, restarts=1, after_look=look, nursery=warm
    )
    assert len(came.losses) == 1 and "SIGKILL" in came.losses[0]
    assert [v["digest"] for v in came.results.values()] == [
        v["digest"] for v in undisturbed.values()
    ]


@pytest.mark.slow  # the lecture's cell `compare` judges the same in each run of the tests
def test_two_workers_equal_one(warm, undisturbed):
    alone = launcher.supervise(
        TRAIN, {"steps": 16, "every": 0}, roles={"worker": 1}, nursery=warm
    ).results[Task()]
    first, second = undisturbed.values()
    assert first["digest"] == second["digest"]
    assert first["losses"] == pytest.approx(alone["losses"], abs=1e-3)


@pytest.mark.processes
def test_a_first_worker_killed_before_any_checkpoint_changes_nothing(warm, undisturbed):
    """The lecture kills the second one after a checkpoint, in nbval and in papermill."""
    resumes(warm, undisturbed, 1, Task("worker", 0, 2))


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 2, 3, 4, 5, 7, 8, 9, 11, 12, 14])
def test_a_worker_killed_at_any_moment_changes_nothing(warm, undisturbed, step):
    resumes(warm, undisturbed, step, SECOND if step % 2 else Task("worker", 0, 2))


def test_a_batch_that_cannot_be_shared_out_is_refused():
    with pytest.raises(ParameterError, match="batch of 7"):
        machines.share(list(range(7)), SECOND)
