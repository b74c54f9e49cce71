"""What of a running service is secure and what is not: each line is tried, not assumed.

`examine` is what `datahall serve --check` prints. What the service leaves open on purpose is told
as well: health needs no token, and the replicas run as whoever started them.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import psutil

from datahall.serving import guarded_socket
from datahall.serving.audit import first_altered
from datahall.serving.defences import Defence
from datahall.serving.deployment import Deployment
from datahall.serving.protocol import model_path

HUGE = 65_536


@dataclass(frozen=True)
class Examined:
    """One line of the check.

    Attributes:
        what: What was looked at.
        secure: Whether it is; None where it is told only.
        found: What was seen.
    """

    what: str
    secure: bool | None
    found: str

    def __str__(self) -> str:
        mark = {True: "ok ", False: "NOT", None: "   "}[self.secure]
        return f"{mark} {self.what}: {self.found}"


def examine(service: Deployment) -> list[Examined]:
    """Try a running service and return what was found.

    Args:
        service: One that this process has started.
    """
    return [*_wire(service), *_doors(service), *_limits(service), *_house(service), *_told(service)]


def is_secure(found: list[Examined]) -> bool:
    """Tell whether nothing that was tried is insecure.

    Args:
        found: What `examine` returned.
    """
    return all(one.secure is not False for one in found)


def _wire(service: Deployment) -> Iterator[Examined]:
    if Defence.TLS not in service.plan.defences:
        yield Examined("encryption", False, "none: tokens and images can be read on the wire")
        return
    with guarded_socket.connect(service.address, ca_pem=service.authority_pem) as wire:
        assert isinstance(wire, ssl.SSLSocket)  # noqa: S101 (https)
        version = str(wire.version())
    yield Examined("encryption", version == "TLSv1.3", f"{version}, from {service.plan.oldest_tls}")
    demanded = "demanded" if service.plan.mtls else "not demanded (--mtls)"
    yield Examined("certificate of the client", None, demanded)


def _doors(service: Deployment) -> Iterator[Examined]:
    path = model_path(service.plan.name, action="infer")
    for what, token in {
        "no token": "",
        "a token with alg none": _unsigned(service),
        "a token for another service": service.issuer.issue("x", "another", now=time.time()),
        "an expired token": service.issuer.issue("x", lifetime_s=1, now=time.time() - 100),
    }.items():
        status = _status(service, "POST", path, token)
        yield Examined(f"inference with {what}", status == 401, f"refused with {status}")
    may_read = _status(service, "POST", path, service.token(scopes=("read",)))
    yield Examined("inference with a token to read", may_read == 403, f"refused with {may_read}")
    metrics = _status(service, "GET", "/metrics", service.token())
    yield Examined("metrics from outside", metrics == 404, f"status {metrics}")
    with service.client() as client:
        labels = client.infer(np.zeros((1, 28, 28), np.uint8)).labels
    yield Examined("inference with a good token", len(labels) == 1, "answered")


def _limits(service: Deployment) -> Iterator[Examined]:
    lines = ("GET /v2 HTTP/1.1", "Host: x", "Connection: close", f"X-Big: {'a' * HUGE}", "", "")
    big = "\r\n".join(lines).encode()
    answer = guarded_socket.raw(service.address, big, ca_pem=service.authority_pem)
    status = answer.split(b" ", 2)[1].decode() if answer else "closed"
    yield Examined(f"headers of {HUGE} bytes", status in ("400", "431", "closed"), status)
    limits, on = service.plan.limits, service.plan.defences
    rate = f"{limits.rate} requests in {limits.rate_window_s:g} s, of one token"
    yield Examined("rate", Defence.RATE_LIMIT in on, rate)
    budget = f"{limits.daily_budget} inferences a day, of one subject"
    yield Examined("budget", Defence.DAILY_BUDGET in on, budget)
    slow = f"{limits.slow_s:g} s for headers, as long for a body"
    yield Examined("slow clients", Defence.SLOW_CLIENT_LIMIT in on, slow)


def _house(service: Deployment) -> Iterator[Examined]:
    keys = [*service.authority.folder.glob("*.key"), *service.nest.folder.rglob("*.key")]
    loose = [path.name for path in keys if stat.S_IMODE(path.stat().st_mode) & 0o077]
    yield Examined("private keys", not loose, "mode 0600" if not loose else f"{loose} are not")
    gateway = psutil.Process(service.pids()[0]).uids().effective
    yield Examined("user of the gateway", gateway != 0, f"number {gateway}")
    versions = ", ".join(sorted(set(service.versions().values())))
    signed = Defence.SIGNATURE in service.plan.defences
    yield Examined("model", signed, f"version {versions}, signature {'' if signed else 'not '}held")
    altered = {name: first_altered(lines) for name, lines in service.audit().items()}
    whole = all(line is None for line in altered.values())
    yield Examined("audit log", whole, "chain whole" if whole else f"altered: {altered}")
    off = [one.value for one in Defence if one not in service.plan.defences]
    yield Examined("defences", not off, "all on" if not off else f"off: {', '.join(off)}")


def _told(service: Deployment) -> Iterator[Examined]:
    health = _status(service, "GET", "/v2/health/ready", "")
    yield Examined("health without a token", None, f"status {health}, on purpose")
    as_root = "root: use a user of its own" if os.geteuid() == 0 else "the user who started it"
    yield Examined("rate without a token", None, "none of an address: refusals cost little")
    yield Examined("replicas run as", None, as_root)
    yield Examined("address", None, "the loopback of this machine alone")


def _status(service: Deployment, method: str, path: str, token: str) -> int:
    with service.client() as client:
        client.token = token
        kind = {"content-type": "application/json"}
        try:
            return client.request(method, path, body=b"{}", headers=kind).status
        except httpx.HTTPError:
            return 0


def _unsigned(service: Deployment) -> str:
    """Return a token that says all the right things, with no signature."""
    claims = service.token().split(".")[1]
    header = json.dumps({"alg": "none", "kid": service.issuer.kid}).encode()
    return f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{claims}."
