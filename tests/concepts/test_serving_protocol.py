"""The protocol as data: what is written can be read again, and says what the standard says."""

from __future__ import annotations

import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from datahall.errors import ParameterError
from datahall.serving.defences import ALL, FACTS, LEVELS, PLACES, Defence, Defences
from datahall.serving.protocol import (
    DATATYPES,
    JSON_LENGTH_HEADER,
    InferResponse,
    Tensor,
    TensorSpec,
    decode_response,
    encode_request,
    encode_response,
    model_path,
)

SHAPES = arrays.array_shapes(max_dims=3, max_side=4)
ARRAYS = st.sampled_from(list(DATATYPES.values())).flatmap(
    lambda dtype: arrays.arrays(
        dtype, SHAPES, elements={"allow_nan": False, "allow_infinity": False}
        if dtype.kind == "f" else None,
    )
)  # fmt: skip


@given(ARRAYS, st.booleans())
def test_a_response_that_was_written_is_read_as_it_was(array, binary):
    sent = InferResponse("m", "3", (Tensor.of("x", array),), "an id")
    message = encode_response(sent, binary=frozenset({"x"}) if binary else frozenset())
    found = decode_response(message.body, message.headers)
    assert (found.model, found.version, found.id) == ("m", "3", "an id")
    np.testing.assert_array_equal(found.outputs[0].array, array)
    assert found.outputs[0].array.dtype == array.dtype


def test_a_request_in_json_is_plain_json_with_flat_data():
    array = np.arange(4, dtype=np.uint8).reshape(2, 2)
    message = encode_request([Tensor.of("x", array)], id="7", outputs=["y"])
    assert json.loads(message.body) == {
        "id": "7",
        "inputs": [{"name": "x", "datatype": "UINT8", "shape": [2, 2], "data": [0, 1, 2, 3]}],
        "outputs": [{"name": "y"}],
    }
    assert message.headers == {"content-type": "application/json"}


def test_a_binary_request_says_where_its_json_ends():
    array = np.arange(4, dtype="<i2")
    message = encode_request([Tensor.of("x", array)], binary=True)
    length = int(message.headers[JSON_LENGTH_HEADER])
    head = orjson.loads(message.body[:length])
    assert head["inputs"][0]["parameters"] == {"binary_data_size": 8}
    assert message.body[length:] == array.tobytes()


def test_an_answer_of_another_protocol_is_refused():
    with pytest.raises(ParameterError, match="Open Inference Protocol"):
        decode_response(b'{"predictions": [1]}', {})


@pytest.mark.parametrize("shape", [(), (-2, 3), (3, -1), (3, 0)])
def test_a_spec_refuses_a_shape_that_cannot_be(shape):
    with pytest.raises(ParameterError, match="Shape"):
        TensorSpec("x", "UINT8", shape)


def test_a_spec_refuses_text():
    with pytest.raises(ParameterError, match="BYTES"):
        TensorSpec("x", "BYTES", (1,))


def test_a_spec_is_read_from_what_it_has_written():
    spec = TensorSpec("x", "FP32", (-1, 3), low=0, max_batch=5)
    assert TensorSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_paths_are_those_of_the_standard():
    assert model_path("a") == "/v2/models/a"
    assert model_path("a", 3, "infer") == "/v2/models/a/versions/3/infer"


def test_every_defence_says_where_it_stands_and_what_it_stops():
    assert set(FACTS) == set(Defence)
    for one in Defence:
        assert one.place in PLACES
        assert one.stops.endswith(".")
        assert one.labels[0].startswith("ASVS 5.0 V")


def test_a_level_has_all_that_the_level_below_has():
    assert LEVELS["open"].on < LEVELS["half"].on < LEVELS["hardened"].on
    assert LEVELS["hardened"] == ALL


def test_defences_travel_by_their_names():
    some = ALL.without(Defence.TLS, Defence.REPLAY)
    assert Defences.of(some.names()) == some
    with pytest.raises(ValueError, match="moat"):
        Defences.of(["moat"])
