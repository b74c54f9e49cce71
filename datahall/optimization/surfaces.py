"""Surfaces to race on: a loss over a plane, with its gradient, drawn as contours.

Three of them: a stretched bowl; the loss of the Ames regression over two weights; the loss of a
trained 2-5-2 network over a plane through its minimum.

Reading order: `Surface`, `bowl`, `houses`, `network_plane`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from datahall import datasets
from datahall.errors import ParameterError
from datahall.optimization import network as net
from datahall.optimization import regression
from datahall.optimization.activations import Array
from datahall.optimization.optimizers import Adam, descend

__all__ = ["SURFACES", "Surface", "bowl", "heights", "houses", "named", "network_plane"]


@dataclass(frozen=True)
class Surface:
    """A loss over two coordinates.

    Attributes:
        title: Its name, for a figure.
        labels: What the two coordinates are.
        unit: Of the loss.
        value: Takes (2,), returns the loss.
        gradient: Takes (2,), returns (2,).
        start: Where a race begins, (2,).
        limits: (left, right, bottom, top) of what is drawn.
        least: The lowest loss there can be.
        rate: A learning rate at which plain gradient descent just works.
    """

    title: str
    labels: tuple[str, str]
    unit: str
    value: Callable[[Array], float]
    gradient: Callable[[Array], Array]
    start: Array
    limits: tuple[float, float, float, float]
    least: float
    rate: float


def bowl(stretch: float = 20.0) -> Surface:
    """Return the loss (x² + stretch · y²) / 2: its Hessian's condition number is the stretch.

    Args:
        stretch: How much steeper the second axis is, at least 1.

    Raises:
        ParameterError: The stretch is below 1.

    Example:
        >>> bowl(20.0).gradient(np.array([1.0, 1.0]))
        array([ 1., 20.])
    """
    if stretch < 1:
        raise ParameterError(f"stretch is {stretch}, expected 1 or more. Swap the axes instead.")
    steepness = np.array([1.0, stretch])
    return Surface(
        title=f"a bowl stretched {stretch:g} : 1",
        labels=("x", "y"),
        unit="",
        value=lambda p: float(0.5 * (steepness * p**2).sum()),
        gradient=lambda p: steepness * p,
        start=np.array([-9.0, 2.0]),
        limits=(-10.0, 4.0, -3.5, 3.5),
        least=0.0,
        rate=1.8 / stretch,
    )


@lru_cache(maxsize=1)
def houses() -> Surface:
    """Return the mean squared error of Ames prices over the weights of living area and bedrooms.

    Both features have mean 0 and standard deviation 1, prices are in units of $100,000 about their
    mean. The features go together (large houses have more bedrooms), so the bowl is stretched along
    a diagonal.
    """
    ames = datasets.load("ames")
    chosen = [ames.names.index("living_sqft"), ames.names.index("bedrooms")]
    columns = regression.Scaler.fit(ames.properties[:, chosen]).apply(ames.properties[:, chosen])
    targets = (ames.price_usd - ames.price_usd.mean()) / 1e5
    best = regression.normal_equation(columns, targets)
    curvature = regression.hessian(columns)
    floor = float(np.mean((columns @ best - targets) ** 2))
    return Surface(
        title="house prices: error over two weights",
        labels=("weight of living area", "weight of bedrooms"),
        unit="($100,000)²",
        value=lambda p: floor + float(0.5 * (p - best) @ curvature @ (p - best)),
        gradient=lambda p: curvature @ (p - best),
        start=np.array([-0.9, -0.6]),
        limits=(-1.2, 1.8, -1.4, 1.4),
        least=floor,
        rate=0.4,
    )


@lru_cache(maxsize=1)
def network_plane() -> Surface:
    """Return the cross-entropy of a trained 2-5-2 network over a plane through its minimum.

    The plane is spanned by the way that training took and by the direction across it in which the
    loss is most curved among twenty at random. Its coordinates are in units of those directions'
    lengths.

    Source:
        After Goodfellow, Vinyals and Saxe (2015), "Qualitatively characterizing neural network
        optimization problems", and Li et al. (2018), "Visualizing the loss landscape of neural
        nets".
    """
    points, targets = net.two_rings(100, seed=0)
    like = net.new_network(seed=0)

    def gradient_all(vector: Array) -> Array:
        network = net.unflatten(vector, like)
        return net.flatten(net.backward(network, net.forward(network, points), targets))

    def value_all(vector: Array) -> float:
        return net.loss(net.unflatten(vector, like), points, targets)

    start = net.flatten(like)
    trained = descend(gradient_all, start, Adam(0.02), steps=400)[-1]
    along = start - trained
    across = _most_curved(value_all, trained, along)
    plane = np.stack([along, across])  # (2, parameters)

    def value(p: Array) -> float:
        return value_all(trained + p @ plane)

    def gradient(p: Array) -> Array:
        return plane @ gradient_all(trained + p @ plane)

    return Surface(
        title="a 2-5-2 network: loss over a plane",
        labels=("way back to the start of training", "a direction across"),
        unit="nats",
        value=value,
        gradient=gradient,
        start=np.array([1.0, 0.6]),
        limits=(-0.5, 1.4, -1.0, 1.0),
        least=0.0,
        rate=0.1,
    )


def _most_curved(value: Callable[[Array], float], place: Array, along: Array) -> Array:
    """Return the most curved of twenty random directions at right angles to one, of its length."""
    rng = np.random.default_rng(0)
    length = np.linalg.norm(along)
    best, most = along, -np.inf
    for _ in range(20):
        direction = rng.normal(size=place.shape)
        direction -= along * (direction @ along) / length**2
        direction *= length / np.linalg.norm(direction)
        curved = value(place + direction / 4) + value(place - direction / 4) - 2 * value(place)
        if curved > most:
            best, most = direction, curved
    return best


SURFACES: dict[str, Callable[[], Surface]] = {
    "stretched bowl": bowl,
    "house prices": houses,
    "network": network_plane,
}


def named(name: str) -> Surface:
    """Return one of `SURFACES` by its name.

    Raises:
        ParameterError: There is none of this name.
    """
    if name not in SURFACES:
        raise ParameterError(
            f"There is no surface {name!r}. One of {', '.join(SURFACES)} was expected. "
            "Check the spelling."
        )
    return SURFACES[name]()


@lru_cache(maxsize=8)
def heights(name: str, *, size: int = 61) -> tuple[Array, Array, Array]:
    """Return the losses of a surface on a grid: x (size,), y (size,), losses (size, size)."""
    surface = named(name)
    left, right, bottom, top = surface.limits
    x, y = np.linspace(left, right, size), np.linspace(bottom, top, size)
    losses = np.array([[surface.value(np.array([a, b])) for a in x] for b in y])
    for kept in (x, y, losses):
        kept.setflags(write=False)  # every caller gets the same arrays
    return x, y, losses
