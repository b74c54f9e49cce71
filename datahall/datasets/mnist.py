"""MNIST: handwritten digits, in IDX files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datahall.datasets import files
from datahall.errors import DataError

_IDX_UINT8 = 0x08  # the third byte of an IDX file names its type; LeCun's file format page


@dataclass(frozen=True)
class Split:
    """One part of an image set.

    Attributes:
        images: (images, height, width), uint8, 0 = paper and 255 = ink; mapped from disk,
            read-only.
        labels: (images,), uint8.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


@dataclass(frozen=True)
class Mnist:
    """MNIST: 60,000 images to train on and 10,000 to test on, of 28 by 28 pixels, in ten classes.

    Attributes:
        train: 60,000 images and labels.
        test: 10,000 images and labels, by other writers.
        digest: SHA-256 over the four files' digests: names exactly these data in a lineage record.
    """

    train: Split
    test: Split
    digest: str


def read_idx(file: Path) -> npt.NDArray[np.uint8]:
    """Map an IDX file of bytes into memory, read-only.

    Raises:
        DataError: It is no IDX file of unsigned bytes, or not as long as its header says.

    Source:
        LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section on file
        formats: two zero bytes, a type byte, the number
        of axes, each axis as a big-endian 32-bit integer, then the data.
    """
    try:
        with file.open("rb") as opened:
            head = opened.read(4)
            axes = head[3] if len(head) == 4 else 0
            shape = tuple(int(size) for size in np.frombuffer(opened.read(4 * axes), dtype=">u4"))
        size = file.stat().st_size
    except OSError as error:
        raise DataError(
            f"{file} cannot be read ({error.strerror or error}). An IDX file was expected. Check "
            "its permissions."
        ) from error
    offset = 4 + 4 * axes
    if (
        len(head) < 4
        or head[0]
        or head[1]
        or head[2] != _IDX_UINT8
        or len(shape) != axes
        or size != offset + int(np.prod(shape))
    ):
        raise DataError(
            f"{file} is not a complete IDX file of bytes ({size:,} bytes, header {head.hex()}). "
            "Run `datahall data verify`."
        )
    return np.memmap(file, dtype=np.uint8, mode="r", offset=offset, shape=shape)


def load() -> Mnist:
    """Load MNIST; see `Mnist` for shapes and ranges.

    Raises:
        DataError: A file is missing or damaged, or the user's data folder cannot be written.

    Example:
        >>> mnist = load()
        >>> mnist.train.images.shape, mnist.test.labels.shape, int(mnist.train.labels[0])
        ((60000, 28, 28), (10000,), 5)
    """

    def split(prefix: str) -> Split:
        return Split(
            read_idx(files.path("mnist", f"{prefix}-images-idx3-ubyte")),
            read_idx(files.path("mnist", f"{prefix}-labels-idx1-ubyte")),
        )

    return Mnist(split("train"), split("t10k"), files.digest("mnist"))
