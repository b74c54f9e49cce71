"""An issuer whose keys are exchanged while it signs."""

from __future__ import annotations

import threading

from datahall.serving.protocol import Refusal
from datahall.serving.tokens import INFER, Issuer, Keys, decide

NOW = 1_800_000_000.0


def token(issuer: Issuer) -> str:
    return issuer.issue("ada", scopes=[INFER], now=NOW)


def test_a_token_signed_while_keys_are_exchanged_is_accepted_after_the_next_exchange() -> None:
    issuer, signed = Issuer(), []

    def publish(keys: Keys) -> None:
        signed.append(token(issuer))  # the old key signs until the new one is trusted

    issuer.rotate(NOW, first=publish)
    issuer.rotate(NOW + 1)
    assert not isinstance(decide(signed[0], issuer.keys(now=NOW + 2), NOW + 2), Refusal)


def test_many_exchanges_refuse_no_token_of_those_who_sign_meanwhile() -> None:
    issuer, trusted, refused = Issuer(), [], []
    trusted.append(issuer.keys(now=NOW))
    over = threading.Event()

    def sign() -> None:
        while not over.is_set():
            made = token(issuer)
            if isinstance(found := decide(made, trusted[-1], NOW), Refusal):
                refused.append(found)

    threads = [threading.Thread(target=sign) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(24):
        issuer.rotate(NOW, first=trusted.append)
        trusted.append(issuer.keys(now=NOW))
    over.set()
    for thread in threads:
        thread.join()
    assert refused == []
