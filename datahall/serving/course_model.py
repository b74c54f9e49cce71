"""The network that this course serves: module 06's file, or one made of the travelling network.

Conversion needs TensorFlow, so a child process does it, once; the file stays an artifact. The
process that serves never imports it.
"""

from __future__ import annotations

import subprocess
import sys

from datahall import artifact
from datahall.errors import DataError
from datahall.programs import command
from datahall.store import Artifact, locked

KIND = ".tflite"
CALIBRATION = 300  # images that measure the ranges of the activations
LIMIT_S = 900.0


def tflite() -> tuple[bytes, str]:
    """Return the network's bytes, int8, and the digest of the artifact that they are.

    Raises:
        DataError: There is none, and none could be made.
    """
    with locked(artifact.NAME, ".converting.lock", LIMIT_S):
        if not artifact.exists(kind=KIND):
            _convert()
    found = artifact.current(kind=KIND)
    return artifact.file(found).read_bytes(), found.digest


def _convert() -> None:
    done = subprocess.run(  # noqa: S603 (our own module)
        command("datahall.serving.course_model"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise DataError(
            f"The network could not be converted: {done.stderr.strip()[-500:]}. An artifact of "
            "kind .tflite was expected. Run lecture 06, or look at what is said here."
        )


def make() -> Artifact:
    """Convert the travelling network (or a stand-in of it) to int8, and keep the file."""
    import tempfile
    from pathlib import Path

    from datahall import datasets
    from datahall.quantization import litert
    from datahall.training import core, stand_in

    parent = stand_in.stand_in()
    images = datasets.load("mnist").train.images[:CALIBRATION]
    content = litert.convert(artifact.load(parent), "int8 in and out", core.as_floats(images))
    with tempfile.TemporaryDirectory(prefix="datahall-") as scratch:
        path = Path(scratch, f"mnist_cnn{KIND}")
        path.write_bytes(content)
        return artifact.save(path, step="int8", facts={"calibration": CALIBRATION}, parent=parent)


if __name__ == "__main__":
    make()
    sys.exit(0)
