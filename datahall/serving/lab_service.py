"""What the attack lab attacks: the service's own network, and real services that lack one check.

`predict` and `gradients` need no service; `matrix` starts eight of them, and ends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from datahall.serving import course_model
from datahall.serving.attack_answers import FAULTS, Faulty, on_wire
from datahall.serving.attack_trials import request
from datahall.serving.defences import Defence, Defences
from datahall.serving.evasion import Gradient, Pixels, gradient_of
from datahall.serving.model import ServedModel
from datahall.serving.protocol import JSON_TYPE
from datahall.serving.repository import IMAGES, MODEL_NAME, OUTPUTS
from datahall.serving.signing import CARD_FILE, MODEL_FILE, Verified, sha256
from datahall.serving.spoken import Sent, call
from datahall.serving.target import Target
from datahall.serving.variants import variants

HONEST = "honest"
_AT_ONCE = 100


@cache
def _network() -> ServedModel:
    """Return the network as the service runs it; it is the course's own, so nobody signs it."""
    from datahall.quantization import litert

    tflite, _ = course_model.tflite()
    card = {
        "name": MODEL_NAME,
        "inputs": [IMAGES.to_dict()],
        "outputs": [each.to_dict() for each in OUTPUTS],
    }
    files = {MODEL_FILE: tflite, CARD_FILE: b""}
    with litert.quiet():
        return ServedModel(Verified(files, sha256(tflite), "", 1, card))


def predict(images: Pixels) -> NDArray[np.int64]:
    """Return the labels that the service gives to images.

    Args:
        images: (n, 28, 28, 1), uint8.

    Returns:
        (n,).
    """
    starts = range(0, len(images), _AT_ONCE)
    return np.concatenate([_network().predict(images[at : at + _AT_ONCE])[0] for at in starts])


def gradients() -> dict[str, Gradient]:
    """Return two gradients of the float network: as it is, and through the rounding of pixels."""
    from datahall import artifact
    from datahall.training import stand_in

    model = artifact.load(stand_in.stand_in())
    return {
        "the network": gradient_of(model),
        "the network and its rounding": gradient_of(model, rounded=True),
    }


def matrix(attacks: Mapping[str, Faulty]) -> list[dict[str, str]]:
    """Send each request to the intact service and to seven that lack one check.

    Args:
        attacks: By the name of the check, a request. An honest one is added.

    Returns:
        A row for each request: the status that each service gives.
    """
    every = Defences.all()
    services = {"intact": every} | {name: every.without(Defence(name)) for name in FAULTS}
    sent: dict[str, Faulty] = {**attacks, HONEST: (JSON_TYPE, request(), b"")}
    with variants(None, services) as targets:
        return [
            {"attack": name} | {where: _status(each, one) for where, one in targets.items()}
            for name, each in sent.items()
        ]


def _status(sent: Faulty, target: Target) -> str:
    headers, body = on_wire(sent)
    more = tuple((name, value) for name, value in headers.items() if name != "content-type")
    made = Sent(body, headers=more, kind=headers["content-type"])
    return str(call(target, replace(made, token=target.token())).status)
