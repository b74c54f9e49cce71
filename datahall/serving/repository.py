"""The model repository: `NAME/VERSION/` with the network, its card and its signature.

`NAME/current` holds the number of the version that is served. It is replaced by renaming, so a
switch, forward or back, is one write that nobody sees half of.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datahall.errors import DataError, ParameterError
from datahall.serving import signing
from datahall.serving.protocol import TensorSpec
from datahall.state import write_atomically

MODEL_NAME = "mnist_cnn"
CURRENT = "current"
IMAGES = TensorSpec("images", "UINT8", (-1, 28, 28, 1), 0, 255, max_batch=32)
OUTPUTS = (TensorSpec("label", "INT64", (-1,), 0, 9), TensorSpec("scores", "FP32", (-1, 10), 0, 1))
_NAME = re.compile(r"[a-z0-9_]{1,64}")


def publish(
    tflite: bytes,
    folder: Path,
    name: str,
    version: int,
    authority: signing.SigningAuthority,
    *,
    labels: Sequence[str] | None = None,
    artifact: str = "",
    current: bool = True,
) -> Path:
    """Add a version of a model: written and signed in a scratch folder, then renamed into place.

    Args:
        tflite: The network, int8, one image tensor in and one row of logits out.
        folder: The repository.
        name: Name of the model: small letters, digits, `_`.
        version: Its number, 1 or more; a number is used once.
        authority: Whose signing certificate is used.
        labels: Names of the classes.
        artifact: Digest of the course's artifact that it is, for its card.
        current: Whether it is served from now on.

    Returns:
        The folder of the version.

    Raises:
        ParameterError: The name or the number is none.
        DataError: The version is there already, or cannot be written.
    """
    target = place(folder, name, version)
    if target.exists():
        raise DataError(
            f"Version {version} of {name} is there already. A number is used once: whoever has "
            "seen it relies on its bytes. Publish the next number."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".publishing-", dir=target.parent))
    card = card_of(tflite, name, version, artifact)
    try:
        (scratch / signing.MODEL_FILE).write_bytes(tflite)
        (scratch / signing.CARD_FILE).write_text(json.dumps(card, indent=1), encoding="utf-8")
        if labels is not None:
            text = json.dumps(list(labels))
            (scratch / signing.LABELS_FILE).write_text(text, encoding="utf-8")
        signing.sign(scratch, authority)
        scratch.rename(target)
    except OSError as error:
        raise DataError(
            f"{target} cannot be written ({error}). An empty place on a disk with room was "
            "expected. Choose another folder or number."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # made above; gone if it was renamed
    if current:
        switch(folder, name, version)
    return target


def card_of(tflite: bytes, name: str, version: int, artifact: str = "") -> dict[str, Any]:
    """Return what a version says of itself.

    Args:
        tflite: The network.
        name: Name of the model.
        version: Its number.
        artifact: Digest of the course's artifact that it is.
    """
    return {
        "name": name,
        "version": version,
        "inputs": [IMAGES.to_dict()],
        "outputs": [one.to_dict() for one in OUTPUTS],
        "tflite_digest": signing.sha256(tflite),
        "artifact_digest": artifact,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def place(folder: Path, name: str, version: int) -> Path:
    """Return the folder of a version, whether it is there or not.

    Args:
        folder: The repository.
        name: Name of the model.
        version: Its number.

    Raises:
        ParameterError: The name or the number is none.

    Example:
        >>> place(Path("models"), "mnist_cnn", 2).as_posix()
        'models/mnist_cnn/2'
    """
    if not _NAME.fullmatch(name) or version < 1:
        raise ParameterError(
            f"Model {name!r}, version {version}. A name has small letters, digits and _; a "
            "version is 1 or more. Choose such a name and number."
        )
    return folder / name / str(version)


def versions(folder: Path, name: str) -> list[int]:
    """Return the numbers of the versions that are there, the oldest first."""
    inside = folder / name
    names = [one.name for one in inside.iterdir()] if inside.is_dir() else []
    return sorted(int(one) for one in names if re.fullmatch(r"[1-9][0-9]{0,8}", one))


def current(folder: Path, name: str) -> int:
    """Return the number of the version that is to be served.

    Raises:
        DataError: Nothing says it.
    """
    path = place(folder, name, 1).parent / CURRENT
    try:
        with path.open(encoding="ascii") as file:
            said = file.read(16).strip()
    except (OSError, ValueError):
        said = ""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", said):
        raise DataError(
            f"{path} says no version. A file with the number of a version was expected. Publish a "
            "model, or switch to one."
        )
    return int(said)


def switch(folder: Path, name: str, version: int) -> None:
    """Serve another version from the next load on: forward or back.

    Args:
        folder: The repository.
        name: Name of the model.
        version: A number that is there.

    Raises:
        DataError: There is no such version.
    """
    target = place(folder, name, version)
    if not target.is_dir():
        raise DataError(
            f"There is no version {version} of {name}. Versions: {versions(folder, name)}. "
            "Publish it first, or choose one of these."
        )
    write_atomically(target.parent / CURRENT, f"{version}\n")
