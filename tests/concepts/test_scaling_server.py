"""A parameter server: who waits for whom, how old gradients are, and who may die."""

from __future__ import annotations

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall.errors import ParameterError
from datahall.plotting import description
from datahall.scaling import (
    group,
    launcher,
    nursery,
    parallel,
    server,
    server_figures,
    server_ranks,
    server_widgets,
    staleness,
)
from datahall.scaling.cluster import Task
from datahall.scaling.server import Push, Served

CHIEF = Task("chief")
TRAIN = "datahall.scaling.coordinated:train"


def spans(served: Served) -> int:
    """Return the updates between first pull and last push, summed over workers."""
    total = 0
    for rank in {each.rank for each in served.pushes}:
        own = [each for each in served.pushes if each.rank == rank]
        total += own[-1].found + 1 - own[0].pulled
    return total


SPEEDS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(SPEEDS, st.integers(1, 60))
def test_the_mean_age_of_gradients_is_one_less_than_the_workers(speeds, updates):
    served = server.simulate(speeds, updates, "asynchronous")
    mean = np.mean(served.staleness)
    assert mean == pytest.approx(spans(served) / updates - 1)
    assert mean <= len(speeds) - 1


def test_the_mean_age_comes_near_its_limit_whoever_is_slow():
    for speeds in ([1, 1, 1, 1], [1, 1, 1, 10], [1, 2, 3, 30]):
        served = server.simulate(speeds, 4_000, "asynchronous")
        assert np.mean(served.staleness) == pytest.approx(3, abs=0.05)


@given(SPEEDS, st.integers(1, 60), st.integers(0, 5))
def test_a_bound_limits_how_far_ahead_a_worker_is_and_how_old_its_gradients(speeds, updates, bound):
    served = server.simulate(speeds, updates, "bounded", bound=bound)
    done = dict.fromkeys(range(1, len(speeds) + 1), 0)
    for each in served.pushes:
        done[each.rank] += 1
        assert max(done.values()) - min(done.values()) <= bound + 1
        assert each.staleness <= server.most_staleness(len(speeds), bound)


@given(SPEEDS, st.integers(1, 20))
def test_a_synchronous_server_waits_for_the_slowest_and_uses_nothing_old(speeds, updates):
    served = server.simulate(speeds, updates, "synchronous")
    assert served.took_s == updates * max(speeds)
    assert set(served.staleness) == {0} and served.updates == updates
    assert [served.by(rank + 1) for rank in range(len(speeds))] == [updates] * len(speeds)


def test_the_mean_of_a_round_is_used_and_a_lost_worker_is_not_waited_for():
    store = server.Store(np.zeros(1), 1.0)
    state = server.ServerState(store, 5, "synchronous", 0, {1: 0, 2: 0, 3: 0})
    state.waiting = {1, 2}
    assert state.going() == []  # all begin together
    state.waiting.add(3)
    for rank in state.going():
        state.give(rank, 7.0)
    state.take(1, np.array([2.0]), 8.0)
    state.take(3, np.array([4.0]), 9.5)
    assert state.going() == []
    state.forget(2)
    assert state.going() == [1, 3] and store.weights == [-3.0]
    assert state.pushes == [Push(1, 0, 0, 0.0, 1.0), Push(3, 0, 0, 0.0, 2.5)]
    assert state.served().lost == (2,)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: server.may_go("never", {1: 0}, [1]), "rule is 'never'"),
        (lambda: server.simulate([], 1, "asynchronous"), r"compute_s is \[\]"),
        (lambda: server.simulate([1, 0], 1, "asynchronous"), "above 0 s"),
        (lambda: staleness.delayed(0.1, -1, 3), "staleness is -1"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ParameterError, match=words):
        call()


@pytest.mark.parametrize("age", [0, 1, 2, 3, 5, 8, 13, 21])
def test_the_largest_rate_parts_growth_from_decay(age):
    limit = staleness.stable_rate(age, curvature=2.0)
    below, above = (
        np.abs(staleness.delayed(share * limit, age, 6_000, curvature=2.0)[-100:]).max()
        for share in (0.98, 1.02)
    )
    assert below < 0.5 and above > 1.5


def test_the_largest_rate_is_where_a_root_leaves_the_unit_circle():
    for age in (1, 4, 7):
        polynomial = np.zeros(age + 2)
        polynomial[[0, 1, -1]] = 1, -1, staleness.stable_rate(age)
        assert np.abs(np.roots(polynomial)).max() == pytest.approx(1, abs=1e-9)


def test_pictures_and_panel_tell_what_they_draw():
    served = server.simulate([1, 2], 6, "synchronous")
    words = description(server_figures.timeline(served, 2))
    assert "worker 1 50%, worker 2 100%" in words and "6 updates in 12 s" in words
    assert "staleness 7: does not converge" in description(server_figures.ages(0.4, [0, 7]))
    drawn = server_figures.against_age({"rate 1": [(3.0, 0.5), (0.0, 0.9)]})
    assert "rate 1: 0.90 at 0.0, 0.50 at 3.0" in description(drawn)
    panel = server_widgets.explore_waits()
    panel.controls["rule"].value = "asynchronous"
    assert panel.draws >= 2


def job(**given) -> server_ranks.Work:
    plan = {"steps": 60, "rate": 0.1} | {k: given.pop(k) for k in ("steps",) if k in given}
    return server_ranks.Work(parallel.Plan(**plan), images=1_000, **given)


@pytest.mark.processes
def test_one_worker_does_what_gradient_descent_does():
    served = server_ranks.train(job(), 1)
    plain = group.run(1, parallel.train_on_digits, job().plan, 1_000)[0]
    assert np.abs(served.weights - plain.weights).max() < 1e-6
    assert set(served.staleness) == {0}


@pytest.mark.processes
def test_two_synchronous_workers_do_what_two_ranks_with_an_all_reduce_do():
    served = server_ranks.train(job(rule="synchronous"), 2)
    ring = group.run(2, parallel.train_on_digits, job().plan, 1_000)[0]
    assert np.abs(served.weights - ring.weights).max() < 1e-5
    assert served.updates == 60 and len(served.pushes) == 120


@pytest.mark.processes
def test_ages_counted_in_processes_keep_the_laws_of_the_simulation():
    free = server_ranks.train(job(slow_s={3: 0.005}), 3)
    assert np.mean(free.staleness) == pytest.approx(spans(free) / 60 - 1)
    bound = server_ranks.train(job(rule="bounded", bound=1, slow_s={3: 0.005}), 3)
    assert max(bound.staleness) <= server.most_staleness(3, 1)


@pytest.mark.processes
@pytest.mark.parametrize("rule", server.RULES)
def test_a_killed_worker_does_not_stop_the_others(rule):
    given = job(steps=200, rule=rule, bound=1, slow_s=dict.fromkeys((1, 2, 3), 0.01))
    ended = server_ranks.begin(given, 3, kill=2, at=20)
    assert ended.outcomes[2].exit_code == -9 and ended.finished == [0, 1, 3]
    assert ended.served.lost == (2,) and ended.served.updates == 200
    assert ended.served.by(2) < ended.served.by(1)


@pytest.mark.processes
def test_a_killed_server_ends_everything_and_nothing_is_left():
    before = {each.pid for each in psutil.Process().children(recursive=True)}
    given = job(steps=2_000, slow_s={1: 0.01, 2: 0.01})
    ended = server_ranks.begin(given, 2, kill=0, at=20)
    assert ended.served is None and ended.finished == []
    assert all("rank 0 has gone" in each.error for each in ended.outcomes[1:])
    assert {each.pid for each in psutil.Process().children(recursive=True)} <= before


@pytest.mark.processes
def test_all_workers_killed_is_an_error_and_so_is_a_rank_that_fails():
    given = job(steps=2_000, slow_s={1: 0.01})
    ended = server_ranks.begin(given, 1, kill=1, at=20)
    assert "all workers have gone" in ended.outcomes[0].error
    with pytest.raises(group.GroupError, match="rank 0 failed"):
        server_ranks.train(job(rule="never"), 1)


@pytest.fixture(scope="module")
def warm():
    with nursery.Nursery() as held:
        yield held


def coordinated(warm, roles, **options) -> dict:
    work = {"updates": 60, "images": 1_000}
    return launcher.supervise(
        TRAIN, work, roles=roles, nursery=warm, limit_s=120, **options
    ).results[CHIEF]


@pytest.mark.slow  # the lecture's cell `compare` judges both jobs in each run of the tests
def test_one_worker_of_tensorflow_s_server_does_the_same(warm):
    came = coordinated(warm, {"chief": 1, "worker": 1, "ps": 1})
    theirs = np.concatenate([np.ravel(weight) for weight in came["weights"]])
    assert np.abs(theirs - server_ranks.train(job(), 1).weights).max() < 1e-4
    assert set(came["staleness"]) == {0} and came["updates"] == 60


@pytest.mark.slow
def test_tensorflow_s_server_survives_a_killed_worker(warm):
    struck: list[int] = []

    def look(running: launcher.Job) -> None:
        if not struck and running.steps(CHIEF) >= 10:
            struck.append(running.steps(CHIEF))
            running.kill(Task("worker", 0, 2))

    came = coordinated(warm, {"chief": 1, "worker": 2, "ps": 1}, after_look=look)
    assert struck and len(came["staleness"]) == 60 and 60 <= came["updates"] <= 61


@pytest.mark.slow
def test_tensorflow_s_server_works_inside_one_process(warm):
    came = coordinated(warm, {"chief": 1})
    assert came["updates"] == 60 and max(came["staleness"]) >= 1
