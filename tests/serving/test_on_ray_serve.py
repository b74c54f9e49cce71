"""The same app under Ray Serve: same answers, a killed replica comes back, nothing is left."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from datahall import extras
from datahall.errors import CourseError, ParameterError
from datahall.serving import on_ray_serve, repository
from datahall.serving.authority import Authority
from datahall.serving.client import ServiceClient
from datahall.serving.guarded_socket import place
from datahall.serving.model import ServedModel
from datahall.serving.settings import ServiceSettings
from datahall.serving.signing import Trust, verified

pytestmark = pytest.mark.processes

lacking = (
    importlib.util.find_spec("ray") is None or importlib.util.find_spec("grpc_reflection") is None
)
real = pytest.mark.skipif(lacking, reason=on_ray_serve.ADVICE)


@pytest.fixture
def settings(models: Path, authority_here: Authority, tmp_path: Path) -> Path:
    told = ServiceSettings(
        socket=tmp_path / "not-used.sock",
        models=models,
        name=repository.MODEL_NAME,
        trust=Trust(authority_here.root_pem.decode()),
        audit=tmp_path / "audit.jsonl",
    )
    return told.save(tmp_path / "settings.json")


def test_without_ray_the_message_is_the_one_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.MODULES, "ray", ("a_package_that_nobody_has",))
    with (
        pytest.raises(CourseError, match='make setup EXTRAS="ray"'),
        on_ray_serve.running(tmp_path),
    ):
        pass


def replicas() -> set[int]:
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("ray::ServeRepl"):
                found.add(process.pid)
    return found


@real
@pytest.mark.slow
def test_ray_serve_answers_as_the_model_does_and_restarts_a_killed_replica(
    settings: Path, models: Path, authority_here: Authority, images: np.ndarray, tmp_path: Path
) -> None:
    folder = models / repository.MODEL_NAME / "2"
    model = ServedModel(verified(folder, Trust(authority_here.root_pem.decode())))
    labels, _ = model.predict(images.reshape(-1, 28, 28, 1))
    with on_ray_serve.running(settings) as address, ServiceClient(address) as client:
        assert client.infer(images).labels.tolist() == labels.tolist()
        assert client.infer(images, binary=True).labels.tolist() == labels.tolist()
        assert client.request("POST", "/v2/models/mnist_cnn/infer", body=b"{").status in (400, 415)
        before = replicas()
        assert len(before) == 2
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 240
        while len(replicas() - {killed}) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert client.infer(images).labels.tolist() == labels.tolist()
        port = place(address)[1]
    assert list(tmp_path.glob("audit-ray-*.jsonl"))
    assert replicas() == set()
    listening = {one.laddr.port for one in psutil.net_connections() if one.status == "LISTEN"}
    assert port not in listening


def test_less_than_one_replica_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.MODULES, "ray", ())
    with (
        pytest.raises(ParameterError, match="At least 1"),
        on_ray_serve.running(tmp_path, replicas=0),
    ):
        pass
