"""The defences of the service, one switch each.

A defence stands in one place (the gateway, the app, or where the model is loaded), stops one kind
of harm and can be left out alone. So the service can be built without just that one, and an attack
shows what the defence was for. Labels are the nearest entries of OWASP ASVS 5.0, MITRE ATLAS and
the OWASP ML Top 10 (2023, a draft); ASVS knows no signed models, so 15.2.4 (parts come from where
they are expected to) stands for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

Place = Literal["gateway", "app", "model"]
PLACES: tuple[Place, ...] = get_args(Place)


class Defence(StrEnum):
    """One switch: its name is its value, its facts are its properties.

    Example:
        >>> Defence("one_algorithm").place
        'gateway'
        >>> Defence.VALUE_RANGE.labels
        ('ASVS 5.0 V1.4.2', 'AML.T0049')
    """

    TLS = "tls"
    TOKEN_SIGNATURE = "token_signature"  # noqa: S105 (a name, no secret)
    ONE_ALGORITHM = "one_algorithm"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRY = "expiry"
    SCOPE = "scope"
    REVOCATION = "revocation"
    RATE_LIMIT = "rate_limit"
    DAILY_BUDGET = "daily_budget"
    HEADER_LIMIT = "header_limit"
    BODY_LIMIT = "body_limit"
    SLOW_CLIENT_LIMIT = "slow_client_limit"
    IDENTITY_HEADER = "identity_header"
    CLOSED_PATHS = "closed_paths"

    CONTENT_TYPE = "content_type"
    STRICT_JSON = "strict_json"
    EXACT_SHAPE = "exact_shape"
    DATATYPE = "datatype"
    VALUE_RANGE = "value_range"
    BATCH_LIMIT = "batch_limit"
    SIZE_ADDS_UP = "size_adds_up"
    MODEL_NAME = "model_name"
    QUIET_ERRORS = "quiet_errors"
    LOG_ESCAPING = "log_escaping"
    LOG_CHAIN = "log_chain"
    HASHED_TOKEN = "hashed_token"  # noqa: S105
    COARSE_SCORES = "coarse_scores"
    REPLAY = "replay"

    SIGNATURE = "signature"
    EXACT_FILES = "exact_files"
    NO_ROLLBACK = "no_rollback"
    VERIFIED_BYTES = "verified_bytes"
    MODEL_PIN = "model_pin"

    @property
    def place(self) -> Place:
        """Where it stands."""
        return FACTS[self].place

    @property
    def stops(self) -> str:
        """What it stops, in one sentence."""
        return FACTS[self].stops

    @property
    def labels(self) -> tuple[str, ...]:
        """The nearest entries of ASVS 5.0, ATLAS and the ML Top 10."""
        return FACTS[self].labels


@dataclass(frozen=True)
class DefenceFacts:
    """What is known of one defence."""

    place: Place
    stops: str
    labels: tuple[str, ...]


def _facts(place: Place, stops: str, asvs: str, *others: str) -> DefenceFacts:
    return DefenceFacts(place, stops, (f"ASVS 5.0 V{asvs}", *others))


FACTS: dict[Defence, DefenceFacts] = {
    Defence.TLS: _facts("gateway", "Reading tokens and images on the wire.", "12.2.1"),
    Defence.TOKEN_SIGNATURE: _facts(
        "gateway", "A token that the caller has written.", "9.1.1", "AML.T0040"
    ),
    Defence.ONE_ALGORITHM: _facts(
        "gateway", "A token that says alg none, or HMAC with the public key.", "9.1.2", "AML.T0040"
    ),
    Defence.ISSUER: _facts("gateway", "A token that another issuer made.", "9.1.3", "AML.T0040"),
    Defence.AUDIENCE: _facts("gateway", "A token that is meant for another service.", "9.2.3"),
    Defence.EXPIRY: _facts("gateway", "An old token that was found or stolen.", "9.2.1"),
    Defence.SCOPE: _facts("gateway", "A caller who does more than the token allows.", "8.2.1"),
    Defence.REVOCATION: _facts("gateway", "A stolen token that was revoked.", "7.4.1"),
    Defence.RATE_LIMIT: _facts(
        "gateway", "One caller who leaves nothing for the others.", "2.4.1", "AML.T0029"
    ),
    Defence.DAILY_BUDGET: _facts(
        "gateway",
        "Copying the model by many patient queries.",
        "2.4.1",
        "AML.T0024.002",
        "AML.T0034",
        "ML05:2023",
    ),
    Defence.HEADER_LIMIT: _facts("gateway", "Memory filled by endless headers.", "15.2.2"),
    Defence.BODY_LIMIT: _facts(
        "gateway", "Memory and time filled by endless bodies.", "15.2.2", "AML.T0029"
    ),
    Defence.SLOW_CLIENT_LIMIT: _facts(
        "gateway", "Connections held open by a byte now and then.", "15.2.2", "AML.T0029"
    ),
    Defence.IDENTITY_HEADER: _facts(
        "gateway", "A caller who puts another name into a header.", "4.1.3"
    ),
    Defence.CLOSED_PATHS: _facts(
        "gateway", "Metrics, documents and administration read from outside.", "13.4.5"
    ),
    Defence.CONTENT_TYPE: _facts(
        "app", "A body of a type that a stranger's web page can send.", "3.5.2"
    ),
    Defence.STRICT_JSON: _facts(
        "app",
        "JSON that two readers understand differently, or that exhausts one.",
        "1.5.3",
        "AML.T0049",
    ),
    Defence.EXACT_SHAPE: _facts(
        "app", "Pixels read in an order that the caller did not mean.", "2.2.3", "AML.T0049"
    ),
    Defence.DATATYPE: _facts(
        "app", "Numbers of one kind that are read as another.", "15.3.5", "AML.T0049"
    ),
    Defence.VALUE_RANGE: _facts(
        "app", "Values that wrap round into other pixels.", "1.4.2", "AML.T0049"
    ),
    Defence.BATCH_LIMIT: _facts(
        "app", "One request that costs as much as thousands.", "15.2.2", "AML.T0029", "AML.T0034"
    ),
    Defence.SIZE_ADDS_UP: _facts(
        "app", "A tensor longer than its bytes, filled with another caller's.", "2.2.3", "AML.T0049"
    ),
    Defence.MODEL_NAME: _facts(
        "app", "A model name that leads to other folders.", "5.3.2", "AML.T0049"
    ),
    Defence.QUIET_ERRORS: _facts(
        "app", "Errors that tell paths, code and input.", "16.5.1", "AML.T0049"
    ),
    Defence.LOG_ESCAPING: _facts("app", "A caller who writes lines into the log.", "16.4.1"),
    Defence.LOG_CHAIN: _facts("app", "A line of the log that is changed afterwards.", "16.4.2"),
    Defence.HASHED_TOKEN: _facts("app", "Tokens taken from the log and used.", "16.2.5"),
    Defence.COARSE_SCORES: _facts(
        "app",
        "Precise scores that show an attacker which change helps.",
        "14.2.6",
        "AML.T0043",
        "ML01:2023",
    ),
    Defence.REPLAY: _facts("app", "A request that is recorded and sent again.", "2.3.2"),
    Defence.SIGNATURE: _facts(
        "model", "A model that somebody else made.", "15.2.4", "AML.T0010", "ML06:2023"
    ),
    Defence.EXACT_FILES: _facts(
        "model", "A file that was added beside the signed ones.", "15.2.4", "AML.T0010", "ML06:2023"
    ),
    Defence.NO_ROLLBACK: _facts(
        "model", "An old model, correctly signed, with a known weakness.", "15.2.1", "AML.T0010"
    ),
    Defence.VERIFIED_BYTES: _facts(
        "model",
        "A file that is swapped between its check and its use.",
        "15.4.2",
        "AML.T0018",
        "ML10:2023",
    ),
    Defence.MODEL_PIN: _facts(
        "model",
        "Other bytes under a version that is already known.",
        "15.2.4",
        "AML.T0018",
        "ML10:2023",
    ),
}


@dataclass(frozen=True)
class Defences:
    """The defences that are on.

    Args:
        on: Those that are on; any other is off.

    Example:
        >>> Defence.TLS in Defences.all().without(Defence.TLS)
        False
        >>> len(Defences.none().plus(Defence.TLS))
        1
    """

    on: frozenset[Defence]

    @classmethod
    def all(cls) -> Defences:
        """Return every defence."""
        return cls(frozenset(Defence))

    @classmethod
    def none(cls) -> Defences:
        """Return none of them."""
        return cls(frozenset())

    @classmethod
    def of(cls, names: Iterable[str]) -> Defences:
        """Return the defences of these names.

        Raises:
            ValueError: A name is of no defence.
        """
        return cls(frozenset(Defence(name) for name in names))

    def without(self, *off: Defence) -> Defences:
        """Return the same, less some."""
        return Defences(self.on - set(off))

    def plus(self, *more: Defence) -> Defences:
        """Return the same and some more."""
        return Defences(self.on | set(more))

    def names(self) -> list[str]:
        """Return the names in the order of `Defence`, for a file."""
        return [one.value for one in Defence if one in self.on]

    def __contains__(self, one: object) -> bool:
        """Tell whether a defence is on."""
        return one in self.on

    def __len__(self) -> int:
        """Return how many are on."""
        return len(self.on)


ALL = Defences.all()
# What is often found: the obvious is done, on the obvious way, and the other ways stand open.
HALF = Defences(
    frozenset(
        {
            Defence.TLS,
            Defence.TOKEN_SIGNATURE,
            Defence.EXPIRY,
            Defence.HEADER_LIMIT,
            Defence.BODY_LIMIT,
            Defence.CONTENT_TYPE,
            Defence.EXACT_SHAPE,
            Defence.DATATYPE,
            Defence.VALUE_RANGE,
            Defence.BATCH_LIMIT,
            Defence.MODEL_NAME,
            Defence.LOG_ESCAPING,
            Defence.HASHED_TOKEN,
            Defence.MODEL_PIN,
        }
    )
)
LEVELS: dict[str, Defences] = {
    "open": Defences.none(),
    "half": HALF,
    "hardened": Defences.all(),
}
