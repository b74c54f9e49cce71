"""Attacks on the service: for each defence one that needs it, and says what the harm was.

Reading order: `Attempt`, `Attack`, `succeeds`; then `gateway_attacks`, `app_attacks` and
`model_attacks`, where each attack is a few lines, and `ALL` here. An attack succeeds only by
evidence of harm: an answer to a forged token, a foreign line in the log, another model loaded. A
crash, a closed connection or a long silence is no success.

`LIMITS` are those of the services that attacks are tried on: small, so that a burst is a small one.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from datahall.errors import CourseError
from datahall.serving.client import Replied, ServiceClient
from datahall.serving.defences import Defence
from datahall.serving.gateway_plan import Limits
from datahall.serving.protocol import Tensor, encode_request
from datahall.serving.spoken import Sent, SilenceError, call
from datahall.serving.target import Target

LIMITS = Limits(
    slow_s=2.0, idle_s=10.0, rate=20, rate_window_s=60.0, daily_budget=30, answer_s=30.0
)
FAILURES = (OSError, ssl.SSLError, httpx.HTTPError, SilenceError)


@dataclass(frozen=True)
class Attempt:
    """What came of an attack.

    Attributes:
        succeeded: Whether harm was done.
        evidence: What shows it, or what stood in the way; no secret is in it.
    """

    succeeded: bool
    evidence: str


@dataclass(frozen=True)
class Attack:
    """An attack, made for the service that lacks one defence.

    Attributes:
        defence: Which one.
        tells: What it does, in one sentence.
        run: Called with a target.
    """

    defence: Defence
    tells: str
    run: Callable[[Any], Attempt]

    @property
    def name(self) -> str:
        """The name of its defence."""
        return self.defence.value

    @property
    def labels(self) -> tuple[str, ...]:
        """Its entries in ASVS 5.0, ATLAS and the ML Top 10."""
        return self.defence.labels


def succeeds(attack: Attack, target: Any) -> Attempt:
    """Try an attack; what breaks on the way is a failure of the attack.

    Args:
        attack: The attack.
        target: A service that this process has started; for attacks on the model's files a
            `model_attacks.Bench`.
    """
    try:
        return attack.run(target)
    except FAILURES as error:
        return Attempt(False, f"no reply: {type(error).__name__}")
    except CourseError as error:
        return Attempt(False, str(error))


def answered(target: Target, sent: Sent, says: str) -> Attempt:
    """Send one request; that it is answered with 200 is the harm.

    Args:
        target: The service.
        sent: The request.
        says: What an answer means.
    """
    came = call(target, sent)
    return Attempt(came.status == 200, says if came.status == 200 else refused(came))


def refused(came: Replied) -> str:
    """Return what a refusal says.

    Args:
        came: The reply.
    """
    try:
        said = came.json()["error"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        said = "it does not say why"
    return f"{came.status}: {str(said)[:80]}"


def image(seed: int = 0) -> NDArray[np.uint8]:
    """Return an image that is no digit, (1, 28, 28, 1): enough to see which image was answered.

    Args:
        seed: Which.
    """
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (1, 28, 28, 1), dtype=np.uint8)


def asked(images: NDArray[np.uint8], *, binary: bool = False) -> Sent:
    """Return an honest request, without a token.

    Args:
        images: (n, 28, 28, 1).
        binary: Raw bytes in place of JSON.
    """
    message = encode_request([Tensor.of("images", images)], binary=binary)
    kind = message.headers["content-type"]
    more = tuple((n, v) for n, v in message.headers.items() if n != "content-type")
    return Sent(message.body, headers=more, kind=kind)


def lines(target: Target) -> list[bytes]:
    """Return the lines of the app's log.

    Args:
        target: A service whose log this process may read.
    """
    return [line for path in target.audit for line in path.read_bytes().splitlines()]


def honest(target: Target, requests: int = 1) -> bool:
    """Tell whether honest requests are answered: JSON, binary, and health without a token.

    Args:
        target: The service.
        requests: How many of each.
    """
    try:
        with target.client("honest") as client:
            return all(_alike(client, number) for number in range(requests))
    except (CourseError, httpx.HTTPError):
        return False


def _alike(client: ServiceClient, number: int) -> bool:
    one, two = (client.infer(image(number), binary=each) for each in (False, True))
    return one.labels.tolist() == two.labels.tolist() and client.ready()
