"""A service that is changed while it answers, and ends without a trace."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from datahall import guardian
from datahall.serving import authority as authorities
from datahall.serving import repository
from datahall.serving.audit import first_altered
from datahall.serving.authority import Authority
from datahall.serving.crew import DeploymentError
from datahall.serving.deployment import Deployment, serve
from datahall.serving.gateway import BINARY, GatewayError, binary
from datahall.serving.guarded_socket import place
from datahall.serving.tokens import STANDBY

pytestmark = pytest.mark.processes

WAIT_S = 60.0


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Load:
    """Clients that ask all the time with new tokens; what they got is counted."""

    def __init__(self, service: Deployment, images: np.ndarray, clients: int = 3) -> None:
        self._service, self._images = service, images
        self._over, self.got = threading.Event(), Counter[str]()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait(lambda: self.got["200"] > 10)
        return self

    def __exit__(self, *error: object) -> None:
        before = self.got["200"]
        wait(lambda: self.got["200"] > before + 10)
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with self._service.client() as client:
            while not self._over.is_set():
                client.token = self._service.token()
                try:
                    client.infer(self._images, binary=True)
                    self.got["200"] += 1
                except Exception as error:
                    self.got[repr(error)] += 1


def test_keys_and_certificates_are_exchanged_without_a_lost_request(
    service: Deployment, images: np.ndarray
) -> None:
    old = service.client()
    shown = certificate(service)
    with old, Load(service, images) as load:
        kids = {service.issuer.kid}
        for _ in range(3):
            kids.add(service.rotate_key())
            service.rotate_certificate()
        old.infer(images)  # its token is of the first key
    assert set(load.got) == {"200"}
    assert len(kids) == 4
    assert certificate(service) != shown


def certificate(service: Deployment) -> bytes:
    context = ssl.create_default_context(cadata=service.authority_pem)
    host, port = place(service.address)
    with (
        socket.create_connection((host, port)) as plain,
        context.wrap_socket(plain, server_hostname=host) as wire,
    ):
        return wire.getpeercert(binary_form=True) or b""


def test_more_rotations_than_keys_on_standby_are_possible(
    service: Deployment, images: np.ndarray
) -> None:
    for _ in range(STANDBY + 1):
        service.rotate_key()
        with service.client() as client:
            client.infer(images)


def test_a_killed_replica_is_started_again_and_no_request_is_lost(
    service: Deployment, images: np.ndarray
) -> None:
    with Load(service, images) as load:
        killed = service.kill(0)
        wait(lambda: service.status()[0].ready and service.status()[0].pid != killed)
    assert set(load.got) == {"200"}
    assert service.status()[0].restarts >= 1


def test_every_replica_is_started_anew_without_a_lost_request(
    service: Deployment, images: np.ndarray
) -> None:
    before = [one.pid for one in service.status()]
    with Load(service, images) as load:
        for number in range(2):
            service.restart(number)
    assert set(load.got) == {"200"}
    after = [one.pid for one in service.status()]
    assert None not in after
    assert not set(before) & set(after)
    assert all(one.ready for one in service.status())


def test_a_killed_gateway_is_started_again_on_the_same_port(
    service: Deployment, images: np.ndarray
) -> None:
    gateway = service.pids()[0]
    os.kill(gateway, signal.SIGKILL)
    wait(lambda: service.pids()[0] != gateway)
    with service.client() as client:
        wait(client.ready)
        assert client.infer(images).labels.shape == (4,)


def test_another_version_is_served_and_back_without_a_lost_request(
    models: Path, authority_here: Authority, images: np.ndarray
) -> None:
    with serve(models, authority=authority_here, replicas=2) as service:
        assert set(service.versions().values()) == {"2"}
        with Load(service, images) as load:
            assert set(service.rollback().values()) == {"1"}
            with service.client() as client:
                assert client.infer(images).version == "1"
            assert set(service.switch(2).values()) == {"2"}
        assert set(load.got) == {"200"}
        altered = models / repository.MODEL_NAME / "1" / "model.tflite"
        altered.write_bytes(altered.read_bytes()[:-1] + b"\0")
        assert set(service.switch(1).values()) == {"2"}  # refused: the one from before goes on
        lines = service.audit()["audit-replica-0.jsonl"]
        assert json.loads(lines[-1])["reason"] == "altered_file"


def test_a_model_that_is_not_to_be_trusted_is_not_served(models: Path, tmp_path: Path) -> None:
    stranger = authorities.create(tmp_path / "stranger")
    with (
        pytest.raises(DeploymentError, match="not served"),
        serve(models, authority=stranger),
    ):
        pass


def traces(folder: Path, port: int, pids: list[int]) -> list[object]:
    """What is left of a service: processes, port, files."""
    left: list[object] = [pid for pid in pids if psutil.pid_exists(pid) and alive(pid)]
    with socket.socket() as wire, contextlib.suppress(OSError):
        wire.connect(("127.0.0.1", port))
        left.append(port)
    return [*left, folder] if folder.exists() else left


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def ours(mark: str) -> set[int]:
    """The processes that a test has started: by a mark in their environment, or as its children."""
    children = psutil.Process().children(recursive=True)
    found = {one.pid for one in children if alive(one.pid)}
    return found | {pid for pid in guardian.marked(mark) if alive(pid)} - {os.getpid()}


def test_stopping_leaves_no_process_port_socket_or_file() -> None:
    with serve() as service:
        folder, port, pids = service.nest.folder, place(service.address)[1], service.pids()
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
    assert traces(folder, port, pids) == []
    service.stop()  # once more does nothing


OUTER = f"DATAHALL_TEST_RUN={os.getpid()}"
CHILD = """
import json, sys, time
from datahall.serving.deployment import serve
service = serve().start()
gateway, replica = service.pids()
print(json.dumps([str(service.nest.folder), service.port, [gateway, replica]]), flush=True)
{then}
"""


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], list[object]]]:
    """A process that serves, and what there is of its service."""
    words = [sys.executable, "-c", CHILD.format(then=request.param)]
    name, _, value = OUTER.partition("=")
    variables = {**os.environ, name: value}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        folder, port, pids = json.loads(line)
        yield process, [Path(folder), port, pids]
        process.kill()


@pytest.mark.parametrize("child", ["time.sleep(600)"], indirect=True)
def test_kill_9_of_who_started_it_leaves_no_process_port_socket_or_file(
    child: tuple[subprocess.Popen[str], list[object]],
) -> None:
    process, (folder, port, pids) = child
    process.kill()
    process.wait()
    wait(lambda: traces(folder, port, pids) == [])  # type: ignore[arg-type]


@pytest.mark.parametrize("child", ["time.sleep(600)"], indirect=True)
def test_who_ends_the_run_that_a_service_is_part_of_leaves_nothing_of_it(
    child: tuple[subprocess.Popen[str], list[object]],
) -> None:
    process, (folder, port, pids) = child
    guardian.end(OUTER)  # as `datahall run` ends kernels and all that they have started
    process.wait()
    wait(lambda: traces(folder, port, pids) == [])  # type: ignore[arg-type]


@pytest.mark.parametrize("child", ["", "raise SystemExit(3)"], indirect=True)
def test_a_program_that_ends_without_stopping_leaves_nothing(
    child: tuple[subprocess.Popen[str], list[object]],
) -> None:
    process, (folder, port, pids) = child
    process.wait()
    wait(lambda: traces(folder, port, pids) == [])  # type: ignore[arg-type]


def test_a_start_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAHALL_TEST_START", str(os.getpid()))
    mark = f"DATAHALL_TEST_START={os.getpid()}"
    before = ours(mark)
    port = socket.socket()
    with port:
        port.bind(("127.0.0.1", 0))
        port.listen()
        with pytest.raises(GatewayError, match="cannot be had"):
            serve(port=port.getsockname()[1]).start()
    wait(lambda: ours(mark) <= before)
    false = shutil.which("false")
    assert false
    monkeypatch.setenv(BINARY, false)
    with pytest.raises(GatewayError, match="HAProxy"):
        serve().start()
    wait(lambda: ours(mark) <= before)


def test_another_haproxy_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = binary()
    monkeypatch.setenv(BINARY, usual)
    assert binary() == usual
    monkeypatch.setenv(BINARY, "/nowhere/haproxy")
    with pytest.raises(GatewayError, match="is not there"):
        binary()


def test_the_gateway_is_no_root_and_where_it_can_a_user_that_nobody_else_is(
    service: Deployment,
) -> None:
    user = psutil.Process(service.pids()[0]).uids()
    root = os.geteuid() == 0
    assert user.real == user.effective == user.saved != 0
    assert user.real == (service.nest.user if root else os.geteuid())
    others = [one.uids().real for one in psutil.process_iter() if one.pid != service.pids()[0]]
    assert not root or user.real not in others
    for path in (service.nest.folder, service.nest.sockets):
        assert path.stat().st_mode & 0o777 == (0o710 if root else 0o700)


def test_nobody_else_may_look_into_the_folder(service: Deployment) -> None:
    folder = service.nest.folder
    assert folder.stat().st_mode & 0o007 == 0
    closed = [path for path in folder.iterdir() if path.is_dir() and path.name != "sockets"]
    assert {path.stat().st_mode & 0o777 for path in closed} == {0o700}


def test_secrets_stand_in_no_log_error_metric_configuration_or_process_list(
    service: Deployment, images: np.ndarray
) -> None:
    token = service.token("spy")
    with service.client() as client:
        client.token = token
        client.infer(images)
        wrong = token[:-4] + "AAAA"
        replies = [
            client.request("POST", path, body=b"x" * 50, headers={"authorization": f"Bearer {one}"})
            for path in ("/v2/models/mnist_cnn/infer", "/v2/models/none/infer")
            for one in (token, wrong)
        ]
    keys = [path for path in service.nest.folder.rglob("*.key")] + [
        service.nest.folder / "gateway" / "server.pem"
    ]
    secrets = [token, wrong, *(line for path in keys for line in private(path))]
    assert len(secrets) == 2 + 2 * len(keys)
    files = [
        path
        for path in service.nest.folder.rglob("*")
        if path.is_file() and path not in keys and path.suffix != ".tflite"
    ]
    places = {str(path): path.read_text(errors="replace") for path in files}
    places |= {f"reply {number}": str(one) for number, one in enumerate(replies)}
    places |= {f"metrics of {name}": page for name, page in service.metrics().items()}
    places["process list"] = str([one.info["cmdline"] for one in psutil.process_iter(["cmdline"])])
    found = {where for where, text in places.items() for secret in secrets if secret in text}
    assert found == set()
    for path in keys:
        assert path.stat().st_mode & 0o777 == 0o600


def private(path: Path) -> list[str]:
    """The lines that hold a private key; the last one holds the public key, which anyone may."""
    text = path.read_text().partition("-----BEGIN PRIVATE KEY-----")[2]
    return [line for line in text.splitlines() if line and not line.startswith("-")][:2]


def test_the_audit_log_holds_what_was_refused_and_allowed_and_is_whole(
    service: Deployment, images: np.ndarray
) -> None:
    with service.client("auditor") as client:
        client.infer(images)
        client.token = "x.y.z"  # noqa: S105
        assert client.request("GET", "/v2").status == 401
    wait(lambda: "unknown_key" in str(service.audit()) or "wrong_algorithm" in str(service.audit()))
    lines = service.audit()
    assert {first_altered(one) for one in lines.values()} == {None}
    assert any('"subject":"auditor"' in line for one in lines.values() for line in one)


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/openapi.json", "/", "/haproxy?stats"])
def test_metrics_documents_and_administration_are_not_public(
    path: str, service: Deployment
) -> None:
    with service.client() as client:
        assert client.request("GET", path).status == 404
        assert client.request("GET", f"/v2/..{path}").status in (404, 405)
    assert "datahall_requests_total" in service.metrics()["replica-0"]
    assert "haproxy_frontend" in service.metrics()["gateway"]


def test_a_client_cannot_name_itself_another_in_a_header(
    service: Deployment, images: np.ndarray
) -> None:
    with service.client("mallory") as client:
        head = {"x-datahall-subject": "admin", "X-Datahall-Token-Hash": "0" * 64}
        head |= {"content-type": "application/json"}
        client.request("POST", "/v2/models/mnist_cnn/infer", body=b"{}", headers=head)
    lines = [line for one in service.audit().values() for line in one]
    assert not any("admin" in line or '"who":"' + "0" * 64 in line for line in lines)
    assert any('"subject":"mallory"' in line for line in lines)
