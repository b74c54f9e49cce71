"""The app keeps its contract for whatever comes, and other people's clients understand it."""

from __future__ import annotations

import socket
import subprocess
import sys

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from datahall import datasets
from datahall.serving import repository

from .replicas import NAME, running, settings_of

pytestmark = pytest.mark.processes

WRONG = schemathesis.GenerationMode.NEGATIVE
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


@pytest.fixture(scope="module")
def replica(tmp_path_factory, tflite, authority_here):
    """Return a replica with all defences."""
    models = tmp_path_factory.mktemp("contract") / "models"
    repository.publish(tflite, models, NAME, 1, authority_here, labels=list("0123456789"))
    with running(settings_of(models, authority_here.root_pem)) as found:
        yield found["intact"]


def test_the_contract_names_every_path_and_what_it_answers(replica):
    paths = replica.client.get("/openapi.json").json()["paths"]
    assert sorted(paths) == [
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/{name}",
        "/v2/models/{name}/infer",
        "/v2/models/{name}/ready",
        "/v2/models/{name}/versions/{version}",
        "/v2/models/{name}/versions/{version}/infer",
        "/v2/models/{name}/versions/{version}/ready",
    ]
    infer = paths["/v2/models/{name}/infer"]["post"]
    assert {"200", "400", "404", "409", "413", "415", "500"} <= set(infer["responses"])
    assert set(infer["requestBody"]["content"]) == {"application/json", "application/octet-stream"}


@pytest.fixture(scope="module")
def port(replica):
    """Return the port of the same app under plain uvicorn, as a client without Unix sockets wants.

    The listening socket is made here and handed down, so the port is known and open at once.
    """
    code = """
import asyncio, pathlib, socket, sys, uvicorn
from datahall.serving.app import build
from datahall.serving.settings import ServiceSettings
settings = ServiceSettings.load(pathlib.Path(sys.argv[1])).model_copy(update={"audit": None})
server = uvicorn.Server(uvicorn.Config(build(settings), lifespan="off", log_level="error"))
asyncio.run(server.serve(sockets=[socket.socket(fileno=int(sys.argv[2]))]))
"""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        command = [sys.executable, "-c", code, str(replica.file), str(number)]
        with subprocess.Popen(command, pass_fds=[number]) as process:
            yield listening.getsockname()[1]
            process.terminate()


@pytest.fixture
def client(port):
    """Return NVIDIA's client of the protocol."""
    with triton.InferenceServerClient(f"127.0.0.1:{port}", network_timeout=120) as made:
        yield made


def test_tritonclient_reads_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(NAME)
    assert client.is_model_ready(NAME, "1")
    assert not client.is_model_ready(NAME, "9")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    told = client.get_model_metadata(NAME)
    assert [one["name"] for one in told["outputs"]] == ["label", "scores"]
    assert told["parameters"] == {"labels": list("0123456789")}


@pytest.mark.parametrize("binary", [False, True])
def test_tritonclient_is_answered_in_json_and_in_binary(client, binary):
    test = datasets.load("mnist").test
    images, labels = test.images[:8][..., None], test.labels[:8]
    given = triton.InferInput("images", list(images.shape), "UINT8")
    given.set_data_from_numpy(np.ascontiguousarray(images), binary_data=binary)
    wanted = [triton.InferRequestedOutput(one, binary_data=binary) for one in ("label", "scores")]
    headers = None if binary else {"Content-Type": "application/json"}  # it says none by itself
    told = client.infer(NAME, [given], outputs=wanted, request_id="7", headers=headers)
    assert (told.as_numpy("label") == labels).mean() >= 0.75
    assert told.as_numpy("scores").shape == (8, 10)
    assert told.get_response()["id"] == "7"


def test_tritonclient_is_told_why_it_is_refused(client):
    given = triton.InferInput("images", [1, 784], "UINT8")
    given.set_data_from_numpy(np.zeros((1, 784), np.uint8))
    with pytest.raises(InferenceServerException, match="shape of images"):
        client.infer(NAME, [given])


MANY = pytest.param(400, marks=pytest.mark.slow)


@pytest.mark.parametrize("examples", [30, MANY])
def test_nothing_breaks_the_app_or_its_contract(replica, port, examples):
    contract = schemathesis.openapi.from_dict(replica.client.get("/openapi.json").json())
    seen = set()
    for found in contract.get_all_operations():
        operation = found.ok()
        cases = operation.as_strategy() | operation.as_strategy(generation_mode=WRONG)

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=cases, known=st.booleans())
        def ask(case, known):
            if known and case.path_parameters:  # else hardly a name is ours
                case.path_parameters |= {"name": NAME}
            reply = case.call(base_url=f"http://127.0.0.1:{port}")
            seen.add(reply.status_code)
            case.validate_response(reply, checks=CHECKS)

        ask()
    assert {200, 400, 404} <= seen
