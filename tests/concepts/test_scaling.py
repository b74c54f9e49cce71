"""The model of scaling, against hand-computed numbers, simulation and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall.errors import ParameterError, UnitError
from datahall.scaling import allreduce, core

LINK = core.Link(1e-3, 1e9)
sizes = st.integers(0, 10**10)
counts = st.integers(1, 4096)


@given(sizes, st.integers(1, 64))
def test_the_rings_time_is_that_of_its_messages_one_by_one(size: int, ranks: int):
    pieces = [piece.stop - piece.start for piece in allreduce.chunks(size, ranks)]
    steps = 2 * (ranks - 1)
    slowest = steps * LINK.message_s(max(pieces))
    assert core.ring_s(size, ranks, LINK) <= slowest + 1e-12
    assert core.ring_s(size, ranks, LINK) >= slowest - steps * LINK.message_s(1) + steps * 1e-3


@given(st.integers(1, 64))
def test_the_trees_time_is_that_of_its_longest_chain(ranks: int):
    done = [0.0] * ranks  # when each rank has its own sum, going up
    rounds = [list(allreduce.tree_rounds(rank, ranks)) for rank in range(ranks)]
    for rank in reversed(range(ranks)):
        for other, sends in rounds[rank]:
            if not sends:
                done[rank] = max(done[rank], done[other]) + LINK.message_s(1e6)
    assert 2 * done[0] == pytest.approx(core.tree_s(1e6, ranks, LINK))


@given(sizes, counts, counts)
def test_an_allreduce_never_gets_faster_when_ranks_are_added(size: int, few: int, more: int):
    few, more = sorted((few, more))
    for time_s in (core.ring_s, core.tree_s, core.pipelined_tree_s):
        assert time_s(size, few, LINK) <= time_s(size, more, LINK) * (1 + 1e-12)
        assert time_s(size, 1, LINK) == 0


@given(sizes, counts)
def test_a_hierarchy_of_one_device_a_node_is_a_ring(size: int, ranks: int):
    flat = core.ring_s(size, ranks, LINK)
    assert core.hierarchical_s(size, ranks, 1, core.Link(0, 1), LINK) == pytest.approx(flat)
    assert core.hierarchical_s(size, 1, ranks, LINK, core.Link(0, 1)) == pytest.approx(flat)


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 1))
def test_overlap_never_costs_and_never_hides_more_than_the_backward_pass(
    compute_s: float, reduce_s: float, hidden: float
):
    step = core.step_s(compute_s, reduce_s, hidden=hidden)
    assert max(compute_s, reduce_s) - 1e-9 <= step + 2 / 3 * compute_s * (reduce_s > compute_s)
    assert compute_s <= step + 1e-12 <= compute_s + reduce_s + 1e-9
    assert step >= compute_s / 3 + reduce_s - 1e-9


@given(st.floats(0, 1), st.integers(1, 10**5))
def test_gustafson_and_amdahl_tell_the_same_of_the_same_run(serial: float, devices: int):
    scaled = core.gustafson(serial, devices)
    parallel = (1 - serial) * devices  # of one device, had it done all of the larger task
    share = serial / (serial + parallel)
    assert core.amdahl(share, devices) == pytest.approx(scaled, rel=1e-9)


@given(st.floats(1e-6, 1e-2), st.floats(1e6, 1e11))
def test_a_fit_finds_the_link_that_made_the_times(latency_s: float, bytes_per_s: float):
    link = core.Link(latency_s, bytes_per_s)
    steps, pieces = [2.0, 2, 6, 6], [0.0, 1e6, 1e6, 1e8]
    volumes = [step * piece for step, piece in zip(steps, pieces, strict=True)]
    times = [s * link.message_s(p) for s, p in zip(steps, pieces, strict=True)]
    found = core.fit(steps, volumes, times)
    assert found.latency_s == pytest.approx(latency_s, rel=1e-5)
    assert found.bytes_per_s == pytest.approx(bytes_per_s, rel=1e-4)


def test_a_fit_minimizes_the_relative_error():
    generator = np.random.default_rng(3)
    volumes = np.geomspace(1e3, 1e9, 12)
    times = (1e-4 + volumes / 1e9) * generator.uniform(0.7, 1.4, 12)

    def cost(latency_s: float, byte_s: float) -> float:
        return float((((latency_s + volumes * byte_s) / times - 1) ** 2).sum())

    found = core.fit([1] * 12, list(volumes), list(times))
    best = cost(found.latency_s, 1 / found.bytes_per_s)
    for factor in (0.97, 1.03):
        assert cost(found.latency_s * factor, 1 / found.bytes_per_s) > best
        assert cost(found.latency_s, factor / found.bytes_per_s) > best


def test_what_cannot_be_is_refused():
    with pytest.raises(UnitError, match=r"a link of -1 s and 1 B/s cannot be"):
        core.Link(-1, 1)
    with pytest.raises(ParameterError, match=r"of -1 bytes over 2 ranks cannot be"):
        core.ring_s(-1, 2, LINK)
    with pytest.raises(UnitError, match="share from 0 to 1"):
        core.step_s(1, 1, hidden=2)
    with pytest.raises(UnitError, match="1 measurements"):
        core.fit([1], [1], [1])
    with pytest.raises(UnitError, match="fitted time of a byte"):
        core.fit([1, 1], [1e6, 2e6], [2, 1])
    assert math.isinf(core.Link(0, math.inf).bytes_per_s)
