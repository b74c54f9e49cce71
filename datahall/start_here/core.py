"""The first quantity of the course: the bytes of a batch of images."""

from __future__ import annotations

from datahall.errors import ShapeError
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
