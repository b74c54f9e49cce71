"""The plan of a cluster, against published trainings, arithmetic by hand, and its own panel."""

from __future__ import annotations

import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.plotting import description
from datahall.scaling import memory, plan_figures, plan_widgets, planning
from datahall.scaling.planning import DEVICES, PUBLISHED, Cut

A100 = DEVICES["A100 80 GB"]
SMALL, LARGE = PUBLISHED[0], PUBLISHED[6]


def test_trainings_that_were_not_fitted_are_predicted_within_15_percent():
    share = planning.fitted()
    off = [planning.predicted(row, share) / row.tflop_per_s - 1 for row in PUBLISHED[1::2]]
    assert np.abs(off).max() < 0.15
    assert np.median(np.abs(off)) < 0.1


def test_the_shapes_have_the_parameters_that_are_printed():
    for row in PUBLISHED:  # equation 2 of the source
        size = 12 * row.layers * row.hidden**2 * (1 + 13 / (12 * row.hidden))
        size += row.hidden * (planning.VOCABULARY + planning.SEQUENCE)
        assert size / 1e9 == pytest.approx(row.billions, rel=0.003, abs=0.051)
        assert row.devices % (row.tensor * row.stages) == 0


def test_one_device_computes_and_nothing_else():
    alone = planning.plan(SMALL, A100, Cut(1), batch=4, share=0.5)
    assert alone.parts_s == {
        "compute": planning.flop(SMALL, 4) / 156e12, "tensor": 0, "bubble": 0, "data": 0
    }  # fmt: skip
    assert alone.tflop_per_s == pytest.approx(156)
    kept = 24 * 2 * 2048 * 2304
    assert alone.memory_bytes == memory.state(1_700_000_000).total + kept


def test_each_part_is_what_it_is_by_hand():
    plan = planning.plan(LARGE, A100, Cut(4, 8, 8), batch=64, share=0.5)
    output, own = 2 * 2048 * 12288, 145.6e9 / 64
    tensor = 6 * 10 * 16 * (2 * 7 / 8 * output / 300e9)
    assert plan.parts_s["tensor"] == pytest.approx(tensor)
    assert plan.parts_s["data"] == pytest.approx(2 * 3 / 4 * 2 * own / 25e9)
    assert plan.parts_s["bubble"] == pytest.approx((plan.parts_s["compute"] + tensor) * 7 / 16)


def test_tensor_parallel_across_nodes_uses_the_network_and_binds():
    wide = planning.plan(LARGE, A100, Cut(4, 16, 8), batch=64, share=0.5)
    slower = planning.plan(LARGE, A100, Cut(4, 8, 8), batch=64, share=0.5)
    assert wide.parts_s["tensor"] > 10 * slower.parts_s["tensor"]
    assert wide.binds == "tensor" and slower.binds == "compute"
    assert planning.plan(LARGE, A100, Cut(64), batch=64, share=0.5).binds == "memory"


def test_zero_saves_memory_and_stage_3_sends_for_every_microbatch():
    plans = [planning.plan(LARGE, A100, Cut(4, 8, 8, z), batch=64, share=0.5) for z in range(4)]
    held = [plan.memory_bytes for plan in plans]
    assert held == sorted(held, reverse=True) and len(set(held)) == 4
    sent = [plan.parts_s["data"] / plans[0].parts_s["data"] for plan in plans]
    assert sent == pytest.approx([1, 1, 17 / 2, 48 / 2])


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ParameterError, match="share is 0"):
        planning.plan(SMALL, A100, Cut(1), batch=4, share=0)


def test_every_control_of_the_panel_changes_its_words():
    panel = plan_widgets.pick_your_cluster()
    seen = {panel.text}
    moves = {"model": "GPT 39.1 B", "device": "H100 80 GB", "data": 6, "tensor": 2, "stages": 2,
             "batch": 10, "zero": 1, "network_gbit_s": 400, "price": 3.0}  # fmt: skip
    assert set(moves) == set(panel.controls)
    for number, (name, value) in enumerate(moves.items(), start=2):
        panel.controls[name].value = value
        seen.add(panel.text)
        assert len(seen) == number, name


def test_the_words_say_what_was_measured_and_what_is_extrapolated():
    def said(device: str, data: int, model: str = "GPT 145.6 B") -> str:
        return description(plan_figures.cluster(model, device, data, 8, 8, 0, 2304, 200, 2))

    assert "Measured here by others: 148 TFLOP/s" in said("A100 80 GB", 24)
    assert "Interpolated" in said("A100 80 GB", 16)
    assert "Extrapolated" in said("A100 80 GB", 128) and "Extrapolated" in said("H100 80 GB", 24)


def test_the_largest_published_training_is_that_of_the_abstract():
    last = planning.PUBLISHED[-1]
    assert last.devices == 3072
    assert last.devices * last.tflop_per_s / 1000 == pytest.approx(502, rel=0.005)  # PFLOP/s
