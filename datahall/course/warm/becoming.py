"""How a forked child becomes a kernel that nobody can tell from a cold one.

Read `become`. Everything that a cold kernel takes from its start (environment, folder, streams,
arguments, import path, seeds) is put in place; what belongs to the zygote is closed or forgotten.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import os
import runpy
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datahall import programs
from datahall.course.warm import key, request

_INLINE = "module://matplotlib_inline.backend_inline"  # what ipykernel sets where nothing is set


@dataclass(frozen=True)
class Loaded:
    """What the zygote's imports did.

    Args:
        libraries: Top-level modules that a cold kernel has not imported when it starts.
        variables: Environment variables that libraries set when they were imported.
        zygote: Its process number.
    """

    libraries: set[str]
    variables: dict[str, str]
    zygote: int


def become(wish: request.Request, files: list[int], channel: socket.socket, loaded: Loaded) -> None:
    """Be the kernel that was wished for, until it ends.

    Args:
        wish: What the kernel shall be.
        files: Its standard input, output and error.
        channel: The connection to the requester; told the process number, then closed.
        loaded: What the zygote's imports did.
    """
    os.setsid()
    programs.die_with(loaded.zygote)
    try:
        os.chdir(wish.folder)
        _refuse_shadows(loaded.libraries)
    except (OSError, request.Cold) as error:
        request.send(channel, {"refused": str(error)})
        os._exit(0)
    os.environ.clear()
    os.environ.update(wish.environment)
    for name, value in loaded.variables.items():
        if key.read_at_import({name: value}) or name not in os.environ:
            os.environ[name] = value
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    request.send(channel, {"pid": os.getpid()})
    channel.close()
    _be_fresh(wish)
    _forget_main()
    vars(runpy)["_run_module_as_main"]("ipykernel_launcher")  # what `python -m` calls
    _leave()


def _refuse_shadows(names: set[str]) -> None:
    """Refuse a folder with a file that a cold kernel would read or import in a library's place."""
    if Path("matplotlibrc").exists():
        raise request.Cold("the folder has a matplotlibrc, which matplotlib reads at import")
    for name in sorted(names):
        for path in (Path(f"{name}.py"), Path(name, "__init__.py")):
            if path.exists():
                raise request.Cold(f"{path} in the folder stands before the library of that name")


def _be_fresh(wish: request.Request) -> None:
    """Put in place what a new interpreter would have."""
    if not sys.flags.safe_path:
        sys.path.insert(0, str(Path.cwd()))
    sys.argv = ["", *wish.arguments]
    sys.orig_argv = wish.command
    tempfile.tempdir = None
    time.tzset()
    for name in [name for name in sys.modules if name.partition(".")[0] == "datahall"]:
        del sys.modules[name]  # a kernel imports the course's modules as they are now
    importlib.invalidate_caches()
    known: dict[str, Any] = dict(sys.modules)
    known["numpy"].random.seed()  # Python's own generator is seeded anew by every fork
    known["matplotlib"].rcParams._set("backend", os.environ.get("MPLBACKEND") or _INLINE)
    if "multiprocessing.process" in known:
        known["multiprocessing.process"].ORIGINAL_DIR = str(Path.cwd())


def _forget_main() -> None:
    """Empty the main module, which is the zygote's: nothing of it is called any more."""
    names = vars(sys.modules["__main__"])
    for name in [name for name in names if not name.startswith("__")]:
        del names[name]


def _leave() -> None:
    """End as an interpreter does, but leave the modules: taking them apart touches every page.

    Threads are waited for, exit functions are run, what the notebook made is finalized, and its
    open files are written.
    """
    vars(threading)["_shutdown"]()
    vars(atexit)["_run_exitfuncs"]()
    application = sys.modules["ipykernel.kernelapp"].IPKernelApp.instance()
    application.shell.user_ns.clear()
    gc.collect()  # what came before the fork is frozen
    for thing in gc.get_objects():
        if isinstance(thing, io.IOBase):
            with contextlib.suppress(Exception):
                thing.flush()
    os._exit(0)


class _Later:
    """Standard output or error as it is when something is written."""

    def __init__(self, name: str) -> None:
        self._name, self._first = name, getattr(sys, name)

    def __getattr__(self, attribute: str) -> Any:
        now = getattr(sys, self._name)
        return getattr(self._first if now is self else now, attribute)

    def close(self) -> None:
        """Stay open: when a kernel sets its logs up, absl closes a stream that it does not know."""


@contextlib.contextmanager
def later_streams() -> Iterator[None]:
    """Import as in a kernel's cell: interactive, with the streams that the kernel will have.

    Libraries that log keep `sys.stderr` or `sys.stdout` when they are imported, TensorFlow the
    second if the interpreter is interactive.
    """
    kept = sys.stdout, sys.stderr
    sys.ps1 = "In : "
    sys.stdout, sys.stderr = _Later("stdout"), _Later("stderr")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept
        del sys.ps1
