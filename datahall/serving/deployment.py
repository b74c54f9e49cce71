"""The whole service on this machine: started, changed, and gone without a trace.

`serve` returns a `Deployment`; `datahall.serving.variants` many weakened ones for
the attacks. Everything stands in one folder that ends with this process (`nest`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datahall.errors import CourseError, ParameterError
from datahall.serving import authority as authorities
from datahall.serving import course_model, guarded_socket, repository
from datahall.serving.audit import AuditLog
from datahall.serving.client import ServiceClient
from datahall.serving.crew import Crew, DeploymentError
from datahall.serving.defences import Defence
from datahall.serving.gateway import Gateway, binary, note
from datahall.serving.gateway_plan import Entrance, GatewayPlan
from datahall.serving.listeners import close, listening, write_secret
from datahall.serving.nest import Nest
from datahall.serving.signing import Trust
from datahall.serving.target import ReplicaStatus, ServicePlan, Target
from datahall.serving.tokens import Issuer

WAY = "service"


def serve(models: Path | None = None, **plan: Any) -> Deployment:
    """Return a service that is not started yet: use it in a `with`, or call its `start`.

    Args:
        models: The model repository; None: the course's own model.
        plan: What `ServicePlan` has: `replicas`, `port`, `defences`, `mtls`, `limits`, …

    Raises:
        ParameterError: No replica, or a TLS version that does not exist.
    """
    asked = ServicePlan(models, **plan)
    if asked.replicas < 1 or asked.oldest_tls not in ("1.2", "1.3"):
        raise ParameterError(
            f"replicas is {asked.replicas}, oldest_tls is {asked.oldest_tls!r}. At least 1 and "
            "'1.2' or '1.3' were expected. Give such values."
        )
    return Deployment(asked)


class Deployment:
    """A running service.

    Args:
        plan: What is asked for.

    Attributes:
        problem: Why the gateway's last refusal could not be logged; "" if it was.
    """

    def __init__(self, plan: ServicePlan) -> None:
        self.plan = plan
        self.issuer = Issuer()
        self.problem = ""
        self._nest: Nest | None = None
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Deployment:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Deployment:
        """Start everything; return when the service is ready.

        Raises:
            DeploymentError: A replica does not get ready.
            GatewayError: The port is taken, or the gateway does not start.
        """
        binary()  # lacking it is told before anything is started
        with contextlib.ExitStack() as undo:
            self._nest = nest = Nest()
            undo.callback(nest.close)
            self._furnish(nest)
            undo.callback(self._log.close)
            listener = listening(self.plan.port)
            undo.callback(close, listener)
            self.port = listener.getsockname()[1]
            self._crew = Crew(
                nest, self.plan, self.models, self.trust, self._audit, each_look=self._look
            )
            undo.callback(self._crew.keeper.stop)
            self._crew.start()
            self._gateway = Gateway(
                self._gateway_plan(listener),
                [listener],
                on_line=self._note,
                environment=nest.environment,
                on_group=nest.tell,
            )
            undo.callback(self._gateway.stop)
            self._crew.keeper.do(self._gateway.start)
            guarded_socket.started(self.port)
            undo.callback(guarded_socket.stopped, self.port)
            self._undo = undo.pop_all()
        return self

    def stop(self) -> None:
        """End every process and remove the folder; once more does nothing."""
        self._undo.close()
        self._nest = None

    @property
    def nest(self) -> Nest:
        """The folder and the guardian.

        Raises:
            DeploymentError: The service does not run.
        """
        if self._nest is None:
            raise DeploymentError(
                "the service does not run. A started one was expected. Call start()."
            )
        return self._nest

    @property
    def address(self) -> str:
        """Where it listens: `https://127.0.0.1:PORT`."""
        scheme = "https" if Defence.TLS in self.plan.defences else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def authority_pem(self) -> str:
        """The root that its certificate is signed by: what a client trusts."""
        return self._root_pem

    @property
    def target(self) -> Target:
        """The service as attacks and clients see it."""
        leaf = self._client
        return Target(
            WAY,
            self.address,
            self.authority_pem,
            self.issuer,
            self.plan.defences,
            tuple(self.audit_files()),
            (leaf.certificate, leaf.key) if self.plan.mtls else None,
            tuple(self.pids()),
        )

    def token(self, subject: str = "learner", **more: Any) -> str:
        """Return a token.

        Args:
            subject: Who will ask.
            more: `scopes`, `lifetime_s`, `now`; see `Target.token`.
        """
        return self.target.token(subject, **more)

    def client(self, subject: str = "learner", **token: Any) -> ServiceClient:
        """Return a client with a new token.

        Args:
            subject: Who asks.
            token: `scopes`, `lifetime_s`, `now`; see `Target.token`.
        """
        return self.target.client(subject, **token)

    def status(self) -> list[ReplicaStatus]:
        """Return how the replicas are."""
        return self._crew.status()

    def metrics(self) -> dict[str, str]:
        """Return the Prometheus pages of the gateway and of each replica that answers."""
        return {"gateway": self._gateway.measures(), **self._crew.metrics()}

    def answered(self) -> int:
        """Return how many requests the replicas that run now have decided."""
        pages = "\n".join(self._crew.metrics().values()).splitlines()
        lines = [line for line in pages if line.startswith("datahall_requests_total{")]
        return sum(int(float(line.rpartition(" ")[2])) for line in lines)

    def audit_files(self) -> list[Path]:
        """Return the files of the audit log: one of the gateway, one of each replica."""
        return sorted(self._audit.glob("audit-*.jsonl"))

    def audit(self) -> dict[str, list[str]]:
        """Return the lines of the audit log, by file name."""
        return {
            path.name: path.read_text(encoding="utf-8", errors="replace").splitlines()
            for path in self.audit_files()
        }

    def pids(self) -> list[int]:
        """Return the processes of the service: gateway and replicas."""
        return [
            *self._gateway.pids,
            *(one.pid for one in self._crew.programs if one.pid is not None),
        ]

    def kill(self, replica: int = 0) -> int:
        """Send SIGKILL to a replica, which is then started again; return its process number.

        Args:
            replica: Its number.

        Raises:
            DeploymentError: It is just being started.
        """
        pid = self._crew.programs[replica].pid
        if pid is None:
            raise DeploymentError(
                f"replica {replica} has no process now. A running one was expected. Wait for it."
            )
        os.kill(pid, signal.SIGKILL)
        return pid

    def restart(self, replica: int = 0) -> None:
        """Start a replica anew without losing a request: it gets none, finishes what it has, ends.

        Args:
            replica: Its number.

        Raises:
            DeploymentError: It does not get ready again.
        """
        others = self.plan.replicas > 1  # alone, it is only asked again until it is back
        if others:
            self._gateway.set_state(WAY, replica, "drain")
        try:
            self._crew.restart(replica)
        finally:
            if others:
                self._gateway.set_state(WAY, replica, "ready")
        self._crew.wait(lambda: self._gateway.is_up(WAY, replica))

    def reload(self) -> dict[str, str]:
        """Have each replica verify and load the repository's current version.

        Returns:
            For each replica the version that it serves now. A version that is not to be trusted is
            refused: then it is the one from before.
        """
        self._crew.reload()
        return self.versions()

    def versions(self) -> dict[str, str]:
        """Return which version of the model each replica serves."""
        return self._crew.versions()

    def switch(self, version: int) -> dict[str, str]:
        """Serve another version of the model, forward or back; return what each replica serves.

        Args:
            version: Its number.

        Raises:
            DataError: There is no such version.
        """
        repository.switch(self.models, self.plan.name, version)
        return self.reload()

    def rollback(self) -> dict[str, str]:
        """Serve the version before the current one; return what each replica serves.

        Raises:
            DeploymentError: There is none before it.
        """
        now = repository.current(self.models, self.plan.name)
        before = [one for one in repository.versions(self.models, self.plan.name) if one < now]
        if not before:
            raise DeploymentError(
                f"version {now} is the first one. An older one was expected. Publish another "
                "version, or switch to one by its number."
            )
        return self.switch(before[-1])

    def rotate_key(self) -> str:
        """Sign new tokens with a new key; return its name. Tokens of the old one stay good."""
        kid = self.issuer.rotate(time.time(), first=self._gateway.trust)
        plan = self._gateway.plan
        if not set(self.issuer.standby()) <= set(plan.known()):
            self._crew.keeper.do(
                lambda: self._gateway.reload(replace(plan, standby=self.issuer.standby()))
            )
        return kid

    def rotate_certificate(self) -> None:
        """Show a new certificate from the next connection on; no connection is closed."""
        leaf = self.authority.renew("server", into=self._leaves)
        write_secret(self._gateway.plan.certificate, leaf.bundle())
        self._gateway.set_certificate(leaf.bundle())

    def revoke(self, token_id: str) -> None:
        """Refuse a token from now on.

        Args:
            token_id: Its `jti`.
        """
        self.issuer.revoke(token_id)
        self._gateway.trust(self.issuer.keys(now=time.time()))

    def _furnish(self, nest: Nest) -> None:
        """Make or open what the service has before it starts: authority, model, log."""
        kept = self.plan.folder or nest.folder
        place = kept / "authority"
        self.authority = self.plan.authority or authorities.kept(place)
        self._root_pem = self.authority.root_pem.decode()  # its file may go while we serve
        if self.plan.models is None:
            self.models = nest.make("models")
            tflite, digest = course_model.tflite()
            name, signer = self.plan.name, self.authority
            repository.publish(tflite, self.models, name, 1, signer, artifact=digest)
        else:
            self.models = self.plan.models.resolve()
        # Leaves of its own: another service may use the same authority.
        self._leaves = nest.make("leaves")
        self._client = self.authority.renew("client", into=self._leaves)
        self.trust = self.plan.trust or Trust(self.authority_pem)
        self._audit = kept / "audit"
        if self.plan.folder is not None:  # several services may keep their logs there
            began = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%f")
            self._audit /= f"{began}-{os.getpid()}"
        self._audit.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._audit.mkdir(mode=0o700)
        self._log = AuditLog(self._audit / "audit-gateway.jsonl")

    def _gateway_plan(self, listener: socket.socket) -> GatewayPlan:
        folder = self.nest.make("gateway")
        certificate = folder / "server.pem"
        write_secret(certificate, self.authority.renew("server", into=self._leaves).bundle())
        root = folder / "root.pem"  # a copy: its name is of plain letters, and it stays
        root.write_text(self.authority_pem, encoding="ascii")
        sockets = self._crew.sockets()
        plan = self.plan
        way = Entrance(
            WAY, listener.fileno(), sockets, plan.defences, plan.limits, plan.mtls, plan.oldest_tls
        )
        return GatewayPlan(
            folder,
            (way,),
            self.issuer.keys(now=time.time()),
            certificate,
            root,
            self.issuer.standby(),
            self.nest.user,
        )

    def _look(self) -> None:
        """Start a gateway that has ended once more: its listening socket has stayed here."""
        gateway = getattr(self, "_gateway", None)
        if gateway is not None and gateway.started and not gateway.alive():
            gateway.start()

    def _note(self, line: dict[str, Any]) -> None:
        """Log a refusal of the gateway: where that fails, `problem` says why."""
        try:
            note(self._log, line)
        except (CourseError, OSError, LookupError) as error:
            self.problem = str(error)
        else:
            self.problem = ""
