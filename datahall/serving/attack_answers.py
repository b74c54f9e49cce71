"""What the exercises of module 07's attack lab ask for, as the course writes it.

Reading order: `forge` (07.11), `attack` of `evasion` (07.12), `attacks` (07.13), `inject` (07.14).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from datahall.serving import forging
from datahall.serving.protocol import BINARY_TYPE, JSON_LENGTH_HEADER, JSON_TYPE

NOWHERE = "../" * 9 + "dev/null"  # an empty file, from a folder up to eight levels deep
KINDS = ("unsigned", "confused", "path")
FAULTS = (
    "content_type", "strict_json", "exact_shape", "datatype", "value_range", "batch_limit",
    "size_adds_up",
)  # fmt: skip

Faulty = tuple[str, Mapping[str, Any], bytes]
"""A content type, the request's JSON, decoded, and the bytes that follow it."""


def forge(token: str, public: bytes) -> dict[str, str]:
    """Return three forged tokens that say `root`.

    Args:
        token: An honest one.
        public: The public key that it names, PEM.

    Returns:
        Tokens by "unsigned", "confused" and "path".
    """
    header, claims, _ = forging.parts(token)
    by_path = {**header, "alg": "HS256", "kid": NOWHERE}
    return {
        "unsigned": forging.unsigned(token, sub="root"),
        "confused": forging.confused(token, public, sub="root"),
        "path": forging.keyed(by_path, {**claims, "sub": "root"}, b""),
    }


def attacks(honest: Mapping[str, Any]) -> dict[str, Faulty]:
    """Return a request for each fault that a service may not look for.

    Args:
        honest: The JSON of a request with one image, decoded.

    Returns:
        By the name of the missing defence, a request.
    """
    tensor = honest["inputs"][0]
    bare = {name: tensor[name] for name in ("name", "datatype", "shape")}
    faults: dict[str, dict[str, Any]] = {
        "strict_json": {"admin": True},
        "exact_shape": {"shape": [1, 784]},
        "datatype": {"datatype": "FP32"},
        "value_range": {"data": [256] * 784},
        "batch_limit": {"shape": [33, 28, 28, 1], "data": [0] * 33 * 784},
    }
    sent: dict[str, Faulty] = {
        name: (JSON_TYPE, {"inputs": [{**tensor, **each}]}, b"") for name, each in faults.items()
    }
    announced = {"inputs": [{**bare, "parameters": {"binary_data_size": 784}}]}
    return sent | {
        "content_type": ("text/plain", honest, b""),
        "size_adds_up": (BINARY_TYPE, announced, b""),
    }


def on_wire(sent: Faulty) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a request.

    Args:
        sent: Content type, JSON and the bytes behind it. Where the type is binary, a header tells
            where the JSON ends.

    Example:
        >>> on_wire(("application/octet-stream", {"a": 1}, b"xy"))[1]
        b'{"a": 1}xy'
    """
    kind, said, tail = sent
    head = json.dumps(dict(said)).encode()
    more = {JSON_LENGTH_HEADER: str(len(head))} if kind == BINARY_TYPE else {}
    return {"content-type": kind, **more}, head + tail


def inject(entry: Mapping[str, Any]) -> str:
    """Return a value that writes a line of its own into a log that does not escape.

    Args:
        entry: What the line must say.
    """
    return 'x"}\n' + json.dumps(dict(entry)) + '\n{"x":"'
