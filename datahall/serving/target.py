"""What is asked of a service, what it looks like from outside, and how its replicas are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datahall.serving import repository
from datahall.serving.authority import Authority
from datahall.serving.client import ServiceClient
from datahall.serving.defences import Defences
from datahall.serving.gateway_plan import Limits
from datahall.serving.signing import Trust
from datahall.serving.tokens import INFER, READ, Issuer

REVOKED = "0" * 32  # number of a token that variants have called back, for the attack with it


@dataclass(frozen=True)
class Target:
    """Where attacks go: a service of this process, and what an attacker may know of it.

    Attributes:
        name: A word.
        address: `https://127.0.0.1:PORT`, or `http://…` where it has no TLS.
        ca_pem: The root that signs its certificate.
        issuer: Makes its tokens: for the honest traffic, and for tokens that are stolen.
        defences: What is on.
        audit: The files of its log.
        certificate: The client's certificate and key, where it demands one.
        pids: Its processes: the gateway's, then those that infer.
    """

    name: str
    address: str
    ca_pem: str = field(repr=False)
    issuer: Issuer = field(repr=False)
    defences: Defences
    audit: tuple[Path, ...] = ()
    certificate: tuple[Path, Path] | None = None
    pids: tuple[int, ...] = ()

    def token(
        self,
        subject: str = "learner",
        *,
        scopes: Sequence[str] = (INFER, READ),
        lifetime_s: float = 300,
        now: float | None = None,
    ) -> str:
        """Return a token of this service.

        Args:
            subject: Who will ask.
            scopes: What it allows.
            lifetime_s: For how many seconds.
            now: When it is made, seconds since 1970; left out, the clock says it.
        """
        made = time.time() if now is None else now
        return self.issuer.issue(subject, scopes=scopes, lifetime_s=lifetime_s, now=made)

    def client(self, subject: str = "learner", **token: Any) -> ServiceClient:
        """Return an honest client of this service.

        Args:
            subject: Who asks.
            token: As `token` takes it.
        """
        return ServiceClient(
            self.address,
            token=self.token(subject, **token),
            ca=self.ca_pem,
            certificate=self.certificate,
        )


@dataclass(frozen=True)
class ReplicaStatus:
    """One replica now.

    Attributes:
        name: `replica-0`.
        pid: Its process; None while it is being started again.
        ready: Whether it would infer.
        restarts: How often it was started again.
        words: The last line of its output.
    """

    name: str
    pid: int | None
    ready: bool
    restarts: int
    words: str


@dataclass(frozen=True)
class ServicePlan:
    """What `serve` is asked for.

    Attributes:
        models: The model repository; None: the course's own model.
        name: The model.
        replicas: How many processes infer.
        port: Of the loopback; 0 takes a free one.
        defences: What is on.
        mtls: Whether a client must show a certificate.
        oldest_tls: "1.3" or "1.2".
        limits: How much a caller may ask.
        folder: Where authority and logs are kept; None: in the folder that is removed.
        authority: Signs the certificates; None: one is made or, in `folder`, opened.
        trust: Whose models are loaded; None: those that the authority's signer signed.
    """

    models: Path | None = None
    name: str = repository.MODEL_NAME
    replicas: int = 1
    port: int = 0
    defences: Defences = field(default_factory=Defences.all)
    mtls: bool = False
    oldest_tls: str = "1.3"
    limits: Limits = field(default_factory=Limits)
    folder: Path | None = None
    authority: Authority | None = None
    trust: Trust | None = None
