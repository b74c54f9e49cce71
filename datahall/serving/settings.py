"""What one replica is told: a file of plain JSON, without secrets (a key is named by its path)."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datahall.errors import ParameterError
from datahall.serving.defences import Defence, Defences
from datahall.serving.signing import Trust
from datahall.serving.validation import RequestLimits


class ServiceSettings(BaseModel):
    """The settings of one replica, or of one variant of the service.

    Attributes:
        socket: The Unix socket that it makes and listens on; its folder is there, mode 0700.
        models: The model repository.
        name: Name of the model that it serves.
        trust: Whose models it loads.
        replica: Name of the replica, for the log.
        version: The version to serve; None is the current one of the repository.
        defences: What is on, among the defences of the app and the model.
        limits: How much one request may be.
        audit: The log file; None writes none.
        audit_key: File with the key of the log's chain; None chains by SHA-256 without a key.
        nonces: Folder where the replicas of one service remember the requests that are wanted once
            only; None remembers in this process.
        socket_mode: Who may connect, as `chmod` takes it.
        grace_s: How long requests may take to finish after SIGTERM, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    socket: Path
    models: Path
    name: str
    trust: Trust
    replica: str = Field(default="1", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    version: int | None = None
    defences: frozenset[Defence] = frozenset(Defence)
    limits: RequestLimits = RequestLimits()
    audit: Path | None = None
    audit_key: Path | None = None
    nonces: Path | None = None
    socket_mode: int = 0o600
    grace_s: float = 10.0

    @property
    def on(self) -> Defences:
        """The defences that are on."""
        return Defences(self.defences)

    @classmethod
    def load(cls, path: Path) -> ServiceSettings:
        """Read them from a file.

        Raises:
            ParameterError: It is no file of settings.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ParameterError(
                f"The settings {path} cannot be read ({error}). A file was expected that "
                "ServiceSettings.save has written. Write it again."
            ) from error

    def save(self, path: Path) -> Path:
        """Write them to a file that only the user reads, and return its path."""
        path.touch(mode=0o600)
        path.write_text(self.model_dump_json(indent=2), encoding="utf-8")
        return path
