"""A token taken apart and changed: what it says, and which check stops which change.

`changed` alters a token in one place, as a caller could who has no key, or, `signed_again`, as the
issuer itself would have made it. `told` says in a few words what a service decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datahall.errors import ParameterError
from datahall.serving import forging
from datahall.serving.protocol import Refusal
from datahall.serving.tokens import Claims, Issuer

HOUR_S = 3600


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
    header, claims, signature = forging.parts(token)
    if change in CLAIMS:
        CLAIMS[change](claims)
    if change in CLAIMS or change == "nothing":
        return issuer.sign(claims) if signed_again else forging.joined(header, claims, signature)
    if change == "alg: none":
        return forging.unsigned(token)
    if change == "alg: HS256 with the public key":
        return forging.confused(token, issuer.keys().by_kid[issuer.kid])
    if change == "kid: a path":
        return forging.joined({**header, "kid": "../../dev/null"}, claims, signature)
    return forging.joined(header, claims, bytes([signature[0] ^ 1, *signature[1:]]))


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
