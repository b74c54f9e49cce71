"""A rotation of keys as an order of four acts, on gateways that learn late: simulated, and real.

An issuer signs with one key at a time; each gateway accepts the keys that it knows. A gateway that
is told of a key knows it some seconds later. Clients use a token until it expires. Read `rotate`
first; then `Office`, which plays it on a clock of its own and counts the requests that are lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

STEP_S = 0.5  # of the simulated clock, between two requests


class Speaker(Protocol):
    """Who signs."""

    lifetime_s: float

    @property
    def kid(self) -> str:
        """The name of the key that signs now."""

    def make(self) -> str:
        """Make a key pair; return its name."""

    def use(self, kid: str) -> None:
        """Sign with this key from now on."""


class Hearer(Protocol):
    """Who accepts."""

    def accept(self, kid: str) -> None:
        """Be told to accept a key; it is known some time later."""

    def drop(self, kid: str) -> None:
        """Accept a key no more, at once."""

    def knows(self, kid: str) -> bool:
        """Say whether a key is accepted by now."""


Wait = Callable[[float], None]


def rotate(issuer: Speaker, gateways: Sequence[Hearer], wait: Wait) -> None:
    """Let a new key sign, and the old one be accepted nowhere, without a refused request.

    Args:
        issuer: Signs tokens that live `lifetime_s` at most.
        gateways: All of them accept the issuer's tokens.
        wait: Lets so many seconds pass.
    """
    old, new = issuer.kid, issuer.make()
    for gateway in gateways:
        gateway.accept(new)
    while not all(gateway.knows(new) for gateway in gateways):
        wait(STEP_S)
    issuer.use(new)
    wait(issuer.lifetime_s)
    for gateway in gateways:
        gateway.drop(old)


@dataclass
class Office:
    """A simulated issuer, its gateways and a client that never rests, on one clock.

    Attributes:
        lifetime_s: How long a token lives.
        delays_s: For each gateway how long it takes to know a key.
        spare: Another key that every gateway accepts, and that has nothing to do with this.
        now: The clock, in s.
        lost: What was refused: time, gateway, key.
    """

    lifetime_s: float = 10.0
    delays_s: tuple[float, ...] = (0.0, 3.0, 7.0)
    spare: str = "spare"
    now: float = 0.0
    lost: list[tuple[float, int, str]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    _kid: str = "key-1"
    _tokens: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the gateways; clients have tokens of every age."""
        self.gateways = [Door(self, number, delay) for number, delay in enumerate(self.delays_s)]
        self.wait(self.lifetime_s)

    @property
    def kid(self) -> str:
        """The name of the key that signs now."""
        return self._kid

    def make(self) -> str:
        """Make a key."""
        self.wait(STEP_S)
        self.made.append(f"key-{len(self.made) + 2}")
        return self.made[-1]

    def use(self, kid: str) -> None:
        """Sign with a key from now on."""
        self._kid = kid

    def wait(self, seconds: float) -> None:
        """Let time pass; meanwhile tokens are issued and used at every gateway."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now = min(until, self.now + STEP_S)
            self._tokens.append((self._kid, self.now + self.lifetime_s))
            self._tokens = [one for one in self._tokens if one[1] > self.now]
            for gateway in self.gateways:
                lost = {kid for kid, _ in self._tokens if not gateway.knows(kid)}
                self.lost += [(self.now, gateway.number, kid) for kid in sorted(lost)]


class Door:
    """A gateway of an office.

    Args:
        office: Whose clock it reads.
        number: Its place.
        delay_s: How long it takes to know a key that it is told of.
    """

    def __init__(self, office: Office, number: int, delay_s: float) -> None:
        self.office, self.number, self.delay_s = office, number, delay_s
        self._from_s = {office.kid: 0.0, office.spare: 0.0}

    def accept(self, kid: str) -> None:
        """Be told of a key."""
        self._from_s.setdefault(kid, self.office.now + self.delay_s)
        self.office.wait(STEP_S)

    def drop(self, kid: str) -> None:
        """Accept a key no more."""
        self._from_s.pop(kid, None)
        self.office.wait(STEP_S)

    def knows(self, kid: str) -> bool:
        """Say whether a key is accepted by now."""
        return self._from_s.get(kid, float("inf")) <= self.office.now
