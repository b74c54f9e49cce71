"""Hostile requests as data: each with the statuses that are right for it, and what it tests.

Reading order: `Hostile`, then `CASES`: tokens, HTTP, JSON, tensors, raw bytes, names. All are sent
to the hardened service; each is refused, none with a 5xx, and honest requests are answered all the
while (`honest` of `attacks`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from datahall.serving import forging
from datahall.serving.attack_answers import NOWHERE
from datahall.serving.attacks import asked, image
from datahall.serving.client import Replied
from datahall.serving.defences import Defence
from datahall.serving.spoken import Sent, call
from datahall.serving.target import REVOKED, Target

Make = Callable[[Target], Sent]


@dataclass(frozen=True)
class Hostile:
    """One hostile request.

    Attributes:
        name: What is wrong with it.
        make: Makes it for a target.
        statuses: Those that are right.
        defence: What should stop it; None: HTTP itself, before any defence.
    """

    name: str
    make: Make
    statuses: frozenset[int]
    defence: Defence | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Its entries in ASVS 5.0, ATLAS and the ML Top 10."""
        return self.defence.labels if self.defence else ("ASVS 5.0 V4.2.1",)

    def send(self, target: Target) -> Replied:
        """Send it.

        Args:
            target: A service that this process has started.
        """
        return call(target, self.make(target))


def _case(name: str, status: int, defence: Defence | None, make: Make) -> Hostile:
    return Hostile(name, make, frozenset({status}), defence)


# Tokens -------------------------------------------------------------------------------------------


def _shown(token: Callable[[Target], str]) -> Make:
    return lambda target: replace(asked(image()), token=token(target))


def _said(**changes: Any) -> Callable[[Target], str]:
    """Return a token of the issuer with other claims; None drops one."""

    def token(target: Target) -> str:
        claims = forging.parts(target.token())[1] | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return str(target.issuer.sign({"exp": 0, **kept}))

    return token


def _renamed(kid: str) -> Callable[[Target], str]:
    def token(target: Target) -> str:
        header, claims, signature = forging.parts(target.token())
        return forging.joined({**header, "kid": kid}, claims, signature)

    return token


def _by_hmac(target: Target) -> str:
    public = target.issuer.keys().by_kid[target.issuer.kid]
    return forging.confused(target.token(), public, sub="root")


def _by_path(target: Target) -> str:
    header, claims, _ = forging.parts(target.token())
    return forging.keyed({**header, "alg": "HS256", "kid": NOWHERE}, claims, b"")


def _in_header(value: str) -> Make:
    return lambda target: replace(asked(image()), headers=(("Authorization", value),))


def _none(spelled: str) -> Callable[[Target], str]:
    def token(target: Target) -> str:
        return forging.joined({"alg": spelled}, forging.parts(target.token())[1])

    return token


def _tokens() -> Iterable[Hostile]:
    now, one, sign = time.time, Defence.ONE_ALGORITHM, Defence.TOKEN_SIGNATURE
    yield _case("no token", 401, sign, lambda target: asked(image()))
    yield _case("an empty token", 401, one, _shown(lambda _: ""))
    yield _case("a token of dots", 401, one, _shown(lambda _: ".."))
    yield _case("a token of noise", 401, one, _shown(lambda _: "x" * 400))
    yield _case("another scheme", 401, sign, _in_header("Basic cm9vdDpyb290"))
    yield _case("algorithm none", 401, one, _shown(_none("none")))
    yield _case("algorithm NoNe", 401, one, _shown(_none("NoNe")))
    yield _case("no algorithm", 401, one, _shown(_none("")))
    yield _case("the public key as a secret", 401, one, _shown(_by_hmac))
    yield _case("a kid that is a path", 401, one, _shown(_by_path))
    yield _case("a kid that nobody knows", 401, sign, _shown(_renamed("f" * 16)))
    yield _case("a kid with a quote in it", 401, sign, _shown(_renamed("' or 1=1")))
    yield _case("altered claims", 401, sign,
                _shown(lambda target: forging.altered(target.token(), sub="root")))  # fmt: skip
    yield _case("a key of one's own", 401, sign,
                _shown(lambda target: forging.own_key(target.token(), sub="root")))  # fmt: skip
    yield _case("a cut token", 401, sign, _shown(lambda target: target.token()[:-9]))
    yield _case("expired", 401, Defence.EXPIRY,
                _shown(lambda target: target.token(now=now() - 7200)))  # fmt: skip
    yield _case("not valid yet", 401, Defence.EXPIRY, _shown(_said(nbf=int(now()) + 9000)))
    yield _case("without an end", 401, Defence.EXPIRY, _shown(_said(exp=None)))
    yield _case("another issuer", 401, Defence.ISSUER, _shown(_said(iss="staging")))
    yield _case("no issuer", 401, Defence.ISSUER, _shown(_said(iss=None)))
    yield _case("another audience", 401, Defence.AUDIENCE, _shown(_said(aud="billing")))
    yield _case("a longer audience", 401, Defence.AUDIENCE, _shown(_said(aud="datahall-servings")))
    yield _case("a subject with a line end", 401, Defence.LOG_ESCAPING, _shown(_said(sub="a\nb")))
    yield _case("no subject", 401, Defence.DAILY_BUDGET, _shown(_said(sub=None)))
    yield _case("no number", 401, Defence.REVOCATION, _shown(_said(jti=None)))
    yield _case("revoked", 401, Defence.REVOCATION, _shown(_said(jti=REVOKED)))
    yield _case("may only read", 403, Defence.SCOPE, _shown(_said(scope="read")))
    yield _case("a scope that begins alike", 403, Defence.SCOPE, _shown(_said(scope="inferior")))
    yield _case("no scope", 403, Defence.SCOPE, _shown(_said(scope=None)))


# HTTP ---------------------------------------------------------------------------------------------


def _good(**changes: Any) -> Make:
    return lambda target: replace(asked(image()), token=target.token(), **changes)


def _paths() -> Iterable[Hostile]:
    closed = Defence.CLOSED_PATHS
    for path in ("/metrics", "/docs", "/openapi.json", "/admin", "/v2x", "/..%2fmetrics", "//v2"):
        yield _case(f"path {path}", 404, closed, _good(method="GET", path=path, body=b""))
    yield _case("path /v2/../metrics", 404, closed,
                _good(method="GET", path="/v2/../metrics", body=b""))  # fmt: skip
    yield _case("method PUT", 405, None, _good(method="PUT"))
    yield _case("method in small letters", 400, None, _good(method="post", body=b""))
    name = Defence.MODEL_NAME
    for model in ("mnist", "..", "%2e%2e", "mnist_cnn%00", "MNIST_CNN", "a" * 5000):
        yield _case(f"model {model[:12]}", 404, name, _good(path=f"/v2/models/{model}/infer"))
    for version in ("2", "..", "-1", "01", "1e0"):
        path = f"/v2/models/mnist_cnn/versions/{version}/infer"
        yield _case(f"version {version}", 404, name, _good(path=path))


def _wires() -> Iterable[Hostile]:
    length, kind = Defence.BODY_LIMIT, Defence.CONTENT_TYPE
    yield _case("64 kB of headers", 431, Defence.HEADER_LIMIT,
                _good(headers=(("X-Much", "x" * 65_536),)))  # fmt: skip
    yield _case("a header without a name", 400, None, _good(headers=(("", "x"),)))
    yield _case("a header with a space in its name", 400, None, _good(headers=(("a b", "x"),)))
    yield _case("two lengths", 400, None,
                _good(headers=(("Content-Length", "5"), ("Content-Length", "6"))))  # fmt: skip
    yield _case("a negative length", 400, None, _good(headers=(("Content-Length", "-1"),)))
    yield _case("a length in words", 400, None, _good(headers=(("Content-Length", "ten"),)))
    yield _case("50 MiB announced", 413, length,
                _good(headers=(("Content-Length", str(50 << 20)),), body=b""))  # fmt: skip
    yield _case("a body that is too large", 413, length, _good(body=b" " * 250_000))
    chunked = (("Transfer-Encoding", "chunked"),)
    yield _case("a chunk that is too large", 413, length,
                _good(headers=chunked, length=False,
                      body=b"3d090\r\n" + b" " * 250_000 + b"\r\n0\r\n\r\n"))  # fmt: skip
    yield _case("a chunk without a size", 400, None,
                _good(headers=chunked, length=False, body=b"zz\r\n{}\r\n0\r\n\r\n"))  # fmt: skip
    yield _case("plain text", 415, kind, _good(kind="text/plain"))
    yield _case("a form", 415, kind, _good(kind="application/x-www-form-urlencoded"))
    yield _case("no content type", 415, kind, _good(kind=""))
    yield _case("compressed", 415, kind, _good(headers=(("Content-Encoding", "gzip"),)))
    yield _case("a nonce that is too short", 400, Defence.REPLAY,
                _good(headers=(("Datahall-Nonce", "x"),)))  # fmt: skip


# JSON ---------------------------------------------------------------------------------------------

_TENSOR: dict[str, Any] = {
    "name": "images", "datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [7] * 784,
}  # fmt: skip


def _written(*tensors: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": list(tensors), **more}).encode()


_HONEST = _written(_TENSOR)


def _texts() -> Iterable[Hostile]:
    strict = Defence.STRICT_JSON
    for name, body in (
        ("nothing", b""),
        ("no JSON", b"images"),
        ("half of it", _HONEST[:100]),
        ("a list", b"[]"),
        ("null", b"null"),
        ("100,000 brackets", b"[" * 100_000),
        ("100,000 objects", b'{"a":' * 20_000),
        ("NaN", _HONEST.replace(b"[7,", b"[NaN,")),
        ("Infinity", _HONEST.replace(b"[7,", b"[Infinity,")),
        ("a field twice", b'{"inputs": [],' + _HONEST[1:]),
        ("a tensor's field twice", _HONEST.replace(b'{"name"', b'{"name": "x", "name"')),
        ("a key that is escaped", _HONEST.replace(b'{"name"', b'{"\\u006eame": "x", "name"')),
        ("a field too many", _written(_TENSOR, admin=True)),
        ("a tensor's field too many", _written({**_TENSOR, "admin": True})),
        ("something behind it", _HONEST + b"{}"),
        ("bytes that are no UTF-8", _HONEST.replace(b"images", b"im\xff\xfeges")),
        ("UTF-16", _HONEST.decode().encode("utf-16")),
    ):
        yield _case(name, 400, strict, _good(body=body))
    for name, body in (
        ("no inputs", b"{}"),
        ("inputs that are no list", b'{"inputs": {}}'),
        ("an input that is no object", b'{"inputs": [7]}'),
        ("two inputs", _written(_TENSOR, _TENSOR)),
        ("an id that is a number", _written(_TENSOR, id=7)),
        ("an endless id", _written(_TENSOR, id="x" * 500)),
        ("parameters that are a list", _written(_TENSOR, parameters=[])),
        ("outputs that nobody has", _written(_TENSOR, outputs=[{"name": "weights"}])),
    ):
        yield _case(name, 400, Defence.EXACT_SHAPE, _good(body=body))


def _tensor(called: str, defence: Defence, **changes: Any) -> Hostile:
    kept = {key: value for key, value in {**_TENSOR, **changes}.items() if value is not None}
    return _case(called, 400, defence, _good(body=_written(kept)))


def _tensors() -> Iterable[Hostile]:
    shape, kind, value = Defence.EXACT_SHAPE, Defence.DATATYPE, Defence.VALUE_RANGE
    yield _tensor("another tensor", shape, name="labels")
    yield _tensor("another type", kind, datatype="FP32")
    yield _tensor("no type", kind, datatype=None)
    for said in ([784], [1, 784], [1, 28, 28], [-1, 28, 28, 1], [0, 28, 28, 1], [1, 28, -28, -1],
                 [True, 28, 28, 1], [1.0, 28, 28, 1], ["1", 28, 28, 1], [1 << 62, 28, 28, 1],
                 [1, 1, 1, 28, 28, 1], [1] * 500, "1,28,28,1", 1, None):  # fmt: skip
        yield _tensor(f"shape {str(said)[:20]}", shape, shape=said)
    yield _tensor("33 images", Defence.BATCH_LIMIT, shape=[33, 28, 28, 1], data=[0] * 33 * 784)
    yield _tensor("a pixel too few", shape, data=[7] * 783)
    yield _tensor("a pixel too many", shape, data=[7] * 785)
    yield _tensor("no data", shape, data=None)
    yield _tensor("data that is text", kind, data="7" * 784)
    yield _tensor("lists that are not square", shape, data=[[7] * 783, [7]])
    for odd in (256, -1, 1 << 64, 10**300):
        yield _tensor(f"pixel {str(odd)[:20]}", value, data=[*[7] * 783, odd])
    strange: tuple[Any, ...] = (1.5, True, "7", {}, [7])
    for one in strange:
        yield _tensor(f"pixel {one}", kind, data=[*[7] * 783, one])
    yield _case("pixel null", 400, kind, _good(body=_HONEST.replace(b"[7,", b"[null,")))
    yield _case("pixel 1e400", 400, value, _good(body=_HONEST.replace(b"[7,", b"[1e400,")))


def _raw(name: str, size: Any, bytes_sent: int, length: str = "", **changes: Any) -> Hostile:
    said = {key: value for key, value in _TENSOR.items() if key != "data"} | changes
    head = _written({**said, "parameters": {"binary_data_size": size}})
    made = _good(
        body=head + b"\7" * bytes_sent,
        kind="application/octet-stream",
        headers=(("Inference-Header-Content-Length", length or str(len(head))),),
    )
    return _case(name, 400, Defence.SIZE_ADDS_UP, made)


def _binaries() -> Iterable[Hostile]:
    yield _raw("no bytes", 784, 0)
    yield _raw("a byte too few", 784, 783)
    yield _raw("a byte too many", 784, 785)
    yield _raw("a size that lies", 785, 785)
    yield _raw("a size below zero", -784, 784)
    yield _raw("a size of a gigabyte", 1 << 30, 784)
    yield _raw("a size in text", "784", 784)
    yield _raw("a size that is true", True, 1)
    yield _raw("bytes and numbers", 784, 784, data=[7] * 784)
    yield _raw("a JSON longer than the body", 784, 784, length="99999")
    yield _raw("a JSON of no length", 784, 784, length="0")
    yield _raw("a JSON of a negative length", 784, 784, length="-5")
    yield _raw("a JSON of a length in words", 784, 784, length="all")
    yield _raw("two images in the bytes of one", 784, 784, shape=[2, 28, 28, 1])


CASES: tuple[Hostile, ...] = (
    *_tokens(), *_paths(), *_wires(), *_texts(), *_tensors(), *_binaries(),
)  # fmt: skip
