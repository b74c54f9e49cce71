"""A folder and processes that end together, whatever happens to whoever made them.

Read `Nest` first. Its guardian (`datahall.guardian`) waits on a pipe: when this process is killed,
it ends every process of the nest and removes the folder. `Keeper` starts the processes, all from
one thread, and starts again what ends: Linux kills a child when the *thread* that started it ends.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import secrets
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from datahall import guardian
from datahall.guarding import Guardian
from datahall.serving.gateway import passing_user

MARKER = "DATAHALL_SERVICE"  # the environment variable by which a service's processes are known
_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")
LONGEST_PATH = 60  # of the temporary folder: the path of a Unix socket has at most 107 letters
LOOK_S, STOP_S = 0.1, 15.0
REFUSED = 78  # EX_CONFIG of sysexits.h: what a replica says of a model that it does not trust
SLOWEST_S = 5.0  # between two starts of what ends at once

T = TypeVar("T")


def temporary_folder() -> str:
    """Return a folder for temporary files: short, of plain letters, open to another user's steps.

    Plain, since HAProxy's configuration divides words at spaces.
    """
    usual = Path(tempfile.gettempdir()).resolve()
    open_to_all = all(one.stat().st_mode & stat.S_IXOTH for one in (usual, *usual.parents))
    plain = _PLAIN.fullmatch(str(usual)) is not None and len(str(usual)) <= LONGEST_PATH
    fits = plain and (open_to_all or os.geteuid() != 0)
    return str(usual) if fits else "/tmp"  # noqa: S108 (mkdtemp makes a folder of its own there)


class Nest:
    """The folder of a service, its guardian, and what its processes are known by.

    Who may look in: the user alone; and, where the gateway takes a user number of its own, that
    one may walk to `sockets` without seeing what else is there.
    """

    def __init__(self) -> None:
        self.user = passing_user()
        self.folder = Path(guardian.make("serve", temporary_folder()))
        self._marker = f"{MARKER}={secrets.token_hex(8)}"
        name, _, value = self._marker.partition("=")
        self.sockets, self.temporary = self.make("sockets"), self.make("tmp")
        if self.user is not None:
            for path in (self.folder, self.sockets):
                os.chown(path, -1, self.user)
                path.chmod(0o710)
        # Replicas write temporary files, which a killed one leaves.
        self.environment = {**os.environ, name: value, "TMPDIR": str(self.temporary)}
        self._guardian = Guardian(self.folder, self._marker)

    @property
    def socket_mode(self) -> int:
        """The mode of a replica's socket: the folder keeps everybody else out."""
        return 0o600 if self.user is None else 0o666

    def make(self, name: str) -> Path:
        """Return a new folder of mode 0700 in the nest.

        Args:
            name: Its name.
        """
        path = self.folder / name
        path.mkdir(mode=0o700)
        return path

    def tell(self, number: int) -> None:
        """Name a process group to the guardian: to be ended with the nest, or, negative, ended.

        Args:
            number: Of the group.
        """
        self._guardian.tell(number)

    def close(self) -> None:
        """End what is left of the processes, and remove the folder."""
        self._guardian.close()


class Kept:
    """A program that is started again when it ends.

    Args:
        name: A word.
        command: Its words.
        log: Where its output goes.
    """

    def __init__(self, name: str, command: Callable[[], list[str]], log: Path) -> None:
        self.name, self.command, self.log = name, command, log
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts, self.next_start = 0, 0.0
        self.refuses = False  # it has said that starting it again would not help
        self._hasty = 0

    @property
    def pid(self) -> int | None:
        """Its process, or None."""
        return self.process.pid if self.alive() and self.process else None

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self.process is not None and self.process.poll() is None

    def plan_restart(self) -> None:
        """Note when it may start again: soon, or later if it ends at once again and again."""
        hasty = time.monotonic() < self.next_start + SLOWEST_S
        self._hasty = self._hasty + 1 if hasty else 0
        pause = min(SLOWEST_S, LOOK_S * 2**self._hasty) if self._hasty > 1 else 0.0
        self.next_start = time.monotonic() + pause

    def words(self) -> str:
        """Return the last line of its output."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            return next((line for line in reversed(lines) if line.strip()), "")
        return ""


class Keeper:
    """Keeps programs running, from one thread.

    Args:
        nest: Whose programs they are.
        programs: What is started and kept.
        each_look: Called at every look at them, from the same thread.
    """

    def __init__(
        self, nest: Nest, programs: list[Kept], each_look: Callable[[], None] = lambda: None
    ) -> None:
        self.nest, self.programs, self._each_look = nest, programs, each_look
        self._orders: queue.Queue[tuple[Callable[[], Any], Future[Any]]] = queue.Queue()
        self._ending = False
        self._thread = threading.Thread(target=self._keep, name="datahall-keeper", daemon=True)
        self._thread.start()

    def do(self, order: Callable[[], T]) -> T:
        """Have the thread do something, and return what it returns.

        Args:
            order: What to do.
        """
        answer: Future[T] = Future()
        self._orders.put((order, answer))
        return answer.result()

    def start(self) -> None:
        """Start every program that does not run."""
        self.do(self._start_all)

    def stop(self) -> None:
        """End every program, politely first, and the thread."""
        self._ending = True
        if self._thread.is_alive():
            self.do(self._end_all)
            self._thread.join()

    def _keep(self) -> None:
        started = False
        while not (self._ending and self._orders.empty() and started):
            with contextlib.suppress(queue.Empty):
                order, answer = self._orders.get(timeout=LOOK_S)
                _fulfil(order, answer)
                started = started or self._ending
            if not self._ending:
                self._look()

    def _look(self) -> None:
        for program in self.programs:
            if program.process is not None and not program.alive():
                self.nest.tell(-program.process.pid)
                program.refuses = program.process.returncode == REFUSED
                program.process = None
                program.restarts += 1
                program.plan_restart()
            if program.process is None and program.next_start and not program.refuses:
                self._start(program)
        with contextlib.suppress(Exception):  # the next look is another try
            self._each_look()

    def _start_all(self) -> None:
        for program in self.programs:
            if not program.alive():
                self._start(program)

    def _start(self, program: Kept) -> None:
        if time.monotonic() < program.next_start:
            return
        with program.log.open("ab") as log:
            program.process = subprocess.Popen(  # noqa: S603 (our own modules)
                program.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.nest.environment,
                start_new_session=True,
            )
        program.next_start = time.monotonic()
        self.nest.tell(program.process.pid)

    def _end_all(self) -> None:
        running = [one.process for one in self.programs if one.process is not None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            if process.poll() is None:
                process.kill()
                process.wait()
            self.nest.tell(-process.pid)


def _fulfil(order: Callable[[], Any], answer: Future[Any]) -> None:
    try:
        answer.set_result(order())
    except BaseException as error:
        answer.set_exception(error)
