"""Bits for each layer: the file, what it holds, and the search within a budget."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall.errors import DataError, ParameterError, ShapeError
from datahall.quantization import bitfile, core, sensitivity


def network(*shapes: tuple[int, ...]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    return {
        f"layer {n}": (random.normal(size=shape).astype(np.float32), random.normal(size=shape[-1]))
        for n, shape in enumerate(shapes)
    }


@given(st.integers(2, 8).flatmap(
    lambda bits: st.tuples(
        st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), max_size=20), st.just(bits)
    )
))  # fmt: skip
def test_codes_come_back_and_take_no_more_bytes_than_their_bits(case: tuple[list[int], int]):
    codes, bits = case
    packed = bitfile.pack(np.array(codes, np.int8), bits)
    assert len(packed) == (len(codes) * bits + 7) // 8
    assert bitfile.unpack(packed, bits, len(codes)).tolist() == codes


@given(st.lists(st.integers(-8, 7), max_size=9))
def test_four_bits_are_packed_as_everywhere_in_the_module(codes: list[int]):
    given_codes = np.array(codes, np.int8)
    assert bitfile.pack(given_codes, 4) == core.pack_int4(given_codes).tobytes()


def test_three_bits_by_hand():
    # 1 is 001, −1 is 111, −4 is 100: from the lowest bit on 100 111 001
    assert bitfile.pack(np.array([1, -1, -4]), 3) == bytes([0b00111001, 0b1])


@pytest.mark.parametrize("bits", [0, 1, 9])
def test_other_bits_are_refused(bits: int):
    with pytest.raises(ParameterError, match="Expected 2 to 8"):
        bitfile.pack(np.zeros(3, np.int8), bits)
    with pytest.raises(ParameterError, match="Expected 2 to 8"):
        bitfile.unpack(b"abc", bits, 2)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ParameterError, match="codes go from -3 to 0"):
        bitfile.pack(np.array([0, -3]), 2)
    with pytest.raises(ShapeError, match="hold 2 codes of 3 bits"):
        bitfile.unpack(b"a", 3, 3)


@pytest.mark.parametrize("bits", bitfile.MENU)
def test_a_file_holds_what_channels_leave_of_the_weights(bits: int):
    weights = network((3, 3, 2, 5), (45, 7))
    back = bitfile.restored(bitfile.content(weights, dict.fromkeys(weights, bits)))
    assert list(back) == list(weights)
    for name, (kernel, bias) in weights.items():
        codes, scales = core.quantize_channels(kernel, bits=bits)
        assert back[name][0].dtype == np.float32
        np.testing.assert_allclose(back[name][0], codes * scales, rtol=1e-6)
        np.testing.assert_allclose(back[name][1], bias, rtol=1e-6)


def test_the_bytes_on_disk_are_codes_scales_biases_and_a_head(tmp_path: Path):
    weights, path = network((10, 8), (8, 4)), tmp_path / "small.bits"
    bits = {"layer 0": 3, "layer 1": 8}
    size = bitfile.written(path, weights, bits)
    head = json.dumps([["layer 0", [10, 8], 3], ["layer 1", [8, 4], 8]], separators=(",", ":"))
    assert size == path.stat().st_size == 8 + len(head) + 30 + 32 + 2 * 4 * (8 + 4)
    assert [each.name for each in tmp_path.iterdir()] == ["small.bits"]


@pytest.mark.parametrize("bits", [{}, {"layer 0": 4, "other": 4}, {"layer 0": 1}])
def test_bits_for_other_layers_are_refused(bits: dict[str, int]):
    with pytest.raises(ParameterError, match="Expected"):
        bitfile.content(network((2, 2)), bits)


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_file_that_is_cut_off_is_refused(cut: int):
    file = bitfile.content(network((3, 4)), {"layer 0": 5})
    with pytest.raises(DataError, match="no complete file"):
        bitfile.restored(file[: min(cut, len(file) - 1)])


def test_each_step_is_one_bit_less_and_the_search_ends_at_two_bits():
    harm = {"a": 9.0, "b": 1.0, "c": 3.0}
    steps = list(
        sensitivity.descend(
            harm,
            lambda bits: sum(bits.values()),
            lambda bits: sum(harm[name] * 4.0**-count for name, count in bits.items()),
        )
    )
    totals = [sum(step.bits.values()) for step in steps]
    assert totals == list(range(24, 5, -1))
    assert steps[-1].bits == dict.fromkeys(harm, 2)


@pytest.mark.parametrize("budget", range(46, 181, 9))
def test_where_layers_add_up_and_weigh_the_same_nothing_is_better(budget: int):
    harm = {"a": 9.0, "b": 1.0, "c": 3.1}

    def size_of(bits: dict[str, int]) -> int:
        return 7 * sum(bits.values()) + 3

    def loss(bits: dict[str, int]) -> float:
        return sum(harm[name] * 4.0**-count for name, count in bits.items())

    every = [
        dict(zip(harm, bits, strict=True)) for bits in itertools.product(range(2, 9), repeat=3)
    ]
    best = min(loss(bits) for bits in every if size_of(bits) <= budget)
    assert loss(sensitivity.spend(harm, budget, size_of, loss)) == pytest.approx(best)


def test_a_budget_that_nothing_fits_is_refused_with_the_least_that_would():
    with pytest.raises(ParameterError, match="Expected 40 at least"):
        sensitivity.spend(["a", "b"], 39, lambda bits: 10 * sum(bits.values()), lambda bits: 0.0)
    with pytest.raises(ParameterError, match="no layers"):
        sensitivity.spend([], 39, lambda bits: 0, lambda bits: 0.0)
