"""What strangers send to the answers of module 07's first lab: tensors, bodies, tokens, traces.

Everything begins as an honest request; then one thing, or two, is changed in it.
"""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from datahall.serving import admission
from datahall.serving.protocol import Refusal, TensorSpec
from datahall.serving.tokens import Keys

Status = dataclasses.make_dataclass("Refusal", [("status", int)], frozen=True)
"""What is compared of a refusal: its reason and its sentence are the answer's own."""


def by_status(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that leaves of each refusal its status.

    Args:
        function: Returns something, or a refusal.
    """

    def called(*given: Any) -> Any:
        found = function(*given)
        return Status(found.status) if isinstance(found, Refusal) else found

    return called


# Tensors ------------------------------------------------------------------------------------------

SPEC = TensorSpec("x", "UINT8", (-1, 2), 0, 9, max_batch=3)
RAISED = TensorSpec("x", "UINT8", (-1, 2), 5, 9, max_batch=3)
PIXELS = TensorSpec("x", "UINT8", (-1, 2, 2, 1), 0, 255, max_batch=4)


def tensor(**changes: Any) -> dict[str, Any]:
    """Return a tensor that `SPEC` takes, with changes; what is changed to None is left out."""
    whole = {"name": "x", "datatype": "UINT8", "shape": [1, 2], "data": [7, 8]} | changes
    return {key: value for key, value in whole.items() if value is not None}


def deep(levels: int) -> list[Any]:
    """Return lists in lists."""
    inner: list[Any] = [1]
    for _ in range(levels):
        inner = [inner]
    return inner


def nested(values: list[Any], shape: list[int]) -> list[Any]:
    """Return values nested as a shape says."""
    for size in reversed(shape[1:]):
        values = [values[at : at + size] for at in range(0, len(values), size)]
    return values


_ODD: Any = st.sampled_from(
    [True, False, 1.0, 0.5, -1, 10, 256, 2**64, "1", "", None, [], [1], {}, math.nan, math.inf]
)


@st.composite
def _tensors(draw: Any) -> tuple[dict[str, Any], TensorSpec]:
    inner = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    most = draw(st.integers(1, 3))
    spec = TensorSpec("x", "UINT8", (-1, *inner), 0, draw(st.sampled_from([9, 255])), most)
    shape = [draw(st.integers(1, most)), *inner]
    value = st.integers(0, int(spec.high or 0))
    data = draw(st.lists(value, min_size=math.prod(shape), max_size=math.prod(shape)))
    given = {"name": "x", "datatype": "UINT8", "shape": shape, "data": data}
    what = draw(st.sampled_from(["", "shape", "turned", "data", "data", "size", "keys", "nesting"]))
    if what == "shape":
        axis = draw(st.integers(0, len(shape) - 1))
        changed = draw(st.one_of(st.integers(-2, 6), st.just(2**40), _ODD))
        given["shape"] = [*shape[:axis], changed, *shape[axis + 1 :]]
    elif what == "turned":
        given["shape"] = draw(st.sampled_from([[*inner, shape[0]], [shape[0], math.prod(inner)]]))
    elif what == "data":
        place = draw(st.integers(0, len(data) - 1))
        given["data"] = [*data[:place], draw(_ODD), *data[place + 1 :]]
    elif what == "size":
        given["data"] = draw(st.sampled_from([data[:-1], [*data, 0], [], 7, "12"]))
    elif what == "keys":
        given |= {draw(st.sampled_from(["name", "datatype", "more", "shape"])): "y"}
    depth = len(shape) - draw(st.integers(0, 1)) * (what == "nesting")
    if what != "size" and draw(st.booleans()):
        given["data"] = nested(given["data"], shape[:depth] if depth > 1 else shape)
    return given, spec


TENSORS = _tensors()
"""A tensor of two to four axes, honest or changed in one place, and the specification."""


# Bytes --------------------------------------------------------------------------------------------

_SIZES = {"UINT8": 1, "INT64": 8, "FP32": 4}


def body(
    *inputs: tuple[str, list[int], int],
    tail: int | None = None,
    length: str = "",
    names: str = "abc",
) -> Any:
    """Return a body and what its header says.

    Args:
        inputs: Datatype, shape and stated size of each.
        tail: How many bytes stand behind the JSON; without it as many as the sizes say.
        length: What the header says, with `N` for the length of the JSON; without it that length.
        names: A letter for each input.
    """
    described = [
        {"name": name, "datatype": kind, "shape": shape, "parameters": {"binary_data_size": size}}
        for name, (kind, shape, size) in zip(names, inputs, strict=False)
    ]
    head = json.dumps({"inputs": described}).encode()
    behind = sum(max(0, size) for *_, size in inputs) if tail is None else tail
    said = (length or "N").replace("N", str(len(head)))
    return head + bytes(range(1, 1 + behind)), said


@st.composite
def _bodies(draw: Any) -> Any:
    inputs = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(sorted(_SIZES)))
        shape = draw(st.lists(st.integers(0, 3), max_size=2))
        inputs.append((kind, shape, math.prod(shape) * _SIZES[kind]))
    whole, what = sum(size for *_, size in inputs), draw(st.integers(0, 8))
    if what == 0:
        return body(*inputs, tail=max(0, whole + draw(st.sampled_from([-1, 1, 8]))))
    if what == 1:
        odd = ["-1", "", "N.0", " N", "N ", "+N", "N\n", "0xA", "1_0", "٣", "-N", "N0000", "9" * 30]
        return body(*inputs, length=draw(st.sampled_from(odd)))
    if what == 2:  # a size that is taken from one input and given to the next
        moved, (kind, shape, size) = draw(st.integers(-9, 9)), inputs[0]
        return body((kind, shape, size + moved), *inputs[1:], tail=whole)
    if what == 3:
        return body(("UINT8", [2**32, 2**32], 0), *inputs, tail=whole)
    return body(*inputs)


BODIES = _bodies()
"""A body with one to three inputs, and its header."""


# Tokens -------------------------------------------------------------------------------------------


class Worded(str):
    """A token that a message shows by what is special in it."""

    story: str

    def __repr__(self) -> str:
        """Return what is special."""
        return self.story


@cache
def key(name: str) -> ECKey:
    """Return a key pair; the same for the same name."""
    return ECKey.generate_key("P-256")


def keys(**changes: Any) -> Keys:
    """Return what the service knows: keys old and new, with changes."""
    known = {kid: key(kid).as_pem(private=False) for kid in ("old", "new")}
    return dataclasses.replace(Keys(known, revoked=frozenset({"n13"})), **changes)


_HONEST = {
    "iss": "datahall",
    "sub": "ada",
    "aud": "datahall-serving",
    "scope": "infer",
    "jti": "n7",
    "exp": 1300,
    "nbf": 1000,
}


def token(
    claims: Mapping[str, Any] | None = None,
    *,
    head: Mapping[str, Any] | None = None,
    by: str = "",
    cut: slice = slice(None),
) -> Worded:
    """Return a token that is honest but for what is said.

    Args:
        claims: Claims that are changed; to None: left out.
        head: The same of the header.
        by: Who signs: the key of the header's `kid` by default, `nobody`, or any other name.
        cut: What is kept of the text.
    """
    headers, said = _with({"alg": "ES256", "kid": "new"}, head), _with(_HONEST, claims)
    kid = headers.get("kid")
    signer = by or (kid if isinstance(kid, str) else "new")
    text = f"{_in_base64(json.dumps(headers).encode())}.{_in_base64(json.dumps(said).encode())}"
    whole = f"{text}.{_in_base64(_signature(text.encode(), signer))}"
    made = Worded(whole[cut])
    changed = {**(head or {}), **(claims or {})}
    usual = _HONEST | {"kid": "new", "alg": "ES256"}
    special = [f"{name}={value!r}" for name, value in changed.items() if usual.get(name) != value]
    special += [f"signed by {by}"] * bool(by) + ["cut"] * (cut != slice(None))
    made.story = f"<a token: {', '.join(special)}>" if special else "<an honest token>"
    return made


def _with(facts: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    changed = {**facts, **(changes or {})}
    return {name: value for name, value in changed.items() if value is not None}


def _in_base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@cache
def _signature(text: bytes, signer: str) -> bytes:
    if signer == "nobody":
        return b""
    if signer == "a public key":  # taken for the secret of HS256
        return hmac.digest(key("new").as_pem(private=False), text, "sha256")
    private: Any = key(signer).private_key
    der = private.sign(text, ec.ECDSA(SHA256()))
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der))


def asked(now: float = 1100, *, known: Mapping[str, Any] | None = None, **facts: Any) -> Any:
    """Return a function that makes arguments: a token, keys and a time; made when needed.

    Args:
        now: Seconds since 1970.
        known: What of `keys` is changed.
        facts: For `token`.
    """
    return lambda: (token(**facts), keys(**(known or {})), now)


CONFUSED: dict[str, Any] = {"head": {"alg": "HS256"}, "by": "a public key"}
UNSIGNED: dict[str, Any] = {"head": {"alg": "none"}, "by": "nobody"}


def brought() -> Any:
    """Return arguments with a token whose header brings the key that has signed it."""
    mine = key("mallory").as_dict(private=False)
    return token(head={"jwk": mine}, by="mallory"), keys(), 1100


def dropped() -> Any:
    """Return arguments with a token of a key that the service has dropped."""
    only = {"new": key("new").as_pem(private=False)}
    return token(head={"kid": "old"}), keys(by_kid=only), 1100


ELSEWHERE = {"issuer": "printers", "audience": "printing", "scope": "print"}
"""Another service: its issuer, its audience, what is asked for."""

THERE = {"iss": "printers", "aud": "printing", "scope": "read print"}
"""What a token for it claims."""

_CLAIMS: dict[str, list[Any]] = {
    "iss": ["Datahall", "datahall.example", "data", None],
    "aud": ["datahall-serving-test", "datahall", "", None],
    "scope": ["read infer", "infer read", "read", "infer-not", "reinfer", "Infer", "", None],
    "jti": ["n13", "n1", "n131", None],
    "exp": [1100, 1101, 1099, None],
    "nbf": [1100, 1101, None],
}
_HEADS: list[dict[str, Any]] = [
    *[{}] * 9,
    *[{"kid": kid} for kid in ("old", "gone", None, ["new"], {"new": 1}, 7, "../new")],
    *[{"alg": algorithm} for algorithm in (None, "none", "HS256")],
]
_CHANGES = st.sampled_from([(name, value) for name in _CLAIMS for value in _CLAIMS[name]])

TOKENS = st.builds(
    lambda claims, head, by, cut, now: (token(claims, head=head, by=by, cut=cut), keys(), now),
    st.lists(_CHANGES, max_size=2).map(dict),
    st.sampled_from(_HEADS),
    st.sampled_from([*[""] * 12, "old", "mallory", "nobody", "a public key"]),
    st.sampled_from([*[slice(None)] * 12, slice(0, -4), slice(4, None), slice(0, 60), slice(0, 0)]),
    st.sampled_from([1100, 1100, 1100.5, 1000, 1299.9, 1300, 999.9]),
)
"""A token, honest or changed in some places, the service's keys, and a time."""


# Rates --------------------------------------------------------------------------------------------


def _is_clear(case: tuple[list[list[int]], int, int]) -> bool:
    """Say whether floating-point numbers give the same limit as whole ones: no rounding decides."""
    traces, per_second, per_day = case
    return admission.limit(traces, per_second, per_day) == _in_floats(traces, per_second, per_day)


def _in_floats(traces: list[list[int]], per_second: int, per_day: int) -> tuple[int, int] | None:
    for rate in range(1, per_day // 1440 + 1):
        each = [_windows(trace, rate / 60) for trace in traces]
        burst = math.ceil(max(each))
        if burst + rate / 60 <= per_second and burst + rate * 1440 <= per_day:
            return rate, burst
    return None


def _windows(trace: list[int], rate: float) -> float:
    pairs = ((i, j) for i in range(len(trace)) for j in range(i, len(trace)))
    return max(j - i + 1 - rate * (trace[j] - trace[i]) for i, j in pairs)


_TRACES = st.lists(
    st.lists(st.sampled_from([0, 0, 0, 1, 2, 5, 30, 60, 400]), min_size=1, max_size=7).map(
        lambda gaps: [sum(gaps[: n + 1]) for n in range(len(gaps))]
    ),
    min_size=1,
    max_size=3,
)
RATES = st.tuples(_TRACES, st.integers(1, 9), st.integers(1, 40).map(lambda n: n * 720 + 3)).filter(
    _is_clear
)
"""Traces of clients, and what a thief may get in a second and in a day."""

PAIRS = st.tuples(st.binary(max_size=4), st.binary(max_size=4), st.integers(0, 3)).map(
    lambda drawn: (drawn[0], (drawn[0], drawn[1], drawn[0][::-1], drawn[0] + drawn[1])[drawn[2]])
)
"""Two values, equal or nearly so."""
