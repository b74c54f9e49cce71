"""The app over its Unix socket: the honest are answered, the hostile refused by their word."""

from __future__ import annotations

import json
import resource
import socket
import stat

import numpy as np
import orjson
import pytest

from datahall import datasets
from datahall.serving import repository
from datahall.serving.audit import first_altered
from datahall.serving.defences import ALL, Defence, Defences
from datahall.serving.protocol import Tensor, decode_response, encode_request

from .replicas import NAME, running, settings_of

pytestmark = pytest.mark.processes

INFER = f"/v2/models/{NAME}/infer"
JSON = {"content-type": "application/json"}
IMAGE = np.zeros((1, 28, 28, 1), np.uint8)
LINE = 'x"}\n{"who":"nobody","verdict":"allowed"}\n{"id":"'
APP = [one for one in Defence if one.place == "app"]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory, tflite, authority_here):
    """Return one process that serves the intact app and one without each of its defences."""
    models = tmp_path_factory.mktemp("app") / "models"
    repository.publish(tflite, models, NAME, 1, authority_here)
    variants = {"intact": ALL, "open": Defences.none()} | {one: ALL.without(one) for one in APP}
    told = settings_of(models, authority_here.root_pem)
    with running(told, variants=variants) as found:
        yield found


@pytest.fixture(scope="module")
def intact(replicas):
    """Return the replica with all defences."""
    return replicas["intact"]


@pytest.fixture(scope="module")
def digits():
    """Return 20 test digits (20, 28, 28, 1) with their labels."""
    test = datasets.load("mnist").test
    return test.images[:20][..., None], test.labels[:20]


def tensor(**change):
    """Return the JSON of a request with one good image, changed."""
    good = {"name": "images", "datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [0] * 784}
    return orjson.dumps({"inputs": [good | change]})


@pytest.mark.parametrize("binary", [False, True])
def test_digits_are_told(intact, digits, binary):
    images, labels = digits
    reply = intact.infer(Tensor.of("images", images), binary=binary, id="20 digits")
    assert reply.status_code == 200
    found = decode_response(reply.content, reply.headers)
    told, scores = (one.array for one in found.outputs)
    assert (told == labels).mean() >= 0.85
    np.testing.assert_array_equal(scores.argmax(axis=1), told)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=0.05)
    assert (found.model, found.version, found.id) == (NAME, "1", "20 digits")


def test_every_variant_answers_honest_requests_alike(replicas, digits):
    images, _ = digits
    found = {
        name: decode_response(reply.content, reply.headers).outputs[0].array.tolist()
        for name, one in replicas.items()
        if (reply := one.infer(Tensor.of("images", images), binary=True)).status_code == 200
    }
    assert found == dict.fromkeys(replicas, found["intact"])


def test_outputs_are_those_that_are_asked_for(intact):
    reply = intact.infer(Tensor.of("images", IMAGE), outputs=["scores"])
    assert [one["name"] for one in reply.json()["outputs"]] == ["scores"]


def test_the_service_tells_what_it_is(intact):
    def told(path):
        return intact.client.get(path).json()

    assert told("/v2")["extensions"] == ["binary_tensor_data"]
    assert told("/v2/health/live") == {"live": True}
    assert told("/v2/health/ready") == {"ready": True, "reload": ""}
    assert told(f"/v2/models/{NAME}/versions/1/ready") == {"name": NAME, "ready": True}
    images = {"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}
    assert told(f"/v2/models/{NAME}")["inputs"] == [images]
    assert told(f"/v2/models/{NAME}/versions/1") == told(f"/v2/models/{NAME}")


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"", JSON, 400, "bad_json"),
        (b"[" * 100_000, JSON, 400, "too_deep"),
        (b'{"inputs":NaN}', JSON, 400, "not_finite"),
        (tensor(shape=[1, 784]), JSON, 400, "wrong_shape"),
        (tensor(shape=[-1, 28, 28, 1]), JSON, 400, "wrong_shape"),
        (tensor(shape=[2**40, 28, 28, 1]), JSON, 400, "too_many"),
        (tensor(datatype="FP32"), JSON, 400, "wrong_datatype"),
        (tensor(data=[256] * 784), JSON, 400, "out_of_range"),
        (tensor(data=[-1] * 784), JSON, 400, "out_of_range"),
        (tensor(data=[True] * 784), JSON, 400, "wrong_value"),
        (tensor(data=[1e308] * 784), JSON, 400, "wrong_value"),
        (tensor(), {"content-type": "text/plain"}, 415, "wrong_content_type"),
        (tensor(), {}, 415, "wrong_content_type"),
        (tensor(), JSON | {"content-encoding": "gzip"}, 415, "wrong_encoding"),
        (b" " * (256 * 1024 + 1), JSON, 413, "too_large"),
        (tensor(), {"inference-header-content-length": "7"}, 400, "bad_json"),
        (tensor(), {"inference-header-content-length": "70000"}, 400, "wrong_size"),
        (tensor(), [("content-type", "text/plain"), ("content-type", "application/json")],
         400, "double_header"),
        (tensor(), JSON | {"datahall-nonce": "short"}, 400, "wrong_nonce"),
    ],
)  # fmt: skip
def test_a_hostile_request_is_refused_by_its_word_and_logged(intact, body, headers, status, reason):
    reply = intact.client.post(INFER, content=body, headers=headers)
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
    assert orjson.loads(intact.log()[-1])["reason"] == reason


def test_a_body_in_endless_pieces_is_cut_off(intact):
    def pieces():
        for _ in range(64):
            yield b" " * 65536

    assert intact.client.post(INFER, content=pieces(), headers=JSON).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/other/infer",
        f"/v2/models/{NAME}/versions/2/infer",
        f"/v2/models/{NAME}/versions/01/infer",
        f"/v2/models/{NAME}%00/infer",
        f"/v2/models/..%2f{NAME}/infer",
        f"/v2/models/{NAME}%2Fversions%2F1/infer",
        f"/v2/models/{NAME}/infer/",
        "/admin",
    ],
)
def test_another_model_is_not_found(intact, path):
    reply = intact.client.post(path, content=tensor(), headers=JSON)
    assert reply.status_code == 404
    assert list(reply.json()) == ["error"]


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("OPTIONS * HTTP/1.1", "", 404),
        ("GET //v2 HTTP/1.1", "", 404),
        ("GET /v2 HTTP/1.0", "", 200),
        ("CONNECT x:443 HTTP/1.1", "", 400),
        ("TRACE /v2 HTTP/1.1", "", 405),
        ("GET /v2/models/%ff%fe/ready HTTP/1.1", "", 404),
        ("GET /v2/models/%/versions/%2/ready HTTP/1.1", "", 404),
        (f"POST {INFER} HTTP/1.1", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400),
        (f"POST {INFER} HTTP/1.1", "Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("GET /v2/health/live HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", 200),
        ("PRI * HTTP/2.0", "", 400),
        ("\x16\x03\x01", "", 400),
    ],
)
def test_strange_http_breaks_nothing(intact, line, headers, status):
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(60)
        made.connect(str(intact.settings.socket))
        made.sendall(f"{line}\r\nHost: x\r\n{headers}\r\n".encode("latin-1"))
        assert made.recv(4096).split(b" ")[1] == str(status).encode()


def test_another_method_is_refused_with_those_that_are_allowed(intact):
    reply = intact.client.delete(INFER)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert intact.client.post("/v2/health/live").status_code == 405


def test_no_error_tells_anything_of_the_caller_or_of_the_code(replicas):
    secret = "something-that-came"  # noqa: S105 (stands for one)
    replies = [
        replicas["intact"].client.post(path, content=body, headers=JSON)
        for path in (INFER, f"/v2/models/{secret}/infer", "/nothing")
        for body in (b"", secret.encode(), tensor(name=secret), tensor(datatype=secret))
    ]
    assert {one.status_code for one in replies} == {400, 404}
    for one in replies:
        assert secret not in one.text
        assert "Traceback" not in one.text
        assert "site-packages" not in one.text
    said = replicas[Defence.QUIET_ERRORS].client.post(INFER, content=secret.encode(), headers=JSON)
    assert secret in said.text
    assert "Traceback" in said.text


def test_a_request_that_is_wanted_once_is_answered_once(replicas):
    def twice(one, **more):
        sent = {"datahall-nonce": "nonce-of-this-test"} | more
        return [one.infer(Tensor.of("images", IMAGE), headers=sent).status_code for _ in "12"]

    assert twice(replicas["intact"]) == [200, 409]
    assert twice(replicas["intact"], **{"x-datahall-subject": "another"}) == [200, 409]
    assert twice(replicas["log_chain"]) == [409, 409]  # the replicas of a service share them
    assert twice(replicas[Defence.REPLAY]) == [200, 200]


def test_a_refused_request_does_not_use_up_its_nonce(intact):
    once = {"datahall-nonce": "another-nonce-of-this-test"}
    assert intact.client.post(INFER, content=b"", headers=JSON | once).status_code == 400
    assert intact.infer(Tensor.of("images", IMAGE), headers=once).status_code == 200


def test_scores_are_coarse(replicas, digits):
    def scores(one):
        reply = one.infer(Tensor.of("images", digits[0]), outputs=["scores"], binary=True)
        return decode_response(reply.content, reply.headers).outputs[0].array.astype(float)

    coarse, fine = scores(replicas["intact"]), scores(replicas[Defence.COARSE_SCORES])
    np.testing.assert_allclose(coarse, np.round(fine, 2), atol=1e-6)
    assert len(np.unique(fine)) > len(np.unique(coarse))


def test_a_caller_reads_no_pixel_of_another(replicas, digits):
    message = encode_request([Tensor.of("images", IMAGE)], binary=True)
    short, headers = message.body[:-784], message.headers

    def stolen(one):
        seven = one.infer(Tensor.of("images", digits[0][:1]), binary=True)
        reply = one.client.post(INFER, content=short, headers=headers)
        return reply.status_code, reply.content[-40:] == seven.content[-40:]

    assert stolen(replicas["intact"]) == (400, False)
    assert stolen(replicas[Defence.SIZE_ADDS_UP]) == (200, True)


def test_a_name_walks_to_no_other_folder(replicas):
    folder = replicas["intact"].settings.models.parent / "private"
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text('{"name": "of somebody else"}')
    path = "/v2/models/%2E%2E/versions/private"

    def told(one):
        return one.client.get(path).text

    assert "somebody" not in told(replicas["intact"])
    assert "somebody" in told(replicas[Defence.MODEL_NAME])


def test_the_log_tells_who_asked_what_and_what_was_decided(intact):
    token = {"x-datahall-token-hash": "f" * 64, "x-datahall-subject": "alice",
             "authorization": "Bearer a.b.c"}  # fmt: skip
    intact.infer(Tensor.of("images", IMAGE), id=LINE, headers=token)
    lines = intact.log()
    entry = orjson.loads(lines[-1])
    assert entry["who"] == "f" * 64
    assert (entry["subject"], entry["model"], entry["id"]) == ("alice", NAME, LINE)
    assert (entry["verdict"], entry["reason"], entry["status"]) == ("allowed", "ok", 200)
    assert entry["digest"] == intact.client.post(INFER).headers["datahall-model"]
    assert first_altered(intact.log()) is None
    assert all(b"a.b.c" not in line for line in intact.log())
    assert stat.S_IMODE(intact.settings.audit.stat().st_mode) == 0o600


def test_without_its_defences_the_log_is_written_by_the_caller_and_holds_tokens(replicas):
    def logged(one):
        token = {"authorization": "Bearer a.b.c"}
        assert one.infer(Tensor.of("images", IMAGE), id=LINE, headers=token).status_code == 200
        return one.log()

    forged = b'{"who":"nobody","verdict":"allowed"}'
    assert forged in logged(replicas[Defence.LOG_ESCAPING])
    assert b"a.b.c" in logged(replicas[Defence.HASHED_TOKEN])[-1]
    assert b"hash" not in logged(replicas[Defence.LOG_CHAIN])[-1]
    assert forged not in logged(replicas["intact"])


def test_metrics_count_by_status_and_reason_and_name_the_model(intact):
    intact.client.post(INFER, content=b"", headers=JSON)
    page = intact.client.get("/metrics").text
    assert 'datahall_requests_total{code="400",reason="bad_json"}' in page
    assert "datahall_latency_seconds_bucket" in page
    assert "datahall_in_flight 0.0" in page
    digest = intact.client.post(INFER).headers["datahall-model"]
    assert f'datahall_model_info{{digest="{digest}",name="{NAME}",version="1"}}' in page
    assert "datahall_predictions_total" in page


def test_the_socket_is_for_its_owner_only(intact):
    path = intact.settings.socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("defence", "change"),
    [
        (Defence.EXACT_SHAPE, {"shape": [1, 14, 56, 1]}),
        (Defence.DATATYPE, {"datatype": "FP32", "data": [0.5] * 784}),
        (Defence.VALUE_RANGE, {"data": [256] * 784}),
        (Defence.BATCH_LIMIT, {"shape": [40, 28, 28, 1], "data": [0] * 784 * 40}),
        (Defence.STRICT_JSON, {"unknown": 1}),
    ],
)
def test_only_the_variant_without_a_defence_answers_what_it_stops(replicas, defence, change):
    def status(one):
        return one.client.post(INFER, content=tensor(**change), headers=JSON).status_code

    answered = {name for name, one in replicas.items() if status(one) == 200}
    assert answered == {defence, "open"}


def test_only_the_variant_without_the_content_type_answers_a_form(replicas):
    headers = {"content-type": "text/plain"}
    answered = {
        name
        for name, one in replicas.items()
        if one.client.post(INFER, content=tensor(), headers=headers).status_code == 200
    }
    assert answered == {Defence.CONTENT_TYPE, "open"}


def test_the_open_service_breaks_on_deep_json_and_tells_its_code(replicas):
    reply = replicas["open"].client.post(INFER, content=b"[" * 100_000, headers=JSON)
    assert reply.status_code == 500
    assert "RecursionError" in json.loads(reply.text)["error"]


def test_without_room_for_its_log_a_replica_answers_nothing_and_says_so(intact):
    once, limit = Tensor.of("images", IMAGE), resource.RLIMIT_FSIZE
    assert intact.infer(once).status_code == 200
    lines, pid = intact.log(), intact.process.pid
    size = intact.settings.audit.stat().st_size
    before = resource.prlimit(pid, limit)
    resource.prlimit(pid, limit, (size + 10, before[1]))  # as on a disk with 10 bytes left
    try:
        reply = intact.infer(once)
        assert (reply.status_code, "cannot be logged" in reply.text) == (503, True)
        assert intact.client.get("/nothing").status_code == 503
        assert intact.log() == lines  # and no half line
        page = intact.client.get("/metrics").text
        assert 'datahall_requests_total{code="503",reason="no_log"}' in page
    finally:
        resource.prlimit(pid, limit, before)
    assert intact.infer(once).status_code == 200
    assert first_altered(intact.log()) is None
