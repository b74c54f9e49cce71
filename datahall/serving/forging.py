"""Forged tokens: what a caller can write himself, and the gaps that each needs.

Reading order: `parts` (a token taken apart), `joined`, then one function a forgery. The forger
holds one honest token of his own and what is public: the keys that check signatures.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from datahall.errors import ParameterError

Claims = Mapping[str, Any]


def encoded(content: bytes) -> str:
    """Return bytes in base64url without padding, as a token holds them.

    Args:
        content: Any bytes.

    Example:
        >>> encoded(b'{"alg":"none"}')
        'eyJhbGciOiJub25lIn0'
    """
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    """Return the bytes of a part of a token.

    Args:
        part: Base64url without padding.
    """
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Take a token apart: header, claims, signature. Nothing is checked, no key is needed.

    Args:
        token: Three parts with dots between.

    Raises:
        ParameterError: It is no token.
    """
    try:
        header, claims, signature = token.split(".")
        return json.loads(decoded(header)), json.loads(decoded(claims)), decoded(signature)
    except ValueError as error:
        raise ParameterError(
            f"This is no token ({type(error).__name__}). Three parts in base64url with dots "
            "between were expected. Take it from Issuer.issue."
        ) from error


def joined(header: Claims, claims: Claims, signature: bytes = b"") -> str:
    """Put a token together.

    Args:
        header: What names the algorithm and the key.
        claims: What is said.
        signature: Over the first two parts and the dot between.
    """
    return f"{signed_part(header, claims)}.{encoded(signature)}"


def signed_part(header: Claims, claims: Claims) -> str:
    """Return what a signature is made over: header, dot, claims.

    Args:
        header: What names the algorithm and the key.
        claims: What is said.
    """
    return ".".join(
        encoded(json.dumps(dict(each), separators=(",", ":")).encode()) for each in (header, claims)
    )


def unsigned(token: str, **changes: Any) -> str:
    """Return a token that says it needs no signature.

    Args:
        token: An honest one.
        changes: Claims that are set.

    Source:
        RFC 8725, section 2.1: weak signatures and `alg: none`.
    """
    _, claims, _ = parts(token)
    return joined({"alg": "none", "typ": "JWT"}, {**claims, **changes})


def confused(token: str, public: bytes, **changes: Any) -> str:
    """Return a token whose signature is an HMAC with the *public* key as its secret.

    Who lets the token choose the algorithm takes the key that checks signatures for a shared
    secret; everybody has it.

    Args:
        token: An honest one; its key's name is kept.
        public: The public key that is named there, PEM.
        changes: Claims that are set.

    Source:
        RFC 8725, section 2.1: RS256 or ES256 changed to HS256.
    """
    header, claims, _ = parts(token)
    return keyed({**header, "alg": "HS256"}, {**claims, **changes}, public)


def keyed(header: Claims, claims: Claims, secret: bytes) -> str:
    """Return a token signed by HMAC-SHA256.

    Args:
        header: Says `HS256`.
        claims: What is said.
        secret: The key.
    """
    over = signed_part(header, claims).encode()
    return joined(header, claims, hmac.digest(secret, over, hashlib.sha256))


def altered(token: str, **changes: Any) -> str:
    """Return a token with other claims under the old signature.

    Args:
        token: An honest one.
        changes: Claims that are set.
    """
    header, claims, signature = parts(token)
    return joined(header, {**claims, **changes}, signature)


def own_key(token: str, **changes: Any) -> str:
    """Return a token signed by a key that the forger has made, under the honest key's name.

    Args:
        token: An honest one.
        changes: Claims that are set.
    """
    header, claims, _ = parts(token)
    key = ECKey.generate_key("P-256", private=True)
    return str(jwt.encode({**header}, {**claims, **changes}, key, algorithms=["ES256"]))
