"""Workers that start at once: forked from a process that has imported TensorFlow already.

Importing takes seconds for each process; a `Nursery` pays for it once. It has computed nothing, so
forking it is safe. Where processes cannot be forked (not Linux), a launcher starts fresh ones.
Run as a program, this module is that process: a line of JSON on its input is a worker to fork; it
ends when its input does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datahall import programs
from datahall.errors import CourseError


class Nursery:
    """A process to fork workers from; ends with `close`, with its block, or with its owner."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "datahall.scaling.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def start(self, words: list[str], variables: Mapping[str, str], log: Path) -> ForkedWorker:
        """Fork a worker.

        Args:
            words: Its command line.
            variables: Its environment.
            log: The file it writes to.

        Raises:
            CourseError: The process to fork from has gone.
        """
        order = {"words": words, "variables": dict(variables), "log": str(log)}
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101
        answer = b""
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise CourseError(
                "the process that workers are forked from has gone. It was expected to stay. Make "
                "another Nursery, or leave it out."
            )
        return ForkedWorker(int(answer), Path(f"{log}.exit"), self._process)

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and the workers that still run."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        self._process.wait()


class ForkedWorker:
    """A worker that was forked; what a launcher needs of `subprocess.Popen`."""

    def __init__(self, pid: int, ended: Path, parent: subprocess.Popen[bytes]) -> None:
        self.pid, self._ended, self._parent = pid, ended, parent

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        with contextlib.suppress(FileNotFoundError):
            return int(self._ended.read_text())
        return -signal.SIGKILL if self._parent.poll() is not None else None

    def wait(self) -> int:
        """Wait for its end."""
        while (code := self.poll()) is None:
            time.sleep(0.01)
        return code


def main() -> None:
    """Import, then fork on request until the input ends."""
    from datahall import runtime

    runtime.start()
    import keras  # noqa: F401 (what this process is for)
    import tensorflow  # noqa: F401

    from datahall.scaling import machines  # noqa: F401
    from datahall.training import checkpoint  # noqa: F401

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: dict[int, str] = {}
    text = b""
    while True:
        if select.select([0], [], [], 0.02)[0]:
            part = os.read(0, 65536)
            if not part:
                return
            text += part
            *lines, text = text.split(b"\n")
            for line in lines:
                order = json.loads(line)
                pid = _fork(order)
                children[pid] = order["log"]
                os.write(1, f"{pid}\n".encode())
        for pid in list(children):
            _note(pid, children)


def _note(pid: int, children: dict[int, str]) -> None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        path = Path(f"{children.pop(pid)}.exit")
        with contextlib.suppress(OSError):  # the job's folder has gone: nobody asks any more
            path.with_suffix(".new").write_text(str(os.waitstatus_to_exitcode(status)))
            path.with_suffix(".new").replace(path)


def _fork(order: Mapping[str, Any]) -> int:
    """Fork one worker, in a process group of its own, with its own environment and log."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # here as well: whoever hears the number may kill the group
        return pid
    code = 1
    try:
        os.setpgid(0, 0)
        programs.die_with(parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for number, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
            os.dup2(source, number)
        os.environ.clear()
        os.environ.update(order["variables"])
        sys.argv[1:], tempfile.tempdir = order["words"], None  # TMPDIR is read afresh
        from datahall.scaling import worker

        worker.main()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
