"""Learn from a teacher: the loss of distillation, and labels that a teacher gives.

`soft_loss` goes into `tuning.tune`; `softened` is what it compares, in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError
from datahall.quantization.core import Array
from datahall.quantization.tuning import Loss


def softened(logits: Array, temperature: float) -> NDArray[np.float64]:
    """Return the probabilities of logits, flatter at a higher temperature.

    Args:
        logits: (…, classes).
        temperature: 1 is softmax; the higher, the more the small ones show.

    Raises:
        ParameterError: The temperature is not above zero.

    Example:
        >>> softened(np.log([0.9, 0.1]), 2.0).round(2).tolist()
        [0.75, 0.25]
    """
    if not temperature > 0:
        raise ParameterError(f"temperature is {temperature}. Expected more than 0, such as 4.")
    scaled = np.asarray(logits, float) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def soft_loss(teacher: Any, *, temperature: float = 4.0, share: float = 0.9) -> Loss:
    """Return the loss of a student: close to the teacher's soft answers, and to the labels.

    It is share · T² · cross entropy to the softened teacher + (1 − share) · that to the labels. The
    teacher sees the same moved images. T² keeps the slopes alike at all temperatures.

    Args:
        teacher: A Keras network that takes the student's images and gives logits.
        temperature: T.
        share: Of the teacher; 1 never looks at the labels.

    Raises:
        ParameterError: The temperature is not above zero, or the share not from 0 to 1.

    Source:
        Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network", section 2.
    """
    if not (temperature > 0 and 0 <= share <= 1):
        raise ParameterError(
            f"temperature is {temperature}, share {share}. Expected more than 0, and 0 to 1."
        )
    import tensorflow as tf

    def loss(images: Any, labels: Any, logits: Any) -> Any:
        goal = tf.nn.softmax(tf.stop_gradient(teacher(images, training=False)) / temperature)
        soft = tf.nn.softmax_cross_entropy_with_logits(goal, logits / temperature)
        hard = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(share * temperature**2 * soft + (1 - share) * hard)

    return loss
