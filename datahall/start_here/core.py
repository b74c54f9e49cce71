"""The first quantities of the course: the bytes of a batch, and how long a copy lasts.

Read `batch_size_bytes`, then `copy_time_s`.
"""

from __future__ import annotations

from datahall.errors import ShapeError, UnitError
from datahall.units import BYTES_PER_FLOAT32


def batch_size_bytes(
    images: int, height: int, width: int, *, bytes_per_value: int = BYTES_PER_FLOAT32
) -> int:
    """Return how many bytes a batch of grey images takes in memory.

    Args:
        images: Images in the batch.
        height: Height of an image, in pixels.
        width: Width of an image, in pixels.
        bytes_per_value: Bytes of one pixel: 4 for float32, 1 for uint8.

    Raises:
        ShapeError: An argument is negative.

    Example:
        >>> batch_size_bytes(1, 28, 28)
        3136
        >>> batch_size_bytes(60_000, 28, 28, bytes_per_value=1)
        47040000
    """
    for name, value in (("images", images), ("height", height), ("width", width)):
        if value < 0:
            raise ShapeError(f"{name} is {value}. Zero or more was expected. Check its sign.")
    return images * height * width * bytes_per_value


def copy_time_s(size_bytes: float, bytes_per_s: float) -> float:
    """Return how long it takes to read so many bytes and write them elsewhere, in seconds.

    Args:
        size_bytes: What is copied, in bytes.
        bytes_per_s: The memory's rate, bytes read plus bytes written a second.

    Raises:
        UnitError: The rate is not positive.

    Example:
        >>> copy_time_s(5e9, 20e9)
        0.5
    """
    if bytes_per_s <= 0:
        raise UnitError(
            f"bytes_per_s is {bytes_per_s}. A rate above zero was expected. Measure it with peak()."
        )
    return 2 * size_bytes / bytes_per_s
