"""Tokens: who may ask, for what, until when. Signed by one algorithm, ES256.

Read `decide` first: it is all that stands between a token and the model. Then `Issuer`, which
makes tokens, rotates its keys and revokes. The gateway asks the same questions in HAProxy's words
(`gateway`); a test sends the same tokens to both.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import extract_compact

from datahall.errors import ParameterError
from datahall.serving.lifetimes import LONGEST_S
from datahall.serving.protocol import Refusal

ALGORITHM = "ES256"
STANDBY = 8
ISSUER, AUDIENCE = "datahall", "datahall-serving"
INFER, READ = "infer", "read"  # scopes: ask the model; ask about it


@dataclass(frozen=True)
class Keys:
    """What a service needs to judge a token.

    Attributes:
        by_kid: Public keys, PEM, by their name; no other key is ever looked for.
        issuer: Who must have made the token.
        audience: Whom it must be for.
        scope: What it must allow.
        revoked: Numbers (`jti`) of tokens that are no longer good.
    """

    by_kid: Mapping[str, bytes]
    issuer: str = ISSUER
    audience: str = AUDIENCE
    scope: str = INFER
    revoked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Claims:
    """What an accepted token says.

    Attributes:
        subject: Who asks.
        scopes: What they may.
        token_id: Its number, `jti`.
        expires: When it ends, seconds since 1970.
        kid: Which key signed it.
    """

    subject: str
    scopes: tuple[str, ...]
    token_id: str
    expires: float
    kid: str


def decide(token: str, keys: Keys, now: float) -> Claims | Refusal:
    """Judge a token: what it claims, or why it is refused.

    The order matters: nothing that the token says is used before its signature is proven, except
    the name of the key, and that only to look it up.

    Args:
        token: Header, claims and signature, in base64url with dots between.
        keys: What this service trusts and demands.
        now: Seconds since 1970.

    Returns:
        The claims, or a refusal: 401 says *who are you*, 403 *you may not*.

    Example:
        >>> issuer = Issuer()
        >>> token = issuer.issue("ada", now=1000)
        >>> decide(token, issuer.keys(), now=1001).subject
        'ada'
        >>> decide(token, issuer.keys(), now=2000).reason
        'expired'

    Source:
        RFC 7519, section 7.2 (validating a JWT); RFC 8725, sections 3.1 to 3.9 (best current
        practices).
    """
    claims = _proven(token, keys)
    if isinstance(claims, Refusal):
        return claims
    if refusal := _not_for_us(claims, keys) or _not_now(claims, now):
        return refusal
    subject, token_id, scopes = claims.get("sub"), claims.get("jti"), claims.get("scope")
    if not (isinstance(subject, str) and isinstance(token_id, str) and isinstance(scopes, str)):
        return _refused("malformed", "The token lacks sub, jti or scope.")
    if token_id in keys.revoked:
        return _refused("revoked", "The token has been revoked.")
    if keys.scope not in scopes.split(" "):
        return Refusal(403, "wrong_scope", "The token does not allow this.")
    return Claims(subject, tuple(scopes.split(" ")), token_id, claims["exp"], claims["kid"])


def _proven(token: str, keys: Keys) -> dict[str, Any] | Refusal:
    """Return the claims of a token whose signature holds, with its `kid` among them."""
    try:
        header = extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        return _refused("malformed", "This is no token.")
    if header.get("alg") != ALGORITHM:
        return _refused("wrong_algorithm", f"Only {ALGORITHM} is accepted.")
    kid = header.get("kid")
    if not isinstance(kid, str) or kid not in keys.by_kid:
        return _refused("unknown_key", "The token names no key of this service.")
    try:
        claims = jwt.decode(token, _key(keys.by_kid[kid]), algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        return _refused("bad_signature", "The signature does not hold.")
    return {**claims, "kid": kid}


def _not_for_us(claims: dict[str, Any], keys: Keys) -> Refusal | None:
    if claims.get("iss") != keys.issuer:
        return _refused("wrong_issuer", "Another issuer made the token.")
    if claims.get("aud") != keys.audience:
        return _refused("wrong_audience", "The token is for another service.")
    return None


def _not_now(claims: dict[str, Any], now: float) -> Refusal | None:
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    if type(expires) is not int or type(begins) is not int:  # a bool is an int, and no time
        return _refused("malformed", "exp and nbf are whole seconds.")
    if now >= expires:
        return _refused("expired", "The token has expired.")
    if now < begins:
        return _refused("not_yet", "The token is not valid yet.")
    return None


def _refused(reason: str, says: str) -> Refusal:
    return Refusal(401, reason, says)


@lru_cache(maxsize=64)
def _key(pem: bytes) -> ECKey:
    return ECKey.import_key(pem)


@dataclass
class _SigningKey:
    """A key, and when the last token that it signed expires."""

    kid: str = field(default_factory=lambda: secrets.token_hex(8))
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"), repr=False)
    last_expiry: float = 0.0


def _public(keys: Sequence[_SigningKey]) -> dict[str, bytes]:
    return {one.kid: one.key.as_pem(private=False) for one in keys}


class Issuer:
    """Makes tokens; holds its private keys in memory, and nowhere else.

    Its public keys are known to the gateway before they are used: there are always some on
    standby. So a rotation starts nothing anew, and no request meets a gateway that lacks its key.

    Args:
        name: The `iss` of its tokens.
    """

    def __init__(self, name: str = ISSUER) -> None:
        self.name = name
        self._current = _SigningKey()
        self._standby = [_SigningKey() for _ in range(STANDBY)]
        self._retired: list[_SigningKey] = []
        self._revoked: dict[str, float] = {}
        self._changing = threading.Lock()  # which key signs, and until when its tokens live

    @property
    def kid(self) -> str:
        """The name of the key that signs now."""
        return self._current.kid

    def issue(
        self,
        subject: str,
        audience: str = AUDIENCE,
        scopes: Sequence[str] = (INFER,),
        lifetime_s: float = 300,
        *,
        now: float,
        token_id: str = "",
    ) -> str:
        """Return a new token.

        Args:
            subject: Who will ask.
            audience: Which service it is for.
            scopes: What it allows.
            lifetime_s: For how many seconds; at most a day.
            now: Seconds since 1970.
            token_id: Its number, `jti`; left out, a random one.

        Raises:
            ParameterError: The lifetime is not between 1 s and a day.
        """
        if not 1 <= lifetime_s <= LONGEST_S:
            raise ParameterError(
                f"lifetime_s is {lifetime_s:g}. A token lives at least 1 s and at most "
                f"{LONGEST_S:g} s here. Give a lifetime between them."
            )
        claims = {
            "iss": self.name,
            "sub": subject,
            "aud": audience,
            "scope": " ".join(scopes),
            "jti": token_id or secrets.token_hex(16),
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + lifetime_s),
        }
        return self.sign(claims)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a token with exactly these claims: what `issue` does last.

        Args:
            claims: What it says.
        """
        with self._changing:  # a key that is replaced now is still kept for this token
            own = self._current
            own.last_expiry = max(own.last_expiry, float(claims.get("exp", 0)))
        header = {"alg": ALGORITHM, "kid": own.kid, "typ": "JWT"}
        return jwt.encode(header, dict(claims), own.key, algorithms=[ALGORITHM])

    def rotate(self, now: float, *, first: Callable[[Keys], None] = lambda keys: None) -> str:
        """Sign with the next key on standby from now on; return its name.

        The old key is still accepted until the last token that it signed has expired.

        Args:
            now: Seconds since 1970.
            first: Called with the keys to trust, the new one among them, before it signs: so that
                no token is older than the trust in it.
        """
        new = self._standby.pop(0)
        keys = self.keys(now=now)
        first(replace(keys, by_kid={**keys.by_kid, **_public([new])}))
        with self._changing:  # tokens may have been signed meanwhile: now it is known how long
            self._retired.append(self._current)
            self._current = new
        if not self._standby:
            self._standby = [_SigningKey() for _ in range(STANDBY)]
        return new.kid

    def revoke(self, token_id: str, *, until: float | None = None) -> None:
        """Refuse a token from now on.

        Args:
            token_id: Its `jti`.
            until: When it expires anyway, seconds since 1970: then its number is forgotten.
        """
        self._revoked[token_id] = float("inf") if until is None else until

    def standby(self) -> dict[str, bytes]:
        """Return the public keys of rotations to come, PEM, by name: not accepted yet."""
        return _public(self._standby)

    def keys(
        self, *, audience: str = AUDIENCE, scope: str = INFER, now: float | None = None
    ) -> Keys:
        """Return what a service that trusts this issuer needs.

        Args:
            audience: The service's own name.
            scope: What it demands.
            now: Seconds since 1970; given, what has expired is left out.
        """
        with self._changing:
            return self._keys(audience, scope, now)

    def _keys(self, audience: str, scope: str, now: float | None) -> Keys:
        if now is not None:
            self._retired = [old for old in self._retired if old.last_expiry > now]
            self._revoked = {one: until for one, until in self._revoked.items() if until > now}
        revoked = frozenset(self._revoked)
        accepted = _public([*self._retired, self._current])
        return Keys(accepted, self.name, audience, scope, revoked)
