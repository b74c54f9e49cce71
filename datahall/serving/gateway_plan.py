"""What the gateway is to do, as data: its ways in, what each defends, how much each lets through.

`haproxy_text` writes HAProxy's configuration from it, `gateway` runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datahall.serving.defences import Defences
from datahall.serving.tokens import Keys


@dataclass(frozen=True)
class Limits:
    """How much a caller may ask of the service.

    Attributes:
        header_bytes: Of all header lines together.
        body_bytes: Of a body; 32 images as JSON are 25,088 numbers: 100,352 bytes with commas.
        slow_s: Seconds in which the headers, then the body, must have come.
        idle_s: Seconds that a connection may stand without a request.
        answer_s: Seconds that a replica has for its answer.
        rate: Requests of one token in `rate_window_s`; beyond it 429.
        rate_window_s: Seconds over which the rate is counted, sliding.
        daily_budget: Inferences of one subject in a day, sliding; beyond it 429.
        connections: Open at the same time; each may fill a buffer as long as head and body.
    """

    header_bytes: int = 16_384
    body_bytes: int = 147_456
    slow_s: float = 5.0
    idle_s: float = 15.0
    answer_s: float = 10.0
    rate: int = 2_000
    rate_window_s: float = 10.0
    daily_budget: int = 100_000
    connections: int = 512


@dataclass(frozen=True)
class Entrance:
    """One way in: a port, its defences, and the replicas behind it.

    Attributes:
        name: A word.
        descriptor: The number of the listening socket that the gateway inherits.
        sockets: The replicas' Unix sockets.
        defences: Which of them are on; only the gateway's matter here.
        limits: How much a caller may ask.
        mtls: Whether a client must show a certificate of the authority.
        oldest_tls: "1.3", or "1.2" for older clients.
        watched: Whether replicas are asked for their health; else one is taken as it is.
    """

    name: str
    descriptor: int
    sockets: tuple[Path, ...]
    defences: Defences = field(default_factory=Defences.all)
    limits: Limits = field(default_factory=Limits)
    mtls: bool = False
    oldest_tls: str = "1.3"
    watched: bool = True


@dataclass(frozen=True)
class GatewayPlan:
    """All that the gateway's configuration is written from.

    Attributes:
        folder: Where its files are: keys, revoked numbers, runtime and metrics sockets.
        ways: The ways in.
        keys: What a token must be; the scope is the one that an inference needs.
        certificate: Certificate and key of the server, in one PEM file.
        root: The authority's certificate, PEM: whose clients mutual TLS lets in.
        standby: Public keys that the gateway may be told to accept, PEM, by their names.
        user: The user and group number that HAProxy takes when it is started as root.
    """

    folder: Path
    ways: tuple[Entrance, ...]
    keys: Keys
    certificate: Path
    root: Path
    standby: Mapping[str, bytes] = field(default_factory=dict)
    user: int | None = None

    @property
    def runtime(self) -> Path:
        """The socket over which the gateway is steered, mode 0600."""
        return self.folder / "runtime.sock"

    @property
    def metrics(self) -> Path:
        """The socket that tells the gateway's metrics; no port does."""
        return self.folder / "metrics.sock"

    @property
    def accepted(self) -> Path:
        """The file of the key names that are accepted now, one a line."""
        return self.folder / "accepted.lst"

    @property
    def revoked(self) -> Path:
        """The file of revoked token numbers, one a line."""
        return self.folder / "revoked.lst"

    def known(self) -> dict[str, bytes]:
        """Return every public key that the gateway holds, accepted or on standby."""
        return {**self.keys.by_kid, **self.standby}

    def key_file(self, kid: str) -> Path:
        """Return where a public key stands.

        Args:
            kid: Its name.
        """
        return self.folder / f"{kid}.key.pem"
