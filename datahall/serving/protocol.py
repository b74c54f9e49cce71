"""The Open Inference Protocol, version 2, as plain data: tensors, requests, responses, paths.

Nothing here opens a socket or trusts a byte. Reading order: `TensorSpec` (what a model wants),
`Tensor` and `InferRequest` (what a caller sends), `InferResponse` (what comes back), `Refusal`
(why nothing came back). A message is JSON; with the binary tensor extension the JSON is followed by
the raw bytes of the tensors, and a header tells where the JSON ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NoReturn

import numpy as np
import orjson
from numpy.typing import NDArray

from datahall.errors import CourseError, ParameterError

JSON_LENGTH_HEADER = "inference-header-content-length"
JSON_TYPE = "application/json"
BINARY_TYPE = "application/octet-stream"
PREFIX = "/v2"
# Name in the protocol -> NumPy's; BYTES (text) is left out: no model here takes it.
DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered.

    Args:
        status: The HTTP status, 400 to 499, or 503.
        reason: A short word for machines: `wrong_shape`.
        says: A short sentence for people, without any of the input and without a secret.
    """

    status: int
    reason: str
    says: str


class RefusedError(CourseError):
    """A request that is not answered; carries the `Refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.says)
        self.refusal = refusal


def refuse(status: int, reason: str, says: str) -> NoReturn:
    """Stop here with a refusal.

    Args:
        status: The HTTP status.
        reason: A short word for machines.
        says: A short sentence for people.

    Raises:
        RefusedError: Always.
    """
    raise RefusedError(Refusal(status, reason, says))


@dataclass(frozen=True)
class TensorSpec:
    """What a model takes or gives under one name.

    Args:
        name: Name of the tensor.
        datatype: The protocol's word: `UINT8`.
        shape: Sizes of the axes; -1 is any batch, in the first place only.
        low: Least value that is allowed.
        high: Greatest value that is allowed.
        max_batch: Most examples of one request, where the batch is free.

    Example:
        >>> spec = TensorSpec("images", "UINT8", (-1, 28, 28, 1), 0, 255, max_batch=32)
        >>> spec.elements, spec.fits([2, 28, 28, 1]), spec.fits([2, 784])
        (784, True, False)
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    max_batch: int = 32
    dtype: np.dtype[Any] = field(init=False, repr=False, compare=False)
    elements: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a datatype or a shape that the protocol or this course does not know."""
        if self.datatype not in DATATYPES:
            raise ParameterError(
                f"Datatype {self.datatype!r} of tensor {self.name!r}. Known: {', '.join(DATATYPES)}"
                ". Choose one of these."
            )
        if not self.shape or any(size < 1 for size in self.shape[1:]) or self.shape[0] < -1:
            raise ParameterError(
                f"Shape {self.shape} of tensor {self.name!r}. Sizes are 1 or more; -1 (any batch) "
                "only in the first place. Give the shape of one example behind the batch."
            )
        object.__setattr__(self, "dtype", DATATYPES[self.datatype])
        object.__setattr__(self, "elements", prod(self.shape[1:]))

    @property
    def free_batch(self) -> bool:
        """Whether the first axis may have any size."""
        return self.shape[0] == -1

    def fits(self, shape: Sequence[int]) -> bool:
        """Tell whether a shape is one of this tensor's; the size of the batch is not judged.

        Args:
            shape: Sizes of the axes, in order.
        """
        if len(shape) != len(self.shape):
            return False
        if tuple(shape[1:]) != self.shape[1:]:
            return False
        return shape[0] >= 1 if self.free_batch else shape[0] == self.shape[0]

    def metadata(self) -> dict[str, Any]:
        """Return what the protocol's model metadata says of it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, for a file; `from_dict` reads it."""
        more = {"low": self.low, "high": self.high, "max_batch": self.max_batch}
        return self.metadata() | more

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> TensorSpec:
        """Return what `to_dict` has written."""
        return cls(**{**given, "shape": tuple(given["shape"])})


@dataclass(frozen=True)
class Tensor:
    """A named array (axes as its `TensorSpec` says) and the word the protocol has for its type."""

    name: str
    datatype: str
    array: NDArray[Any]

    @classmethod
    def of(cls, name: str, array: NDArray[Any]) -> Tensor:
        """Name an array; the protocol's datatype follows from its own.

        Args:
            name: Name of the tensor.
            array: Any shape.

        Raises:
            ParameterError: The protocol has no word for its type.

        Example:
            >>> Tensor.of("label", np.array([7])).datatype
            'INT64'
        """
        for word, dtype in DATATYPES.items():
            if dtype == array.dtype:
                return cls(name, word, array)
        raise ParameterError(
            f"Tensor {name!r} has type {array.dtype}. The protocol has {', '.join(DATATYPES)}. "
            "Convert it with astype."
        )


@dataclass(frozen=True)
class InferRequest:
    """A request that was read: its tensors by name, its id, and how the answer is wanted.

    Args:
        inputs: The tensors by their names.
        id: The caller's own name for it; comes back in the answer.
        outputs: The names that are wanted, in order; None is all.
        binary: The names that are wanted as raw bytes.
    """

    inputs: Mapping[str, NDArray[Any]]
    id: str | None = None
    outputs: tuple[str, ...] | None = None
    binary: frozenset[str] = frozenset()


@dataclass(frozen=True)
class InferResponse:
    """An answer: the model, its version, and the tensors."""

    model: str
    version: str
    outputs: tuple[Tensor, ...]
    id: str | None = None


@dataclass(frozen=True)
class Message:
    """A body with the headers that tell what it is."""

    body: bytes
    headers: dict[str, str]


def encode_request(
    inputs: Sequence[Tensor],
    *,
    id: str | None = None,
    binary: bool = False,
    outputs: Sequence[str] | None = None,
) -> Message:
    r"""Return a request as bytes, as a caller sends it.

    Args:
        inputs: The tensors.
        id: The caller's own name for the request.
        binary: Send and want raw bytes in place of JSON numbers.
        outputs: Names of the tensors that are wanted; None is all.

    Example:
        >>> sent = encode_request([Tensor.of("x", np.array([[1, 2]], np.uint8))])
        >>> sent.body.decode()
        '{"inputs":[{"name":"x","datatype":"UINT8","shape":[1,2],"data":[1,2]}]}'
        >>> raw = encode_request([Tensor.of("x", np.array([[1, 2]], np.uint8))], binary=True)
        >>> raw.body[-2:], int(raw.headers["inference-header-content-length"]) == len(raw.body) - 2
        (b'\x01\x02', True)
    """
    head: dict[str, Any] = {"id": id} if id is not None else {}
    raw = frozenset(one.name for one in inputs) if binary else frozenset()
    described, tail = _described(inputs, raw)
    head["inputs"] = described
    if outputs is not None:
        wanted = {"parameters": {"binary_data": True}} if binary else {}
        head["outputs"] = [{"name": name} | wanted for name in outputs]
    elif binary:
        head["parameters"] = {"binary_data_output": True}
    return _message(head, tail)


def encode_response(response: InferResponse, *, binary: frozenset[str] = frozenset()) -> Message:
    """Return an answer as bytes.

    Args:
        response: The answer.
        binary: The names of the tensors that follow as raw bytes.
    """
    head: dict[str, Any] = {"model_name": response.model, "model_version": response.version}
    if response.id is not None:
        head["id"] = response.id
    head["outputs"], tail = _described(response.outputs, binary)
    return _message(head, tail)


def decode_response(body: bytes, headers: Mapping[str, str]) -> InferResponse:
    """Read an answer; for clients, that trust their server.

    Args:
        body: All bytes of it.
        headers: Its headers, with small letters.

    Raises:
        ParameterError: It is no answer of this protocol.
    """
    length = int(headers.get(JSON_LENGTH_HEADER, len(body)))
    try:
        head = orjson.loads(body[:length])
        outputs, at = [], length
        for one in head["outputs"]:
            dtype, shape = DATATYPES[one["datatype"]], tuple(one["shape"])
            size = one.get("parameters", {}).get("binary_data_size")
            if size is None:
                array = np.array(one["data"], dtype).reshape(shape)
            else:
                array = np.frombuffer(body[at : at + size], dtype).reshape(shape)
                at += size
            outputs.append(Tensor(one["name"], one["datatype"], array))
        name, version = head["model_name"], head.get("model_version", "")
        return InferResponse(name, version, tuple(outputs), head.get("id"))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ParameterError(
            f"The answer is not of the Open Inference Protocol ({type(error).__name__}). Expected "
            "model_name and outputs. Ask a /v2/models/NAME/infer address."
        ) from error


def _described(
    tensors: Sequence[Tensor], binary: frozenset[str]
) -> tuple[list[dict[str, Any]], list[bytes]]:
    described, tail = [], []
    for one in tensors:
        said: dict[str, Any] = {
            "name": one.name,
            "datatype": one.datatype,
            "shape": list(one.array.shape),
        }
        if one.name in binary:
            raw = np.ascontiguousarray(one.array, DATATYPES[one.datatype]).tobytes()
            said["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            said["data"] = one.array.ravel()
        described.append(said)
    return described, tail


def _message(head: dict[str, Any], tail: list[bytes]) -> Message:
    text = orjson.dumps(head, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    if not tail:
        return Message(text, {"content-type": JSON_TYPE})
    headers = {"content-type": BINARY_TYPE, JSON_LENGTH_HEADER: str(len(text))}
    return Message(b"".join((text, *tail)), headers)


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):  # a type orjson has no writer for: FP16, not contiguous
        return value.tolist()
    raise TypeError(type(value).__name__)


def model_path(name: str, version: int | str | None = None, action: str = "") -> str:
    """Return the path of a model, of one version of it, or of something it does.

    Args:
        name: Name of the model.
        version: Its version; None is the current one.
        action: `infer`, `ready`, or nothing for its metadata.

    Example:
        >>> model_path("mnist_cnn", action="infer"), model_path("mnist_cnn", 2)
        ('/v2/models/mnist_cnn/infer', '/v2/models/mnist_cnn/versions/2')
    """
    parts = [PREFIX, "models", name]
    parts += [] if version is None else ["versions", str(version)]
    return "/".join([*parts, action] if action else parts)
