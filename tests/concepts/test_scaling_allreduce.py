"""Ring and tree: exact, the same bits everywhere, as few bytes as promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall.errors import ParameterError, ShapeError
from datahall.scaling import allreduce, group, peers, ring_figures, ring_widgets

from .ranks import SIZES, numbers, reduced


def by_the_ring(ranks: int, size: int) -> np.ndarray:
    """Sum in the ring's order, independently: piece p goes round from rank p to rank p − 1."""
    arrays = [numbers(rank, size) for rank in range(ranks)]
    pieces = []
    for piece, parts in enumerate(zip(*[np.array_split(a, ranks) for a in arrays], strict=True)):
        total = parts[piece].copy()
        for place in range(1, ranks):
            total = parts[(piece + place) % ranks] + total
        pieces.append(total)
    return np.concatenate(pieces)


@pytest.mark.processes
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_a_ring_is_exact_with_the_same_bits_and_the_fewest_bytes(ranks: int):
    found = group.run(ranks, reduced, "ring")
    for index, size in enumerate(SIZES):
        bits, sent, messages = zip(*[rank[index] for rank in found], strict=True)
        assert set(bits) == {by_the_ring(ranks, size).tobytes()}
        assert sum(sent) == 2 * (ranks - 1) * 4 * size  # so 2 (n − 1) / n · S a rank on average
        assert max(sent) - min(sent) <= 8  # at most one element a phase apart
        assert set(messages) == {2 * (ranks - 1)}


@pytest.mark.processes
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5])
def test_a_tree_is_exact_with_the_same_bits(ranks: int):
    found = group.run(ranks, reduced, "tree")
    for index, size in enumerate(SIZES):
        bits, sent, _ = zip(*[rank[index] for rank in found], strict=True)
        assert len(set(bits)) == 1
        exact = sum(numbers(rank, size).astype("f8") for rank in range(ranks))
        scale = sum(np.abs(numbers(rank, size).astype("f8")) for rank in range(ranks))
        error = np.abs(np.frombuffer(bits[0], "f4") - exact)
        assert np.all(error <= ranks * 6e-8 * scale)
        assert sum(sent) == 2 * (ranks - 1) * 4 * size
        assert max(sent) <= 4 * size * int(np.ceil(np.log2(max(ranks, 1))))


@pytest.mark.processes
@pytest.mark.parametrize("dtype", ["i8", "f8", "f2"])
def test_any_type_and_shape_is_summed_in_place(dtype: str):
    def summed(here: peers.Peers) -> np.ndarray:
        array = np.arange(60, dtype=dtype).reshape(3, 4, 5) + here.rank
        allreduce.ring(here, array)
        return array

    expected = 3 * np.arange(60, dtype=dtype).reshape(3, 4, 5) + 3
    for array in group.run(3, summed):
        np.testing.assert_array_equal(array, expected)


@given(st.integers(0, 500), st.integers(1, 9))
def test_pieces_are_those_of_numpy(size: int, ranks: int):
    array = np.arange(size)
    for ours, theirs in zip(
        allreduce.chunks(size, ranks), np.array_split(array, ranks), strict=True
    ):
        np.testing.assert_array_equal(array[ours], theirs)


@pytest.mark.parametrize("ranks", range(2, 8))
def test_the_ring_ends_with_every_piece_whole_on_every_rank(ranks: int):
    moments = allreduce.trace(ranks)
    assert len(moments) == 2 * (ranks - 1) + 1
    everybody = tuple(range(ranks))
    assert all(holds == everybody for row in moments[-1].holds for holds in row)
    halfway = moments[ranks - 1]
    assert sum(holds == everybody for row in halfway.holds for holds in row) == ranks


@given(st.integers(1, 70))
def test_a_tree_hears_of_every_rank_once(ranks: int):
    heard = {rank: {rank} for rank in range(ranks)}
    rounds = {rank: list(allreduce.tree_rounds(rank, ranks)) for rank in range(ranks)}
    for rank in reversed(range(ranks)):  # who sends has received all of its own, from higher ranks
        for other, sends in rounds[rank]:
            assert sends == (other < rank)
            if sends:
                assert not heard[other] & heard[rank]
                heard[other] |= heard[rank]
    assert heard[0] == set(range(ranks))


def test_errors_say_what_to_do():
    with pytest.raises(ParameterError, match=r"no all-reduce 'star'.*\['ring', 'tree'\]"):
        allreduce.algorithm("star")
    with pytest.raises(ShapeError, match="not contiguous"):
        allreduce.ring(peers.Peers(0, {}), np.zeros((4, 4)).T[:, 1:])


@pytest.mark.parametrize("steps", range(7))
def test_the_picture_tells_what_has_moved(steps: int):
    text = ring_figures.ring(4, steps).datahall_description
    whole = {0: 0, 1: 0, 2: 0, 3: 4, 4: 8, 5: 12, 6: 16}[steps]
    assert f"step {steps} of 6" in text and f"Whole sums: {whole} of 16" in text
    assert ("rank 3 sends piece 2 to rank 0" in text) == (steps in (2, 6))


def test_the_picture_refuses_a_step_too_many():
    with pytest.raises(ParameterError, match=r"steps is 7\. A ring of 4 has steps 0 to 6"):
        ring_figures.ring(4, 7)


def test_the_slider_ends_where_the_ring_ends():
    panel = ring_widgets.step_through_the_ring(4)
    panel.controls["step"].value = 6
    panel.controls["ranks"].value = 2
    assert panel.controls["step"].value == panel.controls["step"].max == 2
    assert "Ring of 2, step 2 of 2" in panel.text


def test_traffic_and_times_are_told():
    assert "ring 2 S in 30 steps" not in ring_figures.traffic([2, 16]).datahall_description
    assert "ring 1.88 S in 30 steps" in ring_figures.traffic([2, 16]).datahall_description
    made = ring_figures.times({"ring": {1000: 0.002}}, ranks=3)
    assert "ring: 1.00 kB in 2.00 ms" in made.datahall_description
