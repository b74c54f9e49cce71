"""What reaches the model is what was expected; all else is refused, and by its right word."""

from __future__ import annotations

import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall.serving.defences import ALL, Defence
from datahall.serving.protocol import (
    Refusal,
    RefusedError,
    Tensor,
    TensorSpec,
    encode_request,
)
from datahall.serving.validation import RequestLimits, admit, read

SPEC = TensorSpec("x", "UINT8", (-1, 2, 3), 0, 255, max_batch=2)
GOOD = {"name": "x", "datatype": "UINT8", "shape": [1, 2, 3], "data": [0, 1, 2, 3, 4, 255]}
JSON = {"content-type": "application/json"}
LIMITS = RequestLimits(body_bytes=4000, id_letters=16)
SIX = np.array([[[0, 1, 2], [3, 4, 255]]], np.uint8)


def without(tensor, name):
    return {key: value for key, value in tensor.items() if key != name}


def judged(body, headers=JSON, defences=ALL, specs=(SPEC,), **more):
    """Return the inputs of a request, or the reason of its refusal."""
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    try:
        return read(text, headers, specs, LIMITS, gives=("y", "z"), defences=defences, **more)
    except RefusedError as error:
        assert 400 <= error.refusal.status < 500
        return error.refusal.reason


def test_a_good_tensor_is_admitted_flat_or_nested():
    np.testing.assert_array_equal(admit(GOOD, SPEC), SIX)
    np.testing.assert_array_equal(admit(GOOD | {"data": SIX.tolist()}, SPEC), SIX)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "y"}, "unknown_tensor"),
        ({"datatype": "FP32"}, "wrong_datatype"),
        ({"datatype": None}, "wrong_datatype"),
        ({"shape": [1, 3, 2]}, "wrong_shape"),
        ({"shape": [1, 6]}, "wrong_shape"),
        ({"shape": [0, 2, 3], "data": []}, "wrong_shape"),
        ({"shape": [-1, 2, 3]}, "wrong_shape"),
        ({"shape": [True, 2, 3]}, "wrong_shape"),
        ({"shape": [1.0, 2, 3]}, "wrong_shape"),
        ({"shape": "1,2,3"}, "wrong_shape"),
        ({"shape": {}}, "wrong_shape"),
        ({"shape": [2**63, 2, 3]}, "too_many"),
        ({"shape": [3, 2, 3], "data": [0] * 18}, "too_many"),
        ({"shape": [2, 2, 3]}, "wrong_size"),
        ({"data": [0] * 5}, "wrong_size"),
        ({"data": []}, "wrong_size"),
        ({"data": [0, 0, 0, 0, 0, 256]}, "out_of_range"),
        ({"data": [0, 0, 0, 0, 0, -1]}, "out_of_range"),
        ({"data": [0, 0, 0, 0, 0, 2**63]}, "out_of_range"),
        ({"data": [0, 0, 0, 0, 0, 1.5]}, "wrong_value"),
        ({"data": [0, 0, 0, 0, 0, 1.0]}, "wrong_value"),
        ({"data": [0, 0, 0, 0, 0, True]}, "wrong_value"),
        ({"data": [0, 0, 0, 0, 0, "1"]}, "wrong_value"),
        ({"data": [0, 0, 0, 0, 0, None]}, "wrong_value"),
        ({"data": [0, 0, 0, 0, 0, [1]]}, "wrong_value"),
        ({"data": "AAAAAA"}, "wrong_type"),
        ({"data": {"0": 1}}, "wrong_type"),
        ({"data": [[0, 1, 2], [3, 4, 5]]}, "wrong_shape"),
        ({"data": [[[0, 1], [2, 3], [4, 5]]]}, "wrong_shape"),
        ({"data": [[[0, 1, 2], "345"]]}, "wrong_shape"),
        ({"pixels": 1}, "unknown_field"),
        ({"parameters": {"binary_data_size": 6}}, "unknown_field"),
    ],
)
def test_a_tensor_that_is_not_right_is_refused_by_its_word(change, reason):
    found = admit(GOOD | change, SPEC)
    assert isinstance(found, Refusal)
    assert (found.status, found.reason) == (400, reason)


def test_floats_are_admitted_where_floats_are_wanted_and_only_finite_ones():
    spec = TensorSpec("x", "FP32", (2,), -1, 1)
    tensor = {"name": "x", "datatype": "FP32", "shape": [2]}
    np.testing.assert_array_equal(admit(tensor | {"data": [0.5, 1]}, spec), [0.5, 1])
    assert admit(tensor | {"data": [0.5, 1e300]}, spec).reason == "not_finite"
    assert admit(tensor | {"data": [0.5, 1.5]}, spec).reason == "out_of_range"
    assert admit(tensor | {"data": [0.5, True]}, spec).reason == "wrong_value"


def test_a_refusal_tells_nothing_of_what_came():
    said = "something-of-the-caller"
    found = admit(GOOD | {"name": said}, SPEC)
    assert said not in found.says
    assert judged({"inputs": [GOOD], said: 1}) == "unknown_field"


@pytest.mark.parametrize("binary", [False, True])
def test_a_request_is_read_as_it_was_written(binary):
    both = np.concatenate([SIX, 255 - SIX])
    message = encode_request([Tensor.of("x", both)], id="a: b", binary=binary, outputs=["z"])
    request = judged(message.body, message.headers)
    np.testing.assert_array_equal(request.inputs["x"], both)
    assert (request.id, request.outputs) == ("a: b", ("z",))
    assert request.binary == (frozenset({"z"}) if binary else frozenset())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad_json"),
        (b"hello", "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (b'{"inputs": [NaN]}', "not_finite"),
        (b'{"inputs": [-Infinity]}', "not_finite"),
        (b"[" * 1500 + b"]" * 1500, "too_deep"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (b"x" * 4001, "too_large"),
        ({}, "wrong_inputs"),
        ({"inputs": {}}, "wrong_inputs"),
        ({"inputs": []}, "wrong_inputs"),
        ({"inputs": [GOOD, GOOD]}, "wrong_inputs"),
        ({"inputs": ["x"]}, "wrong_type"),
        ({"inputs": [without(GOOD, "data")]}, "missing_field"),
        ({"inputs": [without(GOOD, "name")]}, "unknown_tensor"),
        ({"inputs": [GOOD | {"parameters": 3}]}, "wrong_type"),
        ({"inputs": [GOOD | {"parameters": {"a": 1}}]}, "unknown_field"),
        ({"inputs": [GOOD], "extra": 1}, "unknown_field"),
        ({"inputs": [GOOD], "id": 5}, "wrong_id"),
        ({"inputs": [GOOD], "id": "x" * 17}, "wrong_id"),
        ({"inputs": [GOOD], "parameters": []}, "wrong_type"),
        ({"inputs": [GOOD], "parameters": {"binary_data_output": 1}}, "wrong_type"),
        ({"inputs": [GOOD], "parameters": {"priority": 1}}, "unknown_field"),
        ({"inputs": [GOOD], "outputs": "y"}, "wrong_outputs"),
        ({"inputs": [GOOD], "outputs": ["y"]}, "wrong_outputs"),
        ({"inputs": [GOOD], "outputs": [{"name": "w"}]}, "unknown_tensor"),
        ({"inputs": [GOOD], "outputs": [{"name": "y"}, {"name": "y"}]}, "wrong_outputs"),
        ({"inputs": [GOOD], "outputs": [{"name": "y", "data": 1}]}, "unknown_field"),
    ],
)
def test_a_request_that_is_not_right_is_refused_by_its_word(body, reason):
    assert judged(body) == reason


@pytest.mark.parametrize(
    "text",
    [
        b'{"inputs":[%b],"inputs":[%b]}',
        b'{"id":"a","inputs":[%b],"id":"b"}',
        b'{"id":"a:b","inputs":[%b],"id":"b"}',
        b'{"id":"x","inputs":[%b],"i\\u0064":"\\u003a"}',
        b'{"inputs":[%b],"parameters":{"binary_data_output":true,"binary_data_output":false}}',
    ],
)
def test_a_key_that_comes_twice_is_refused_however_it_is_written(text):
    one = orjson.dumps(GOOD)
    assert judged(text.replace(b"%b", one)) == "duplicate_key"


def test_a_key_that_comes_twice_inside_a_tensor_is_refused():
    text = orjson.dumps({"inputs": [GOOD]}).replace(b'"shape"', b'"shape":[1,6],"shape"')
    assert judged(text) == "duplicate_key"


@pytest.mark.parametrize("name", ["a:b:c", 'q"', "back\\slash", "λ", "\n", '":"'])
def test_colons_quotes_and_escapes_in_an_id_are_no_second_key(name):
    assert judged(json.dumps({"id": name, "inputs": [GOOD]}).encode()).id == name


def raw(size=6, tail=bytes(6), **change):
    """Return body and headers of a binary request."""
    tensor = without(GOOD, "data") | {"parameters": {"binary_data_size": size}} | change
    text = orjson.dumps({"inputs": [tensor]})
    return text + tail, {"inference-header-content-length": str(len(text))}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        raw(size=5, tail=bytes(5)),
        raw(size=6, tail=bytes(5)),
        raw(size=6, tail=bytes(7)),
        raw(size=7, tail=bytes(7)),
        raw(size=0, tail=b""),
        raw(size=-6),
        raw(size=6.0),
        raw(size=True),
        raw(size=2**62),
        raw(shape=[2, 2, 3]),
        raw(data=[0] * 6),
    ],
)
def test_a_binary_tensor_whose_sizes_do_not_add_up_is_refused(body, headers):
    assert judged(body, headers) == "wrong_size"


@pytest.mark.parametrize("said", ["-1", "1e3", "", "99999", "0x10", "²", " 5", "9" * 5000])
def test_a_length_of_the_json_that_cannot_be_is_refused(said):
    body, _ = raw()
    assert judged(body, {"inference-header-content-length": said}) == "wrong_size"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/octet-stream"},
    ],
)
def test_another_kind_of_body_is_refused(headers):
    assert judged({"inputs": [GOOD]}, headers) == "wrong_content_type"


def test_a_compressed_body_is_refused():
    assert judged({"inputs": [GOOD]}, JSON | {"content-encoding": "gzip"}) == "wrong_encoding"


def test_json_with_its_character_set_is_read():
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert judged({"inputs": [GOOD]}, headers).inputs["x"].shape == (1, 2, 3)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text('ab\\":\n', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*GOOD, "parameters", "binary_data_size"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["id", "inputs", "outputs", "parameters"]), ANYTHING))
def test_whatever_json_comes_is_read_or_refused(head):
    try:
        body = orjson.dumps(head)
    except TypeError:  # an integer that orjson does not write
        body = json.dumps(head).encode()
    assert isinstance(judged(body), str)


@given(st.sampled_from(sorted(GOOD)), ANYTHING)
def test_whatever_stands_in_a_tensor_is_admitted_or_refused(field, value):
    found = admit(GOOD | {field: value}, SPEC)
    assert isinstance(found, Refusal) or found.dtype == np.uint8


@given(st.binary(max_size=60))
def test_whatever_bytes_come_are_read_or_refused(body):
    assert isinstance(judged(body), str)
    assert isinstance(judged(body, {"inference-header-content-length": "10"}), str)


def lacking(defence, body, headers=JSON, **more):
    """Return what the reader without one defence makes of a request; with it, it is refused."""
    assert isinstance(judged(body, headers), str)
    return judged(body, headers, ALL.without(defence), **more)


def test_without_the_shape_elements_are_taken_in_any_order():
    found = lacking(Defence.EXACT_SHAPE, {"inputs": [GOOD | {"shape": [1, 3, 2]}]})
    np.testing.assert_array_equal(found.inputs["x"], SIX)


def test_without_the_shape_the_batch_is_still_limited():
    many = {"inputs": [GOOD | {"shape": [1], "data": [0] * 18}]}
    assert lacking(Defence.EXACT_SHAPE, many) == "too_many"


def test_without_the_datatype_halves_are_cut_off():
    change = {"datatype": "FP32", "data": [0, 1.9, 2, 3, 4, 255]}
    found = lacking(Defence.DATATYPE, {"inputs": [GOOD | change]})
    np.testing.assert_array_equal(found.inputs["x"], SIX)


def test_without_the_range_values_wrap_round():
    found = lacking(Defence.VALUE_RANGE, {"inputs": [GOOD | {"data": [256, 257, 2, 3, 4, -1]}]})
    np.testing.assert_array_equal(found.inputs["x"], SIX)


def test_without_the_batch_limit_any_number_is_read():
    many = GOOD | {"shape": [9, 2, 3], "data": [0] * 54}
    assert lacking(Defence.BATCH_LIMIT, {"inputs": [many]}).inputs["x"].shape == (9, 2, 3)


def test_without_strict_json_a_second_key_wins_and_nan_is_read():
    text = orjson.dumps({"inputs": [GOOD]})[:-1] + b',"id":"a","id":"b","more":NaN}'
    assert lacking(Defence.STRICT_JSON, text).id == "b"


def test_without_the_content_type_a_form_is_read():
    found = lacking(Defence.CONTENT_TYPE, {"inputs": [GOOD]}, {"content-type": "text/plain"})
    np.testing.assert_array_equal(found.inputs["x"], SIX)


def test_without_the_sum_of_sizes_what_another_sent_is_read():
    scratch = bytearray()
    off = ALL.without(Defence.SIZE_ADDS_UP)
    judged(*raw(tail=b"SECRET"), defences=off, scratch=scratch)
    body, headers = raw(tail=b"")
    found = lacking(Defence.SIZE_ADDS_UP, body, headers, scratch=scratch)
    assert found.inputs["x"].tobytes() == b"SECRET"
