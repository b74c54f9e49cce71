"""One replica: a process that serves one app, or several variants of it, on Unix sockets.

`python -m datahall.serving.replica SETTINGS.json [SETTINGS.json …]`. It ends with its parent.
SIGTERM: no new connection, what is in flight is finished, then the end. SIGHUP: the settings' trust
and the repository's current version are read again, the model is verified, and replaced only if it
is good. The exit code is 0 after SIGTERM and 78 if a model or the settings are refused at the
start: starting again would not help.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from datahall import programs
from datahall.errors import CourseError
from datahall.serving.app import InferenceApp, build
from datahall.serving.settings import ServiceSettings

REFUSED = 78  # EX_CONFIG of sysexits.h
BACKLOG = 512


class _Quiet(uvicorn.Server):
    """A uvicorn server that leaves the signals to the process: there may be several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(apps: Sequence[InferenceApp], files: Sequence[Path]) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads the models.

    Args:
        apps: The apps; each listens on the socket of its settings.
        files: The settings' files, read again at a reload.
    """
    sockets = [listen(app.service.settings) for app in apps]
    servers = [_Quiet(uvicorn.Config(app, **options(app))) for app in apps]
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()
    one_by_one = asyncio.Lock()  # or the one that began first might end last, with an old model

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    def reload() -> None:
        for app, file in zip(apps, files, strict=True):
            task = asyncio.create_task(_reload(app, file, one_by_one))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        pairs = zip(servers, sockets, strict=True)
        await asyncio.gather(*(server.serve(sockets=[one]) for server, one in pairs))
    finally:
        for app in apps:
            app.service.settings.socket.unlink(missing_ok=True)


def listen(settings: ServiceSettings) -> socket.socket:
    """Return the listening Unix socket of a replica; a dead one of the same name is replaced.

    Args:
        settings: Where it is, and who may connect.
    """
    path = settings.socket
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # between bind and chmod nobody else may connect
    try:
        made.bind(str(path))
    finally:
        os.umask(mask)
    path.chmod(settings.socket_mode)
    made.listen(BACKLOG)
    return made


def main(arguments: Sequence[str]) -> int:
    """Run the replica; returns the exit code.

    Args:
        arguments: Files of settings.
    """
    programs.die_with(os.getppid())
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # a caller does not fill the disk
    files = [Path(one) for one in arguments]
    try:
        apps = [build(ServiceSettings.load(file)) for file in files]
    except CourseError as error:
        print(f"not served: {error}", file=sys.stderr)
        return REFUSED
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(serve(apps, files))
    return 0


async def _reload(app: InferenceApp, file: Path, lock: asyncio.Lock) -> None:
    async with lock:
        try:
            trust = ServiceSettings.load(file).trust
            # In a thread: requests are answered by the old model meanwhile.
            app.service.take(await asyncio.to_thread(app.service.verify, trust))
        except Exception as error:  # whatever it is: the old model stays, the log says why
            app.service.take(error)


def options(app: InferenceApp) -> dict[str, Any]:
    """Return how uvicorn serves the app, here and in a container.

    Args:
        app: The app.
    """
    return {
        "http": "httptools",
        "ws": "none",
        "lifespan": "off",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # who asks is said by the gateway's own headers
        "timeout_keep_alive": 75,  # longer than a gateway's idle connection: it closes first
        "timeout_graceful_shutdown": max(1, round(app.service.settings.grace_s)),
    }


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
