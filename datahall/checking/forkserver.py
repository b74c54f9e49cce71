"""Judge an answer beside a kernel that cannot be forked: it has used TensorFlow.

A zygote is a process that has imported what the checks of a concept need, and used none of it: it
can be forked. It is forked from the kernel itself when the checks are imported before TensorFlow
is used (some milliseconds, and most memory is shared), else it starts beside it. It takes answers
by cloudpickle, and ends with the kernel, whose end of the line closes then. Read `judged` first (in
the kernel), then `serve`.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import linecache
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datahall import programs, runtime
from datahall.checking import searching
from datahall.checking.calling import kept_state, source_file
from datahall.checking.watching import (
    Died,
    as_message,
    from_message,
    silence,
    watch,
)

if TYPE_CHECKING:
    from datahall.checking.check import Check

_LOADING_S = 60  # CPU seconds: an answer may bring imports along
_LENGTH = 8  # bytes before a message that say how long it is
_NOTICE_S = 2.0
_running: dict[str, subprocess.Popen[bytes] | _Forked] = {}


class CannotTravelError(Exception):
    """The answer cannot be sent to another process; the message says why."""


def judged(check: Check, answer: Any) -> dict[str, Any] | Died:
    """Judge an answer in a child of the check's zygote.

    Raises:
        CannotTravelError: The answer cannot be pickled, or there is no zygote on this system.
    """
    letter = _packed(check, answer)
    zygote = prepared(check.module)
    try:
        assert zygote.stdin is not None and zygote.stdout is not None  # noqa: S101 (for mypy)
        _write(zygote.stdin.fileno(), letter)
        with _told_if_slow(zygote.stdout.fileno(), check.exercise):
            reply = _read(zygote.stdout.fileno())
        if not reply:  # the zygote's end, not the answer's: that would have been told
            raise BrokenPipeError("it could not load the checks, or was ended")
        found = from_message(reply)
    except BaseException as error:  # also Ctrl-C: the zygote ends its child, and itself
        _end(check.module)
        if isinstance(error, OSError):
            raise CannotTravelError(f"its process has ended: {error}") from error
        raise
    if isinstance(found, Died) and found.why == "astray":
        raise CannotTravelError(str(found.last["error"]))
    return found


@contextlib.contextmanager
def _told_if_slow(line: int, exercise: str) -> Iterator[None]:
    """Tell a person who waits why; the notice is gone when the verdict comes."""
    slow = runtime.interactive() and not select.select([line], [], [], _NOTICE_S)[0]
    if not slow:
        yield
        return
    from IPython import display

    screen: Any = display  # it has no types
    notice = f"Judging exercise {exercise}: a moment more …"
    screen.display({"text/plain": notice}, raw=True)
    yield
    screen.clear_output()


class _Forked:
    """A zygote that was forked from this process: what is used here of `subprocess.Popen`."""

    def __init__(self) -> None:
        asked, ask = os.pipe()
        hear, answers = os.pipe()
        self.returncode: int | None = None
        here = os.getpid()
        self.pid = programs.fork()
        if self.pid == 0:
            try:
                os.setsid()  # Ctrl-C is the kernel's
                signal.set_wakeup_fd(-1)
                programs.die_with(here)
                silence(asked, answers)
                _serve(asked, answers)
            finally:
                os._exit(0)
        os.close(asked)
        os.close(answers)
        self.stdin, self.stdout = os.fdopen(ask, "wb", 0), os.fdopen(hear, "rb", 0)

    def poll(self) -> int | None:
        """Return how it has ended, None if it runs."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):  # somebody else has waited for it
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it ends.

        Raises:
            TimeoutExpired: It has not, after so many seconds.
        """
        until = time.monotonic() + (timeout or 60.0)
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("zygote", timeout or 60.0)
            time.sleep(0.005)

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def is_unused() -> bool:
    """Tell whether TensorFlow is imported here but has computed nothing, so that a fork is safe."""
    context: Any = sys.modules.get("tensorflow.python.eager.context")
    jax: Any = sys.modules.get("jax._src.xla_bridge")  # TensorFlow imports it, and leaves it unused
    others = "torch" in sys.modules or (jax is not None and jax.backends_are_initialized())
    main = threading.current_thread() is threading.main_thread()
    if sys.platform != "linux" or not main or others or not hasattr(context, "context_safe"):
        return False
    begun = context.context_safe()
    return begun is None or not getattr(begun, "_initialized", True)


def prepared(module: str) -> subprocess.Popen[bytes] | _Forked:
    """Return the zygote of a module of checks, made if there is none; it may still be loading.

    Raises:
        CannotTravelError: This system cannot fork.
    """
    if sys.platform != "linux":
        raise CannotTravelError("this system cannot fork a process")
    zygote = _running.get(module)
    if zygote is not None and zygote.poll() is None:
        return zygote
    if module in sys.modules and is_unused():
        zygote = _Forked()
    else:
        program = [sys.executable, "-P", "-m", "datahall.checking.forkserver", module]
        path = os.pathsep.join([str(entry) for entry in sys.path if entry])
        zygote = subprocess.Popen(  # noqa: S603 (our own program)
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the kernel's
            env=os.environ | {"PYTHONPATH": path},
        )
    _running[module] = zygote
    return zygote


def _packed(check: Check, answer: Any) -> bytes:
    import cloudpickle

    own = sys.modules.get(getattr(answer, "__module__", None) or "")
    by_value = own is not None and _is_a_learners(getattr(own, "__file__", None))
    try:
        if by_value:  # a helper file is sent as it is now, and need not be found over there
            cloudpickle.register_pickle_by_value(own)
        what = cloudpickle.dumps((check, answer))
        if by_value:
            cloudpickle.unregister_pickle_by_value(own)
    except Exception as error:
        raise CannotTravelError(f"{type(error).__name__}: {error}"[:200]) from error
    file = source_file(answer) or ""
    cell = [(name, (size, None, lines, path)) for name, (size, _, lines, path) in _cached(file)]
    return pickle.dumps((sys.path, dict(cell), check.seconds, what))


def _is_a_learners(file: str | None) -> bool:
    """Tell whether a module's file is neither ours nor that of an installed package."""
    places = (str(Path(__file__).parents[1]), sys.prefix, sys.base_prefix)
    return file is not None and not file.startswith(places)


def _cached(file: str) -> list[tuple[str, Any]]:
    """Return the lines of a notebook's cell, which stand in no file: messages quote them."""
    entry = linecache.cache.get(file, ())
    return [(file, entry)] if len(entry) == 4 else []


def _read(line: int) -> bytes:
    """Return the next message; b"" at the end of the line."""
    return _exactly(line, int.from_bytes(_exactly(line, _LENGTH), "big"))


def _exactly(line: int, count: int) -> bytes:
    parts = []
    while count and (part := os.read(line, min(count, 2**20))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _write(line: int, message: bytes) -> None:
    rest = len(message).to_bytes(_LENGTH, "big") + message
    while rest:
        rest = rest[os.write(line, rest) :]


@atexit.register
def _end_all() -> None:
    for module in list(_running):
        _end(module)


def _end(module: str) -> None:
    zygote = _running.pop(module)
    for stream in (zygote.stdin, zygote.stdout):
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
    try:
        zygote.wait(timeout=5)
    except subprocess.TimeoutExpired:  # it was still loading
        zygote.kill()
        zygote.wait()


def serve(modules: Sequence[str]) -> None:
    """Import the modules, then judge every answer that comes, each in a child of its own."""
    line, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)  # what a library prints is no answer
    runtime.start()
    for module in modules:
        if module:
            importlib.import_module(module)
    _serve(line, answers)


def _serve(line: int, answers: int) -> None:
    while letter := _read(line):
        path, cell, seconds, what = pickle.loads(letter)  # noqa: S301 (from our own kernel)
        sys.path[:] = path
        linecache.cache.update(cell)
        searching.begin()
        _write(answers, as_message(watch(partial(_judge, what), seconds=seconds, line=line)))


def _judge(what: bytes, beat: Any) -> dict[str, Any]:
    from datahall.checking.judging import judge

    beat({"call": "loading it", "points": 0.0, "seconds": _LOADING_S})
    try:
        check, answer = pickle.loads(what)  # noqa: S301 (from our own kernel)
    except Exception as error:
        astray = f"{type(error).__name__}: {error}"[:200]
        return {"died": {"why": "astray", "last": {"error": astray}}}
    with kept_state():
        return judge(check, answer, beat)


if __name__ == "__main__":
    serve(sys.argv[1:])
