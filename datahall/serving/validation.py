"""Positive validation: nothing reaches the model that was not expected, and said to be right.

`admit` judges one tensor of JSON; `read` judges a whole request, JSON or with raw bytes behind it.
Each check stands under the name of the `Defence` it is. Without that defence the code does what is
often found in its place, so that an attack can show the harm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from datahall.serving.defences import ALL, Defence, Defences
from datahall.serving.elements import array_of, carried, few, flat, in_range
from datahall.serving.protocol import (
    BINARY_TYPE,
    JSON_LENGTH_HEADER,
    JSON_TYPE,
    InferRequest,
    Refusal,
    RefusedError,
    TensorSpec,
    refuse,
)

REQUEST_FIELDS = frozenset({"id", "parameters", "inputs", "outputs"})
TENSOR_FIELDS = frozenset({"name", "datatype", "shape", "data", "parameters"})
OUTPUT_FIELDS = frozenset({"name", "parameters"})


@dataclass(frozen=True)
class RequestLimits:
    """How much one request may be.

    Args:
        body_bytes: Longest body, in bytes.
        id_letters: Longest id, in letters.
    """

    body_bytes: int = 256 * 1024
    id_letters: int = 128


def admit(
    tensor: Mapping[str, Any], spec: TensorSpec, *, defences: Defences = ALL
) -> NDArray[Any] | Refusal:
    """Return the array of one decoded JSON tensor, or why there is none.

    Args:
        tensor: What JSON gave: `name`, `datatype`, `shape`, `data` (flat in row order, or nested).
        spec: What the model takes.
        defences: The checks that are made.

    Returns:
        The array (batch, ...) of the spec's shape and datatype, or the refusal.

    Example:
        >>> spec = TensorSpec("x", "UINT8", (-1, 2), 0, 255, max_batch=1)
        >>> good = {"name": "x", "datatype": "UINT8", "shape": [1, 2], "data": [3, 4]}
        >>> admit(good, spec).tolist()
        [[3, 4]]
        >>> admit(good | {"data": [3, 256]}, spec).reason
        'out_of_range'
        >>> admit(good | {"shape": [2, 1]}, spec).reason
        'wrong_shape'
    """
    try:
        if type(tensor) is not dict:
            refuse(400, "wrong_type", "An input is a JSON object.")
        _known(tensor, TENSOR_FIELDS, defences)
        if tensor.get("parameters"):
            refuse(400, "unknown_field", "Tensor data in JSON takes no parameters.")
        if tensor.get("name") != spec.name:
            refuse(400, "unknown_tensor", f"The model takes the tensor {spec.name}.")
        shape = _shape(tensor, spec, defences)
        if "data" not in tensor:
            refuse(400, "missing_field", "The tensor has no data.")
        return array_of(flat(tensor["data"], shape), shape, spec, defences)
    except RefusedError as error:
        return error.refusal


def read(
    body: bytes,
    headers: Mapping[str, str],
    specs: Sequence[TensorSpec],
    limits: RequestLimits,
    *,
    gives: Collection[str] | None = None,
    defences: Defences = ALL,
    scratch: bytearray | None = None,
) -> InferRequest:
    """Read a whole request.

    Args:
        body: All its bytes.
        headers: Its headers, names in small letters.
        specs: The tensors that the model takes; each must come once, and no other.
        limits: How much a request may be.
        gives: Names of the tensors that the model gives; None is not judged.
        defences: The checks that are made.
        scratch: Bytes that are kept from request to request; only a service without
            `Defence.SIZE_ADDS_UP` uses them.

    Raises:
        RefusedError: It is not answered; the error carries the refusal.
    """
    if len(body) > limits.body_bytes:
        refuse(413, "too_large", "The body is too large.")
    length = _json_length(body, headers, defences)
    text = body if length is None else body[:length]
    head = parse(text, defences)
    _known(head, REQUEST_FIELDS, defences)
    given = head.get("inputs")
    if type(given) is not list or len(given) != len(specs):
        refuse(400, "wrong_inputs", f"The model takes {len(specs)} input tensor(s).")
    tail = memoryview(b"" if length is None else body)[length or 0 :]
    inputs: dict[str, NDArray[Any]] = {}
    keys = len(head)
    for tensor in given:
        spec = _spec(tensor, specs)
        keys += len(tensor) + len(tensor.get("parameters") or ())
        if _is_raw(tensor):
            array, tail = _raw(tensor, tail, spec, defences, scratch)
        else:
            array = _admitted(tensor, spec, defences)
        inputs[spec.name] = array
    if len(inputs) != len(specs):
        refuse(400, "wrong_inputs", "An input tensor comes twice.")
    if len(tail) and Defence.SIZE_ADDS_UP in defences:
        refuse(400, "wrong_size", "There are bytes behind the last tensor.")
    request = _request(head, inputs, limits, gives, defences)
    if Defence.STRICT_JSON in defences:
        _keys_once(text, head, keys)
    return request


def parse(text: bytes, defences: Defences = ALL) -> dict[str, Any]:
    """Return the JSON object that a text is.

    Args:
        text: UTF-8.
        defences: Without `Defence.STRICT_JSON` the standard library reads it, with all that it
            lets pass: NaN, Infinity, keys that come twice.

    Raises:
        RefusedError: It is no JSON object.

    Example:
        >>> parse(b'{"a": [1, 2]}')
        {'a': [1, 2]}
    """
    try:
        found = orjson.loads(text) if Defence.STRICT_JSON in defences else json.loads(text)
    except ValueError as error:
        if "depth" in str(error):  # orjson stops at 1024
            refuse(400, "too_deep", "The JSON is nested too deeply.")
        if re.search(rb"\b(NaN|Infinity)\b", text):
            refuse(400, "not_finite", "NaN and Infinity are no JSON.")
        refuse(400, "bad_json", "The body is no JSON.")
    if type(found) is not dict:
        refuse(400, "wrong_type", "The body is no JSON object.")
    return found


def _json_length(body: bytes, headers: Mapping[str, str], defences: Defences) -> int | None:
    """Return how many bytes of the body are JSON; None if all are. Judges the content's type."""
    said = headers.get(JSON_LENGTH_HEADER)
    if Defence.CONTENT_TYPE in defences:
        kind = headers.get("content-type", "" if said is None else BINARY_TYPE)
        kind = kind.partition(";")[0].strip().lower()
        if kind != JSON_TYPE and (said is None or kind != BINARY_TYPE):
            refuse(415, "wrong_content_type", f"The content type is {JSON_TYPE}.")
        if headers.get("content-encoding", "identity").lower() != "identity":
            refuse(415, "wrong_encoding", "A compressed body is not read.")
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 10 and int(said) <= len(body)):
        refuse(400, "wrong_size", "The length of the JSON does not fit the body.")
    return int(said)


def _known(given: Mapping[str, Any], fields: frozenset[str], defences: Defences) -> None:
    if not given.keys() <= fields and Defence.STRICT_JSON in defences:
        refuse(400, "unknown_field", "There is a field that the protocol does not have.")


def _spec(tensor: Any, specs: Sequence[TensorSpec]) -> TensorSpec:
    if type(tensor) is not dict:
        refuse(400, "wrong_type", "An input is a JSON object.")
    if type(tensor.get("parameters", {})) is not dict:
        refuse(400, "wrong_type", "Parameters are a JSON object.")
    name = tensor.get("name")
    for spec in specs:
        if spec.name == name:
            return spec
    refuse(400, "unknown_tensor", f"The model takes {', '.join(spec.name for spec in specs)}.")


def _admitted(tensor: Mapping[str, Any], spec: TensorSpec, defences: Defences) -> NDArray[Any]:
    array = admit(tensor, spec, defences=defences)
    if isinstance(array, Refusal):
        raise RefusedError(array)
    return array


def _shape(tensor: Mapping[str, Any], spec: TensorSpec, defences: Defences) -> list[int]:
    """Return the shape that the caller says, judged with the datatype that he says."""
    if Defence.DATATYPE in defences and tensor.get("datatype") != spec.datatype:
        refuse(400, "wrong_datatype", f"The tensor {spec.name} is {spec.datatype}.")
    shape = tensor.get("shape")
    if type(shape) is not list or len(shape) > 8 or not all(type(size) is int for size in shape):
        refuse(400, "wrong_shape", "The shape is a list of whole numbers.")
    if Defence.EXACT_SHAPE in defences and not spec.fits(shape):
        refuse(400, "wrong_shape", f"The shape of {spec.name} is {list(spec.shape)}.")
    few(shape[0] if shape else 0, spec, defences)
    return shape


def _is_raw(tensor: Mapping[str, Any]) -> bool:
    return "binary_data_size" in (tensor.get("parameters") or ())


def _raw(
    tensor: Mapping[str, Any],
    tail: memoryview,
    spec: TensorSpec,
    defences: Defences,
    scratch: bytearray | None,
) -> tuple[NDArray[Any], memoryview]:
    """Return the tensor whose bytes come next, and what is left behind it."""
    _known(tensor, TENSOR_FIELDS, defences)
    _known(tensor["parameters"], frozenset({"binary_data_size"}), defences)
    if "data" in tensor and Defence.STRICT_JSON in defences:
        refuse(400, "wrong_size", "A tensor comes as JSON or as bytes, not as both.")
    size = tensor["parameters"]["binary_data_size"]
    if type(size) is not int or size < 0:
        refuse(400, "wrong_size", "The size of the bytes is a whole number.")
    shape = _shape(tensor, spec, defences)
    exact = Defence.EXACT_SHAPE in defences
    many = shape[0] if exact else max(1, size // (spec.elements * spec.dtype.itemsize))
    few(many, spec, defences)
    want = many * spec.elements * spec.dtype.itemsize
    if Defence.SIZE_ADDS_UP in defences:
        if size != want or size > len(tail):
            refuse(400, "wrong_size", "The sizes of the tensors do not add up to the body.")
        values = np.frombuffer(tail[:size], spec.dtype)
    else:
        values = np.frombuffer(carried(tail[:want], want, scratch), spec.dtype)
    if Defence.VALUE_RANGE in defences:
        values = in_range(values, spec)
    return values.reshape(many, *spec.shape[1:]), tail[size:]


def _request(
    head: Mapping[str, Any],
    inputs: Mapping[str, NDArray[Any]],
    limits: RequestLimits,
    gives: Collection[str] | None,
    defences: Defences,
) -> InferRequest:
    name = head.get("id")
    if name is not None and (type(name) is not str or len(name) > limits.id_letters):
        refuse(400, "wrong_id", f"The id is a text of at most {limits.id_letters} letters.")
    by_default = _flag(head, "binary_data_output", False, defences)
    if head.get("outputs") is None:
        return InferRequest(inputs, name, None, frozenset(gives or ()) if by_default else _NOTHING)
    wanted, raw = [], set()
    if type(head["outputs"]) is not list or len(head["outputs"]) > 16:
        refuse(400, "wrong_outputs", "The outputs are a list of JSON objects.")
    for one in head["outputs"]:
        if type(one) is not dict or type(one.get("name")) is not str or one["name"] in wanted:
            refuse(400, "wrong_outputs", "An output is a JSON object with a name, and comes once.")
        _known(one, OUTPUT_FIELDS, defences)
        if gives is not None and one["name"] not in gives:
            refuse(400, "unknown_tensor", f"The model gives {', '.join(gives)}.")
        wanted.append(one["name"])
        if _flag(one, "binary_data", by_default, defences):
            raw.add(one["name"])
    return InferRequest(inputs, name, tuple(wanted) or None, frozenset(raw))


_NOTHING: frozenset[str] = frozenset()


def _flag(given: Mapping[str, Any], name: str, default: bool, defences: Defences) -> bool:
    parameters = given.get("parameters")
    if parameters is None:
        return default
    if type(parameters) is not dict:
        refuse(400, "wrong_type", "Parameters are a JSON object.")
    _known(parameters, frozenset({name}), defences)
    value = parameters.get(name, default)
    if type(value) is not bool:
        refuse(400, "wrong_type", "A parameter is true or false.")
    return value


def _keys_once(text: bytes, head: Mapping[str, Any], keys: int) -> None:
    """Refuse a key that comes twice; two readers of it would read two requests.

    The parser keeps the last one and says nothing. Each key brings one colon, and without escapes
    no string hides or adds one: as many colons as keys that were read mean that none was lost. Only
    otherwise the text is read again, slowly, by a reader that sees every key.
    """
    keys += len(head.get("parameters") or ())
    for one in head.get("outputs") or ():
        keys += len(one) + len(one.get("parameters") or ())
    if text.count(b":") == keys and b"\\" not in text:
        return
    try:
        json.loads(text, object_pairs_hook=_pairs_once)
    except RecursionError:
        refuse(400, "too_deep", "The JSON is nested too deeply.")


def _pairs_once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        refuse(400, "duplicate_key", "A field comes twice.")
