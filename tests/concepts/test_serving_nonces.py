"""Marks of what is wanted once only: they last as long as a token, and their number ends."""

from __future__ import annotations

import pytest

from datahall.serving.nonces import Nonces
from datahall.serving.protocol import RefusedError

DAY_S = 24 * 3600.0
NOW = 1_800_000_000.0


@pytest.fixture(params=["folder", "memory"])
def place(request, tmp_path):
    return tmp_path if request.param == "folder" else None


def test_a_mark_is_met_until_the_longest_token_has_expired(place):
    nonces = Nonces(place)
    assert [nonces.met("a", NOW), nonces.met("a", NOW + 1), nonces.met("b", NOW + 1)] == [0, 1, 0]
    assert nonces.met("a", NOW + DAY_S - 1)
    assert not nonces.met("a", NOW + 2 * DAY_S)


def test_what_has_expired_is_removed(tmp_path):
    nonces = Nonces(tmp_path)
    for name in "abc":
        nonces.met(name, NOW)
    nonces.met("d", NOW + 2 * DAY_S)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_full_folder_refuses_and_forgets_nothing_that_could_come_back(place):
    nonces = Nonces(place, most=3)
    for name in "abc":
        nonces.met(name, NOW)
    with pytest.raises(RefusedError) as refused:
        nonces.met("d", NOW + 61)
    assert refused.value.refusal.status == 503
    assert not nonces.met("d", NOW + DAY_S + 61)  # the three have expired


def test_marks_of_other_replicas_count(tmp_path):
    first, second = Nonces(tmp_path, most=3), Nonces(tmp_path, most=3)
    for name in "abc":
        first.met(name, NOW)
    with pytest.raises(RefusedError):
        second.met("d", NOW)


def test_what_cannot_be_noted_is_not_answered(tmp_path):
    nonces = Nonces(tmp_path / "gone")
    with pytest.raises(RefusedError) as refused:
        nonces.met("a", NOW)
    assert refused.value.refusal.reason == "no_nonces"
