"""Ranks with a network each: addresses of their own, links as slow as asked, nothing left."""

from __future__ import annotations

import socket

import psutil
import pytest

from datahall.errors import CourseError
from datahall.scaling import core, netspaces
from tests.concepts import netspace_ranks


@pytest.fixture(scope="module", autouse=True)
def allowed():
    if reason := netspaces.lacking():
        pytest.skip(reason)


pytestmark = pytest.mark.processes


def test_each_rank_has_a_network_of_its_own_and_nothing_is_left_of_it():
    before = socket.if_nameindex()
    children = {each.pid for each in psutil.Process().children(recursive=True)}
    found = netspaces.run(3, netspace_ranks.names, netspaces.Cable(1e7))
    assert [names for names, _ in found] == [["cable", "lo"]] * 3
    assert [seen for _, seen in found] == [
        [netspaces.address(other) for other in range(3) if other != rank] for rank in range(3)
    ]
    assert socket.if_nameindex() == before
    assert {each.pid for each in psutil.Process().children(recursive=True)} <= children


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_ring_over_slow_cables_is_exact_and_no_faster_than_the_model_allows(ranks):
    cable, size = netspaces.Cable(4e6), 200_000
    found = netspaces.run(ranks, netspace_ranks.ring_s, cable, size, 2)
    predicted_s = core.ring_s(4 * size, ranks, cable.link())
    assert {total for _, total in found} == {ranks * (ranks + 1) / 2}
    assert all(0.85 * predicted_s < took_s < 5 * predicted_s for took_s, _ in found)


@pytest.mark.parametrize("ranks", [2, 3])
def test_over_long_cables_a_small_ring_takes_its_steps_times_the_latency(ranks):
    cable, size = netspaces.Cable(1e7, latency_s=0.02), 300
    found = netspaces.run(ranks, netspace_ranks.ring_s, cable, size, 1)
    predicted_s = core.ring_s(4 * size, ranks, cable.link())
    assert predicted_s == pytest.approx(2 * (ranks - 1) * 0.02, rel=0.05)
    assert {total for _, total in found} == {ranks * (ranks + 1) / 2}
    # the rank that leaves the barrier last finds messages waiting, the first one measures all
    assert 0.95 * predicted_s < max(took_s for took_s, _ in found) < 3 * predicted_s


def test_a_long_cable_passes_large_arrays_whole():
    size, cable = 200_000, netspaces.Cable(1e7, latency_s=0.002)
    found = netspaces.run(2, netspace_ranks.ring_s, cable, size, 1)
    assert {total for _, total in found} == {3}
    assert max(took_s for took_s, _ in found) > 0.85 * core.ring_s(4 * size, 2, cable.link())


@pytest.mark.parametrize(("bandwidth", "latency"), [(0, 0.0), (1e6, -1e-3), (1e6, float("nan"))])
def test_a_cable_that_cannot_be_is_refused(bandwidth, latency):
    with pytest.raises(CourseError, match="cannot be"):
        netspaces.Cable(bandwidth, latency)


def test_a_system_without_the_commands_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "ip and tc are missing: install iproute2" in netspaces.lacking()


def test_a_command_that_fails_names_it_and_its_reason():
    with pytest.raises(CourseError, match=r"`ip link set nobody up` failed: Cannot find device"):
        netspaces._command("ip link set nobody up")
