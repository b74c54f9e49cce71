"""The records of artifacts: what is stored where, and what it was made from.

`artifact` is what notebooks use; this is what it stands on. A record is a small JSON file beside
the file that it describes, replaced whole under a lock.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from datahall import datasets, state
from datahall.errors import DataError

SCHEMA = 2
KEPT = 10
"""Files of one kind that are kept, newest first, with all that they descend from."""


@dataclass(frozen=True)
class Step:
    """One entry of a record: what was done, when, from what, and what is known about it.

    Attributes:
        step: What made it, for example "06_quantization".
        when: UTC, ISO 8601.
        parents: Digests of the artifacts or data that it was made from.
        facts: What the maker says: seed, metrics, sizes, with units in the names.
    """

    step: str
    when: str
    parents: tuple[str, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Artifact:
    """One stored file, or the data set at the beginning of a chain.

    Attributes:
        digest: SHA-256 of the content.
        name: Which network of the course it belongs to; of a data set, "data".
        kind: The file's ending: ".keras", ".tflite"; of a data set, "".
        size_bytes: Of the file; 0 for a data set.
        steps: How it came to be; the first step made it, later ones add facts, or say what it was
            made from if nobody has said it yet.
    """

    digest: str
    name: str
    kind: str
    size_bytes: int
    steps: tuple[Step, ...]

    @property
    def parents(self) -> tuple[str, ...]:
        """Digests of what it was made from, as the first step says that names anything."""
        return next((step.parents for step in self.steps if step.parents), ())

    @property
    def path(self) -> Path:
        """Where its file is, unread; `file` checks it."""
        return folder_of(self.name) / f"{self.digest[:16]}{self.kind}"


def folder_of(name: str) -> Path:
    """Return the folder of a network's files and records; it need not exist."""
    return state.data_folder() / "artifacts" / name


@contextlib.contextmanager
def locked(name: str, lock: str = ".lock", wait_s: float = 60) -> Iterator[None]:
    """Hold the lock of a network's records, so that no other process changes them.

    Args:
        name: Which network of the course is meant.
        lock: The lock's file.
        wait_s: How long to wait for another process, in seconds.

    Raises:
        DataError: Another process held it for longer.
    """
    try:
        with FileLock(state.folder("artifacts", name) / lock, timeout=wait_s):
            yield
    except Timeout as error:
        raise DataError(
            f"The artifacts {name!r} in {folder_of(name)} are held by another process for more "
            f"than {wait_s:.0f} s. Wait for it, or stop it and try again."
        ) from error


def write(artifact: Artifact) -> None:
    """Replace the record of an artifact.

    Raises:
        DataError: It cannot be written.
    """
    steps = [{**vars(step), "parents": list(step.parents)} for step in artifact.steps]
    record = {"schema": SCHEMA, **vars(artifact), "steps": steps}
    path = folder_of(artifact.name) / f"{artifact.digest[:16]}.json"
    state.write_atomically(path, json.dumps(record, indent=1))


def find(digest: str, name: str) -> Artifact | None:
    """Return the artifact with a digest, or None if there is none.

    Args:
        digest: All of it, or its first 16 characters.
        name: Which network of the course it belongs to.

    Raises:
        DataError: Its record is damaged.
    """
    path = folder_of(name) / f"{digest[:16]}.json"
    try:
        raw = json.loads(path.read_text())
        if raw.pop("schema") != SCHEMA:
            raise ValueError(f"schema {SCHEMA} was expected")
        steps = tuple(Step(**{**s, "parents": tuple(s["parents"])}) for s in raw.pop("steps"))
        return Artifact(**raw, steps=steps)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} cannot be read ({error}). A record of an artifact was expected. Move the file "
            "away, and run the lecture that made it again."
        ) from error


def collect(name: str) -> None:
    """Remove files of each kind, all but the newest and what they descend from; records stay."""
    known = {each.digest: each for each in stored(name)}
    latest = sorted(known.values(), key=lambda each: each.steps[-1].when, reverse=True)
    waiting: list[str] = []
    for each in {artifact.kind for artifact in latest}:
        waiting += [a.digest for a in latest if a.kind == each][:KEPT]
    kept: set[str] = set()
    while waiting:
        digest = waiting.pop()
        if digest not in kept and digest in known:
            kept.add(digest)
            waiting += known[digest].parents
    for digest in known.keys() - kept:
        known[digest].path.unlink(missing_ok=True)


def stored(name: str) -> list[Artifact]:
    """Return every artifact of a name, oldest first; `lineage` says how one came to be.

    Raises:
        DataError: A record is damaged.
    """
    files = folder_of(name).glob("[0-9a-f]*.json")
    found = [artifact for file in files if (artifact := find(file.stem, name))]
    return sorted(found, key=lambda each: (each.steps[0].when, each.digest))


def of_data(digest: str, name: str) -> Artifact | None:
    """Return the beginning of a chain, if the digest is that of a data set."""
    for each in datasets.names():
        if datasets.digest(each) == digest:
            return Artifact(digest, "data", "", 0, (Step(each, "", (), {}),))
    return None
