"""The model of a running replica: verified at the start and at each reload, kept if it is good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import orjson
import pytest

from datahall.serving import authority, repository, signing
from datahall.serving.audit import first_altered
from datahall.serving.defences import ALL
from datahall.serving.model import ServedModel
from datahall.serving.protocol import RefusedError, Tensor, encode_request

from .replicas import NAME, running, settings_of

pytestmark = pytest.mark.processes

IMAGE = Tensor.of("images", np.zeros((1, 28, 28, 1), np.uint8))
TWO = 2


@pytest.fixture
def settings(models, authority_here):
    """Return the settings of a replica with a repository of its own."""
    told = settings_of(models, authority_here.root_pem)
    return told.model_copy(update={"audit": models.parent / "audit.jsonl"})


@pytest.fixture
def replica(settings):
    """Return a replica that a test may damage."""
    with running(settings) as found:
        yield found["intact"]


def reloaded(replica):
    """Ask for a reload, and return its line of the log."""
    before = len(replica.log())
    replica.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        lines = [orjson.loads(line) for line in replica.log()[before:]]
        if found := [line for line in lines if line["what"] == "reload"]:
            return found[0]
        time.sleep(0.02)
    pytest.fail("nothing was reloaded")


def version(replica):
    """Return the version that answers."""
    return replica.infer(IMAGE).json()["model_version"]


def started(settings):
    """Start a replica that is expected to be refused; return its exit code and its last word."""
    file = settings.save(settings.models.parent / "refused.json")
    command = [sys.executable, "-m", "datahall.serving.replica", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    reason = orjson.loads(settings.audit.read_bytes().splitlines()[-1])["reason"]
    assert "Traceback" not in done.stderr
    assert not settings.socket.exists()
    return done.returncode, reason


def damage_bit(folder, _):
    path = folder / "model.tflite"
    content = bytearray(path.read_bytes())
    content[5000] ^= 4
    path.write_bytes(content)


def damage_extra(folder, _):
    (folder / "labels.json").write_text('["9"]')


def damage_link(folder, _):
    path = folder / "model.tflite"
    path.rename(folder.parent / f"moved-{folder.name}")
    path.symlink_to(folder.parent / f"moved-{folder.name}")


def damage_signer(folder, stranger):
    signing.sign(folder, stranger)


def damage_card(folder, _):
    (folder / "model.json").unlink()


DAMAGES = [
    (damage_bit, "altered_file"),
    (damage_extra, "extra_file"),
    (damage_link, "not_plain"),
    (damage_signer, "bad_signature"),
    (damage_card, "missing_file"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES[:1])  # the others: at the reload, below
def test_a_damaged_model_is_not_served(settings, tmp_path, damage, reason):
    damage(settings.models / NAME / "2", authority.create(tmp_path / "stranger"))
    assert started(settings) == (78, reason)


def test_an_old_version_is_not_served(settings):
    trust = signing.Trust(settings.trust.root_pem, least_version=TWO)
    repository.switch(settings.models, NAME, 1)
    assert started(settings.model_copy(update={"trust": trust})) == (78, "rolled_back")


def test_bytes_that_are_no_network_are_not_served(settings, authority_here):
    repository.publish(b"signed, but no network", settings.models, NAME, 3, authority_here)
    assert started(settings) == (78, "bad_model")


@pytest.mark.parametrize(
    ("tensor", "change"),
    [
        ("inputs", {"shape": [-1, 14, 56, 1]}),
        ("inputs", {"shape": [-1, 28, 28]}),
        ("inputs", {"datatype": "TEXT"}),
        ("outputs", {"shape": [-1, 12]}),
    ],
)
def test_a_card_that_does_not_fit_its_network_is_refused(settings, authority_here, tensor, change):
    folder = settings.models / NAME / "2"
    card = orjson.loads((folder / "model.json").read_bytes())
    card[tensor][-1] |= change
    (folder / "model.json").write_bytes(orjson.dumps(card))
    signing.sign(folder, authority_here)
    with pytest.raises(RefusedError) as caught:
        ServedModel(signing.verified(folder, settings.trust))
    assert caught.value.refusal.reason == "bad_model"


def test_a_reload_goes_forward_and_back(replica):
    assert version(replica) == "2"
    repository.switch(replica.settings.models, NAME, 1)
    assert version(replica) == "2"
    assert reloaded(replica)["verdict"] == "allowed"
    assert version(replica) == "1"
    repository.switch(replica.settings.models, NAME, 2)
    assert reloaded(replica)["model"] == f"{NAME}/2"
    assert version(replica) == "2"
    assert first_altered(replica.log()) is None


def test_a_bad_model_is_not_reloaded_and_the_old_one_goes_on(
    replica, tflite, authority_here, tmp_path
):
    stranger, models = authority.create(tmp_path / "stranger"), replica.settings.models
    for number, (damage, reason) in enumerate(DAMAGES, 3):
        damage(repository.publish(tflite, models, NAME, number, authority_here), stranger)
        line = reloaded(replica)
        assert (line["verdict"], line["reason"]) == ("refused", reason)
        assert replica.client.get("/v2/health/ready").json()["reload"] == reason
        assert version(replica) == "2"


def test_a_reload_reads_anew_whom_to_trust(replica):
    trust = signing.Trust(replica.settings.trust.root_pem, least_version=TWO)
    replica.settings.model_copy(update={"trust": trust}).save(replica.file)
    repository.switch(replica.settings.models, NAME, 1)
    assert reloaded(replica)["reason"] == "rolled_back"
    assert version(replica) == "2"


def test_no_request_is_lost_while_models_are_reloaded(replica):
    over, statuses = threading.Event(), []

    def ask():
        while not over.is_set():
            statuses.append(replica.infer(IMAGE).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number in (1, 2, 1, 2):
            repository.switch(replica.settings.models, NAME, number)
            assert reloaded(replica)["verdict"] == "allowed"
    finally:
        over.set()
        asking.join()
    assert set(statuses) == {200}


def test_sigterm_finishes_what_is_in_flight(settings):
    begun, go_on = threading.Event(), threading.Event()
    message = encode_request([IMAGE])

    def slowly():
        yield message.body[:100]
        begun.set()
        go_on.wait(30)
        yield message.body[100:]

    with running(settings) as found:
        replica, replies = found["intact"], []
        path = f"/v2/models/{NAME}/infer"
        asking = threading.Thread(
            target=lambda: replies.append(
                replica.client.post(path, content=slowly(), headers=message.headers)
            )
        )
        asking.start()
        assert begun.wait(30)
        time.sleep(0.2)
        replica.process.terminate()
        time.sleep(0.5)
        go_on.set()
        asking.join(30)
        assert [one.status_code for one in replies] == [200]
        assert replica.process.wait(30) == 0
        assert not replica.settings.socket.exists()


def test_a_replica_ends_with_its_parent(settings):
    file = settings.save(settings.models.parent / "child.json")
    parent = subprocess.Popen(
        [sys.executable, "-c", f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "datahall.serving.replica", {str(file)!r}])
print(child.pid, flush=True)
time.sleep(300)
"""],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with parent:
        pid = int(parent.stdout.readline())
        until = time.monotonic() + 120
        while not settings.socket.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert settings.socket.exists()
        parent.kill()
    until = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid):
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return told.rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_replica_is_small_and_holds_no_tensorflow(replica):
    for many in (1, 32, 7, 1):
        images = np.zeros((many, 28, 28, 1), np.uint8)
        for binary in (True, False):
            reply = replica.infer(Tensor.of("images", images), binary=binary)
            assert reply.status_code == 200
    for _ in range(3):
        reloaded(replica)
    of = Path(f"/proc/{replica.process.pid}")
    told = dict(line.split(":", 1) for line in (of / "status").read_text().splitlines())
    assert int(told["VmRSS"].split()[0]) < 120_000
    assert "/tensorflow/" not in (of / "maps").read_text()


def test_what_serves_imports_no_tensorflow():
    code = "import sys, datahall.serving.replica; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_variants_of_one_process_have_a_model_each(settings):
    with running(settings, variants={"a": ALL, "b": ALL}) as found:
        repository.switch(settings.models, NAME, 1)
        assert [reloaded(one)["verdict"] for one in found.values()] == ["allowed", "allowed"]
        assert {version(one) for one in found.values()} == {"1"}
        assert len({os.path.realpath(one.settings.socket) for one in found.values()}) == 2
