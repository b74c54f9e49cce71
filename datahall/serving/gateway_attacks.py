"""Attacks that the gateway's defences stop, one for each."""

from __future__ import annotations

import time
from dataclasses import replace

from datahall.serving import forging
from datahall.serving.attacks import (
    LIMITS,
    Attack,
    Attempt,
    answered,
    asked,
    image,
    lines,
    refused,
)
from datahall.serving.defences import Defence
from datahall.serving.protocol import JSON_TYPE
from datahall.serving.spoken import Sent, call, slowly
from datahall.serving.target import REVOKED, Target

_FORGED = "a token that the caller wrote himself was believed"


def _with(token: str) -> Sent:
    return replace(asked(image()), token=token)


def tls(target: Target) -> Attempt:
    """Talk to the port in clear, with a token."""
    clear = replace(target, address=target.address.replace("https:", "http:"))
    return answered(clear, _with(target.token()), "token and image went over the wire in clear")


def token_signature(target: Target) -> Attempt:
    """Sign claims with a key of one's own."""
    return answered(target, _with(forging.own_key(target.token(), sub="root")), _FORGED)


def one_algorithm(target: Target) -> Attempt:
    """Sign by HMAC with the public key, and say so in the header."""
    public = target.issuer.keys().by_kid[target.issuer.kid]
    forged = forging.confused(target.token(), public, sub="root")
    return answered(target, _with(forged), "the public key was taken for a shared secret")


def issuer(target: Target) -> Attempt:
    """Show a token that another service of the house issued with the same key."""
    _, claims, _ = forging.parts(target.token())
    token = target.issuer.sign({**claims, "iss": "staging"})
    return answered(target, _with(token), "a token of another issuer was believed")


def audience(target: Target) -> Attempt:
    """Show a token that is meant for another service."""
    token = target.issuer.issue("ada", "billing", now=time.time())
    return answered(target, _with(token), "a token for another service was believed")


def expiry(target: Target) -> Attempt:
    """Show a token that expired long ago."""
    return answered(target, _with(target.token(now=time.time() - 7200)), "an old token is good")


def scope(target: Target) -> Attempt:
    """Infer with a token that allows reading only."""
    return answered(target, _with(target.token(scopes=["read"])), "a reader inferred")


def revocation(target: Target) -> Attempt:
    """Show a token that was called back."""
    token = target.issuer.issue("ada", now=time.time(), token_id=REVOKED)
    return answered(target, _with(token), "a revoked token is good")


def rate_limit(target: Target) -> Attempt:
    """Send a burst with one token; other callers wait behind it."""
    with target.client("burst") as client:
        for number in range(LIMITS.rate + 3):
            came = client.request("GET", "/v2")
            if came.status != 200:
                return Attempt(False, f"after {number} requests {refused(came)}")
    return Attempt(True, f"{LIMITS.rate + 3} requests in a row were answered")


def daily_budget(target: Target) -> Attempt:
    """Ask patiently, with a fresh token whenever the rate would stop the old one."""
    sent, headers = asked(image()), {"content-type": JSON_TYPE}
    with target.client("patient") as client:
        for number in range(LIMITS.daily_budget + 2):
            if number % (LIMITS.rate - 5) == 0:
                headers["authorization"] = f"Bearer {target.token('patient')}"
            came = client.request("POST", sent.path, body=sent.body, headers=headers)
            if came.status != 200:
                return Attempt(False, f"after {number} inferences {refused(came)}")
    return Attempt(True, f"{LIMITS.daily_budget + 2} inferences of one subject were answered")


def header_limit(target: Target) -> Attempt:
    """Send a header of 64 kB."""
    sent = _with(target.token())
    sent = replace(sent, headers=(*sent.headers, ("X-Much", "x" * 65_536)))
    return answered(target, sent, "64 kB of headers were kept in memory")


def body_limit(target: Target) -> Attempt:
    """Send a body that is too large; the harm is that the app gets to read it."""
    before = _read_by_app(target)
    body = asked(image()).body.ljust(LIMITS.body_bytes + 20_000)
    came = call(target, replace(_with(target.token()), body=body))
    harmed = came.status == 200 or _read_by_app(target) > before
    return Attempt(harmed, f"the app read {len(body)} bytes" if harmed else refused(came))


def _read_by_app(target: Target) -> int:
    return sum(b'"too_large"' in line for line in lines(target))


def slow_client_limit(target: Target) -> Attempt:
    """Stop in the middle of the body, hold the connection, and go on much later."""
    wire = _with(target.token()).wire()
    came = slowly(target, [wire[:-700], wire[-700:]], pause_s=LIMITS.slow_s + 1.5)
    held = f"a connection was held for {LIMITS.slow_s + 1.5:g} s by half a request"
    return Attempt(came.status == 200, held if came.status == 200 else refused(came))


def identity_header(target: Target) -> Attempt:
    """Say in a header to be somebody else."""
    name = f"root-{time.monotonic_ns()}"
    call(target, replace(_with(target.token()), headers=(("X-Datahall-Subject", name),)))
    found = any(f'"subject":"{name}"'.encode() in line for line in lines(target))
    return Attempt(found, "the log names somebody else" if found else "the log names the caller")


def closed_paths(target: Target) -> Attempt:
    """Read the metrics from outside."""
    sent = Sent(path="/metrics", method="GET", token=target.token())
    return answered(target, sent, "metrics were read from outside")


def _attack(defence: Defence) -> Attack:
    run = globals()[defence.value]
    return Attack(defence, run.__doc__, run)


GATEWAY = tuple(_attack(each) for each in Defence if each.place == "gateway")
