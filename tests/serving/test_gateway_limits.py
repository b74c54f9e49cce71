"""Slow, huge and too many requests are closed or refused, while honest traffic is all answered."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.serving import guarded_socket
from datahall.serving.client import Replied, ServiceClient
from datahall.serving.defences import Defences
from datahall.serving.deployment import Deployment
from datahall.serving.gateway_plan import Limits
from datahall.serving.target import Target
from datahall.serving.variants import variants

pytestmark = pytest.mark.processes

INFER = "/v2/models/mnist_cnn/infer"
MANY = 40


class Honest:
    """An honest client that asks all the time; what it got is told at the end."""

    def __init__(self, service: Deployment, images: np.ndarray) -> None:
        self._service, self._images = service, images
        self._over, self.answered, self.wrong = threading.Event(), 0, []
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Honest:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        with self._service.client("honest") as client:
            expected = client.infer(self._images).labels.tolist()
            while not self._over.is_set():
                try:
                    answer = client.infer(self._images, binary=True)
                    assert answer.labels.tolist() == expected
                    self.answered += 1
                except Exception as error:
                    self.wrong.append(error)
                self._over.wait(0.01)


@pytest.fixture
def honest(service: Deployment, images: np.ndarray) -> Iterator[Honest]:
    with Honest(service, images) as traffic:
        yield traffic
        time.sleep(0.2)
    assert traffic.answered > 0
    assert traffic.wrong == []


def head(service: Deployment, *lines: str) -> bytes:
    """The head of a request with a good token; the empty line that ends it is not there yet."""
    own = ["Host: localhost", "Connection: close", f"Authorization: Bearer {service.token()}"]
    return "\r\n".join([f"POST {INFER} HTTP/1.1", *own, *lines]).encode() + b"\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def ends(service: Deployment, firsts: dict[bytes, bytes]) -> list[bytes]:
    """Open many connections that send a byte now and then; return what each got at its end.

    Args:
        firsts: How a connection begins, and what it sends again and again.
    """
    with contextlib.ExitStack() as opened:
        wires = []
        for first, drop in [*firsts.items()] * MANY:
            wire = guarded_socket.connect(service.address, ca_pem=service.authority_pem)
            wires.append((opened.enter_context(wire), drop))
            wire.sendall(first)
        for _ in range(12):
            time.sleep(0.4)
            for wire, drop in wires:
                with contextlib.suppress(OSError):
                    wire.sendall(drop)
        return [guarded_socket.received(wire) for wire, _ in wires]


def test_slow_headers_slow_bodies_and_silent_connections_are_closed(
    service: Deployment, honest: Honest
) -> None:
    announced = ("Content-Type: application/json", "Content-Length: 5000")
    chunked = head(service, "Transfer-Encoding: chunked") + b"\r\n"
    kinds = {
        head(service): b"X",
        head(service, *announced) + b"\r\n": b" ",
        chunked: b"1\r\n \r\n",
        b"": b"",
    }
    answers = ends(service, kinds)
    assert len(answers) == 4 * MANY
    assert {status(answer) for answer in answers} <= {0, 408}


def test_headers_of_64_kilobytes_are_refused(service: Deployment, honest: Honest) -> None:
    big = head(service, "X-Big: " + "a" * 65_536) + b"\r\n"
    answer = guarded_socket.raw(service.address, big, ca_pem=service.authority_pem)
    assert status(answer) == 431


def test_headers_of_a_megabyte_are_refused(service: Deployment, honest: Honest) -> None:
    big = head(service, "X-Big: " + "a" * 1_048_576) + b"\r\n"
    answer = guarded_socket.raw(service.address, big, ca_pem=service.authority_pem)
    assert status(answer) in (0, 400, 431)  # it may close before the end has come


def test_a_body_of_50_megabytes_is_refused_as_soon_as_it_is_announced(
    service: Deployment, honest: Honest
) -> None:
    begin = head(service, "Content-Length: 52428800") + b"\r\n"
    answer = guarded_socket.raw(service.address, begin, ca_pem=service.authority_pem)
    assert status(answer) == 413


@pytest.mark.parametrize("size", [50 * 1024 * 1024])
def test_a_body_that_announces_nothing_is_refused_once_it_is_too_large(
    size: int, service: Deployment, honest: Honest
) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    begin = head(service, "Transfer-Encoding: chunked") + b"\r\n"
    parts = (part for part in (begin, *[chunk] * (size // 65_536)))
    answer = guarded_socket.raw(service.address, parts, ca_pem=service.authority_pem)
    assert status(answer) in (0, 413)


def test_an_honest_batch_of_32_images_fits_as_json(service: Deployment) -> None:
    white = np.full((32, 28, 28), 255, np.uint8)
    with service.client() as client:
        assert client.infer(white).labels.shape == (32,)


@pytest.fixture(scope="module")
def narrow() -> Iterator[dict[str, Target]]:
    """Two services that let little through: one in a short time, one in a day."""
    limits = {
        "rate": Limits(rate=20, rate_window_s=3.0),
        "budget": Limits(daily_budget=5),
    }
    with variants(None, dict.fromkeys(limits, Defences.all()), limits=limits) as found:
        yield found


def empty(client: ServiceClient) -> Replied:
    """Ask to infer nothing: the gateway counts it, the app answers 400."""
    kind = {"content-type": "application/json"}
    return client.request("POST", INFER, body=b"{}", headers=kind)


def statuses(client: ServiceClient, count: int) -> list[int]:
    return [empty(client).status for _ in range(count)]


def test_beyond_the_rate_of_a_token_comes_429_with_retry_after_and_others_go_on(
    narrow: dict[str, Target], images: np.ndarray
) -> None:
    with narrow["rate"].client("eager") as client, narrow["rate"].client("calm") as other:
        came = statuses(client, 40)
        assert came[:20] == [400] * 20
        assert set(came[20:]) == {429}
        refused = empty(client)
        assert int(refused.headers["retry-after"]) >= 1
        assert "error" in json.loads(refused.body)
        assert other.infer(images).labels.shape == (4,)
        assert client.ready()  # health has no token and no rate
        time.sleep(7)
        assert client.infer(images).labels.shape == (4,)


def test_the_budget_of_a_day_is_a_subjects_and_a_new_token_does_not_renew_it(
    narrow: dict[str, Target], images: np.ndarray
) -> None:
    target = narrow["budget"]
    with target.client("copier") as client, target.client("copier") as again:
        assert statuses(client, 5) == [400] * 5
        refused = empty(again)
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) >= 60
        assert again.metadata()["name"] == "mnist_cnn"  # asking about the model costs nothing
    with target.client("another") as other:
        assert other.infer(images).labels.shape == (4,)


@pytest.mark.parametrize(
    "address", ["https://192.0.2.1:443", "https://example.com", "http://10.0.0.1"]
)
def test_client_and_raw_socket_go_to_the_loopback_only(address: str) -> None:
    with pytest.raises(ParameterError, match="loopback"):
        ServiceClient(address)
    with pytest.raises(ParameterError, match="loopback"):
        guarded_socket.raw(address, b"GET / HTTP/1.1\r\n\r\n")


def test_a_raw_socket_goes_to_services_of_this_process_only(service: Deployment) -> None:
    other = guarded_socket.place(service.address)[1] + 1
    with pytest.raises(ParameterError, match="of no service of this process"):
        guarded_socket.raw(f"https://127.0.0.1:{other}", b"")


def test_a_client_that_does_not_know_the_authority_refuses_the_service(service: Deployment) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        guarded_socket.connect(service.address)
