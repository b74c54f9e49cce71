"""Small decisions before a model is asked, each by hand: sizes, names of keys, secrets, rates.

The first lab of the module asks for them one by one. The service's own code does more at a time:
`validation` reads whole requests, `tokens` judges tokens, the gateway counts requests. Read
`tensors` first, then `key_for`, `same`, `limit`.
"""

from __future__ import annotations

import hmac
import json
import math
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from datahall.serving.protocol import DATATYPES, Refusal

_MINUTES = 24 * 60


def tensors(body: bytes, length: str) -> dict[str, np.ndarray[Any, Any]] | Refusal:
    r"""Return the inputs of a request in the protocol's binary form, or a refusal.

    Args:
        body: JSON, and behind it the values of each input, little-endian.
        length: What the header says that the JSON has, in bytes. The JSON itself has been judged:
            names, datatypes and whole numbers, but not whether these fit each other.

    Example:
        >>> head = (
        ...     b'{"inputs":[{"name":"x","datatype":"UINT8","shape":[2],'
        ...     b'"parameters":{"binary_data_size":2}}]}'
        ... )
        >>> tensors(head + b"\1\2", str(len(head)))["x"].tolist()
        [1, 2]
        >>> tensors(head + b"\1", str(len(head))).reason
        'wrong_size'
    """
    if not (length.isascii() and length.isdigit() and len(length) < 10):
        return Refusal(400, "wrong_size", "The length of the JSON is no number.")
    found, at = {}, int(length)
    if at > len(body):
        return Refusal(400, "wrong_size", "The length of the JSON does not fit the body.")
    for one in json.loads(body[:at])["inputs"]:
        kind, shape = DATATYPES[one["datatype"]], one["shape"]
        size = math.prod(shape) * kind.itemsize  # in Python's integers: no product overflows
        if size != one["parameters"]["binary_data_size"] or at + size > len(body):
            return Refusal(400, "wrong_size", "The sizes of the tensors do not add up.")
        found[one["name"]] = np.frombuffer(body[at : at + size], kind).reshape(shape)
        at += size
    if at < len(body):
        return Refusal(400, "wrong_size", "There are bytes behind the last tensor.")
    return found


def key_for(kid: str, folder: Path) -> bytes | None:
    """Return a public key from a folder by its name, or None; no path is made of the name.

    Args:
        kid: What a token's header says: any text.
        folder: Holds `<kid>.pem`, regular files.

    Source:
        CWE-22, and the note on `kid` in RFC 8725, section 3.10.
    """
    for path in folder.iterdir():
        if path.name == f"{kid}.pem" and path.is_file() and not path.is_symlink():
            return path.read_bytes()
    return None


def same(given: bytes, kept: bytes) -> bool:
    """Say whether two values are equal, in a time that does not tell where they differ.

    Args:
        given: What somebody sends.
        kept: What is known here.

    Example:
        >>> same(b"abc", b"abc"), same(b"ab", b"abc")
        (True, False)
    """
    return hmac.compare_digest(sha256(given).digest(), sha256(kept).digest())


def limit(traces: Sequence[Sequence[int]], per_second: int, per_day: int) -> tuple[int, int] | None:
    """Return rate (a minute) and burst of the slowest token bucket that honest clients never meet.

    A bucket starts full with `burst` tokens and never holds more. So whoever asks without a pause
    gets burst + rate · t / 60 answers in t seconds.

    Args:
        traces: For each client the seconds at which it asks, in rising order.
        per_second: Answers that such a one may get in the first second.
        per_day: The same in a day.

    Returns:
        The pair; None if none keeps both bounds.

    Example:
        >>> limit([[0, 0, 0, 60]], 4, 2000), limit([[0, 0, 0, 60]], 3, 2000)
        ((1, 3), None)

    Source:
        The token bucket of RFC 2697; the least burst is derived here.
    """
    for rate in range(1, per_day // _MINUTES + 1):
        burst = max(least_burst(trace, rate) for trace in traces)
        if burst + rate / 60 <= per_second and burst + _MINUTES * rate <= per_day:
            return rate, burst
    return None


def least_burst(trace: Sequence[int], rate: int) -> int:
    """Return the smallest burst with which a bucket refuses nothing of a trace.

    Args:
        trace: Whole seconds, in rising order.
        rate: Tokens a minute.

    Example:
        >>> least_burst([0, 0, 1], 30)
        3
    """
    missing = most = 0  # sixtieths of a token
    for before, now in zip([trace[0], *trace], trace, strict=False):
        missing = max(0, missing - (now - before) * rate) + 60
        most = max(most, missing)
    return math.ceil(most / 60)
