"""The load generator and the floors, over real sockets; what a request costs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from datahall.errors import CourseError, ParameterError
from datahall.serving import costing, floors, load

pytestmark = pytest.mark.processes


def test_every_request_is_sent_and_each_reply_counted() -> None:
    with (
        floors.serve("no-op") as floor,
        load.Loader(floor.address, load.message("/v2")) as loader,
    ):
        loaded = loader.run(200)
        again = loader.run(50)
    assert loaded.statuses == {200: 200}
    assert loaded.count == 200
    assert again.statuses == {200: 50}
    assert loaded.latencies_ms == sorted(loaded.latencies_ms)


def test_at_a_fixed_rate_latency_counts_from_the_moment_a_request_was_due() -> None:
    with (
        floors.serve("no-op") as floor,
        load.Loader(floor.address, load.message("/v2"), connections=2) as loader,
    ):
        loaded = loader.run(40, rate_per_s=200)
    assert loaded.seconds >= 0.9 * 40 / 200
    assert loaded.statuses == {200: 40}


def test_the_load_ends_when_its_time_is_over() -> None:
    with (
        floors.serve("no-op") as floor,
        load.Loader(floor.address, load.message("/v2")) as loader,
    ):
        assert 0.2 <= loader.run(seconds=0.2).seconds < 20


def test_a_service_on_a_unix_socket_is_loaded_too(tmp_path: Path) -> None:
    with (
        floors.serve("no-op", path=tmp_path / "s") as floor,
        load.Loader(floor.address, load.message("/v2")) as loader,
    ):
        assert loader.run(10).statuses == {200: 10}


def test_load_on_another_machine_is_refused() -> None:
    with pytest.raises(ParameterError, match="this machine"):
        load.Loader("http://192.0.2.1:80", load.message("/"))


def test_a_service_that_is_not_there_is_told() -> None:
    with (
        pytest.raises(load.LoadError, match="Is the service up"),
        load.Loader("http://127.0.0.1:1", load.message("/")) as loader,
    ):
        loader.run(1)


def test_a_load_without_end_is_refused() -> None:
    with (
        floors.serve("no-op") as floor,
        load.Loader(floor.address, load.message("/")) as loader,
        pytest.raises(ParameterError, match="never ends"),
    ):
        loader.run()


def test_processor_time_of_a_process_grows_with_what_it_does() -> None:
    before = costing.cpu_s([os.getpid()])
    begun = time.process_time()
    while time.process_time() - begun < 0.05:
        pass
    assert costing.cpu_s([os.getpid()]) - before >= 0.04


def test_time_of_a_process_that_has_ended_is_not_taken_for_nothing() -> None:
    with floors.serve("no-op") as floor:
        pass
    with pytest.raises(CourseError, match="has ended"):
        costing.cpu_s([floor.pid])


def test_services_are_measured_in_turn_and_each_costs_something() -> None:
    with (
        floors.serve("no-op") as floor,
        load.Loader(floor.address, load.message("/v2")) as loader,
    ):
        service = costing.UnderLoad(loader, (floor.pid,))
        found = costing.interleaved({"one": service, "two": service}, rounds=2, requests=100)
    assert set(found) == {"one", "two"}
    assert len(found["one"].cpu_us) == 2
    assert found["one"].median_us > 1
    assert found["one"].refused == 0
