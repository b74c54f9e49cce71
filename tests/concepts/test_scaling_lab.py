"""What the lab on several machines rests on: traces, replays, a pipeline that runs, and kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datahall.errors import ParameterError, ShapeError
from datahall.plotting import description
from datahall.scaling import (
    group,
    killing,
    machines_proofs,
    pipeline,
    recovery,
    safekeeping,
    stages,
    stages_figures,
    traces,
)

KILLS = (
    machines_proofs.survives_the_first,
    machines_proofs.survives_a_later,
    machines_proofs.goes_on,
    machines_proofs.survives_two_kills,
)


def one_f_one_b(stage: int, stages_: int, microbatches: int) -> list[Any]:
    return pipeline.order("1F1B", stage, stages_, microbatches)


def test_traces_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match=r"shape \(1, 2, 3\)"):
        traces.straggler(np.zeros((1, 2, 3), np.int64))


@pytest.mark.processes
def test_a_straggler_is_found_among_real_processes_and_a_pause_is_none():
    times = np.stack(group.run(3, traces.record, 8, 0.02, (2, 0.06), (0, 0.9)))
    computed = times[:, :, 1] - times[:, :, 0]
    assert computed[0].mean() > computed[2].mean(), "the pause makes the larger mean"
    found = traces.straggler(times)
    assert found is not None and found[0] == 2


def second_by_second(work: int, interval: int, write: int, restart: int, losses: Any) -> int:
    """Return when a job is done, found by looking at every half second."""
    saved = worked = writing = waits = clock = 0
    while True:
        if clock / 2 in losses:
            worked, writing, waits = saved, 0, 2 * restart
        clock += 1
        if waits:
            waits -= 1
        elif writing:
            writing -= 1
            saved = saved if writing else worked
        else:
            worked += 1
            if worked == 2 * work:
                return clock // 2
            if worked - saved == 2 * interval:
                writing = 2 * write
                saved = saved if writing else worked


@given(
    st.integers(1, 30), st.integers(1, 12), st.integers(0, 4), st.integers(0, 6),
    st.lists(st.integers(0, 60), max_size=5).map(sorted),
)  # fmt: skip
def test_a_replay_is_what_a_clock_shows(work: int, interval: int, write: int, restart: int, at):
    expected = second_by_second(work, interval, write, restart, at)
    assert recovery.finish_s(work, interval, write, restart, at) == expected


def test_a_replay_without_an_interval_is_refused():
    with pytest.raises(ParameterError, match="interval is 0"):
        recovery.finish_s(10, 0, 1, 1, [])


@pytest.mark.processes
@pytest.mark.parametrize("schedule", pipeline.SCHEDULES)
def test_processes_compute_the_gradient_of_the_batch_and_keep_what_is_simulated(schedule: Any):
    orders = [pipeline.order(schedule, stage, 3, 5) for stage in range(3)]
    found, said = stages.run(orders), pipeline.run(orders)
    for one, right in zip(found, stages.gradients(3, 5), strict=True):
        np.testing.assert_allclose(one.gradient, right, atol=1e-12)
    assert [one.kept for one in found] == list(said.stored)
    message = 8 * (1 + stages.ROWS * stages.WIDTH)
    assert [one.sent_bytes for one in found] == [5 * message, 10 * message, 5 * message]


@pytest.mark.processes
def test_stages_may_go_backward_in_another_order_than_their_neighbours():
    orders: Any = [
        [("F", 0), ("F", 1), ("B", 0), ("B", 1)],
        [("F", 1), ("F", 0), ("B", 1), ("B", 0)],
    ]
    for one, right in zip(stages.run(orders), stages.gradients(2, 2), strict=True):
        np.testing.assert_allclose(one.gradient, right, atol=1e-12)


@pytest.mark.processes
def test_a_pass_takes_as_long_as_said_and_the_grids_say_so():
    orders = [one_f_one_b(stage, 2, 2) for stage in range(2)]
    found, said = stages.run(orders, pass_s=0.02), pipeline.run(orders)
    lasts = [(end - start) / 0.02 for one in found for _, start, end in one.spans]
    wanted = [1 + (kind == "B") for passes in orders for kind, _ in passes]
    assert all(took >= least - 1e-6 for took, least in zip(lasts, wanted, strict=True))
    made = stages_figures.grids(said, found, 0.02)
    assert "ends at 9 forward passes as predicted" in description(made)
    assert [len(axis.patches) for axis in made.axes] == [8, 8]


def test_a_schedule_that_never_ends_starts_no_process():
    with pytest.raises(ParameterError, match="never begin"):
        stages.run([[("F", 0), ("B", 0)], [("B", 0), ("F", 0)]])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (None, "did not return a list of pairs"),
        ("F0", "did not return a list of pairs"),
        ([["F", 0]], "did not return a list of pairs"),
        ([("F", 0.0)], "did not return a list of pairs"),
        ([("f", 0), ("B", 0)], r"has \('f', 0\)"),
        ([("F", 0)], r"lacks \('B', 0\)"),
        ([("F", 0), ("B", 0), ("B", 0)], r"has \('B', 0\) more than once"),
    ],
)
def test_whatever_a_schedule_is_it_is_told(made: Any, said: str):
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(machines_proofs.makes_every_pass_once(lambda *_: made))


def test_schedules_that_wait_are_slow_or_keep_much_are_told_with_both_sizes():
    reversed_ = lambda *given: one_f_one_b(*given)[::-1]  # noqa: E731
    assert "stage 0 before ('B', 0)" in str(machines_proofs.never_waits_for_ever(reversed_))
    one_by_one = lambda s, p, m: [(kind, n) for n in range(m) for kind in "FB"]  # noqa: E731
    said = str(machines_proofs.is_fast(one_by_one))
    assert "ends at 12, 9 is possible" in said and "ends at 96, 33 is possible" in said
    gpipe = lambda s, p, m: pipeline.order("GPipe", s, p, m)  # noqa: E731
    assert "stage 0 keeps 8 at once, 4 allowed" in str(machines_proofs.keeps_little(gpipe))
    assert machines_proofs.is_fast(gpipe) is None


class InPlace(safekeeping.FolderCheckpoint):
    """Writes over the only file."""

    def save(self, state: Any) -> None:
        np.savez(self.folder / "state.npz", **state)


class NeverEnds:
    """Starts a program and waits for it; another one is left alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: Any) -> None:
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        subprocess.run(["sleep", "600"])

    def load(self) -> Any:
        return None


@pytest.mark.processes
# np.load leaves a file open whose content is torn.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("proof", KILLS, ids=lambda proof: proof.__name__)
def test_a_checkpoint_survives_every_kill_and_one_written_in_place_does_not(proof: Any):
    assert proof(safekeeping.FolderCheckpoint) is None
    assert "load" in str(proof(InPlace)) and "raised an error" in str(proof(InPlace))


@pytest.mark.processes
def test_a_kill_comes_where_files_have_changed(tmp_path: Path):
    def call(folder: Path) -> Any:
        def twice() -> None:
            (folder / "a").write_bytes(b"1")
            (folder / "a").rename(folder / "b")

        return twice

    found = killing.moments(call, tmp_path)
    assert found[0].where == "after open()" and found[-1].where == "after rename()"
    assert [one.became for one in found] == ["1 file new"] * len(found)
    assert found[0].held["a"][0] == b"" and found[-1].held["b"][0] == b"1"
    killing.restore(tmp_path, found[0])
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a", b"")]


@pytest.mark.processes
def test_a_kill_leaves_what_was_noted_at_its_moment():
    for save in (safekeeping.FolderCheckpoint, InPlace):

        def call(folder: Path) -> Any:
            one = save(folder)  # noqa: B023
            one.save({"a": np.arange(50)})
            return lambda: one.save({"a": np.arange(60)})

        with killing.folder() as room:
            moments = killing.moments(call, room)
        assert len(moments) > 2
        for one in moments:
            with killing.folder() as room:
                killing.kill(call, room, one.count)
                left = {path.name: path.read_bytes() for path in room.iterdir()}
            assert left == {name: held[0] for name, held in one.held.items() if held}


def test_a_call_that_fails_has_no_moments():
    with killing.folder() as room, pytest.raises(ChildProcessError, match="raised an error"):
        killing.moments(lambda folder: folder.nothing, room)  # type: ignore[attr-defined]


def test_folders_of_processes_that_were_killed_are_removed():
    script = "from datahall.scaling import killing\nimport os\nwith killing.folder() as it:\n"
    script += "    print(it, flush=True)\n    os.kill(os.getpid(), 9)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL
    left = Path(ended.stdout.strip())
    assert left.is_dir()
    with killing.folder() as mine:
        assert mine.is_dir() and not left.parent.exists()
    assert not mine.parent.exists()


def test_a_folder_of_the_users_is_left_whatever_its_name(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    theirs = tmp_path / "datahall-kill-999999999-mine"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    with killing.folder():
        pass
    assert (theirs / "thesis.txt").read_text() == "years of work"


@pytest.mark.processes
def test_a_save_that_never_ends_is_given_up_and_leaves_no_process():
    from datahall.scaling.checks import Checkpoint

    before = {one.pid for one in psutil.Process().children(recursive=True)}
    verdict = Checkpoint.judge(NeverEnds)
    assert verdict.state == "wrong" and "did not end" in verdict.message
    now = psutil.Process(os.getpid()).children(recursive=True)
    assert not [one for one in now if one.pid not in before and "sleep" in one.name()]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 9))
def test_one_forward_one_backward_is_an_answer_to_the_puzzle(p: int, m: int):
    found = pipeline.run([one_f_one_b(stage, p, m) for stage in range(p)])
    assert found.total == 3 * (m + p - 1) and max(found.stored) <= p
