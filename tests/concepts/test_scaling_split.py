"""Splitting a model: pipelines, memory, ZeRO's bytes and layout rules, each against another way."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datahall.errors import ParameterError
from datahall.scaling import group, layouts, memory, pipeline, zero

from .zero_ranks import everything, holding

counts = st.integers(1, 6)


@given(counts, st.integers(1, 9), st.sampled_from(pipeline.SCHEDULES), counts)
def test_both_schedules_idle_as_the_formula_says(stages: int, pieces: int, name: Any, cost: int):
    orders = [pipeline.order(name, stage, stages, pieces) for stage in range(stages)]
    found = pipeline.run(orders, forward=1, backward=cost)
    assert found.total == (pieces + stages - 1) * (1 + cost)
    assert found.idle == pytest.approx(pipeline.bubble(stages, pieces))
    most = [pieces if name == "GPipe" else min(stages - s, pieces) for s in range(stages)]
    assert list(found.stored) == most


@given(counts, st.integers(1, 9), st.sampled_from(pipeline.SCHEDULES))
def test_each_pass_runs_once_and_after_what_it_needs(stages: int, pieces: int, name: Any):
    orders = [pipeline.order(name, stage, stages, pieces) for stage in range(stages)]
    wanted = sorted(itertools.product("BF", range(pieces)))
    assert all(sorted(passes) == wanted for passes in orders)
    spans = [
        {passed: (start, end) for passed, start, end in row} for row in pipeline.run(orders).spans
    ]
    for stage, piece in itertools.product(range(stages), range(pieces)):
        mine = spans[stage]
        assert mine["B", piece][0] >= mine["F", piece][1]
        if stage:
            assert mine["F", piece][0] >= spans[stage - 1]["F", piece][1]
            assert spans[stage - 1]["B", piece][0] >= mine["B", piece][1]


def test_stages_that_wait_for_each_other_are_an_error():
    with pytest.raises(ParameterError, match="2 passes never begin"):
        pipeline.run([[("F", 0), ("B", 0)], [("B", 0)]])


def test_adding_up_microbatches_by_hand_gives_the_time_of_the_puzzle():
    one_at_a_time = [[(kind, n) for n in range(8) for kind in "FB"]] * 4
    assert pipeline.run(one_at_a_time).total == 96  # type: ignore[arg-type]


@given(st.integers(0, 10**6), st.integers(0, 3), st.integers(1, 64))
def test_the_pieces_of_all_devices_hold_the_state(parameters: int, stage: int, data: int):
    held = memory.state(parameters, stage=stage, data=data)
    pieces = [len(part) for part in np.array_split(np.empty(parameters), data)]
    cut = max(pieces)
    assert held.total == sum(
        each * (cut if stage >= least else parameters) for each, least in ((2, 3), (2, 2), (12, 1))
    )


def test_a_stage_keeps_no_more_microbatches_than_there_are():
    few, many = (
        memory.device_bytes([1, 1, 1], 3, outputs=50, microbatches=count) for count in (2, 8)
    )
    assert many - few == 50, "three stages before the first backward pass, but two microbatches"


def test_a_state_that_cannot_be_is_refused():
    with pytest.raises(ParameterError, match="stage 4"):
        memory.state(10, stage=4)
    with pytest.raises(ParameterError, match="3 layers make no 2 equal stages"):
        memory.device_bytes([1, 2, 3], 2)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 3), st.integers(0, 3), st.integers(1, 4), st.integers(1, 6))
def test_a_process_allocates_what_the_calculator_says(stages: int, zero_: int, data: int, m: int):
    layers = [40_000, 90_000, 30_000, 70_000, 20_000, 50_000]
    said = memory.device_bytes(layers, stages, data, zero_, outputs=60_000, microbatches=m)
    held = memory.measured(layers, stages, data, zero_, outputs=60_000, microbatches=m)
    assert said <= held <= 1.02 * said + 5_000


def test_the_choice_is_the_first_of_all_that_fit():
    assert memory.choose(4, 16, 8, 10, 1, 60) == (2, 8)
    assert memory.choose(2, 4, 4, 10, 1, 5) is None
    assert memory.choose(1, 1, 2, 10, 5, 30) == (1, 1), "what is just full fits"
    assert memory.choose(2, 8, 8, 10, 0, 50, 4) == (2, 2), "two and four take 60: the fewer win"


@pytest.mark.processes
@pytest.mark.parametrize("ranks", [2, 3])
def test_every_stage_trains_like_one_device_and_sends_what_is_predicted(ranks: int):
    results = group.run(ranks, everything)
    for (stage, pieces), _ in results[0].items():
        trained = [each[stage, pieces] for each in results]
        whole = np.full(101, np.nan, np.float32)
        for rank, each in enumerate(trained):
            whole[zero.own(rank, ranks, 101)] = each.piece
        alone = zero.trained_alone(101, sources=ranks * pieces, steps=2)
        np.testing.assert_allclose(whole, alone, atol=1e-5)
        sent = sum(each.sent_bytes for each in trained)
        assert sent == memory.zero_bytes(stage, 101, ranks, 4, pieces)


@pytest.mark.processes
def test_every_stage_holds_what_is_predicted():
    for held in group.run(2, holding):
        said = [memory.state(50_000, stage=stage, data=2).total for stage in zero.STAGES]
        assert held == pytest.approx(said, rel=0.1)


def test_an_unknown_stage_is_refused():
    with pytest.raises(ParameterError, match="stage is 7"):
        zero.train(None, 7, 10)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.sampled_from(["a/k", "n/a", ".*", ".*k", "n/a/k", "n/.*", "n/[ab]/k"]), unique=True
    ),
    st.lists(st.sampled_from(["n/a/k", "n/b/k", "a/k", "b"]), unique=True),
)
def test_rules_are_looked_up_as_keras_does(rules: list[str], paths: list[str]):
    import keras

    mesh = keras.distribution.DeviceMesh((1,), ["model"], devices=["cpu:0"])
    theirs = keras.distribution.LayoutMap(mesh)
    for number, rule in enumerate(rules):
        theirs[rule] = keras.distribution.TensorLayout([None] * number, mesh)
    wanted: dict[str, str | None] = {}
    try:
        for path in paths:
            layout = theirs[path]
            wanted[path] = None if layout is None else rules[len(layout.axes)]
    except ValueError:
        with pytest.raises(ValueError, match="all match"):
            layouts.rules_used(rules, paths)
        return
    assert layouts.rules_used(rules, paths) == wanted


def test_a_rule_that_matches_only_the_beginning_of_a_path_is_not_used():
    assert layouts.rules_used(["n/a"], ["n/a/k"]) == {"n/a/k": None}
