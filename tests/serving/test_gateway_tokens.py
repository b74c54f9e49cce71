"""The gateway and `tokens.decide` judge the same tokens alike, by the same reasons."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable

import numpy as np
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from datahall.serving.call_lines import Handed
from datahall.serving.client import Replied
from datahall.serving.deployment import Deployment
from datahall.serving.protocol import Refusal
from datahall.serving.tokens import AUDIENCE, INFER, READ, Claims, Issuer, decide

pytestmark = pytest.mark.processes

Make = Callable[[Issuer], str]


def claims(issuer: Issuer, **changed: object) -> dict[str, object]:
    """What an honest token says now, with some of it changed; None leaves a claim out."""
    now = int(time.time())
    honest = {
        "iss": issuer.name,
        "sub": "ada",
        "aud": AUDIENCE,
        "scope": f"{INFER} {READ}",
        "jti": "token-of-a-test",
        "nbf": now,
        "exp": now + 60,
    }
    return {name: value for name, value in (honest | changed).items() if value is not None}


def said(**changed: object) -> Make:
    return lambda issuer: issuer.sign(claims(issuer, **changed))


def encoded(data: object) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(algorithm: str) -> Make:
    def make(issuer: Issuer) -> str:
        header = {"alg": algorithm, "kid": issuer.kid}
        return f"{encoded(header)}.{encoded(claims(issuer))}."

    return make


def confused(issuer: Issuer) -> str:
    """HMAC, with the public key, which everybody may have, as the secret."""
    head = f"{encoded({'alg': 'HS256', 'kid': issuer.kid})}.{encoded(claims(issuer))}"
    secret = issuer.keys().by_kid[issuer.kid]
    return f"{head}.{encoded(hmac.new(secret, head.encode(), hashlib.sha256).digest())}"


def of_another_key(kid: str = "") -> Make:
    def make(issuer: Issuer) -> str:
        header = {"alg": "ES256", "kid": kid or issuer.kid}
        key = ECKey.generate_key("P-256")
        return jwt.encode(header, claims(issuer), key, algorithms=["ES256"])

    return make


def tampered(issuer: Issuer) -> str:
    head, _, signature = issuer.sign(claims(issuer)).split(".")
    return f"{head}.{encoded(claims(issuer, sub='root'))}.{signature}"


def without_kid(issuer: Issuer) -> str:
    _, body, signature = issuer.sign(claims(issuer)).split(".")
    return f"{encoded({'alg': 'ES256'})}.{body}.{signature}"


def of_standby(issuer: Issuer) -> str:
    """Of a key that the gateway holds for a later rotation, and must not accept yet."""
    return of_another_key(next(iter(issuer.standby())))(issuer)


BAD: dict[str, tuple[Make, int, str]] = {
    "none": (unsigned("none"), 401, "wrong_algorithm"),
    "None": (unsigned("None"), 401, "wrong_algorithm"),
    "no algorithm": (unsigned(""), 401, "wrong_algorithm"),
    "confusion": (confused, 401, "wrong_algorithm"),
    "ES256 without a signature": (unsigned("ES256"), 401, "bad_signature"),
    "another key under our name": (of_another_key(), 401, "bad_signature"),
    "a key that we do not have": (of_another_key("0123456789abcdef"), 401, "unknown_key"),
    "kid as a path": (of_another_key("../../../../dev/null"), 401, "unknown_key"),
    "a key on standby": (of_standby, 401, "unknown_key"),
    "no kid": (without_kid, 401, "unknown_key"),
    "changed claims": (tampered, 401, "bad_signature"),
    "another issuer": (said(iss="mallory"), 401, "wrong_issuer"),
    "no issuer": (said(iss=None), 401, "wrong_issuer"),
    "another audience": (said(aud="another-service"), 401, "wrong_audience"),
    "two audiences": (said(aud=[AUDIENCE, "another-service"]), 401, "wrong_audience"),
    "expired": (said(exp=int(time.time()) - 1), 401, "expired"),
    "not yet": (said(nbf=int(time.time()) + 3000), 401, "not_yet"),
    "no number": (said(jti=None), 401, "malformed"),
    "no subject": (said(sub=None), 401, "malformed"),
    "only read": (said(scope=READ), 403, "wrong_scope"),
    "nearly the scope": (said(scope="infer-not reinfer"), 403, "wrong_scope"),
    "no scope": (said(scope=""), 403, "wrong_scope"),
}


def infer(service: Deployment, token: str, images: np.ndarray) -> Replied:
    body = b'{"inputs":[]}'
    head = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    with service.client() as client:
        client.infer(images)  # honest traffic goes on
        return client.request("POST", "/v2/models/mnist_cnn/infer", body=body, headers=head)


def last_refusal(service: Deployment) -> dict[str, object]:
    """Wait for the gateway's line: its log comes over a pipe."""
    return json.loads(service.audit()["audit-gateway.jsonl"][-1])


@pytest.mark.parametrize("name", BAD)
def test_gateway_and_decide_refuse_a_token_for_the_same_reason(
    name: str, service: Deployment, images: np.ndarray
) -> None:
    make, status, reason = BAD[name]
    token = make(service.issuer)
    judged = decide(token, service.issuer.keys(), time.time())
    assert isinstance(judged, Refusal)
    assert (judged.status, judged.reason) == (status, reason)
    before = len(service.audit()["audit-gateway.jsonl"])
    came = infer(service, token, images)
    assert came.status == status
    assert came.json()["error"]
    assert ("www-authenticate" in came.headers) == (status == 401)
    deadline = time.monotonic() + 20
    while len(service.audit()["audit-gateway.jsonl"]) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    line = last_refusal(service)
    assert line["reason"] == reason
    assert line["who"] == hashlib.sha256(token.encode()).hexdigest()
    assert token not in str(service.audit())


def test_gateway_and_decide_accept_an_honest_token(service: Deployment, images: np.ndarray) -> None:
    token = said()(service.issuer)
    assert isinstance(decide(token, service.issuer.keys(), time.time()), Claims)
    assert infer(service, token, images).status == 400  # an empty request: the app has judged it


@pytest.mark.parametrize("words", ["", "Basic YTpi", "Bearer", "bearer", "Bearer x.y.z"])
def test_what_is_no_token_is_refused(words: str, service: Deployment) -> None:
    with service.client() as client:
        assert client.request("GET", "/v2", headers={"authorization": words}).status == 401


def test_a_token_without_exp_is_refused_by_both(service: Deployment, images: np.ndarray) -> None:
    token = said(exp=None)(service.issuer)
    assert isinstance(decide(token, service.issuer.keys(), time.time()), Refusal)
    assert infer(service, token, images).status == 401


def test_a_scope_to_read_reads_and_does_not_infer_by_another_spelling_of_the_path(
    service: Deployment,
) -> None:
    with service.client(scopes=(READ,)) as client:
        assert client.metadata()["name"] == "mnist_cnn"
        for path in ("infer", "inf%65r", "Infer", "infer/", "./infer"):
            came = client.request("POST", f"/v2/models/mnist_cnn/{path}", body=b"{}")
            assert came.status == 403, path


def test_a_revoked_token_is_refused_from_then_on(service: Deployment, images: np.ndarray) -> None:
    token = service.issuer.issue("eve", token_id="stolen", now=time.time())  # noqa: S106
    assert infer(service, token, images).status == 400
    service.revoke("stolen")
    assert infer(service, token, images).status == 401
    assert isinstance(decide(token, service.issuer.keys(), time.time()), Refusal)


def test_tokens_of_the_old_key_stay_good_until_they_expire_and_no_longer() -> None:
    issuer = Issuer()
    old = issuer.issue("ada", lifetime_s=100, now=1000)
    issuer.rotate(1050)
    new = issuer.issue("ada", now=1050)
    assert isinstance(decide(old, issuer.keys(now=1099), 1099), Claims)
    assert isinstance(decide(new, issuer.keys(now=1099), 1099), Claims)
    late = decide(old, issuer.keys(now=1100), 1100)
    assert isinstance(late, Refusal)
    assert late.reason == "unknown_key"


def test_the_token_that_is_handed_out_is_renewed_after_a_sleep_or_a_jump_of_the_clock(
    service: Deployment,
) -> None:
    handed = Handed.of(service)
    for away_s in (3 * 3600, -3 * 3600):
        before = (handed.folder / "token").read_text()
        handed.renew()
        assert (handed.folder / "token").read_text() == before
        handed.renewed -= away_s
        handed.renew()
        assert (handed.folder / "token").read_text() != before
