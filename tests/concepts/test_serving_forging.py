"""Forged tokens: the service refuses each; a judge that lacks one check accepts one."""

import hashlib
import hmac

import pytest

from datahall.errors import ParameterError
from datahall.serving import forging, tokens

NOW = 1000.0


@pytest.fixture(scope="module")
def issuer() -> tokens.Issuer:
    return tokens.Issuer()


def test_a_token_taken_apart_and_joined_is_the_same(issuer: tokens.Issuer) -> None:
    token = issuer.issue("ada", now=NOW)
    header, claims, signature = forging.parts(token)
    assert (header["alg"], claims["sub"], len(signature)) == ("ES256", "ada", 64)
    again = forging.joined(header, claims, signature)
    assert forging.parts(again) == (header, claims, signature)


def test_every_forgery_is_refused_and_the_honest_token_is_not(issuer: tokens.Issuer) -> None:
    token, keys = issuer.issue("ada", now=NOW), issuer.keys()
    kid = forging.parts(token)[0]["kid"]
    forged = {
        "unsigned": forging.unsigned(token, sub="root"),
        "confused": forging.confused(token, keys.by_kid[kid], sub="root"),
        "altered": forging.altered(token, sub="root"),
        "own key": forging.own_key(token, sub="root"),
    }
    reasons = {name: tokens.decide(each, keys, NOW + 1).reason for name, each in forged.items()}
    assert reasons == {
        "unsigned": "wrong_algorithm",
        "confused": "wrong_algorithm",
        "altered": "bad_signature",
        "own key": "bad_signature",
    }
    assert tokens.decide(token, keys, NOW + 1).subject == "ada"


def test_the_confused_token_is_signed_with_what_everybody_has(issuer: tokens.Issuer) -> None:
    token = issuer.issue("ada", now=NOW)
    public = issuer.keys().by_kid[forging.parts(token)[0]["kid"]]
    forged = forging.confused(token, public, sub="root")
    over, _, _ = forged.rpartition(".")
    header, claims, signature = forging.parts(forged)
    assert hmac.compare_digest(signature, hmac.digest(public, over.encode(), hashlib.sha256))
    assert (header["alg"], claims["sub"]) == ("HS256", "root")


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d", "!.!.!", "bnVsbA.bnVsbA"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="no token"):
        forging.parts(text)
