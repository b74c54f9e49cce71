"""Losses: how far a prediction is from the truth, and the gradient of that distance.

Shapes: `targets`, `logits` and `probabilities` are (batch, classes); a binary loss takes (batch,).
Losses are means over the batch, in nats for the cross-entropies. Each agrees with Keras within 1e-6
in float32.

Reading order: `mean_squared_error`, `log_sum_exp`, `softmax`, `cross_entropy`, then the forms from
logits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from datahall.errors import ShapeError
from datahall.optimization.activations import Array, sigmoid

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_from_logits",
    "binary_cross_entropy_gradient",
    "cross_entropy",
    "cross_entropy_from_logits",
    "cross_entropy_gradient",
    "log_softmax",
    "log_sum_exp",
    "mean_squared_error",
    "mean_squared_error_gradient",
    "one_hot",
    "softmax",
]


def _pair(targets: ArrayLike, predictions: ArrayLike) -> tuple[Array, Array]:
    """Return both as float64, or say that their shapes differ."""
    y, p = np.asarray(targets, dtype=float), np.asarray(predictions, dtype=float)
    if y.shape != p.shape:
        raise ShapeError(
            f"targets {y.shape} and predictions {p.shape} differ in shape. "
            "Give both the same shape; turn class numbers into rows with one_hot()."
        )
    return y, p


def one_hot(labels: ArrayLike, classes: int) -> Array:
    """Return one row a label, with a one in the label's column.

    Args:
        labels: Class numbers, (batch,), from 0 to classes - 1.
        classes: Number of classes.

    Returns:
        (batch, classes), float64.

    Example:
        >>> one_hot([2, 0], 3)
        array([[0., 0., 1.],
               [1., 0., 0.]])
    """
    rows: Array = np.eye(classes)[np.asarray(labels, dtype=int)]
    return rows


def mean_squared_error(targets: ArrayLike, predictions: ArrayLike) -> float:
    """Return the mean of the squared differences.

    Raises:
        ShapeError: The two shapes differ.

    Example:
        >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
        2.0
    """
    y, p = _pair(targets, predictions)
    return float(np.mean((p - y) ** 2))


def mean_squared_error_gradient(targets: ArrayLike, predictions: ArrayLike) -> Array:
    """Return the gradient of the mean squared error at each prediction: 2 (p - y) / n.

    Prediction minus target, in this order: where the prediction is too large, the gradient is
    positive.

    Raises:
        ShapeError: The two shapes differ.

    Example:
        >>> mean_squared_error_gradient([1.0, 2.0], [1.0, 4.0])
        array([0., 2.])
    """
    y, p = _pair(targets, predictions)
    return 2.0 * (p - y) / y.size


def log_sum_exp(logits: ArrayLike) -> Array:
    """Return log Σ exp(logit) along the last axis, without overflow.

    The largest logit is taken out of the sum first, so that no exponent is above zero.

    Example:
        >>> round(float(log_sum_exp([1000.0, 1000.0])), 4)  # 1000 + log 2
        1000.6931

    Source:
        Goodfellow, Bengio and Courville (2016), "Deep Learning", section 4.1.
    """
    z = np.asarray(logits, dtype=float)
    largest = z.max(axis=-1, keepdims=True)
    total: Array = np.log(np.exp(z - largest).sum(axis=-1)) + largest[..., 0]
    return total


def log_softmax(logits: ArrayLike) -> Array:
    """Return the logarithm of `softmax`, exact where softmax itself rounds to zero.

    Input and output shape: (…, classes); float64.

    Example:
        >>> log_softmax([0.0, 1000.0])
        array([-1000.,     0.])
    """
    z = np.asarray(logits, dtype=float)
    return z - log_sum_exp(z)[..., np.newaxis]


def softmax(logits: ArrayLike) -> Array:
    """Return positive numbers that sum to one along the last axis.

    Input and output shape: (…, classes); float64.

    Example:
        >>> softmax([1000.0, 1000.0])
        array([0.5, 0.5])

    Source:
        Goodfellow, Bengio and Courville (2016), "Deep Learning", section 6.2.2.3.
    """
    shares: Array = np.exp(log_softmax(logits))
    return shares


def cross_entropy(targets: ArrayLike, probabilities: ArrayLike) -> float:
    """Return -Σ target · log(probability), summed over classes, averaged over the batch, in nats.

    Classes whose target is zero count for nothing, even where their probability is zero.

    Raises:
        ShapeError: The two shapes differ.

    Example:
        >>> round(cross_entropy([[0.0, 1.0]], [[0.5, 0.5]]), 4)
        0.6931
    """
    y, p = _pair(targets, probabilities)
    with np.errstate(divide="ignore"):
        terms = np.where(y == 0, 0.0, y * np.log(np.where(y == 0, 1.0, p)))
    return float(-terms.sum(axis=-1).mean())


def cross_entropy_from_logits(targets: ArrayLike, logits: ArrayLike) -> float:
    """Return the cross-entropy of softmax(logits), in nats, finite for any finite logits.

    Raises:
        ShapeError: The two shapes differ.

    Example:
        >>> cross_entropy_from_logits([[1.0, 0.0]], [[0.0, 1000.0]])
        1000.0
    """
    y, z = _pair(targets, logits)
    return float(-(y * log_softmax(z)).sum(axis=-1).mean())


def cross_entropy_gradient(targets: ArrayLike, logits: ArrayLike) -> Array:
    """Return the gradient of the cross-entropy at each logit: (softmax - target) / batch.

    Args:
        targets: (batch, classes), each row sums to one.
        logits: (batch, classes).

    Returns:
        (batch, classes), float64; each row sums to zero.

    Raises:
        ShapeError: The two shapes differ.

    Example:
        >>> cross_entropy_gradient([[1.0, 0.0]], [[0.0, 0.0]])
        array([[-0.5,  0.5]])

    Source:
        Bishop (2006), "Pattern Recognition and Machine Learning", equation 4.109.
    """
    y, z = _pair(targets, logits)
    gradient: Array = (softmax(z) - y) / (y.size // y.shape[-1])
    return gradient


def binary_cross_entropy(targets: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean of -[y log p + (1 - y) log(1 - p)], in nats.

    Raises:
        ShapeError: The two shapes differ.

    Example:
        >>> round(binary_cross_entropy([1, 0, 1, 0], [0.6, 0.4, 0.7, 0.3]), 4)
        0.4338
    """
    y, p = _pair(targets, probabilities)
    return cross_entropy(np.stack([y, 1 - y], axis=-1), np.stack([p, 1 - p], axis=-1))


def binary_cross_entropy_from_logits(targets: ArrayLike, logits: ArrayLike) -> float:
    """Return the binary cross-entropy of sigmoid(logits), in nats, finite for any finite logits.

    Written as max(z, 0) - z·y + log(1 + exp(-|z|)).

    Raises:
        ShapeError: The two shapes differ.

    Example:
        >>> binary_cross_entropy_from_logits([1.0], [-1000.0])
        1000.0

    Source:
        TensorFlow, documentation of `tf.nn.sigmoid_cross_entropy_with_logits`.
    """
    y, z = _pair(targets, logits)
    return float(np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))))


def binary_cross_entropy_gradient(targets: ArrayLike, logits: ArrayLike) -> Array:
    """Return the gradient of the binary cross-entropy at each logit: (sigmoid - target) / n.

    Input and output shape: any, all the same; float64.

    Example:
        >>> binary_cross_entropy_gradient([1.0, 0.0], [0.0, 0.0])
        array([-0.25,  0.25])
    """
    y, z = _pair(targets, logits)
    return (sigmoid(z) - y) / y.size
