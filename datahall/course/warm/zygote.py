"""The zygote: imports libraries, computes nothing, and forks a kernel for each request.

Started as `python -m datahall.course.warm.zygote KIND FOLDER NAME REPORT`. It has one thread. It
says "ready", or why it refuses, through the descriptor REPORT; then it serves until its owner ends.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from datahall.course.warm import becoming, request
from datahall.course.warm.owner import FILES, OWNER

# What kernels of the course import anyway. The first row is what every IPython kernel loads.
_KERNEL = (
    *("ipykernel.kernelapp", "ipykernel.debugger", "tornado.platform.asyncio", "sqlite3"),
    *("IPython.core.completerlib", "IPython.core.crashhandler", "IPython.core.logger"),
    *("IPython.extensions.storemagic", "IPython.utils.wildcard"),
)
_PLAIN = ("numpy.random", "matplotlib", "matplotlib.pyplot", "psutil", "threadpoolctl")
_TENSORFLOW = (
    "tensorflow",
    "keras",
    "scipy.signal",
    "scipy.stats",
    "sklearn.linear_model",
)
_READ_S = 2.0


@dataclass
class Kernel:
    """A kernel that lives.

    Args:
        pid: Its process, and process group.
        channel: The connection to whoever asked for it.
        handles: Descriptors of its process and of the requester's; readable when they end.
    """

    pid: int
    channel: socket.socket
    handles: list[int] = field(default_factory=list)

    def kill(self) -> None:
        """Kill it and what it started; harmless when it has ended, it is not waited for yet."""
        os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Close the connection and the descriptors."""
        self.channel.close()
        for handle in self.handles:
            os.close(handle)


class Zygote:
    """Serves requests in one thread.

    Args:
        folder: Where its socket is.
        name: Its socket's name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.over = False
        self.kernels: list[Kernel] = []
        self.ended: list[Kernel] = []
        self.child: tuple[request.Request, list[int], socket.socket] | None = None
        self.selector = selectors.DefaultSelector()
        self.owner = request.connect(folder, OWNER)
        self._watch(self.owner, self._end)
        self.owner_process = os.pidfd_open(request.peer(self.owner))
        self._watch(self.owner_process, self._end)
        self.listener = request.listen(folder, name)
        self._watch(self.listener, self._answer)

    def _watch(self, file: socket.socket | int, then: Callable[[], None]) -> None:
        self.selector.register(file, selectors.EVENT_READ, then)

    def serve(self) -> None:
        """Serve until the owner ends, or until this process is a child: then `child` is set."""
        while not self.over and self.child is None:
            for key, _ in self.selector.select():
                if not self.over and self.child is None:
                    key.data()
            while self.ended and self.child is None:
                self._bury(self.ended.pop())

    def _answer(self) -> None:
        """Take one request. A bad one is refused; the zygote lives on."""
        channel, _ = self.listener.accept()
        channel.settimeout(_READ_S)
        files: list[int] = []
        try:
            message, files = request.receive(channel)
            wish = request.Request.from_message(message)
            if len(files) != 3:
                raise ValueError(f"{len(files)} descriptors came, three were expected")
            if not self._fork(wish, files, channel):
                return
        except (EOFError, OSError, ValueError) as error:
            with contextlib.suppress(OSError):
                request.send(channel, {"refused": f"the request was not understood ({error})"})
            channel.close()
        for file in files:
            os.close(file)

    def _fork(self, wish: request.Request, files: list[int], channel: socket.socket) -> bool:
        """Fork; return False in the child."""
        pid = os.fork()
        if pid == 0:
            self.child = wish, files, channel
            return False
        kernel = Kernel(pid, channel, [os.pidfd_open(pid)])
        self.kernels.append(kernel)
        self._watch(kernel.handles[0], lambda: self.ended.append(kernel))
        self._watch(channel, lambda: self._requester_gone(kernel, channel))
        with contextlib.suppress(OSError):  # it has ended already: its channel is closed, too
            handle = os.pidfd_open(request.peer(channel))
            kernel.handles.append(handle)
            self._watch(handle, lambda: self._requester_gone(kernel, handle))
        return True

    def _requester_gone(self, kernel: Kernel, sign: socket.socket | int) -> None:
        self.selector.unregister(sign)
        kernel.kill()

    def _bury(self, kernel: Kernel) -> None:
        """Reap a kernel and tell its requester how it ended."""
        _, status, usage = os.wait4(kernel.pid, 0)
        facts = {
            "exit": os.waitstatus_to_exitcode(status),
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_memory_bytes": usage.ru_maxrss * 1024,
        }
        with contextlib.suppress(OSError):
            request.send(kernel.channel, facts)
        signs: list[socket.socket | int] = [kernel.channel, *kernel.handles]
        for file in signs:
            with contextlib.suppress(KeyError):
                self.selector.unregister(file)
        kernel.close()
        self.kernels.remove(kernel)

    def forget(self) -> None:
        """Close, in a child, what belongs to the zygote."""
        for kernel in self.kernels:
            kernel.close()
        for thing in (self.listener, self.owner, self.selector):
            thing.close()
        os.close(self.owner_process)

    def _end(self) -> None:
        """End with the owner: no kernel is left, nor a name in the folder."""
        self.over = True
        for kernel in [*self.kernels]:
            kernel.kill()
            self._bury(kernel)
        with contextlib.suppress(OSError):
            (self.folder / self.name).unlink(missing_ok=True)
            if not any(self.folder.glob("*.socket")):  # the last one tidies up
                for path in (*self.folder.glob("*.socket.*"), *map(self.folder.joinpath, FILES)):
                    path.unlink(missing_ok=True)
                self.folder.rmdir()  # it is empty, or stays


def load(kind: str) -> becoming.Loaded:
    """Import the libraries of a kind.

    Raises:
        Cold: A kernel cannot be forked from this process.
    """
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # ipykernel reads its parent at import
    variables = dict(os.environ)
    for name in _KERNEL:
        import_module(name)
    before = _top_level()
    with becoming.later_streams(), _without("jax"):
        for name in (*_PLAIN, *(_TENSORFLOW if kind == "tensorflow" else ())):
            import_module(name)
    if kind == "tensorflow":
        _check_tensorflow()
    _check_threads()
    gc.collect()
    gc.freeze()  # children share what they never change
    changes = {k: v for k, v in os.environ.items() if variables.get(k) != v}
    return becoming.Loaded(_top_level() - before, changes, os.getpid())


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    """Let no library import another for a while: TensorFlow imports JAX, which starts a thread."""
    sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        if sys.modules[name] is None:
            del sys.modules[name]


def _top_level() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def _check_tensorflow() -> None:
    import keras
    import tensorflow

    if tensorflow.sysconfig.get_build_info().get("is_cuda_build"):
        raise request.Cold("this TensorFlow is built for a GPU, which does not survive a fork")
    if keras.backend.backend() != "tensorflow":
        raise request.Cold(f"Keras' backend is {keras.backend.backend()}, not tensorflow")


def _check_threads() -> None:
    """Fork once, which ends the threads that know of forks; refuse if others are left."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    count = len(os.listdir("/proc/self/task"))  # noqa: PTH208 (one look)
    if count != 1:
        raise request.Cold(f"the libraries left {count} threads, which do not survive a fork")


def main(kind: str, folder: str, name: str, report: str) -> None:
    """Load, report, serve; return when this process is over, a kernel's included.

    Args:
        kind: What to import.
        folder: Where the socket goes.
        name: Its name.
        report: The descriptor that hears "ready", or why it refuses.
    """
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder that `-m` puts there
    mute = int(report)
    try:
        loaded = load(kind)
        zygote = Zygote(Path(folder), name)
        os.write(mute, b"ready")
    except Exception as error:
        os.write(mute, f"{type(error).__name__}: {error}".encode())
        raise
    finally:
        os.close(mute)
    zygote.serve()
    if zygote.child is not None:
        zygote.forget()
        becoming.become(*zygote.child, loaded)


if __name__ == "__main__":
    main(*sys.argv[1:])
