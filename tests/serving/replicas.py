"""Real replicas for the tests: a process that serves the course's network on a Unix socket."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from datahall.serving import repository, signing
from datahall.serving.defences import ALL, Defences
from datahall.serving.protocol import encode_request
from datahall.serving.settings import ServiceSettings

NAME = repository.MODEL_NAME
START_S = 120.0  # the machine may be busy with other tests


@dataclass
class Replica:
    """A replica that runs, and how to talk to it."""

    settings: ServiceSettings
    file: Path
    process: subprocess.Popen[str]
    client: httpx.Client

    def infer(self, *tensors, headers: Mapping[str, str] | None = None, **how) -> httpx.Response:
        """Send tensors as a caller does."""
        message = encode_request(tensors, **how)
        more = message.headers | dict(headers or {})
        return self.client.post(f"/v2/models/{NAME}/infer", content=message.body, headers=more)

    def log(self) -> list[bytes]:
        """Return the lines of the log."""
        assert self.settings.audit is not None
        return self.settings.audit.read_bytes().splitlines()


def settings_of(models: Path, root_pem: bytes) -> ServiceSettings:
    """Return the settings of a replica of a repository; its files stand beside it."""
    folder = models.parent
    (folder / "nonces").mkdir(exist_ok=True)
    return ServiceSettings(
        socket=folder / "run" / "replica.sock",
        models=models,
        name=NAME,
        trust=signing.Trust(root_pem.decode()),
        nonces=folder / "nonces",
    )


@contextlib.contextmanager
def running(
    settings: ServiceSettings, *, variants: Mapping[str, Defences] | None = None
) -> Iterator[dict[str, Replica]]:
    """Run one process that serves every variant; the only one is `intact` if none is given."""
    variants = {"intact": ALL} if variants is None else variants
    told = {name: _variant(settings, name, on) for name, on in variants.items()}
    folder = settings.models.parent
    files = {name: one.save(folder / f"{name}.json") for name, one in told.items()}
    command = [sys.executable, "-m", "datahall.serving.replica", *map(str, files.values())]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with contextlib.ExitStack() as stack:
        stack.callback(_end, process)
        found = {
            name: Replica(one, files[name], process, stack.enter_context(_client(one.socket)))
            for name, one in told.items()
        }
        for one in found.values():
            _wait(one)
        yield found


def _variant(settings: ServiceSettings, name: str, on: Defences) -> ServiceSettings:
    folder = settings.models.parent
    return settings.model_copy(
        update={
            "socket": folder / "run" / f"{name}.sock",
            "audit": folder / f"audit-{name}.jsonl",
            "defences": on.on,
        }
    )


def _client(path: Path) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(path))
    return httpx.Client(transport=transport, base_url="http://replica", timeout=60)


def _wait(replica: Replica) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if replica.process.poll() is not None:
            _, said = replica.process.communicate()
            pytest.fail(f"the replica ended with {replica.process.returncode}: {said}")
        if _listens(replica.settings.socket):
            return
        time.sleep(0.05)
    pytest.fail("the replica is not ready")


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as made, contextlib.suppress(OSError):
        made.connect(str(path))
        return True
    return False


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("the replica did not end after SIGTERM")
