"""Many models, three figures each: which of them is not beaten in all three by another.

Reading order: `Candidate` (a model as files), `judged` (accuracy, bytes, latency, measured),
`averaged` (seeds into one row), `frontier` (the rows that nobody beats), `best` (under a budget).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datahall.errors import ParameterError
from datahall.quantization import runtimes
from datahall.quantization.core import Array

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A compressed model.

    Attributes:
        name: What it is; the same for all seeds.
        runs: The `.tflite` file that runs.
        stored: The bytes on disk, if they are others: packed, they are unpacked before use.
    """

    name: str
    runs: bytes
    stored: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return len(self.runs if self.stored is None else self.stored)


def zipped(content: bytes) -> bytes:
    """Return bytes as gzip packs them at its best, always the same ones.

    Example:
        >>> len(zipped(bytes(1000))) < 40
        True
    """
    return gzip.compress(content, 9, mtime=0)


def judged(
    candidates: Sequence[Candidate], images: Array, labels: Array, *,
    rounds: int = 2, at_most_s: float = 0.1,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each candidate: model, accuracy (%), size_bytes, latency_us (batch 1).

    Args:
        candidates: What to measure, on LiteRT's default kernels and one thread.
        images: (images, height, width, channels), float32; all are counted.
        labels: Their digits, (images,).
        rounds: Rounds of timing, over all candidates in turn.
        at_most_s: Seconds of runs for a candidate in a round.

    Raises:
        ShapeError: Images and labels differ in number, or there are none.
    """
    files = {str(place): each.runs for place, each in enumerate(candidates)}
    ways = runtimes.litert_ways(files, threads=1)
    right = [runtimes.accuracy(way, images, labels) for way in ways]
    times = runtimes.latencies_s(ways, images[:1], rounds=rounds, at_most_s=at_most_s)
    return [
        {
            "model": each.name,
            "accuracy": 100 * share,
            "size_bytes": each.size_bytes,
            "latency_us": 1e6 * seconds,
        }
        for each, share, seconds in zip(candidates, right, times, strict=True)
    ]


def averaged(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return one row a model: the mean accuracy, the largest file, the least latency.

    Example:
        >>> one = {"model": "a", "accuracy": 98.0, "size_bytes": 10, "latency_us": 5.0}
        >>> row = averaged([one, one | {"accuracy": 99.0, "size_bytes": 12}])[0]
        >>> row["accuracy"], row["size_bytes"], row["seeds"]
        (98.5, 12, 2)
    """
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row["model"], []).append(row)
    return [
        {
            "model": name,
            "accuracy": float(np.mean([row["accuracy"] for row in group])),
            "size_bytes": max(row["size_bytes"] for row in group),
            "latency_us": min(row["latency_us"] for row in group),
            "seeds": len(group),
        }
        for name, group in by_name.items()
    ]


def frontier(rows: Sequence[Row], *, timed: bool = True) -> list[Row]:
    """Return the rows that no other beats: as good in everything, and better in something.

    Args:
        rows: With accuracy, size_bytes and latency_us.
        timed: Whether latency counts; else accuracy and bytes alone.

    Returns:
        Rows in order of bytes.

    Example:
        >>> rows = [
        ...     {"accuracy": 99, "size_bytes": 30, "latency_us": 9},
        ...     {"accuracy": 98, "size_bytes": 10, "latency_us": 5},
        ...     {"accuracy": 97, "size_bytes": 20, "latency_us": 7},
        ... ]
        >>> [row["accuracy"] for row in frontier(rows)]
        [98, 99]
    """
    points = np.array(
        [(-row["accuracy"], row["size_bytes"], row["latency_us"] if timed else 0.0) for row in rows]
    ).reshape(-1, 3)
    kept = [
        row
        for row, point in zip(rows, points, strict=True)
        if not ((points <= point).all(axis=1) & (points < point).any(axis=1)).any()
    ]
    return sorted(kept, key=lambda row: (row["size_bytes"], -row["accuracy"]))


def best(rows: Sequence[Row], *, at_most_bytes: float, at_most_us: float = np.inf) -> Row | None:
    """Return the most accurate row within a budget of bytes and latency, or None.

    Args:
        rows: With accuracy, size_bytes and latency_us.
        at_most_bytes: On disk.
        at_most_us: For one image.

    Raises:
        ParameterError: A budget is not above zero.
    """
    if not (at_most_bytes > 0 and at_most_us > 0):
        raise ParameterError(
            f"The budgets are {at_most_bytes} bytes and {at_most_us} µs. Expected more than zero."
        )
    fits = [
        row
        for row in rows
        if row["size_bytes"] <= at_most_bytes and row["latency_us"] <= at_most_us
    ]
    return max(fits, key=lambda row: (row["accuracy"], -row["size_bytes"]), default=None)
