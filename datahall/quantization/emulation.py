"""A Keras network with the bits that a learner chooses: its loss and its accuracy, measured.

Reading order: `weights_of` (kernels and biases), `held_out` (digits that no network of the course
is trained on), `Emulator`. Kernels go through the file of `bitfile`, there and back; activations
are put on a grid in float arithmetic, which is not the arithmetic of an integer kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_softmax

from datahall import datasets
from datahall.errors import ShapeError
from datahall.quantization import bitfile
from datahall.quantization.calibration import Range
from datahall.quantization.core import Array, affine, limits

if TYPE_CHECKING:
    import keras

UNSEEN_FROM = 12_000  # training images before it are what the stand-in network is trained on


def weights_of(model: keras.Model) -> dict[str, tuple[Array, Array]]:
    """Return kernel and bias of each layer that has them, by its name, in order."""
    return {
        layer.name: (layer.kernel.numpy(), layer.bias.numpy())
        for layer in model.layers
        if layer.weights
    }


def held_out(count: int) -> tuple[Array, Array]:
    """Return digits for choosing: of the training images, those that no lecture trains on.

    Lecture 03 keeps 5,000 of the 60,000 for validation, with its default seed; the stand-in
    network is trained on the first 12,000. What remains are about 4,000.

    Args:
        count: How many, at most.

    Returns:
        (count, 28, 28, 1), float32, 0 … 1, and their labels.
    """
    from datahall.training import core

    mnist = datasets.load("mnist").train
    _, validation = core.split(len(mnist.labels), validation=5000)
    chosen = validation[validation >= UNSEEN_FROM][:count]
    return core.as_floats(mnist.images[chosen]), np.asarray(mnist.labels[chosen], int)


class Emulator:
    """A network, and images to measure it on with any choice of bits.

    Args:
        model: A Sequential whose layers with weights have a kernel and a bias; it is not changed.
        images: (batch, …), float32.
        labels: (batch,).

    Raises:
        ShapeError: Images and labels differ in number, or there are none.

    Attributes:
        weights: Kernels and biases, by layer.
        images: What it is measured on, a tensor.
    """

    def __init__(self, model: keras.Model, images: Array, labels: Array) -> None:
        if len(images) != len(labels) or not len(labels):
            raise ShapeError(
                f"{len(images)} images, {len(labels)} labels. Expected as many, and some."
            )
        import keras
        import tensorflow as tf

        self.weights = weights_of(model)
        self._copy = keras.models.clone_model(model)
        self.images, self._labels = tf.constant(images), np.asarray(labels)
        self._run = tf.function(self._computed, reduce_retracing=True)

    def outputs(
        self,
        bits: Mapping[str, int] | None = None,
        ranges: Mapping[str, Range] | None = None,
        *,
        activation_bits: int = 8,
    ) -> Array:
        """Return the logits, (batch, classes).

        Args:
            bits: Of the kernels' codes, by layer; None leaves them float32.
            ranges: Of the layers' outputs, by layer; they are put on grids over these. None leaves
                them float32.
            activation_bits: Of the outputs' codes.

        Raises:
            ParameterError: A layer has no bits, or there is no such layer, or there are no such
                bits.
        """
        held = self.weights if bits is None else bitfile.restored(self.file(bits))
        for name, pair in held.items():
            self._copy.get_layer(name).set_weights(pair)
        return np.asarray(self._run(self.images, self._grids(ranges, activation_bits)))

    def file(self, bits: Mapping[str, int]) -> bytes:
        """Return the file of a choice of bits."""
        return bitfile.content(self.weights, bits)

    def loss(self, bits: Mapping[str, int] | None = None, **activations: Any) -> float:
        """Return the mean cross-entropy; arguments as for `outputs`."""
        return self.cross_entropy(self.outputs(bits, **activations))

    def cross_entropy(self, outputs: Array) -> float:
        """Return the mean cross-entropy of logits, (batch, classes), with the labels."""
        logs = log_softmax(outputs.astype(float), axis=1)
        return float(-logs[np.arange(len(logs)), self._labels].mean())

    def accuracy(self, bits: Mapping[str, int] | None = None, **activations: Any) -> float:
        """Return the share of images named right; arguments as for `outputs`."""
        found = self.outputs(bits, **activations).argmax(axis=1)
        return float((found == self._labels).mean())

    def activations(self, count: int) -> dict[str, Array]:
        """Return what each layer with weights puts out for the first images, in float32."""
        for name, pair in self.weights.items():
            self._copy.get_layer(name).set_weights(pair)
        values, found = self.images[:count], {}
        for layer in self._copy.layers:
            values = layer(values)
            if layer.name in self.weights:
                found[layer.name] = np.asarray(values)
        return found

    def _grids(self, ranges: Mapping[str, Range] | None, bits: int) -> dict[str, Any] | None:
        import tensorflow as tf

        if ranges is None:
            return None
        least, largest = limits(bits)
        made = {}
        for name, cut in ranges.items():
            scale, zero_point = affine(*cut, bits=bits)
            made[name] = tf.constant([scale, zero_point, least, largest], tf.float32)
        return made

    def _computed(self, values: Any, grids: dict[str, Any] | None) -> Any:
        import tensorflow as tf

        for layer in self._copy.layers:
            values = layer(values)
            if grids is None or layer.name not in grids:
                continue
            scale, zero_point, least, largest = tf.unstack(grids[layer.name])
            codes = tf.clip_by_value(tf.round(values / scale) + zero_point, least, largest)
            values = scale * (codes - zero_point)
        return values
