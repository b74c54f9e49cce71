"""A model of scaling: what an all-reduce costs, and what a training step costs with it.

Every message costs a latency and its bytes over a bandwidth (Hockney, 1994). From that follow ring,
tree and hierarchical all-reduces, the time of a step on n devices, its efficiency, and the laws of
Amdahl and Gustafson. `fit` finds latency and bandwidth in measured times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datahall.errors import ParameterError, UnitError


@dataclass(frozen=True)
class Link:
    """What carries messages.

    Attributes:
        latency_s: Seconds that a message takes besides its bytes, at least 0.
        bytes_per_s: Bandwidth in one direction, above 0; both directions at once.
    """

    latency_s: float
    bytes_per_s: float

    def __post_init__(self) -> None:
        if not (0 <= self.latency_s < math.inf and self.bytes_per_s > 0):
            raise UnitError(
                f"a link of {self.latency_s!r} s and {self.bytes_per_s!r} B/s cannot be. A latency "
                "of at least 0 s and a bandwidth above 0 B/s were expected. Look for a wrong unit."
            )

    def message_s(self, size_bytes: float) -> float:
        """Return the seconds of one message.

        Example:
            >>> Link(1e-3, 1e9).message_s(4e6)
            0.005
        """
        return self.latency_s + size_bytes / self.bytes_per_s


def ring_s(size_bytes: float, ranks: int, link: Link) -> float:
    """Return the seconds of a ring all-reduce: 2 (n − 1) messages of S / n.

    Args:
        size_bytes: Of the array, S.
        ranks: How many take part, n.
        link: From each rank to the next.

    Example:
        >>> round(ring_s(8e6, 4, Link(1e-3, 1e9)), 6)  # 6 messages of 2 MB
        0.018

    Source:
        Thakur, Rabenseifner and Gropp (2005), "Optimization of collective communication
        operations in MPICH", section 4.5.
    """
    _check(size_bytes, ranks)
    return 2 * (ranks - 1) * link.message_s(size_bytes / ranks)


def tree_s(size_bytes: float, ranks: int, link: Link) -> float:
    """Return the seconds of a tree all-reduce: 2 ⌈log₂ n⌉ messages of S, one after the other.

    Args:
        size_bytes: Of the array, on each rank.
        ranks: How many take part.
        link: Of each pair.

    Example:
        >>> round(tree_s(8e6, 4, Link(1e-3, 1e9)), 6)  # 4 messages of 8 MB
        0.036
    """
    _check(size_bytes, ranks)
    return 2 * math.ceil(math.log2(ranks)) * link.message_s(size_bytes)


def pipelined_tree_s(size_bytes: float, ranks: int, link: Link) -> float:
    """Return the seconds of a tree that is pipelined: 2 ⌈log₂ n⌉ latencies, and 2 S of bytes.

    What libraries run: pieces follow each other, so that all levels are busy at once.

    Args:
        size_bytes: Of the array, on each rank.
        ranks: How many take part.
        link: Of each pair.

    Source:
        Sanders, Speck and Träff (2009), "Two-tree algorithms for full bandwidth broadcast,
        reduction and scan"; the pieces are taken to be small.
    """
    _check(size_bytes, ranks)
    steps = 2 * math.ceil(math.log2(ranks))
    return steps * link.latency_s + (2 * size_bytes / link.bytes_per_s if ranks > 1 else 0.0)


def hierarchical_s(
    size_bytes: float, nodes: int, per_node: int, inside: Link, between: Link
) -> float:
    """Return the seconds of an all-reduce in three parts, where each node holds several devices.

    A reduce-scatter inside each node; a ring between nodes for each device's piece, side by side;
    an all-gather inside each node.

    Args:
        size_bytes: Of the array.
        nodes: How many nodes.
        per_node: Devices in each.
        inside: From a device to the next one of its node.
        between: From a device to the one of the next node: its share of the node's network.

    Example:
        >>> inside, between = Link(0, 100e9), Link(0, 10e9)
        >>> round(1e3 * hierarchical_s(8e9, 4, 8, inside, between), 6)  # 140 ms inside, 150 between
        290.0
    """
    within = ring_s(size_bytes, per_node, inside)  # both phases of a ring: scatter and gather
    return within + ring_s(size_bytes / per_node, nodes, between)


def step_s(compute_s: float, reduce_s: float, *, hidden: float = 0.0) -> float:
    """Return the seconds of a training step: computation, and the all-reduce that is not hidden.

    Gradients of the last layers are ready first, and travel while the others are computed. No more
    can hide than the backward pass is long: two thirds of the computation.

    Args:
        compute_s: Forward and backward pass of a device's share of the batch.
        reduce_s: The all-reduce of all gradients.
        hidden: The share of the all-reduce that overlaps with computation, 0 to 1.

    Raises:
        UnitError: A time is negative, or the share is not one.

    Example:
        >>> [round(step_s(0.3, 0.9, hidden=share), 6) for share in (0, 0.1, 1)]
        [1.2, 1.11, 1.0]
    """
    if not (compute_s >= 0 and reduce_s >= 0 and 0 <= hidden <= 1):
        raise UnitError(
            f"compute_s {compute_s!r}, reduce_s {reduce_s!r} and hidden {hidden!r} cannot be. "
            "Seconds of at least 0 and a share from 0 to 1 were expected. Look for a wrong unit."
        )
    return compute_s + reduce_s - min(hidden * reduce_s, 2 / 3 * compute_s)


def amdahl(serial: float, devices: float) -> float:
    """Return the speed-up of a fixed task of which a share cannot be split (strong scaling).

    Example:
        >>> amdahl(0.1, 9), round(amdahl(0.1, 1e9), 3)
        (5.0, 10.0)

    Source:
        Amdahl (1967), "Validity of the single processor approach".
    """
    return 1 / (serial + (1 - serial) / devices)


def gustafson(serial: float, devices: float) -> float:
    """Return the speed-up where the task grows with the devices (weak scaling).

    Args:
        serial: Share of the time on all devices that does not grow with them.
        devices: How many.

    Example:
        >>> gustafson(0.1, 9)
        8.2

    Source:
        Gustafson (1988), "Reevaluating Amdahl's law", CACM 31(5).
    """
    return devices - serial * (devices - 1)


def fit(steps: Sequence[float], volumes: Sequence[float], times_s: Sequence[float]) -> Link:
    """Return the link whose times come nearest to measured ones, in relative terms.

    Args:
        steps: Messages one after the other, of each measurement.
        volumes: Bytes one after the other.
        times_s: Seconds, above 0.

    Raises:
        UnitError: There are fewer than two measurements, or the times do not grow with the bytes.

    Example:
        >>> link = fit([2, 2], [0, 4e6], [0.002, 0.006])
        >>> round(link.latency_s, 6), round(link.bytes_per_s)
        (0.001, 1000000000)
    """
    rows = np.array([steps, volumes, times_s], float)
    if rows.shape[1] < 2 or not np.all(rows[2] > 0):
        raise UnitError(
            f"{rows.shape[1]} measurements, the least of {rows[2].min(initial=math.inf):g} s, make "
            "no link. Two or more, of times above 0 s, were expected. Measure more sizes."
        )
    weighed = (rows[:2] / rows[2]).T
    found = np.linalg.lstsq(weighed, np.ones(rows.shape[1]), rcond=None)[0]
    if found[1] <= 0:
        raise UnitError(
            f"the fitted time of a byte is {found[1]:g} s. A time above 0 was expected. Measure "
            "larger arrays, or the least of more runs."
        )
    return Link(max(float(found[0]), 0.0), 1 / float(found[1]))


def _check(size_bytes: float, ranks: int) -> None:
    if not (size_bytes >= 0 and ranks >= 1):
        raise ParameterError(
            f"an all-reduce of {size_bytes!r} bytes over {ranks!r} ranks cannot be. At least 0 "
            "bytes and 1 rank were expected. Look for swapped arguments."
        )
