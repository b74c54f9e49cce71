"""The same app under Ray Serve: another launcher, which places and restarts replicas by itself.

`running` starts a cluster of Ray on the loopback, in a process of its own that nobody else imports
Ray for, and ends all of it. Ray Serve's proxy checks no token and speaks no TLS: in a cluster a
gateway stands before it, as HAProxy does here. Ray is an extra: make setup EXTRAS="ray".
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datahall import extras, programs
from datahall.errors import CourseError, ParameterError
from datahall.scaling import on_ray, ray_driver
from datahall.scaling.cluster import LOOPBACK, free_ports
from datahall.serving import guarded_socket
from datahall.serving.nest import Nest
from datahall.serving.settings import ServiceSettings

LIMIT_S = 600.0  # a busy machine: Ray starts a dozen processes
NAME = "datahall"
ADVICE = 'Ray Serve is not installed. Install it with: pip install "ray[serve]"'


class RayServeError(CourseError, RuntimeError):
    """Ray Serve that does not start or does not answer."""


@contextlib.contextmanager
def running(settings: Path, *, replicas: int = 2, limit_s: float = LIMIT_S) -> Iterator[str]:
    """Run the app of some settings under Ray Serve; yield its address, `http://127.0.0.1:PORT`.

    Args:
        settings: A file that `ServiceSettings.save` has written; its socket is not used.
        replicas: How many Ray keeps.
        limit_s: Seconds that it may take to get ready.

    Raises:
        CourseError: Ray is not installed, or there is less than one replica.
        RayServeError: It does not get ready.
    """
    extras.require("ray")
    if replicas < 1:
        raise ParameterError(f"replicas is {replicas}. At least 1 was expected. Give more.")
    nest = Nest()
    (port,) = free_ports(1)
    order = {"settings": str(settings), "replicas": replicas, "port": port, "workers": replicas + 1}
    try:
        log = nest.folder / "ray.log"
        process = _started(nest, log, {**order, "folder": str(nest.folder), "address": ""})
        try:
            _wait(process, log, limit_s)
            guarded_socket.started(port)
            yield f"http://{LOOPBACK}:{port}"
        finally:
            guarded_socket.stopped(port)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finally:
        nest.close()


def _started(nest: Nest, log: Path, order: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    own = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": str(nest.folder),
        "PYTHONPATH": on_ray.lean(nest.folder),
    }
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 (our own program)
            programs.command("datahall.serving.on_ray_serve", json.dumps(order)),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**nest.environment, **on_ray.VARIABLES, **own},
            start_new_session=True,
        )
    nest.tell(process.pid)
    return process


def _wait(process: subprocess.Popen[bytes], log: Path, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while "ready\n" not in log.read_text("utf-8", "replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text("utf-8", "replace").strip().splitlines()[-3:]
            raise RayServeError(
                f"Ray Serve is not ready: {' | '.join(words) or 'it says nothing'}. Replicas that "
                "answer were expected. Look at what it says, or give it more time."
            )
        time.sleep(0.2)


def deployment(settings: Path, replicas: int) -> Any:
    """Return the app as Ray Serve deploys it; each replica builds its own, from the same settings.

    Args:
        settings: A file that `ServiceSettings.save` has written.
        replicas: How many Ray keeps.
    """
    from ray import serve

    def build() -> Any:
        from datahall.serving import app

        told = ServiceSettings.load(settings)
        replica = f"ray-{os.getpid()}"
        audit = told.audit.with_name(f"audit-{replica}.jsonl") if told.audit else None
        return app.build(told.model_copy(update={"replica": replica, "audit": audit}))

    options = {
        "num_replicas": replicas,
        "health_check_period_s": 1,
        "graceful_shutdown_timeout_s": 10,
        "ray_actor_options": {"num_cpus": 1},
    }
    return serve.deployment(serve.ingress(build)(), **options).bind()


def main(order: Mapping[str, Any]) -> None:
    """Start Ray and the app, say `ready`, and end both at SIGTERM.

    Args:
        order: What `running` has written.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        from ray import serve
    except ImportError:
        sys.exit(ADVICE)
    import ray

    ray_driver.connect(order)
    try:
        serve.start(http_options={"host": LOOPBACK, "port": order["port"]})
        serve.run(deployment(Path(order["settings"]), order["replicas"]), name=NAME)
        print("ready", flush=True)
        while True:
            time.sleep(60)
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
