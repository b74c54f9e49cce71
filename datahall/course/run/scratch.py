"""The temporary space of one run, and the guardian that clears it when the run is killed.

Kernels have their working folders, their state and their temporary files here. Whatever ends the
run (kill, closed terminal, memory), the guardian ends what the run started and removes this folder
and no other: it knows the path it was given, and the mark inside names that path.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path

from datahall import guardian
from datahall.course.run import processes
from datahall.course.run.processes import MARKER
from datahall.guarding import Guardian


class Scratch:
    """Temporary space with a guardian; a context manager.

    Attributes:
        id: Time and four random letters, `20261122-001136-3fa2`: the first part of the marker by
            which the run's processes are known.
        path: The folder.
    """

    def __init__(self, name: str | None = None) -> None:
        self.id = name or f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self.path = Path(guardian.make("run"))
        self._guardian = Guardian(self.path, f"{MARKER}={self.id}")

    def folder(self, name: str) -> Path:
        """Return a folder in the scratch space; it is made when it is first asked for."""
        path = self.path / name
        path.mkdir(exist_ok=True)
        return path

    def close(self) -> None:
        """End what the run has left running, and remove the folder."""
        processes.end_marked(self.id)
        self._guardian.close()

    def __enter__(self) -> Scratch:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
