"""A training as workers of Ray: the engine that places, watches and restarts them is Ray Train.

`supervise` is the launcher's, on Ray: the same target, the same results. Ray has a process of its
own (`datahall.scaling.ray_driver`), so the program that calls never imports it, and one guardian
ends all of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from datahall import extras, guardian
from datahall.scaling.cluster import Task
from datahall.scaling.launcher import LOOK_S, Job, JobError, Supervised

LOSSES = "losses.jsonl"
"""The file in a job's folder where each loss is a line of JSON: the worker's rank, Ray's words."""

VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",  # else it tells its makers of each run
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # workers stay in the folder of the caller
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_raylet_start_wait_time_s": "120",  # a busy machine needs more than Ray's own limits
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "240",
}
SLOW = "rfc3987_syntax"
"""A module that Ray's copy of jsonschema imports if it is there: seconds for a check of addresses
that Ray never makes, in each of its processes. They are told that it is not there."""

_DRIVER = Task("driver")
_SHORT = 24  # characters of a folder's path: Ray's sockets stand below it, and 107 is their limit


class RayJob(Job):
    """A job whose workers Ray starts, watches and starts again; it ends as `launcher.Job` does.

    Args:
        target: What each worker runs, "module:function".
        arguments: What JSON can hold.
        workers: How many.
        restarts: How often Ray may start the group again.
        limit_s: Seconds after which everything is ended.
        address: A cluster of Ray that runs already, "host:port"; left out, one is started on this
            machine, and ended with the job.
        folder: Where the job's own folder is made; on several hosts one that all of them see.

    Raises:
        CourseError: Ray is not installed; the message names the command.
    """

    def __init__(
        self,
        target: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        workers: int = 2,
        restarts: int = 0,
        limit_s: float = 300,
        address: str = "",
        folder: str = "",
    ) -> None:
        extras.require("ray")
        super().__init__(target, arguments, roles={"worker": workers}, limit_s=limit_s)
        self.restarts, self.address, self._where = restarts, address, folder

    def _make_folder(self) -> str:
        short = len(tempfile.gettempdir()) <= _SHORT
        return guardian.make("ray", self._where or (None if short else "/tmp"))  # noqa: S108

    def start(self) -> None:
        """Start the process that speaks to Ray; Ray starts the workers."""
        self._begin = time.monotonic()
        for task in self.tasks:
            self._file(task, "log").touch()
        order = {
            "target": self.target,
            "arguments": self.arguments,
            "workers": len(self.tasks),
            "restarts": self.restarts,
            "folder": str(self.folder),
            "address": self.address,
        }
        secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        own = {} if self.address else {**secret, "RAY_TMPDIR": str(self.folder)}
        with self._file(_DRIVER, "log").open("wb") as file:
            child = subprocess.Popen(  # noqa: S603 (our module, the caller's own function)
                [sys.executable, "-m", "datahall.scaling.ray_driver", json.dumps(order)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**VARIABLES, **self._environment, **own, "PYTHONPATH": lean(self.folder)},
                start_new_session=True,
            )
        self.children = {_DRIVER: child}
        self._guardian.tell(child.pid)

    def pid(self, task: Task) -> int:
        """Return the number of a worker's process; 0 until it has begun."""
        told = [line for line in self.log(task) if line.startswith("pid ")]
        return int(told[-1].split()[1]) if told else 0

    def kill(self, task: Task) -> None:
        """Send SIGKILL to a worker of this machine: no handler runs, nothing is saved."""
        os.kill(self.pid(task), signal.SIGKILL)

    def losses(self) -> list[str]:
        """Return a message for each time that Ray has lost workers."""
        path = self.folder / LOSSES
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [self._words(dict(json.loads(line))) for line in lines]

    def _words(self, said: Mapping[str, str]) -> str:
        each = "; ".join(f"worker {rank}: {words}" for rank, words in sorted(said.items()))
        return f"Ray lost a worker. {each}."

    def wait(self, after_look: Callable[[Job], None] | None = None) -> dict[Task, Any]:
        """Wait until the work is done; return what each worker returned.

        Args:
            after_look: Called with the job after each look at the processes.

        Raises:
            JobError: Workers were lost more often than may be, or the time was over.
        """
        driver = self.children[_DRIVER]
        while (code := driver.poll()) is None:
            if time.monotonic() - self._begin > self.limit_s:
                raise JobError(self._too_long())
            if after_look is not None:
                after_look(self)
            time.sleep(LOOK_S)
        files = {task: self._file(task, "json") for task in self.tasks}
        if code == 0 and all(path.exists() for path in files.values()):
            return {task: json.loads(path.read_text()) for task, path in files.items()}
        raise JobError(
            f"the job on Ray ended with exit code {code}, lost {len(self.losses())} times, "
            f"{self.restarts} restarts were allowed. {' '.join(self.losses())} Its driver said: "
            f"{self._last_words(_DRIVER) or 'nothing'}. All of it is stopped. Start it again: it "
            "goes on from its last checkpoint if that stands in a folder of yours."
        )


def lean(folder: Path) -> str:
    """Return a `PYTHONPATH` on which `SLOW` cannot be imported, for the processes of Ray.

    Args:
        folder: Where the module stands that refuses; it must outlive them.
    """
    at = folder / "lean"
    at.mkdir(exist_ok=True)
    (at / f"{SLOW}.py").write_text("raise ImportError('left out: datahall.scaling.on_ray')")
    return os.pathsep.join(filter(None, (str(at), os.environ.get("PYTHONPATH"))))


def supervise(
    target: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    after_look: Callable[[RayJob], None] | None = None,
    on_loss: Callable[[str], None] | None = None,
    **job: Any,
) -> Supervised:
    """Run a job on Ray, which starts it again after a loss; the work resumes from its checkpoint.

    Args:
        target: As `RayJob` takes it.
        arguments: As `RayJob` takes them.
        after_look: Called with the job after each look at the processes.
        on_loss: Called with the message of each loss.
        job: The options of `RayJob`.

    Returns:
        Results and losses.

    Raises:
        JobError: It was lost once more than it may start again.
    """
    told: list[str] = []

    def look(running: Job) -> None:
        assert isinstance(running, RayJob)  # noqa: S101 (our own)
        for words in running.losses()[len(told) :]:
            told.append(words)
            if on_loss is not None:
                on_loss(words)
        if after_look is not None:
            after_look(running)

    with RayJob(target, arguments, **job) as running:
        results = running.wait(look)
        with contextlib.suppress(ProcessLookupError):  # the last loss may be newer than our look
            look(running)
    return Supervised(results, tuple(told))
