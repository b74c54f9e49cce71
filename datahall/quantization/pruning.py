"""Take away weights, one by one or by whole channels.

Reading order: `masks` (the smallest weights of a network, or of each layer, go), `cubic` (how many
at which step), `Pruner` (does it while `tuning.tune` trains), `narrow` (a smaller network of the
channels that stay). A mask leaves zeros in a kernel of the same shape; a channel's end changes
shapes, and only that makes fewer multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError, ShapeError
from datahall.quantization.core import Array
from datahall.training.recipe import Conv, Dense, Layer, Pool, Recipe, weights_of


def masks(kernels: Sequence[Array], sparsity: float, *, whole: bool = True) -> list[Array]:
    """Return for each kernel which of its weights stay; the smallest absolute values go.

    Args:
        kernels: Of any shapes.
        sparsity: Share of all weights that go, from 0 to below 1.
        whole: One threshold for the whole network; else one a kernel, each with the same share.

    Returns:
        Boolean arrays of the kernels' shapes.

    Raises:
        ParameterError: The share is none, or there are no kernels.

    Example:
        >>> small, large = np.array([1.0, 2.0]), np.array([30.0, 40.0])
        >>> [mask.tolist() for mask in masks([small, large], 0.5)]
        [[False, False], [True, True]]
        >>> [mask.tolist() for mask in masks([small, large], 0.5, whole=False)]
        [[False, True], [False, True]]
    """
    if not 0 <= sparsity < 1 or not kernels:
        raise ParameterError(
            f"sparsity is {sparsity}, for {len(kernels)} kernels. Expected a share from 0 to below "
            "1, and at least one kernel. Write 80 % as 0.8."
        )
    if not whole:
        return [masks([kernel], sparsity)[0] for kernel in kernels]
    sizes = [np.size(kernel) for kernel in kernels]
    flat = np.concatenate([np.abs(kernel).ravel() for kernel in kernels])
    stays = np.ones(flat.size, bool)
    stays[np.argsort(flat, kind="stable")[: round(sparsity * flat.size)]] = False
    parts = np.split(stays, np.cumsum(sizes)[:-1])
    return [part.reshape(np.shape(k)) for part, k in zip(parts, kernels, strict=True)]


def cubic(step: int, *, start: int, stop: int, final: float) -> float:
    """Return the sparsity at a step: none until `start`, fast at first, `final` from `stop` on.

    Args:
        step: Steps done.
        start: When pruning begins.
        stop: When it has reached its end.
        final: Sparsity then.

    Example:
        >>> [round(cubic(step, start=0, stop=100, final=0.8), 2) for step in (0, 25, 50, 100, 120)]
        [0.0, 0.46, 0.7, 0.8, 0.8]

    Source:
        Zhu and Gupta (2017), "To prune, or not to prune", section 3.
    """
    done = np.clip((step - start) / max(stop - start, 1), 0.0, 1.0)
    return float(final * (1 - (1 - done) ** 3))


class Pruner:
    """Prunes a network while it is tuned: give `change` and `between` to `tuning.tune`.

    A weight that is masked stays so: it counts as zero, whatever weight decay does to it.

    Args:
        model: A Keras network; its kernels are pruned, not its biases.
        final: Sparsity at the end, from 0 to below 1.
        steps: Of the whole tuning; pruning ends after three quarters of them.
        whole: See `masks`.

    Attributes:
        sparsity: Share of the kernels' weights that are masked now.
    """

    def __init__(self, model: Any, final: float, steps: int, *, whole: bool = True) -> None:
        import tensorflow as tf

        self._kernels = [each for each in model.trainable_variables if len(each.shape) > 1]
        self._final, self._stop, self._whole = final, round(0.75 * steps), whole
        self._masks = [tf.Variable(tf.ones(each.shape)) for each in self._kernels]
        self.sparsity = 0.0
        masks([np.zeros(1)], final)  # refuses what is no share

    def change(self, weights: Sequence[Any]) -> list[Any]:
        """Return the weights with masked ones as zeros."""
        left = iter(self._masks)
        return [each * next(left) if len(each.shape) > 1 else each for each in weights]

    def between(self, step: int) -> None:
        """Mask as many weights as the schedule asks for after so many steps."""
        wanted = cubic(step, start=0, stop=self._stop, final=self._final)
        if wanted > self.sparsity:
            self.mask(wanted)

    def mask(self, sparsity: float) -> None:
        """Mask this share of the weights now."""
        kernels = [
            each.numpy() * held.numpy()
            for each, held in zip(self._kernels, self._masks, strict=True)
        ]
        for held, stays in zip(
            self._masks, masks(kernels, sparsity, whole=self._whole), strict=True
        ):
            held.assign(stays.astype(np.float32))
        self.sparsity = sparsity


def narrow(
    recipe: Recipe, weights: Sequence[NDArray[np.float32]], widths: Sequence[int]
) -> tuple[Recipe, list[NDArray[np.float32]]]:
    """Return a network with fewer filters, made of those with the largest kernels.

    The filters with the least sum of absolute weights go, and with them the channels of the next
    layer that read them. What the rest computes is unchanged.

    Args:
        recipe: The network.
        weights: Its tensors in Keras' order, of the shapes that `weights_of` gives.
        widths: Filters of each convolution that stay.

    Returns:
        The smaller network's recipe and its tensors.

    Raises:
        ParameterError: A width is not from 1 to the layer's filters, or there are too many or few.
        ShapeError: The weights are not those of the recipe.

    Source:
        Li et al. (2017), "Pruning filters for efficient ConvNets", section 3.1.
    """
    _check(recipe, weights, widths)
    left, sizes = iter(weights), iter(widths)
    kept: NDArray[np.intp] = np.arange(1)
    layers: list[Layer] = []
    made: list[NDArray[np.float32]] = []
    channels = 1
    for layer in recipe.layers:
        if isinstance(layer, Pool):
            layers.append(layer)
            continue
        kernel, bias = next(left), next(left)
        inner = _fewer_inputs(kernel, kept, channels)
        if isinstance(layer, Conv):
            width, channels = next(sizes), layer.filters
            size = np.abs(kernel).sum(axis=(0, 1, 2))
            kept = np.sort(np.argsort(-size, kind="stable")[:width])
            layers.append(replace(layer, filters=width))
        else:
            channels = layer.units
            kept = np.arange(channels)
            layers.append(layer)
        made += [np.ascontiguousarray(inner[..., kept]), bias[kept]]
    return replace(recipe, layers=tuple(layers)), made


def _fewer_inputs(kernel: Array, kept: Array, channels: int) -> Array:
    """Return a kernel without the inputs that are gone; a dense one reads places × channels."""
    if kernel.ndim == 4:
        return kernel[:, :, kept, :]
    places = kernel.reshape(-1, channels, kernel.shape[-1])
    return np.asarray(places[:, kept, :].reshape(-1, kernel.shape[-1]))


def _check(recipe: Recipe, weights: Sequence[Any], widths: Sequence[int]) -> None:
    wanted = [weight.shape for weight in weights_of(recipe)]
    if [np.shape(each) for each in weights] != wanted:
        raise ShapeError(
            f"The weights have shapes {[np.shape(each) for each in weights]}. Expected {wanted}. "
            "Give the recipe that the network was trained by."
        )
    filters = [layer.filters for layer in recipe.layers if isinstance(layer, Conv)]
    fits = len(widths) == len(filters) and all(
        1 <= width <= most for width, most in zip(widths, filters, strict=True)
    )
    if not fits or not isinstance(recipe.layers[-1], Dense):
        raise ParameterError(
            f"widths are {list(widths)}. Expected one for each convolution, from 1 to {filters}, "
            "and a dense layer at the end."
        )
