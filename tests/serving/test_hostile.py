"""Hostile requests to the hardened service: each refused with the right status, nothing told."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from datahall.errors import ParameterError
from datahall.serving import guarded_socket, hostile, spoken
from datahall.serving.attacks import asked, honest, image
from datahall.serving.audit import first_altered
from datahall.serving.client import Replied
from datahall.serving.defences import Defences
from datahall.serving.listeners import close, listening
from datahall.serving.target import Target
from datahall.serving.variants import variants

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def hardened() -> Iterator[Target]:
    with variants(None, {"hardened": Defences.all()}) as targets:
        yield targets["hardened"]


@pytest.fixture(scope="module")
def replied(hardened: Target) -> dict[str, Replied]:
    """Send them all, one after the other, while honest requests are made the whole time."""
    over, right = threading.Event(), []

    def traffic() -> None:
        while not over.is_set() or not right:
            right.append(honest(hardened, 2))

    beside = threading.Thread(target=traffic)
    beside.start()
    try:
        found = {case.name: case.send(hardened) for case in hostile.CASES}
    finally:
        over.set()
        beside.join()
    assert all(right)
    return found


def test_there_are_at_least_sixty_and_each_is_another_one() -> None:
    names = [case.name for case in hostile.CASES]
    assert len(names) >= 60
    assert len(set(names)) == len(names)
    assert all(case.labels for case in hostile.CASES)


@pytest.mark.parametrize("case", hostile.CASES, ids=lambda case: case.name[:40])
def test_a_hostile_request_is_refused_with_the_right_status(
    case: hostile.Hostile, replied: dict[str, Replied]
) -> None:
    came = replied[case.name]
    assert came.status in case.statuses
    if case.defence is not None:  # else HTTP's own parser has refused it, in its own words
        assert set(came.json()) == {"error"}


def test_nothing_is_told_that_should_not_be(hardened: Target, replied: dict[str, Replied]) -> None:
    said = b"\n".join(each.body for each in replied.values())
    logged = b"\n".join(path.read_bytes() for path in hardened.audit)
    here = str(Path(hostile.__file__).parent).encode()
    for secret in (b"Traceback", b"BEGIN", b"eyJ", b'File "', here, b"model.tflite"):
        assert secret not in said
    for secret in (b"Traceback", b"BEGIN", b"eyJhbGciOiJFUzI1NiI", here):
        assert secret not in logged


def test_no_reply_repeats_what_was_sent(hardened: Target) -> None:
    sent = replace(asked(image()), body=b'{"canary-4711": "canary-4711"}', token=hardened.token())
    came = spoken.call(hardened, sent)
    assert came.status == 400
    assert b"canary" not in came.body


def test_after_all_of_it_the_service_answers_and_its_log_is_whole(
    hardened: Target, replied: dict[str, Replied]
) -> None:
    assert honest(hardened)
    assert all(each.status < 500 for each in replied.values())
    for path in hardened.audit:
        lines = path.read_bytes().splitlines()
        assert first_altered(lines) is None
        assert all(json.loads(line).get("status", 200) < 500 for line in lines)
    refused = [line for path in hardened.audit for line in path.read_bytes().splitlines()
               if b'"refused"' in line]  # fmt: skip
    assert len(refused) >= 60


def test_a_request_with_two_kinds_of_length_hides_no_second_one(hardened: Target) -> None:
    hidden = replace(asked(image()), path="/v2", method="GET", token=hardened.token()).wire()
    sent = replace(
        asked(image()),
        body=b"0\r\n\r\n" + hidden,
        token=hardened.token(),
        length=False,
        headers=(("Content-Length", str(5 + len(hidden))), ("Transfer-Encoding", "chunked")),
    )
    came = guarded_socket.raw(hardened.address, sent.wire(), ca_pem=hardened.ca_pem)
    assert [each.status for each in spoken.replies(came)] == [400]


@pytest.mark.parametrize(
    "address", ["https://192.0.2.1:443", "http://example.org", "https://[::]:1"]
)
def test_no_other_machine_is_attacked(hardened: Target, address: str) -> None:
    with pytest.raises(ParameterError, match="loopback was expected"):
        hostile.CASES[0].send(replace(hardened, address=address))


def test_no_other_service_of_this_machine_is_attacked(hardened: Target) -> None:
    wire = listening(0)
    with contextlib.closing(wire):
        port = wire.getsockname()[1]
        with pytest.raises(ParameterError, match="no service of this process"):
            hostile.CASES[0].send(replace(hardened, address=f"http://127.0.0.1:{port}"))
    close(wire)
