"""The network that travels through the course, with its lineage record.

Lecture 03 saves it; later modules load it, work on it, and append what they did: data digest, seed,
code version, metrics, size, latency. A model file is named by its digest and never changed; one
small JSON file, replaced whole, says which model is current and how it came to be.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from datahall import __version__, state
from datahall.errors import DataError

if TYPE_CHECKING:
    import keras

NAME = "mnist_cnn"
SCHEMA = 1


def _place(name: str) -> Path:
    return state.data_folder() / "artifacts" / name


def exists(name: str = NAME) -> bool:
    """Tell whether an artifact of that name has been saved."""
    return (_place(name) / "lineage.json").is_file()


def save(model: keras.Model, *, step: str, facts: dict[str, Any], name: str = NAME) -> Path:
    """Save a model as a new artifact, beginning a new lineage.

    Args:
        model: A Keras model; optimizer state is left out.
        step: Which step made it, for example "03_training".
        facts: What the record shall say: data digest, seed, epochs, metrics, with units in the
            names.
        name: The artifact's name.

    Returns:
        The model file.

    Raises:
        DataError: It cannot be written; an older artifact is unharmed.
    """
    place = state.folder("artifacts", name)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.keras"
        model.save(made, include_optimizer=False)
        content = made.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    file = state.write_atomically(place / f"{sha256[:16]}.keras", content)
    record = {
        "schema": SCHEMA,
        "name": name,
        "file": file.name,
        "sha256": sha256,
        "size_bytes": len(content),
        "steps": [_step(step, facts)],
    }
    state.write_atomically(place / "lineage.json", json.dumps(record, indent=1))
    return file


def append(step: str, facts: dict[str, Any], *, name: str = NAME) -> None:
    """Append what a later module did to the lineage record.

    Raises:
        DataError: There is no such artifact, or its record cannot be read or written.
    """
    with FileLock(state.folder("artifacts", name) / ".lock", timeout=60):
        record = lineage(name)
        record["steps"].append(_step(step, facts))
        state.write_atomically(_place(name) / "lineage.json", json.dumps(record, indent=1))


def lineage(name: str = NAME) -> dict[str, Any]:
    """Return the lineage record: file, digest, size in bytes, and the steps in order.

    Raises:
        DataError: There is no such artifact, or its record is damaged.
    """
    file = _place(name) / "lineage.json"
    try:
        record = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise DataError(
            f"There is no artifact {name!r} in {_place(name)}. Run lecture 03 first: `datahall run "
            "03`."
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file} cannot be read ({error}). A lineage record was expected. Delete the folder "
            f"{_place(name)} and run lecture 03 again."
        ) from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise DataError(
            f"{file} is not a lineage record of schema {SCHEMA}. Delete the folder {_place(name)} "
            "and run lecture 03 again."
        )
    return record


def load(name: str = NAME) -> keras.Model:
    """Load the current model, after checking that its file is the one in the record.

    Raises:
        DataError: There is no such artifact, or its file is missing or changed.
    """
    record = lineage(name)
    file = _place(name) / str(record["file"])
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"{file} cannot be read ({error.strerror or error}). Run lecture 03 again: `datahall "
            "run 03`."
        ) from error
    if found != record["sha256"]:
        raise DataError(
            f"{file} has been changed: SHA-256 {found[:12]}…, recorded {record['sha256'][:12]}…. "
            "Run lecture 03 again: `datahall run 03`."
        )
    import keras

    model: keras.Model = keras.saving.load_model(file, compile=False)
    return model


def _step(step: str, facts: dict[str, Any]) -> dict[str, Any]:
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"step": step, "when": when, "datahall": __version__, **facts}
