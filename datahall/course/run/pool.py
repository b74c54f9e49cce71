"""Worker processes from the runner's side: started, given jobs, listened to, ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datahall import guard
from datahall.course.run import processes
from datahall.course.run.folder import RunFolder
from datahall.course.run.jobs import Job

Event = tuple["Worker", dict[str, Any]]


class Worker:
    """One worker process.

    Attributes:
        job: What it executes now, or None.
        ready: Whether it takes a job.
    """

    def __init__(
        self,
        number: int,
        environment: Mapping[str, str],
        folder: RunFolder,
        events: queue.Queue[Event],
    ) -> None:
        self.job: Job | None = None
        self._log = folder.work / "logs" / f".worker-{number}.txt"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 (our own module)
                [sys.executable, "-P", "-m", "datahall.course.run.worker", str(folder.scratch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder.scratch,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C reaches the runner alone, which ends them
                text=True,
                encoding="utf-8",
            )
        self._listener = threading.Thread(target=self._listen, args=(events,), daemon=True)
        self._listener.start()

    def _listen(self, events: queue.Queue[Event]) -> None:
        assert self.process.stdout is not None  # noqa: S101 (a pipe was asked for)
        with self.process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError):
                    events.put((self, json.loads(line)))
        events.put((self, {"event": "gone"}))

    def give(self, job: Job) -> None:
        """Give it a notebook."""
        self.job = job
        self._send({"job": asdict(job)})

    def stop(self, reason: str) -> None:
        """Have it stop its notebook; what was executed is kept."""
        self._send({"stop": reason})

    def _send(self, order: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):  # a worker that died is told by `gone`
            assert self.process.stdin is not None  # noqa: S101 (a pipe was asked for)
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()

    def kill(self) -> None:
        """End it at once, and what its notebook started."""
        with contextlib.suppress(OSError):
            self.process.kill()
        if self.job is not None:
            processes.end_marked(self.job.marker)

    def close(self, wait_s: float = 5.0) -> None:
        """Let it end, and make sure that it did."""
        with contextlib.suppress(OSError, ValueError):
            assert self.process.stdin is not None  # noqa: S101 (a pipe was asked for)
            self.process.stdin.close()
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()
        self._listener.join(wait_s)
        self._log.unlink(missing_ok=True)

    def last_words(self) -> str:
        """Return the end of what it wrote to its standard error."""
        with contextlib.suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
        return ""


def environment(folder: RunFolder, *, home: Path | None) -> dict[str, str]:
    """Return the environment of workers and their kernels.

    Kernels keep compiled bytecode even where PYTHONDONTWRITEBYTECODE is set: importing TensorFlow
    then costs less than half. They have no reader, a state of their own, and nothing of the user's
    IPython start-up.

    Args:
        folder: The run's folder, whose scratch space they use.
        home: The user's data folder for them; a fresh one in the scratch space if None.
    """
    found = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONDONTWRITEBYTECODE", "JPY_SESSION_NAME", processes.MARKER)
    }
    return found | {
        "DATAHALL_HEADLESS": "1",
        "DATAHALL_HOME": str(home or folder.scratch_folder("home")),
        "IPYTHONDIR": str(guard.prepare(folder.scratch_folder("ipython"))),
        "JUPYTER_RUNTIME_DIR": str(folder.scratch_folder("runtime")),
        "JUPYTER_PREFER_ENV_PATH": "1",  # not a kernel of the same name in the user's home
    }
