"""What an honest robustness claim (07.12) is held against: a small world that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from datahall.serving.evasion import Evidence

Trial = Callable[[Any], str | None]
"""Is called with an answer; returns None where it is right, else a sentence."""


class World:
    """A small service and its gradient: an image is named 1 if one of its pixels is above 100.

    Args:
        first: That pixel of each image; an image has 2 × 2, and the others are 120.
        labels: The right ones.
        blind: Images whose gradient is zero.
        along: The derivative by the first pixel, for label 0; by the last it is far smaller.
        at: Which pixel it is, the first or the last.
        cancels: Whether the derivatives by all pixels add up to zero.

    Attributes:
        asked: What was predicted, in order.
    """

    def __init__(
        self,
        first: list[int],
        labels: list[int],
        *,
        blind: tuple[int, ...] = (),
        along: float = 0.5,
        at: int = 0,
        cancels: bool = False,
    ) -> None:
        self.images = np.full((len(first), 2, 2, 1), 120, np.uint8)
        self.at, self.cancels = at, cancels
        self.images[:, at, at, 0] = first
        self.labels, self.blind, self.along = np.array(labels), [first[i] for i in blind], along
        self.asked: list[Any] = []

    def predict(self, images: Any) -> Any:
        """Name images, and remember them."""
        if getattr(images, "dtype", None) != np.uint8:
            kind = getattr(images, "dtype", type(images).__name__)
            raise AssertionError(f"predict was asked with {kind}, a service takes uint8")
        self.asked.append(np.array(images))
        return (images[:, self.at, self.at, 0] > 100).astype(int)

    def gradient(self, images: Any, labels: Any) -> Any:
        """Return the derivative by the pixels: of the first one, and of the last one a little."""
        pixels = np.asarray(images, float)
        slopes = np.zeros_like(pixels)
        slopes[:, 0, 0, 0] = np.where(np.asarray(labels) == 1, -self.along, self.along)
        slopes[:, 1, 1, 0] = 1e-9 * slopes[:, 0, 0, 0]
        if self.cancels:
            slopes[:, 0, 1] = -slopes[:, 0, 0]
            slopes[:, 1, 0] = -slopes[:, 1, 1]
        for value in self.blind:
            slopes[pixels[:, self.at, self.at, 0] == value] = 0
        return slopes


_SHARES = ("judged", "attacked", "blind", "extreme")


def measures(
    first: list[int], labels: list[int], epsilon: float, *, only: tuple[str, ...] = _SHARES,
    **more: Any,
) -> Trial:  # fmt: skip
    """Return a trial: is the evidence on a small world right?

    Args:
        first: First pixels of the images.
        labels: The right ones.
        epsilon: Gray levels.
        only: What is looked at.
        more: What else a `World` has.
    """

    def test(answer: Any) -> str | None:
        world = World(first, labels, **more)
        before = world.images.copy()
        found = answer(world.gradient, world.predict, world.images, world.labels, epsilon)
        if not isinstance(found, Evidence):
            return f"attack returned {type(found).__name__}, expected Evidence"
        if not np.array_equal(before, world.images):
            return "attack changed the images that it was given. Work on a copy"
        wanted = _wanted(World(first, labels, **more), epsilon)
        which = "last" if world.at else "first"
        called = f"{which} pixels {first}, labels {labels}, epsilon {epsilon:g}:"
        for name in only:
            got, want = getattr(found, name), wanted[name]
            if not isinstance(got, int | float | np.number) or abs(float(got) - want) > 1e-9:
                shown = f"{float(got):.3g}" if isinstance(got, int | float | np.number) else got
                return f"{called} {name} is {shown}, expected {want:.3g}"
        return None

    return test


def _wanted(world: World, epsilon: float) -> dict[str, float]:
    right = world.predict(world.images) == world.labels
    images, labels = world.images[right].astype(float), world.labels[right]
    slopes = world.gradient(images, labels)

    def kept(size: float) -> float:
        pixels = np.clip(np.rint(images + size * np.sign(slopes)), 0, 255).astype(np.uint8)
        return float(np.mean(world.predict(pixels) == labels))

    flat = slopes.reshape(len(slopes), -1)
    return {"judged": len(images), "attacked": kept(epsilon),
            "blind": float(np.mean(~flat.any(axis=1))), "extreme": kept(255)}  # fmt: skip


def tosses_coins(answer: Any) -> str | None:
    """Look whether noise of the same size was shown to the service, and its share reported."""
    world = World([60, 140] * 20 + [98, 140] * 20, [0, 1] * 40)
    found = answer(world.gradient, world.predict, world.images, world.labels, 10)
    start = world.images.astype(int)
    tries = [each.astype(int) - start for each in world.asked if each.shape == start.shape]
    full = [each for each in tries if (np.abs(each) == 10).all()]
    if not full:
        mean = [round(float(np.abs(each).mean()), 1) for each in tries]
        return (
            "no prediction was asked of images with each pixel epsilon, here 10, lighter or "
            f"darker; the calls of predict changed pixels by {mean} on average"
        )
    coins = [each for each in full if 0.2 < (each > 0).mean() < 0.8]
    if not coins:
        return "the noise is lighter or darker nearly everywhere, no toss of a coin"
    named = [(start + each)[:, 0, 0, 0] > 100 for each in coins]
    kept = [float(np.mean(each == world.labels)) for each in named]
    if not any(abs(found.noise - share) < 1e-9 for share in kept):
        return f"noise is {found.noise:.3g}, the service named {kept[0]:.3g} of the noisy rightly"
    return None


def keeps_noise_on_the_grid(answer: Any) -> str | None:
    """Look whether noise at the ends of the gray levels does not wrap round."""
    world = World([250, 5] * 20, [1, 0] * 20)
    found = answer(world.gradient, world.predict, world.images, world.labels, 10)
    if found.noise == 1:
        return None
    return f"first pixels 250 and 5, epsilon 10: noise is {found.noise:.3g}, expected 1"


_ONE, _TWO = [90, 95, 104, 200], [0, 0, 1, 1]
TRIALS: tuple[tuple[str, Trial, str], ...] = (
    (
        "moves pixels uphill",
        measures([95, 60, 200], [0, 0, 1], 10, only=("judged", "attacked")),
        "95 becomes 105: named 1.",
    ),
    (
        "leaves out what was named wrongly before",
        measures([95, 200, 104, 30], [0, 0, 1, 1], 10, only=("judged", "attacked")),
        "Two of four are judged.",
    ),
    (
        "goes as far as epsilon, whatever the gradient's size",
        measures(_ONE, _TWO, 12, only=("attacked",)),
        "The sign alone.",
    ),
    (
        "moves pixels with a small derivative as far",
        measures(_ONE, _TWO, 12, only=("attacked",), at=1),
        "The sign alone, in each pixel.",
    ),
    (
        "stays on the grid of gray levels",
        measures([90, 101, 3, 250], [0, 1, 0, 1], 200, only=("attacked",)),
        "90 + 200 is 255, and 101 − 200 is 0: nothing wraps round.",
    ),
    (
        "rounds to whole gray levels",
        measures([99, 60, 101], [0, 0, 1], 1.6, only=("attacked",)),
        "99 + 1.6 is 101, 101 − 1.6 is 99.",
    ),
    (
        "rounds to the nearest gray level",
        measures([99, 60, 102], [0, 0, 1], 1.4, only=("attacked",)),
        "99 + 1.4 is 100, 102 − 1.4 is 101.",
    ),
    (
        "counts the blind images",
        measures([60, 70, 80, 90], [0, 0, 0, 0], 5, blind=(1, 2), only=("blind", "attacked")),
        "Two of four.",
    ),
    (
        "knows that a small gradient is one",
        measures([60, 70, 180], [0, 0, 1], 5, along=1e-7, only=("blind",)),
        "Zero in every pixel, not small on average.",
    ),
    (
        "looks at each pixel",
        measures([60, 70, 180], [0, 0, 1], 5, cancels=True, only=("blind",)),
        "Zero in every pixel, not in their sum.",
    ),
    (
        "takes epsilon 255 as a control",
        measures([10, 20, 240, 30], [0, 0, 1, 0], 5, blind=(3,), only=("extreme",)),
        "All but the blind one fall.",
    ),
    ("tosses coins for the noise", tosses_coins, "Signs by chance, times epsilon."),
    ("keeps the noise on the grid", keeps_noise_on_the_grid, "250 + 10 is 255, and 5 − 10 is 0."),
    (
        "measures all of it together",
        measures([95, 60, 200, 20, 30], [0, 0, 1, 1, 0], 6, blind=(1,)),
        "All shares are of the four that were right.",
    ),
)
"""What an answer shows, how it is tried, and what to look at when it fails; easiest first."""
