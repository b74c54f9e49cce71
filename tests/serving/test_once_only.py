"""A request that is wanted once only is sent to one replica, also if that one dies over it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datahall.serving import authority
from datahall.serving.client import ServiceClient
from datahall.serving.gateway import Gateway
from datahall.serving.gateway_plan import Entrance, GatewayPlan
from datahall.serving.listeners import close, listening, write_secret
from datahall.serving.nest import Nest
from datahall.serving.tokens import Issuer

pytestmark = pytest.mark.processes

INFER = "/v2/models/mnist_cnn/infer"


class Dying:
    """What a replica looks like that dies over each request: it reads it, and hangs up."""

    def __init__(self, path: Path) -> None:
        self.met = 0
        self._wire = socket.socket(socket.AF_UNIX)
        self._wire.bind(str(path))
        path.chmod(0o666)  # its folder keeps others out
        self._wire.listen()
        threading.Thread(target=self._die, daemon=True).start()

    def _die(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._wire.accept()
                with caller:
                    self.met += bool(caller.recv(65_536))

    def close(self) -> None:
        close(self._wire)


@contextlib.contextmanager
def gateway_before(folder: Path) -> Iterator[tuple[ServiceClient, list[Dying]]]:
    """A gateway with two replicas that die over each request."""
    issuer = Issuer()
    with contextlib.ExitStack() as undo:
        nest = Nest()
        undo.callback(nest.close)
        own = authority.create(folder / "authority")
        sockets = [nest.sockets / f"r{number}.sock" for number in range(2)]
        replicas = [Dying(path) for path in sockets]
        for replica in replicas:
            undo.callback(replica.close)
        listener = listening(0)
        undo.callback(close, listener)
        place = nest.make("gateway")
        write_secret(place / "server.pem", own.server.bundle())
        way = Entrance("way", listener.fileno(), tuple(sockets), watched=False)
        keys = issuer.keys(now=time.time())
        plan = GatewayPlan(place, (way,), keys, place / "server.pem", own.root, user=nest.user)
        gateway = Gateway(plan, [listener], environment=nest.environment, on_group=nest.tell)
        undo.callback(gateway.stop)
        gateway.start()
        token = issuer.issue("ada", now=time.time(), scopes=("infer",))
        address = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with ServiceClient(address, token=token, ca=own.root_pem.decode()) as client:
            yield client, replicas


def test_only_a_request_without_a_nonce_is_sent_again(tmp_path: Path) -> None:
    kind = {"content-type": "application/json"}
    with gateway_before(tmp_path) as (client, replicas):
        answer = client.request("POST", INFER, body=b"{}", headers=kind)
        assert answer.status in (502, 503)
        assert sum(one.met for one in replicas) > 1
        before = sum(one.met for one in replicas)
        once = kind | {"Datahall-Nonce": "a-nonce-of-this-test"}
        answer = client.request("POST", INFER, body=b"{}", headers=once)
        assert answer.status in (502, 503)
        assert sum(one.met for one in replicas) == before + 1
