"""The replicas of a service: their settings, how they are, and how they load another model."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from datahall import programs
from datahall.errors import CourseError
from datahall.serving import unix_http
from datahall.serving.haproxy_text import HEALTH
from datahall.serving.nest import Keeper, Kept, Nest
from datahall.serving.settings import ServiceSettings
from datahall.serving.signing import Trust
from datahall.serving.target import ReplicaStatus, ServicePlan
from datahall.serving.validation import RequestLimits

READY_S = 120.0
_LOOK_S = 0.05


class DeploymentError(CourseError, RuntimeError):
    """A service that does not start, or does not do what it is told."""


class Crew:
    """The replicas of one service.

    Args:
        nest: Where they live.
        plan: What is asked for.
        models: The model repository.
        trust: Whose models they load.
        audit: The folder of the log.
        each_look: Called at every look at them, from the thread that keeps them.
    """

    def __init__(
        self,
        nest: Nest,
        plan: ServicePlan,
        models: Path,
        trust: Trust,
        audit: Path,
        *,
        each_look: Callable[[], None] = lambda: None,
    ) -> None:
        self._nest, self._plan, self._models, self._trust = nest, plan, models, trust
        self._audit, self._nonces = audit, nest.make("nonces")
        self._settings = nest.make("settings")
        self.programs = [self._replica(number) for number in range(plan.replicas)]
        self.keeper = Keeper(nest, self.programs, each_look)

    def start(self) -> None:
        """Start all of them, and wait until they are ready.

        Raises:
            DeploymentError: One does not get ready.
        """
        self.keeper.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until all of them are ready.

        Raises:
            DeploymentError: One does not get ready.
        """
        self.wait(lambda: all(self._ready(one) for one in self.programs))

    def sockets(self) -> tuple[Path, ...]:
        """Return the sockets that they listen on."""
        return tuple(self._socket(program) for program in self.programs)

    def status(self) -> list[ReplicaStatus]:
        """Return how each of them is."""
        return [
            ReplicaStatus(one.name, one.pid, self._ready(one), one.restarts, one.words())
            for one in self.programs
        ]

    def metrics(self) -> dict[str, str]:
        """Return the Prometheus page of each that answers."""
        pages = {}
        for program in self.programs:
            with contextlib.suppress(OSError):
                pages[program.name] = unix_http.get(self._socket(program), "/metrics").decode()
        return pages

    def versions(self) -> dict[str, str]:
        """Return which version of the model each of them serves."""
        return {name: _served(page) for name, page in self.metrics().items()}

    def reload(self) -> None:
        """Have each verify and load the current version, one after the other.

        Raises:
            DeploymentError: One does not say that it has.
        """
        for program in self.programs:
            before, pid = max(0, self._loads(program)), program.pid
            if pid is not None:  # else it loads the current version when it starts again
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGHUP)
                self.wait(partial(self._has_reloaded, program, before, pid))

    def restart(self, number: int) -> None:
        """End a replica politely, and wait until it is ready again.

        Args:
            number: Which one.

        Raises:
            DeploymentError: It does not get ready.
        """
        program = self.programs[number]
        pid = program.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
        self.wait(lambda: program.pid not in (None, pid) and self._ready(program))

    def _has_reloaded(self, program: Kept, before: int, pid: int) -> bool:
        """Tell whether a replica says so, or has been started again meanwhile."""
        again = program.pid not in (None, pid) and self._ready(program)
        return again or self._loads(program) > before

    def _replica(self, number: int) -> Kept:
        """Write the settings of a replica; return how it is started."""
        name = f"replica-{number}"
        settings = ServiceSettings(
            socket=self._nest.sockets / f"r{number}.sock",
            models=self._models,
            name=self._plan.name,
            trust=self._trust,
            replica=name,
            defences=self._plan.defences.on,
            limits=RequestLimits(body_bytes=self._plan.limits.body_bytes),
            audit=self._audit / f"audit-{name}.jsonl",
            nonces=self._nonces,
            socket_mode=self._nest.socket_mode,
        )
        path = settings.save(self._settings / f"{name}.json")
        log = self._nest.folder / f"{name}.log"
        return Kept(name, lambda: programs.command("datahall.serving.replica", str(path)), log)

    def _socket(self, program: Kept) -> Path:
        number = program.name.rpartition("-")[2]
        return self._nest.sockets / f"r{number}.sock"

    def _ready(self, program: Kept) -> bool:
        with contextlib.suppress(OSError):
            return program.alive() and bool(unix_http.get(self._socket(program), HEALTH[1]))
        return False

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait until something is true.

        Args:
            done: Tells whether it is.

        Raises:
            DeploymentError: A replica refuses to serve, or it takes too long.
        """
        deadline = time.monotonic() + READY_S
        while not done():
            lost = [one for one in self.programs if one.refuses]
            if lost or time.monotonic() > deadline:
                words = "; ".join(f"{one.name}: {one.words()}" for one in lost or self.programs)
                raise DeploymentError(
                    f"the service is not ready ({words or 'no replica'}). Replicas that serve a "
                    "model that is to be trusted were expected. Look at what they say."
                )
            time.sleep(_LOOK_S)

    def _loads(self, program: Kept) -> int:
        """Return how often a replica has reloaded, well or not; -1 if it does not answer."""
        with contextlib.suppress(OSError):
            page = unix_http.get(self._socket(program), "/metrics").decode()
            return int(_value(page, "datahall_reloads"))
        return -1


def _value(page: str, name: str) -> float:
    """Return the value of a counter on a page of metrics."""
    families = (one for one in text_string_to_metric_families(page) if one.name == name)
    return next((one.value for family in families for one in family.samples), 0.0)


def _served(page: str) -> str:
    """Return the version that a replica's metrics tell."""
    for family in text_string_to_metric_families(page):
        if family.name == "datahall_model_info":
            return next((str(one.labels["version"]) for one in family.samples), "")
    return ""
