"""Training through a rounding: the straight-through estimator, by hand, in Keras 3.

Reading order: `rounded` (kernel on its grid, whose slope is zero), `straight_through` (the same
values, with a slope of one), `few_bits` (for all kernels of a network, as `tuning.tune` takes it),
`settle` (put the rounded kernels into the network).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from datahall.quantization.core import limits
from datahall.quantization.tuning import Change


def rounded(kernel: Any, bits: int) -> Any:
    """Return a kernel on its symmetric grid, one grid for each filter of the last axis.

    The grid is `core.quantize_channels`': the largest weight of a filter is its last code.

    Args:
        kernel: (…, filters), float32 tensor.
        bits: Of a code, 2 to 16.

    Example:
        >>> import numpy as np
        >>> rounded(np.array([[0.7], [-0.26], [0.04]], np.float32), 4).numpy().round(3).tolist()
        [[0.699999988079071], [-0.30000001192092896], [0.0]]
    """
    largest = limits(bits)[1]
    kernel = ops.convert_to_tensor(kernel)
    axes = tuple(range(len(kernel.shape) - 1))
    reach = ops.max(ops.abs(kernel), axis=axes, keepdims=True)
    least = largest * float(np.finfo(np.float32).tiny)  # TensorFlow takes a smaller scale for zero
    scale = ops.where(reach > least, reach, 1.0) / largest
    return ops.round(kernel / scale) * scale


def straight_through(kernel: Any, bits: int) -> Any:
    """Return `rounded(kernel)`, whose slope is taken to be one everywhere.

    The value is kernel + (rounded − kernel). The bracket is held constant when slopes are taken,
    so the slope of the loss reaches the kernel as if nothing had been rounded.

    Args:
        kernel: (…, filters), float32 tensor.
        bits: Of a code, 2 to 16.

    Source:
        Bengio, Léonard and Courville (2013), "Estimating or propagating gradients through
        stochastic neurons for conditional computation", section 4.
    """
    kernel = ops.convert_to_tensor(kernel)
    return kernel + ops.stop_gradient(rounded(kernel, bits) - kernel)


def few_bits(bits: int) -> Change:
    """Return the change that rounds every kernel of a network, and leaves the biases.

    Raises:
        ParameterError: Less than 2 or more than 16 bits.
    """
    limits(bits)

    def change(weights: Sequence[Any]) -> list[Any]:
        return [straight_through(each, bits) if len(each.shape) > 1 else each for each in weights]

    return change


def settle(model: keras.Model, change: Change) -> keras.Model:
    """Return a copy of a network that holds the changed weights, as they are computed with.

    Args:
        model: As `tuning.tune` leaves it.
        change: That it was tuned with.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    changed = change([ops.convert_to_tensor(each) for each in copy.trainable_variables])
    for variable, value in zip(copy.trainable_variables, changed, strict=True):
        variable.assign(value)
    return copy
