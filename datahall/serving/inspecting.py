"""A token taken apart and changed: what it says, and which check stops which change.

`opened` reads a token as anybody can: no key is needed to read one. `changed` alters a token in one
place, as a caller could who has no key, or, `signed_again`, as the issuer itself would have made
it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from datahall.errors import ParameterError
from datahall.serving.protocol import Refusal
from datahall.serving.tokens import Claims, Issuer

HOUR_S = 3600


@dataclass(frozen=True)
class OpenedToken:
    """What a token says, believed or not.

    Attributes:
        header: Which key and algorithm, so it says.
        claims: Who, for whom, until when, so it says.
        signature: The bytes that prove it, or not.
    """

    header: dict[str, Any]
    claims: dict[str, Any]
    signature: bytes


def encoded(content: bytes) -> str:
    """Return bytes in base64url without the padding, as tokens have them.

    Example:
        >>> encoded(b'{"alg":"none"}')
        'eyJhbGciOiJub25lIn0'
    """
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return what `encoded` was given.

    Example:
        >>> decoded("eyJhbGciOiJub25lIn0")
        b'{"alg":"none"}'
    """
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def opened(token: str) -> OpenedToken:
    """Read a token without judging it.

    Args:
        token: Three parts with dots between.

    Raises:
        ParameterError: It has no three parts, or they are no base64url of JSON.
    """
    try:
        header, claims, signature = token.split(".")
        return OpenedToken(
            json.loads(decoded(header)), json.loads(decoded(claims)), decoded(signature)
        )
    except (ValueError, binascii.Error) as error:
        raise ParameterError(
            f"A text of {len(token)} letters is no token ({type(error).__name__}). Three parts of "
            "base64url with dots between were expected. Give one that an issuer made."
        ) from error


def written(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes) -> str:
    """Return a token of three parts, whatever they say.

    Args:
        header: Its header.
        claims: Its claims.
        signature: Its signature.
    """
    parts = (json.dumps(each, separators=(",", ":")).encode() for each in (header, claims))
    return ".".join([*map(encoded, parts), encoded(signature)])


def _claim(name: str, value: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def change(claims: dict[str, Any]) -> None:
        claims[name] = value(claims.get(name))

    return change


CLAIMS: dict[str, Callable[[dict[str, Any]], None]] = {
    "sub: somebody else": _claim("sub", lambda _: "root"),
    "iss: another issuer": _claim("iss", lambda _: "elsewhere"),
    "aud: another service": _claim("aud", lambda _: "billing"),
    "exp: an hour later": _claim("exp", lambda old: old + HOUR_S),
    "nbf: an hour later": _claim("nbf", lambda old: old + HOUR_S),
    "scope: read only": _claim("scope", lambda _: "read"),
    "jti: left out": lambda claims: claims.pop("jti", None),
}
"""Changes of what the token claims."""
HEADERS = ("alg: none", "alg: HS256 with the public key", "kid: a path")
"""Changes of what the token says of its own signature."""
CHANGES = ("nothing", *CLAIMS, *HEADERS, "signature: one bit")


def changed(issuer: Issuer, token: str, change: str, *, signed_again: bool = False) -> str:
    """Return a token that differs in one place.

    Args:
        issuer: Whose token it is; its public key is known to all.
        token: The token.
        change: One of `CHANGES`.
        signed_again: Whether the issuer signs the changed claims; a change of the header or of the
            signature stays as it is, since nobody signs that.

    Raises:
        ParameterError: There is no such change.
    """
    if change not in CHANGES:
        raise ParameterError(f"change is {change!r}. Expected one of: {', '.join(CHANGES)}.")
    parts = opened(token)
    claims = dict(parts.claims)
    if change in CLAIMS:
        CLAIMS[change](claims)
    if change in CLAIMS or (change == "nothing" and signed_again):
        return (
            issuer.sign(claims) if signed_again else written(parts.header, claims, parts.signature)
        )
    if change == "signature: one bit":
        flipped = bytes([parts.signature[0] ^ 1, *parts.signature[1:]])
        return written(parts.header, claims, flipped)
    return token if change == "nothing" else _other_header(issuer, parts, change)


def _other_header(issuer: Issuer, parts: OpenedToken, change: str) -> str:
    """Return a token whose header tells the service how to be deceived."""
    if change == "alg: none":
        return written({**parts.header, "alg": "none"}, parts.claims, b"")
    if change == "kid: a path":
        return written({**parts.header, "kid": "../../dev/null"}, parts.claims, parts.signature)
    header = {**parts.header, "alg": "HS256"}
    signed = written(header, parts.claims, b"").rpartition(".")[0]
    key = issuer.keys().by_kid[issuer.kid]  # what everybody may know, used as if it were a secret
    return f"{signed}.{encoded(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def told(decision: Claims | Refusal) -> str:
    """Return a decision in a few words.

    Args:
        decision: What `tokens.decide` returned.

    Example:
        >>> told(Refusal(401, "expired", "The token has expired."))
        'refused, 401 expired: The token has expired.'
    """
    if isinstance(decision, Refusal):
        return f"refused, {decision.status} {decision.reason}: {decision.says}"
    return f"accepted: {decision.subject}, who may {', '.join(decision.scopes)}"
