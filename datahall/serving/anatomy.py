"""A request taken apart: its line, its headers, its JSON, its raw bytes, and what is said to it.

`request_of` makes the bytes of a request, in order or changed in one place; `parts` takes bytes
apart; `verdict` is what the service's validation says of them. Nothing here opens a socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from datahall.errors import ParameterError
from datahall.serving import load, protocol, validation
from datahall.serving.protocol import RefusedError, Tensor, TensorSpec

FORMS = ("JSON", "binary")
LINE, HEADERS, TEXT, RAW = "request line", "headers", "JSON", "raw bytes"
MODEL = "mnist_cnn"
SPEC = TensorSpec("images", "UINT8", (-1, 28, 28, 1), 0, 255, max_batch=32)
_END, _BREAK = b"\r\n\r\n", b"\r\n"


def _pixel(value: object) -> Callable[[dict[str, Any]], None]:
    def change(tensor: dict[str, Any]) -> None:
        if "data" in tensor:
            tensor["data"][0] = value

    return change


def _field(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(tensor: dict[str, Any]) -> None:
        tensor[name] = value(tensor) if callable(value) else value

    return change


def _size_lies(tensor: dict[str, Any]) -> None:
    if "parameters" in tensor:
        tensor["parameters"]["binary_data_size"] += 1


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "nothing": lambda tensor: None,
    "a pixel of 256": _pixel(256),
    "a pixel of −1": _pixel(-1),
    "a pixel of true": _pixel(True),
    "a pixel of 0.5": _pixel(0.5),
    "one image more in the shape": _field(
        "shape", lambda tensor: [tensor["shape"][0] + 1, *tensor["shape"][1:]]
    ),
    "a negative shape": _field("shape", [-1, 28, 28, 1]),
    "another type": _field("datatype", "FP32"),
    "another name": _field("name", "pictures"),
    "a field too many": _field("shade", "dark"),
    "one raw byte more than there is": _size_lies,
}
"""What can be wrong with a tensor; the last concerns the binary form, the pixels the JSON one."""


def request_of(images: NDArray[np.uint8], form: str = "JSON", change: str = "nothing") -> bytes:
    """Return the bytes of an inference request, in order or changed in one place.

    Args:
        images: Pixels, (batch, height, width, channels).
        form: "JSON", or "binary" for raw bytes behind the JSON.
        change: One of `CHANGES`; what a form does not have stays as it is.

    Raises:
        ParameterError: There is no such form or change.
    """
    if form not in FORMS or change not in CHANGES:
        raise ParameterError(
            f"form is {form!r}, change is {change!r}. Expected one of {', '.join(FORMS)}, and one "
            f"of: {', '.join(CHANGES)}."
        )
    sent = protocol.encode_request([Tensor.of("images", images)], binary=form == "binary")
    length = int(sent.headers.get(protocol.JSON_LENGTH_HEADER, len(sent.body)))
    head = orjson.loads(sent.body[:length])
    CHANGES[change](head["inputs"][0])
    text = orjson.dumps(head)
    headers = {"Content-Type": sent.headers["content-type"]}
    if length < len(sent.body):
        headers["Inference-Header-Content-Length"] = str(len(text))
    path = protocol.model_path(MODEL, action="infer")
    return load.message(path, text + sent.body[length:], headers)


def parts(message: bytes) -> dict[str, bytes]:
    r"""Return the parts of a request, by name and in order; those that are empty are left out.

    Args:
        message: A whole HTTP/1.1 request.

    Raises:
        ParameterError: No empty line ends the headers.

    Example:
        >>> parts(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")["request line"]
        b'GET /v2 HTTP/1.1\r\n'
    """
    if _END not in message:
        raise ParameterError(
            f"A message of {len(message)} bytes has no empty line. The headers end with one: "
            "without it nobody can tell where the body begins. Add it."
        )
    line = message.index(_BREAK) + len(_BREAK)
    body = message.index(_END) + len(_END)
    length = int(headers_of(message).get(protocol.JSON_LENGTH_HEADER, len(message) - body))
    cuts = {LINE: (0, line), HEADERS: (line, body), TEXT: (body, body + length)}
    cuts[RAW] = (body + length, len(message))
    return {name: message[start:end] for name, (start, end) in cuts.items() if end > start}


def headers_of(message: bytes) -> dict[str, str]:
    """Return the headers of a request, their names in small letters.

    Args:
        message: A whole HTTP/1.1 request.
    """
    lines = message.partition(_END)[0].decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def verdict(message: bytes, spec: TensorSpec = SPEC) -> str:
    """Return in a few words what the service's validation says of a request.

    Args:
        message: A whole HTTP/1.1 request.
        spec: What the model takes.

    Example:
        >>> import numpy as np
        >>> verdict(request_of(np.zeros((2, 28, 28, 1), np.uint8), "binary"))
        'accepted: images, shape [2, 28, 28, 1]'
        >>> verdict(request_of(np.zeros((1, 28, 28, 1), np.uint8), "JSON", "a pixel of 256"))
        'refused, 400 out_of_range: An element of images is out of range.'
    """
    body = message.partition(_END)[2]
    try:
        found = validation.read(body, headers_of(message), [spec], validation.RequestLimits())
    except RefusedError as error:
        refusal = error.refusal
        return f"refused, {refusal.status} {refusal.reason}: {refusal.says}"
    (name, array), *_ = found.inputs.items()
    return f"accepted: {name}, shape {list(array.shape)}"
