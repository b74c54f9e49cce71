"""Evasion: images that look as before and are named wrongly, with the controls of an honest claim.

Reading order: `fgsm` (one step), `pgd` (many small ones), `gradient_of` (from a Keras model, which
the attacker owns), `attack` (an attack beside its controls: `Evidence`). Pixels are gray levels, 0
to 255, as a service takes them; an attack that leaves this grid has attacked something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError

if TYPE_CHECKING:
    import keras

Pixels = NDArray[np.uint8]
Gradient = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""Takes images (n, 28, 28, 1), gray levels as floats, and labels (n,); returns the derivative of
each image's loss by its pixels, in the images' shape."""
Predict = Callable[[Pixels], NDArray[Any]]
"""Takes images (n, 28, 28, 1), uint8; returns their labels (n,)."""
Method = Callable[[Gradient, Pixels, NDArray[Any], float], Pixels]

TOP = 255  # the largest gray level
BLIND_AT_MOST, EXTREME_AT_MOST = 0.01, 0.2


@dataclass(frozen=True)
class Evidence:
    """What an attack did, beside the controls that say whether it may be believed.

    Attributes:
        judged: Images that were named rightly before the attack; all shares are of these.
        attacked: Share still named rightly under the attack.
        noise: Share still named rightly with noise of the same size, a control.
        blind: Share whose gradient is zero in every pixel: nothing was attacked there.
        extreme: Share still named rightly when each pixel may become any gray level, a control.
    """

    judged: int
    attacked: float
    noise: float
    blind: float
    extreme: float

    @property
    def trusted(self) -> bool:
        """Whether a low or a high `attacked` says anything about the model.

        The attack saw a gradient nearly everywhere, it wins once nothing limits it, and it does
        better than chance.

        Example:
            >>> Evidence(900, attacked=0.97, noise=0.98, blind=0.9, extreme=0.95).trusted
            False
        """
        return (
            self.judged > 0
            and self.blind <= BLIND_AT_MOST
            and self.extreme <= EXTREME_AT_MOST
            and self.attacked <= self.noise
        )


def on_grid(images: NDArray[Any]) -> Pixels:
    """Return images as a service takes them: whole gray levels from 0 to 255.

    Args:
        images: Gray levels as floats, any shape.

    Example:
        >>> on_grid(np.array([-3.0, 99.6, 300.0])).tolist()
        [0, 100, 255]
    """
    return np.asarray(np.clip(np.rint(images), 0, TOP), np.uint8)


def fgsm(gradient: Gradient, images: Pixels, labels: NDArray[Any], epsilon: float) -> Pixels:
    """Return images after one step of epsilon in the direction in which the loss rises.

    Args:
        gradient: Of the loss by the pixels.
        images: (n, 28, 28, 1), uint8.
        labels: (n,), the right ones.
        epsilon: Gray levels that a pixel may change by.

    Source:
        Goodfellow, Shlens and Szegedy (2015), "Explaining and harnessing adversarial examples":
        the fast gradient sign method.
    """
    start = images.astype(np.float64)
    return on_grid(start + epsilon * np.sign(gradient(start, labels)))


def pgd(
    gradient: Gradient,
    images: Pixels,
    labels: NDArray[Any],
    epsilon: float,
    *,
    steps: int = 10,
    seed: int | None = None,
) -> Pixels:
    """Return images after many small steps, each followed by a return to within epsilon.

    Args:
        gradient: Of the loss by the pixels.
        images: (n, 28, 28, 1), uint8.
        labels: (n,), the right ones.
        epsilon: Gray levels that a pixel may change by.
        steps: How many; each goes 2.5 · epsilon / steps far.
        seed: Begin at a random place within epsilon; None: at the image itself.

    Source:
        Madry et al. (2018), "Towards deep learning models resistant to adversarial attacks":
        projected gradient descent.
    """
    start = images.astype(np.float64)
    low, high = np.maximum(start - epsilon, 0), np.minimum(start + epsilon, TOP)
    now = start
    if seed is not None:
        now = np.clip(start + np.random.default_rng(seed).uniform(-epsilon, epsilon, start.shape),
                      low, high)  # fmt: skip
    for _ in range(steps):
        now = np.clip(now + 2.5 * epsilon / steps * np.sign(gradient(now, labels)), low, high)
    return on_grid(now)


def noisy(images: Pixels, epsilon: float, *, seed: int = 0) -> Pixels:
    """Return images with each pixel epsilon lighter or darker, by the toss of a coin.

    Args:
        images: uint8, any shape.
        epsilon: Gray levels.
        seed: Of the tosses.
    """
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], images.shape)
    return on_grid(images + epsilon * signs)


def attack(
    gradient: Gradient,
    predict: Predict,
    images: Pixels,
    labels: NDArray[Any],
    epsilon: float,
    *,
    method: Method = fgsm,
) -> Evidence:
    """Attack images, and return what came of it beside what shows that the attack works.

    Args:
        gradient: Of the loss by the pixels; the attacker's.
        predict: The attacked service's labels.
        images: (n, 28, 28, 1), uint8.
        labels: (n,), the right ones.
        epsilon: Gray levels that a pixel may change by, 0 to 255.
        method: `fgsm`, `pgd`, or another one.

    Raises:
        ParameterError: Epsilon is no number of gray levels, or no image is named rightly.
    """
    if not 0 <= epsilon <= TOP:
        raise ParameterError(f"epsilon is {epsilon}. Expected gray levels, 0 to 255.")
    right = predict(images) == labels
    images, labels = images[right], labels[right]
    if not len(images):
        raise ParameterError("No image was named rightly. Some were expected. Look at the labels.")
    slopes = gradient(images.astype(np.float64), labels)

    def kept(changed: Pixels) -> float:
        return float(np.mean(predict(changed) == labels))

    return Evidence(
        judged=len(images),
        attacked=kept(method(gradient, images, labels, epsilon)),
        noise=kept(noisy(images, epsilon)),
        blind=float(np.mean(~np.any(slopes.reshape(len(slopes), -1), axis=1))),
        extreme=kept(method(gradient, images, labels, TOP)),
    )


def gradient_of(model: keras.Model, *, rounded: bool = False, batch: int = 250) -> Gradient:
    """Return the gradient that a Keras model's loss has by its pixels.

    Args:
        model: Takes (n, 28, 28, 1), float32, 0 to 1; returns logits (n, 10).
        rounded: Differentiate the rounding of pixels to whole gray levels too, as in a quantized
            network. Its derivative is zero: so is the gradient, and the network is no stronger.
        batch: Images at once.
    """
    import tensorflow as tf

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def slope(pixels: Any, names: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            logits = model((tf.round(pixels) if rounded else pixels) / TOP, training=False)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(names, logits)
        return tape.gradient(loss, pixels, unconnected_gradients="zero")

    def gradient(images: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
        parts = [
            slope(
                tf.constant(images[at : at + batch], tf.float32),
                tf.constant(labels[at : at + batch], tf.int32),
            ).numpy()
            for at in range(0, len(images), batch)
        ]
        return np.concatenate(parts)

    return gradient


def security_curve(
    gradient: Gradient,
    predict: Predict,
    images: Pixels,
    labels: NDArray[Any],
    epsilons: list[float],
    *,
    steps: int = 10,
) -> list[dict[str, float]]:
    """Return accuracy against epsilon: noise, one step, many steps; a row for each epsilon.

    Args:
        gradient: The attacker's.
        predict: The attacked service's labels.
        images: (n, 28, 28, 1), uint8; those that are named wrongly are left out.
        labels: (n,), the right ones.
        epsilons: Gray levels.
        steps: Of the many.
    """
    right = predict(images) == labels
    images, labels = images[right], labels[right]
    many = partial(pgd, steps=steps)
    rows = []
    for epsilon in epsilons:
        changed = {
            "noise": noisy(images, epsilon),
            "one step": fgsm(gradient, images, labels, epsilon),
            "many steps": many(gradient, images, labels, epsilon),
        }
        shares = {name: float(np.mean(predict(each) == labels)) for name, each in changed.items()}
        rows.append({"epsilon": float(epsilon), **shares})
    return rows
