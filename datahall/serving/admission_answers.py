"""Whole answers to the exercises of module 07's first lab, for its bank: right and wrong ones.

Each is written as somebody might who has read the lab's text alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import extract_compact

from datahall.serving.protocol import DATATYPES, Refusal, TensorSpec
from datahall.serving.tokens import Claims, Keys


def _level_by_level(tensor: Any, spec: TensorSpec) -> Any:
    try:
        if sorted(tensor) != ["data", "datatype", "name", "shape"]:
            raise ValueError
        batch, *inner = sizes = tensor["shape"]
        level = [tensor["data"]]
        flat = not any(type(value) is list for value in tensor["data"])
        fine = (tensor["name"], tensor["datatype"]) == (spec.name, spec.datatype)
        fine &= isinstance(sizes, list) and {type(size) for size in sizes} == {int}
        if not fine or tuple(inner) != spec.shape[1:] or batch not in range(1, spec.max_batch + 1):
            raise ValueError
        for size in [math.prod(sizes)] if flat else sizes:
            if {(type(part), len(part)) for part in level} != {(list, size)}:
                raise ValueError
            level = [value for part in level for value in part]
        if {type(v) for v in level} != {int} or min(level) < spec.low or max(level) > spec.high:
            raise ValueError
        return np.array(level, "u1").reshape(sizes)
    except (ValueError, TypeError):
        return Refusal(400, "no", "No.")


def _by_unpack(body: bytes, length: str) -> Any:
    sizes, codes = {"UINT8": 1, "INT64": 8, "FP32": 4}, {"UINT8": "B", "INT64": "q", "FP32": "f"}
    good = 0 < len(length) <= 9 and set(length) <= set("0123456789") and int(length) <= len(body)
    inputs, rest = json.loads(body[: int(length)])["inputs"] if good else [], body
    rest = body[int(length) :] if good else b""
    counts = [math.prod(one["shape"]) for one in inputs]
    needs = [n * sizes[one["datatype"]] for n, one in zip(counts, inputs, strict=True)]
    stated = [one["parameters"]["binary_data_size"] for one in inputs]
    if not good or needs != stated or sum(needs) != len(rest):
        return Refusal(400, "sizes", "Sizes.")
    form = "<" + "".join(f"{n}{codes[o['datatype']]}" for n, o in zip(counts, inputs, strict=True))
    values = iter(struct.unpack(form, rest))
    return {
        one["name"]: np.array([next(values) for _ in range(n)], DATATYPES[one["datatype"]]).reshape(
            one["shape"]
        )
        for n, one in zip(counts, inputs, strict=True)
    }


def _claim_by_claim(token: str, keys: Keys, now: float) -> Any:
    def pick(signed: Any) -> ECKey:
        return ECKey.import_key(keys.by_kid[str(signed.headers()["kid"])])

    try:
        proven = jwt.decode(token, pick, algorithms=["ES256"])
        claims, kid = {"nbf": 0, **proven.claims}, proven.header["kid"]
        iss, sub, aud, scope, jti, exp = map(
            claims.__getitem__, ("iss", "sub", "aud", "scope", "jti", "exp")
        )
    except Exception:
        return Refusal(401, "no", "No.")
    if [iss, aud] != [keys.issuer, keys.audience] or jti in keys.revoked:
        return Refusal(401, "no", "No.")
    if now < claims["nbf"] or now >= exp:
        return Refusal(401, "no", "No.")
    words = scope.split(" ")
    return Claims(sub, tuple(words), jti, exp, kid) if keys.scope in words else Refusal(403, "", "")


def _unverified(token: str, keys: Keys, now: float) -> Any:
    try:
        kid = extract_compact(token.encode()).headers()["kid"]
        said = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        claims = Claims(said["sub"], (said["scope"],), said["jti"], said["exp"], kid)
    except (JoseError, ValueError, LookupError):
        return Refusal(401, "", "")
    good = [said["iss"], said["aud"]] == [keys.issuer, keys.audience]
    return claims if good and said.get("nbf", 0) <= now < claims.expires else Refusal(401, "", "")


_SEEN: dict[str, Any] = {}


def _cached(token: str, keys: Keys, now: float) -> Any:
    return _SEEN.setdefault(token, _claim_by_claim(token, keys, now))


def _by_listing(kid: str, folder: Path) -> Any:
    for path in sorted(folder.glob("*.pem")):
        if path.stem == kid and path.is_file() and path.resolve() == path:
            return path.read_bytes()
    return None


def _opened(path: Path) -> Any:
    try:
        return path if path.is_file() and not path.is_symlink() else None
    except (OSError, ValueError):
        return None


def _seen_to_the_end(given: bytes, kept: bytes) -> bool:
    differs = len(given) ^ len(kept)
    for one, other in zip(given, kept, strict=False):
        differs |= one ^ other
    return differs == 0


def _stops_early(given: bytes, kept: bytes) -> bool:
    for one, other in zip(given, kept, strict=False):
        if one != other:
            return False
    return len(given) == len(kept)


def _tries_bursts(traces: list[list[int]], per_second: int, per_day: int) -> tuple[int, int] | None:
    def serves(rate: int, burst: int) -> bool:
        for trace in traces:
            tokens, before = 60 * burst, trace[0]
            for now in trace:
                tokens, before = min(60 * burst, tokens + rate * (now - before)) - 60, now
                if tokens < 0:
                    return False
        return True

    for rate in range(1, per_day // 1440 + 1):
        for burst in range(1, per_second + 1):
            thief = burst + rate / 60 <= per_second and burst + 1440 * rate <= per_day
            if thief and serves(rate, burst):
                return rate, burst
    return None


def _by_the_mean(traces: list[list[int]], per_second: int, per_day: int) -> Any:
    rate = max(math.ceil(60 * len(trace) / max(1, trace[-1] - trace[0])) for trace in traces)
    return (rate, 1) if 1 + rate / 60 <= per_second and 1 + 1440 * rate <= per_day else None


NAMES: dict[str, Any] = {
    "Claims": Claims,
    "ECKey": ECKey,
    "JoseError": JoseError,
    "Keys": Keys,
    "Path": Path,
    "Refusal": Refusal,
    "TensorSpec": TensorSpec,
    "extract_compact": extract_compact,
    "hashlib": hashlib,
    "hmac": hmac,
    "json": json,
    "jwt": jwt,
    "math": math,
    "np": np,
    "opened": _opened,
    "re": re,
    "zlib": zlib,
}
"""What the solutions use, by name; `_opened` is for slips in the look-up of a key."""


RIGHT: dict[str, list[Any]] = {
    "07.1": [_level_by_level],
    "07.2": [_by_unpack],
    "07.3": [_claim_by_claim],
    "07.4": [_by_listing],
    "07.5": [_seen_to_the_end],
    "07.6": [_tries_bursts],
}
UNVERIFIED, CACHED, STOPS_EARLY, BY_THE_MEAN = _unverified, _cached, _stops_early, _by_the_mean
