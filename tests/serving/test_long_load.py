"""A minute of load while everything that can happen to a service happens: nothing is lost."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from datahall.serving import guarded_socket
from datahall.serving.audit import first_altered
from datahall.serving.authority import Authority
from datahall.serving.crew import DeploymentError
from datahall.serving.deployment import Deployment, serve

pytestmark = pytest.mark.processes

SECONDS, CLIENTS = 60.0, 6


def ask(service: Deployment, images: np.ndarray, over: threading.Event, got: Counter[str]) -> None:
    """Ask until it is over, each time with a new token."""
    with service.client() as client:
        expected = client.infer(images).labels.tolist()
        while not over.is_set():
            client.token = service.token()
            try:
                right = client.infer(images, binary=True).labels.tolist() == expected
                got["right" if right else "wrong"] += 1
            except Exception as error:
                got[repr(error)] += 1


@contextlib.contextmanager
def load(service: Deployment, images: np.ndarray) -> Iterator[Counter[str]]:
    over, got = threading.Event(), Counter[str]()
    threads = [
        threading.Thread(target=ask, args=(service, images, over, got)) for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield got
    finally:
        over.set()
        for thread in threads:
            thread.join()


def attack(service: Deployment) -> None:
    """Send what is refused: no token, a huge head, a body of two lengths."""
    head = f"POST /v2/models/mnist_cnn/infer HTTP/1.1\r\nHost: x\r\n{'{}'}\r\n\r\n"
    for line in ("X: 1", "X: " + "a" * 60_000, "Content-Length: 5\r\nContent-Length: 6"):
        raw = head.format(line + "\r\nConnection: close").encode()
        answer = guarded_socket.raw(service.address, raw, ca_pem=service.authority_pem)
        assert answer[:12] != b"HTTP/1.1 200"


@pytest.mark.slow
def test_kills_rotations_other_versions_and_attacks_lose_no_request_in_a_minute(
    models: Path, authority_here: Authority, images: np.ndarray
) -> None:
    with serve(models, authority=authority_here, replicas=3) as service:
        killed = 0
        with load(service, images) as got:
            began = time.monotonic()
            for turn in itertools.count():
                if time.monotonic() > began + SECONDS:
                    break
                with contextlib.suppress(DeploymentError):  # it is just being started again
                    service.kill(turn % 3)
                    killed += 1
                service.rotate_key()
                service.rotate_certificate()
                attack(service)
                time.sleep(2)
                service.switch(1 + turn % 2)
        assert set(got) == {"right"}, got
        assert got["right"] > 100
        assert killed >= 5
        lines = service.audit()
        assert {first_altered(one) for one in lines.values()} == {None}
