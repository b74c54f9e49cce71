"""Start a training as several processes, watch them, start again after a loss, leave nothing.

Read `Job` first (some processes, their logs, their certain end), then `supervise` (a job that
starts again). Each process has `TF_CONFIG`, a log file and a time limit. A guardian process
(`datahall.guardian`) ends them and removes their folder also when the launcher itself is killed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datahall import guardian
from datahall.errors import CourseError, ParameterError
from datahall.guarding import Guardian
from datahall.scaling.cluster import Cluster, Task, devices_of, gpus_here
from datahall.scaling.nursery import ForkedWorker, Nursery

MARKER = "DATAHALL_JOB"  # the environment variable by which a job's processes are known
FOLDER = "DATAHALL_JOB_FOLDER"  # the environment variable that names a job's own folder
LOOK_S = 0.05  # between two looks at the processes


@dataclass(frozen=True)
class Lost:
    """A process that ended before its work was done.

    Attributes:
        task: Which one.
        exit_code: As Python's subprocess gives it: −9 for SIGKILL.
        words: The last line of its log.
    """

    task: Task
    exit_code: int
    words: str

    @property
    def why(self) -> str:
        """How it ended: a signal's name or an exit code."""
        if self.exit_code < 0:
            return f"killed by {signal.Signals(-self.exit_code).name}"
        return f"exit code {self.exit_code}"

    def __str__(self) -> str:
        return f"{self.task} was lost: {self.why}; its last words: {self.words or 'none'}"


class JobError(CourseError, RuntimeError):
    """A job that did not finish: a process was lost too often, or the time was over."""


class Job:
    """Processes that work together, as a context manager: at its end none of them is left.

    With a chief, the job is over when the chief is, and a lost worker is not the end. Without one,
    every worker must finish, and one loss ends the job.

    Args:
        target: What each runs, "module:function"; called with `arguments` by name, returns what
            JSON can hold.
        arguments: What JSON can hold.
        roles: How many processes of each role, on this machine.
        hosts: Instead of `roles`: the addresses of workers on several machines, "host:port".
        rank: Which of the hosts this machine is; only that worker is started here.
        limit_s: Seconds after which everything is ended.
        patience_s: Seconds that the others get after a loss, to notice it by themselves.
        variables: Further environment variables of the processes.
        nursery: What to fork the processes from; left out, each is started afresh.

    Raises:
        ParameterError: `hosts` without a `rank` among them, or a count or limit below 1.
    """

    def __init__(
        self,
        target: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        roles: Mapping[str, int] | None = None,
        hosts: tuple[str, ...] = (),
        rank: int | None = None,
        limit_s: float = 300,
        patience_s: float = 0,
        variables: Mapping[str, str] | None = None,
        nursery: Nursery | None = None,
    ) -> None:
        roles = dict(roles or {"worker": 2})
        _check(roles, hosts, rank, limit_s)
        self.target, self.arguments = target, dict(arguments or {})
        self.limit_s, self.patience_s = limit_s, patience_s
        self._roles = {} if hosts else roles
        self.cluster = Cluster.of(hosts) if hosts else Cluster.here(roles)
        tasks = self.cluster.tasks()
        self.tasks = tasks if rank is None else [tasks[rank]]
        self.variables = dict(variables or {})
        self._nursery = nursery
        self.children: dict[Task, subprocess.Popen[bytes] | ForkedWorker] = {}
        self.noticed_s: dict[Task, float] = {}  # who ended by itself after a loss, and how soon
        self._begin = 0.0

    def __enter__(self) -> Job:
        name = secrets.token_hex(8)
        self.folder = Path(self._make_folder())
        ours = {MARKER: name, FOLDER: str(self.folder), "TMPDIR": str(self.folder / "tmp")}
        (self.folder / "tmp").mkdir()  # TensorFlow keeps files there, which a killed worker leaves
        self._environment = {**os.environ, **self.variables, **ours}
        self._guardian = Guardian(self.folder, f"{MARKER}={name}")
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _make_folder(self) -> str:
        return guardian.make("job")

    def start(self) -> None:
        """Start every process, after a loss once more: on new ports, in the same folder."""
        if self.children:
            self.stop()
            self.children = {}
            self.cluster = Cluster.here(self._roles) if self._roles else self.cluster
        self._begin, self.noticed_s = time.monotonic(), {}
        for task in self.tasks:
            self._file(task, "json").unlink(missing_ok=True)
            self._start(task)

    def stop(self) -> None:
        """End every process that still runs, and what it started."""
        for child in self.children.values():
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)
        for child in self.children.values():
            child.wait()
            self._guardian.tell(-child.pid)

    def _start(self, task: Task) -> None:
        words = [self.target, json.dumps(self.arguments), str(self._file(task, "json"))]
        variables = {**self._environment, "TF_CONFIG": self.cluster.config(task)}
        if task.role == "worker":  # TensorFlow takes every GPU that it sees
            ours = [one for one in self.tasks if one.role == "worker"]
            gpus = devices_of(ours.index(task), len(ours), gpus_here(self._environment))
            variables |= {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}
        log = self._file(task, "log")
        log.touch()
        if self._nursery is not None:
            Path(f"{log}.exit").unlink(missing_ok=True)
            child: subprocess.Popen[bytes] | ForkedWorker = self._nursery.start(
                words, variables, log
            )
        else:
            with log.open("wb") as file:
                child = subprocess.Popen(  # noqa: S603 (our module, the caller's own function)
                    [sys.executable, "-m", "datahall.scaling.worker", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=variables,
                    start_new_session=True,
                )
        self.children[task] = child
        self._guardian.tell(child.pid)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._guardian.close()

    def log(self, task: Task) -> list[str]:
        """Return what a process has said so far, line by line."""
        return self._file(task, "log").read_text(encoding="utf-8", errors="replace").splitlines()

    def steps(self, task: Task) -> int:
        """Return the last step that a process has told of in a line "step N"; 0 if none."""
        told = [line.removeprefix("step ") for line in self.log(task) if line.startswith("step ")]
        return int(told[-1]) if told else 0

    def lost(self) -> list[Lost]:
        """Return the processes that have ended before their work was done."""
        ended = {task: child.poll() for task, child in self.children.items()}
        return [
            Lost(task, code, self._last_words(task))
            for task, code in ended.items()
            if code is not None and not (code == 0 and self._file(task, "json").exists())
        ]

    def kill(self, task: Task) -> None:
        """Send SIGKILL to a process and what it started: no handler runs, nothing is saved."""
        os.killpg(self.children[task].pid, signal.SIGKILL)

    def wait(self, after_look: Callable[[Job], None] | None = None) -> dict[Task, Any]:
        """Wait until the work is done; return what each process returned.

        Args:
            after_look: Called with the job after each look at the processes.

        Raises:
            JobError: A process that is needed was lost, or the time was over.
        """
        chief = Task("chief")
        needed = [task for task in self.tasks if task.role != "worker"]
        needed = needed if chief in self.tasks else self.tasks
        while True:
            lost = [one for one in self.lost() if one.task in needed]
            if lost:
                raise JobError(self._of(lost))
            done = {task for task, child in self.children.items() if child.poll() == 0}
            if chief in done or done >= set(self.tasks):
                ended = [task for task in self.tasks if task in done]  # in order of their ranks
                return {task: json.loads(self._file(task, "json").read_text()) for task in ended}
            if time.monotonic() - self._begin > self.limit_s:
                raise JobError(self._too_long())
            if after_look is not None:
                after_look(self)
            time.sleep(LOOK_S)

    def _of(self, lost: list[Lost]) -> str:
        first = min(lost, key=lambda one: (one.exit_code >= 0, one.task))  # a signal came first
        self._wait_for_the_others(first.task)
        told = "".join(
            f" {task} noticed after {seconds:.1f} s: {self._last_words(task)}."
            for task, seconds in self.noticed_s.items()
        )
        return (
            f"{first}.{told} Every process of the job was expected to finish; what was left of it "
            "is stopped. Start the job again: it goes on from its last checkpoint."
        )

    def _wait_for_the_others(self, lost: Task) -> None:
        begin = time.monotonic()
        waiting = [task for task in self.tasks if task != lost]
        while waiting and time.monotonic() - begin < self.patience_s:
            for task in waiting:
                if self.children[task].poll() is not None:
                    self.noticed_s[task] = time.monotonic() - begin
            waiting = [task for task in waiting if task not in self.noticed_s]
            time.sleep(LOOK_S)

    def _too_long(self) -> str:
        at = "; ".join(f"{task}: {self._last_words(task) or 'nothing'}" for task in self.tasks)
        return (
            f"the job has not finished after {self.limit_s:g} s, its limit; last words: {at}. "
            "Everything was stopped. Give a higher limit, or less work."
        )

    def _last_words(self, task: Task) -> str:
        words = [line for line in self.log(task) if line.strip()]
        return words[-1].strip()[:300].rstrip(".") if words else ""

    def _file(self, task: Task, kind: str) -> Path:
        return self.folder / f"{task.role}-{task.index}.{kind}"


@dataclass(frozen=True)
class Supervised:
    """How a supervised job went.

    Attributes:
        results: What each process returned.
        losses: One message for each time the job was lost and started again.
        noticed_s: For each loss, seconds until the last other process had ended by itself; NaN
            where patience was shorter.
    """

    results: Mapping[Task, Any]
    losses: tuple[str, ...]
    noticed_s: tuple[float, ...] = ()


def supervise(
    target: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    restarts: int = 0,
    after_look: Callable[[Job], None] | None = None,
    on_loss: Callable[[str], None] | None = None,
    **job: Any,
) -> Supervised:
    """Run a job, and start it again after a loss; the work itself resumes from its checkpoint.

    Args:
        target: As `Job` takes it.
        arguments: As `Job` takes them.
        restarts: How often it may start again.
        after_look: Called with the job after each look at the processes.
        on_loss: Called with the message of each loss.
        job: The options of `Job`.

    Returns:
        Results and losses.

    Raises:
        JobError: It was lost once more than it may start again.
    """
    losses: list[str] = []
    noticed_s: list[float] = []
    with Job(target, arguments, **job) as running:
        while isinstance(came := _result(running, after_look), JobError):
            if len(losses) == restarts:
                raise came
            losses.append(str(came))
            noticed_s.append(max(running.noticed_s.values(), default=math.nan))
            if on_loss is not None:
                on_loss(losses[-1])
            running.start()
    return Supervised(came, tuple(losses), tuple(noticed_s))


def _result(job: Job, after_look: Callable[[Job], None] | None) -> dict[Task, Any] | JobError:
    try:
        return job.wait(after_look)
    except JobError as error:
        return error


def _check(
    roles: Mapping[str, int], hosts: tuple[str, ...], rank: int | None, limit_s: float
) -> None:
    if bool(hosts) != (rank is not None):
        raise ParameterError(
            f"hosts are {', '.join(hosts) or 'none'}, rank is {rank}. Both or neither were "
            "expected. Give the hosts on every machine, and each machine its rank."
        )
    if rank is not None and not 0 <= rank < len(hosts):
        raise ParameterError(
            f"rank is {rank}. A number from 0 to {len(hosts) - 1} was expected, the place of this "
            "machine among the hosts. Give another rank."
        )
    if unknown := set(roles) - {"worker", "chief", "ps"}:
        raise ParameterError(
            f"roles are {', '.join(sorted(unknown))}. worker, chief and ps were expected. Name "
            "those."
        )
    if min(roles.values()) < 1 or limit_s <= 0:
        raise ParameterError(
            f"roles are {dict(roles)}, limit_s is {limit_s}. At least 1 process of a role and "
            "more than 0 s were expected. Give larger numbers."
        )
