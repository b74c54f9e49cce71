"""What the ranks of tests run: a module of its own, because each rank imports it."""

from __future__ import annotations

import numpy as np

from datahall.scaling import allreduce, peers

SIZES = [0, 1, 5, 12, 1_003, 100_003]


def circle(here: peers.Peers, size: int) -> tuple[float, int, int, int]:
    """Send an array around once, and count."""
    mine, other = np.full(size, here.rank, np.float32), np.zeros(size, np.float32)
    here.exchange((here.rank + 1) % here.ranks, mine, (here.rank - 1) % here.ranks, other)
    here.barrier()
    return float(other.sum()), here.sent_bytes, here.wire_bytes, here.kernel_bytes()


def numbers(rank: int, size: int, seed: int = 7) -> np.ndarray:
    """Return a rank's array: large and small numbers, so that the order of a sum shows."""
    generator = np.random.default_rng([seed, rank])
    return (generator.normal(size=size) * 10.0 ** generator.integers(-3, 4, size)).astype("f4")


def reduced(here: peers.Peers, name: str) -> list[tuple[bytes, int, int]]:
    """All-reduce arrays of several sizes; return the bits, the bytes and the messages of each."""
    found = []
    for size in SIZES:
        array, sent, messages = numbers(here.rank, size), here.sent_bytes, here.messages
        allreduce.algorithm(name)(here, array)
        found.append((array.tobytes(), here.sent_bytes - sent, here.messages - messages))
    return found
