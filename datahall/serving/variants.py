"""Many weakened copies of the service at little cost: one process, one gateway, an address each.

For every defence there is a copy without just that one (a mutant), and an attack that breaks the
copy and not the intact service proves that the defence is needed.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from datahall import programs
from datahall.errors import ParameterError
from datahall.serving import authority as authorities
from datahall.serving import course_model, guarded_socket, repository, unix_http
from datahall.serving.audit import AuditLog
from datahall.serving.authority import Authority
from datahall.serving.crew import READY_S, DeploymentError
from datahall.serving.defences import Defence, Defences
from datahall.serving.gateway import Gateway, note
from datahall.serving.gateway_plan import Entrance, GatewayPlan, Limits
from datahall.serving.haproxy_text import HEALTH
from datahall.serving.listeners import close, listening, write_secret
from datahall.serving.nest import Keeper, Kept, Nest
from datahall.serving.settings import ServiceSettings
from datahall.serving.signing import Trust
from datahall.serving.target import REVOKED, Target
from datahall.serving.tokens import Issuer
from datahall.serving.validation import RequestLimits

T = TypeVar("T")


@contextlib.contextmanager
def variants(
    models: Path | Mapping[str, Path] | None,
    defences: Mapping[str, Defences],
    *,
    limits: Limits | Mapping[str, Limits] | None = None,
    authority: Authority | None = None,
    trust: Trust | Mapping[str, Trust] | None = None,
    name: str = repository.MODEL_NAME,
) -> Iterator[dict[str, Target]]:
    """Run a variant of the service for each name; yield where each of them is.

    Args:
        models: The model repository, one for all or one for each; None: the course's own model.
        defences: By the variant's name, what is on.
        limits: How much a caller may ask, of all or of each.
        authority: Signs the certificates, and the course's own model; None: one of this run.
        trust: Whose models are loaded, by all or by each; None: the authority's.
        name: The model.

    Yields:
        By the variant's name, its target. Once the block ends, nothing is left.

    Raises:
        ParameterError: There is no variant.
        DeploymentError: One does not get ready; its model is not to be trusted, for example.
    """
    if not defences:
        raise ParameterError("there are no variants. At least one was expected. Name one.")
    with contextlib.ExitStack() as undo:
        nest = Nest()
        undo.callback(nest.close)
        own = authority or authorities.create(nest.folder / "authority")
        if models is None:
            models = nest.make("models")
            tflite, digest = course_model.tflite()
            repository.publish(tflite, models, name, 1, own, artifact=digest)
        house = _House(nest, own, name, defences)
        for log in house.logs.values():
            undo.callback(log.close)
        listeners = [undo.enter_context(_listener()) for _ in defences]
        program = house.program(models, limits, trust or Trust(own.root_pem.decode()))
        keeper = Keeper(nest, [program])
        undo.callback(keeper.stop)
        keeper.start()
        house.wait_ready(program)
        gateway = house.gateway(listeners, limits)
        undo.callback(gateway.stop)
        keeper.do(gateway.start)
        pids = (*gateway.pids, *([program.pid] if program.pid else []))
        yield house.targets(listeners, pids)


class _House:
    """What the variants share."""

    def __init__(
        self, nest: Nest, authority: Authority, name: str, defences: Mapping[str, Defences]
    ) -> None:
        self.nest, self.authority, self.name, self.defences = nest, authority, name, defences
        self.issuer, self.audit = Issuer(), nest.make("audit")
        self.issuer.revoke(REVOKED)
        self.logs = {way: AuditLog(self._log(way, "gateway")) for way in self._ways().values()}

    def _ways(self) -> dict[str, str]:
        """Return a word for each variant that HAProxy and a file name take."""
        return {variant: f"v{number}" for number, variant in enumerate(self.defences)}

    def _log(self, way: str, where: str) -> Path:
        return self.audit / f"audit-{way}-{where}.jsonl"

    def _socket(self, way: str) -> Path:
        return self.nest.sockets / f"{way}.sock"

    def program(
        self,
        models: Path | Mapping[str, Path],
        limits: Limits | Mapping[str, Limits] | None,
        trust: Trust | Mapping[str, Trust],
    ) -> Kept:
        """Write the settings of all variants; return the one process that serves them."""
        folder, files = self.nest.make("settings"), []
        for variant, way in self._ways().items():
            limit = _of(limits, variant) or Limits()
            settings = ServiceSettings(
                socket=self._socket(way),
                models=_needed(models, variant).resolve(),
                name=self.name,
                trust=_needed(trust, variant),
                replica=way,
                defences=self.defences[variant].on,
                limits=RequestLimits(body_bytes=limit.body_bytes),
                audit=self._log(way, "app"),
                socket_mode=self.nest.socket_mode,
            )
            files.append(str(settings.save(folder / f"{way}.json")))
        log = self.nest.folder / "variants.log"
        return Kept("variants", lambda: programs.command("datahall.serving.replica", *files), log)

    def wait_ready(self, program: Kept) -> None:
        """Wait until every variant answers."""
        deadline = time.monotonic() + READY_S
        for variant, way in self._ways().items():
            while not _answers(self._socket(way)):
                if program.refuses or time.monotonic() > deadline:
                    raise DeploymentError(
                        f"variant {variant} is not ready ({program.words()}). A model that it is "
                        "to trust was expected. Look at what it says."
                    )
                time.sleep(0.05)

    def gateway(
        self, listeners: list[socket.socket], limits: Limits | Mapping[str, Limits] | None
    ) -> Gateway:
        """Return the gateway with a way in for each variant."""
        folder = self.nest.make("gateway")
        certificate = folder / "gateway.pem"
        leaf = self.authority.renew("server", into=folder)
        write_secret(certificate, leaf.bundle())
        ways = tuple(
            Entrance(
                way,
                listener.fileno(),
                (self._socket(way),),
                self.defences[variant],
                _of(limits, variant) or Limits(),
                oldest_tls="1.2",
                watched=False,
            )
            for (variant, way), listener in zip(self._ways().items(), listeners, strict=True)
        )
        keys, root = self.issuer.keys(), self.authority.root
        plan = GatewayPlan(folder, ways, keys, certificate, root, user=self.nest.user)
        return Gateway(
            plan,
            listeners,
            on_line=self._note,
            environment=self.nest.environment,
            on_group=self.nest.tell,
        )

    def targets(self, listeners: list[socket.socket], pids: tuple[int, ...]) -> dict[str, Target]:
        """Return where each variant is."""
        found = {}
        for (variant, way), listener in zip(self._ways().items(), listeners, strict=True):
            on = self.defences[variant]
            scheme = "https" if Defence.TLS in on else "http"
            found[variant] = Target(
                variant,
                f"{scheme}://127.0.0.1:{listener.getsockname()[1]}",
                self.authority.root_pem.decode(),
                self.issuer,
                on,
                (self._log(way, "app"), self._log(way, "gateway")),
                pids=pids,
            )
        return found

    def _note(self, line: dict[str, Any]) -> None:
        """Write what the gateway refused into the log of its variant."""
        note(self.logs[line["way"].rstrip("~")], line)


@contextlib.contextmanager
def _listener() -> Iterator[socket.socket]:
    wire = listening(0)
    port = wire.getsockname()[1]
    guarded_socket.started(port)
    try:
        yield wire
    finally:
        guarded_socket.stopped(port)
        close(wire)


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return bool(unix_http.get(path, HEALTH[0]))
    return False


def _of(given: T | Mapping[str, T] | None, variant: str) -> T | None:
    """Return what is given for a variant: one for all, or one of its own."""
    if isinstance(given, Mapping):
        return given.get(variant)
    return given


def _needed(given: T | Mapping[str, T], variant: str) -> T:
    found = _of(given, variant)
    if found is None:
        raise ParameterError(
            f"nothing is given for variant {variant!r}. One for all or one for each was expected. "
            "Name it too."
        )
    return found
