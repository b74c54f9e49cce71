"""What a trained network makes of one image: its feature maps and its probabilities.

Reading order: `centre` (a drawing put where MNIST puts its digits), `Reader` (one image through the
network, fast enough to follow a pencil), `mosaic` (many small maps as one picture).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from datahall.errors import ShapeError
from datahall.training import core


def centre(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image moved so that its centre of mass stands in the middle.

    MNIST was made this way. A network trained on it has seen no digit in a corner.

    Args:
        image: (height, width), uint8, 0 = paper.

    Returns:
        (height, width), uint8; moved by whole pixels, and never so far that ink is lost.

    Raises:
        ShapeError: The image has another number of axes.

    Example:
        >>> corner = np.zeros((5, 5), np.uint8)
        >>> corner[0, 0] = 255
        >>> np.argwhere(centre(corner)).tolist()
        [[2, 2]]

    Source:
        LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
    """
    if image.ndim != 2:
        raise ShapeError(
            f"the image has shape {image.shape}. Expected (height, width). Give one image."
        )
    if not image.any():
        return image.copy()
    moved = image
    for axis in (0, 1):
        ink = image.sum(axis=1 - axis, dtype=np.float64)
        middle = (image.shape[axis] - 1) / 2
        wanted = round(middle - float(ink @ np.arange(len(ink)) / ink.sum()))
        used = np.flatnonzero(ink)
        shift = min(max(wanted, -int(used[0])), len(ink) - 1 - int(used[-1]))
        moved = np.roll(moved, shift, axis=axis)
    return moved


@dataclass(frozen=True)
class Reading:
    """One image seen by a network.

    Attributes:
        image: (height, width), uint8: what the network was shown.
        maps: By layer: (filters, height, width), float32.
        probabilities: (classes,), float32.
    """

    image: NDArray[np.uint8]
    maps: dict[str, NDArray[np.float32]]
    probabilities: NDArray[np.float32]


class Reader:
    """Shows one image at a time to a network, in about a millisecond.

    The network is traced once, with all convolutions as outputs, so that a call is one compiled
    function and not a walk through Python (`model.predict` takes about a hundred times longer).

    Args:
        model: A network of 28 × 28 images with logits out.
    """

    def __init__(self, model: keras.Model) -> None:
        """Trace the network, so that the first drawing is as quick as the others."""
        self.names = [
            layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
        ]
        outputs = [model.get_layer(name).output for name in self.names]
        watched = keras.Model(model.inputs[0], [*outputs, model.outputs[0]])
        self._call = tf.function(
            lambda image: watched(image, training=False),
            input_signature=[tf.TensorSpec((1, *core.SHAPE), tf.float32)],
        )
        self._call(tf.zeros((1, *core.SHAPE)))

    def __call__(self, image: NDArray[np.uint8]) -> Reading:
        """Return what the network makes of an image of (28, 28), uint8."""
        *maps, logits = self._call(core.as_floats(image[np.newaxis]))
        named: dict[str, Any] = {
            name: np.moveaxis(values[0].numpy(), -1, 0)
            for name, values in zip(self.names, maps, strict=True)
        }
        return Reading(image, named, tf.nn.softmax(logits[0]).numpy())


def mosaic(maps: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Return many small maps as one picture, with a line of NaN between them.

    Args:
        maps: (filters, height, width), float32.
        columns: Maps side by side.

    Returns:
        One picture, float32; each map is scaled to its own largest value, a silent one is 0.

    Raises:
        ShapeError: The maps do not fill the rows.

    Example:
        >>> mosaic(np.ones((2, 1, 1), np.float32), columns=2).tolist()
        [[1.0, nan, 1.0]]
    """
    filters, height, width = maps.shape
    if columns < 1 or filters % columns:
        raise ShapeError(
            f"{filters} maps do not fill rows of {columns}. Choose a number of columns that "
            "divides the number of maps."
        )
    peaks = np.maximum(maps.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    rows = filters // columns
    tiles = np.full((rows, height + 1, columns, width + 1), np.nan, np.float32)
    scaled = np.clip(maps / peaks, 0, 1).reshape(rows, columns, height, width)
    tiles[:, :height, :, :width] = scaled.swapaxes(1, 2)
    return tiles.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]
