"""What the ranks of the tests of ZeRO run: a module of its own, because each rank imports it."""

from __future__ import annotations

from datahall.scaling import zero
from datahall.scaling.peers import Peers


def everything(peers: Peers) -> dict[tuple[int, int], zero.Sharded]:
    """Train with every stage and some numbers of microbatches."""
    return {
        (stage, pieces): zero.train(peers, stage, 101, microbatches=pieces, steps=2)
        for stage in zero.STAGES
        for pieces in (1, 3)
    }


def holding(peers: Peers) -> list[int]:
    """Train with every stage in mixed precision; return the bytes held."""
    return [zero.train(peers, stage, 50_000, number="f2").held_bytes for stage in zero.STAGES]
