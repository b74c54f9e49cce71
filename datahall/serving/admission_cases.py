"""The traps of module 07's first lab, as tables: tensors, bodies and tokens that are odd."""

from __future__ import annotations

from typing import Any

from datahall.serving import admission_draws as draws

# Cases are tables: what is wrong, what is called, and what to look at.
# fmt: off
_Row = tuple[str, Any, str]  # as in a `Trap`: its name, its arguments, its idea

_SENT, _SPEC, _IMAGES = draws.tensor, draws.SPEC, draws.PIXELS

TENSORS: tuple[_Row, ...] = (
    ("a negative batch", (_SENT(shape=[-1, 2]), _SPEC), "−1 is no size."),
    ("no batch at all", (_SENT(shape=[0, 2], data=[]), _SPEC), "From 1 on."),
    ("too large a batch", (_SENT(shape=[4, 2], data=[1] * 8), _SPEC), "At most 3."),
    ("true as a size", (_SENT(shape=[True, 2]), _SPEC), "A truth value."),
    ("a float as a size", (_SENT(shape=[1.0, 2]), _SPEC), "A float, although it is whole."),
    ("true as a value", (_SENT(data=[7, True]), _SPEC), "A truth value."),
    ("a float as a value", (_SENT(data=[7, 1.0]), _SPEC), "A float, although it is whole."),
    ("a text as a value", (_SENT(data=[7, "8"]), _SPEC), "A text, although it is a digit."),
    ("one too much", (_SENT(data=[7, 10]), _SPEC), "At most 9."),
    ("below zero", (_SENT(data=[-7, 8]), _SPEC), "At least 0."),
    ("more than a byte holds", (_SENT(data=[7, 256]), _SPEC), "At most 9."),
    ("a shape that is none", (_SENT(shape="12"), _SPEC), "A list, first of all."),
    ("data that is none", (_SENT(data="12"), _SPEC), "A list, first of all."),
    ("another name", (_SENT(name="y"), _SPEC), "The specification's name."),
    ("another datatype", (_SENT(datatype="FP32"), _SPEC), "The specification's datatype."),
    ("no data", (_SENT(data=None), _SPEC), "A key may be missing."),
    ("a key more", (_SENT(more=1), _SPEC), "Four keys and no other."),
    ("below spec.low", (_SENT(data=[4, 8]), draws.RAISED), "5 to 9."),
    ("as many values", (_SENT(shape=[1, 4, 1, 1], data=[1, 2, 3, 4]), _IMAGES),
     "Each axis by itself."),
    ("half nested", (_SENT(shape=[1, 2, 2, 1], data=[[1, 2], [3, 4]]), _IMAGES),
     "Flat, or all the way down."),
    ("flat in each image",
     (_SENT(shape=[2, 2, 2, 1], data=[[1, 2, 3, 4], [5, 6, 7, 8]]), _IMAGES),
     "Flat, or all the way down."),
    ("20,000 lists in lists", lambda: (_SENT(data=draws.deep(20_000)), _SPEC), "No."),
)
"""Tensors that are refused."""

_BODY, _TWO = draws.body, (("UINT8", [3], 3), ("FP32", [2], 8))

BODIES: tuple[_Row, ...] = (
    ("a byte is missing", _BODY(*_TWO, tail=10), "11 are said, 10 are there."),
    ("a byte is left", _BODY(*_TWO, tail=12), "11 are said, 12 are there."),
    ("a size that the shape has not", _BODY(("INT64", [2], 8)), "16, not 8."),
    ("sizes that make up for each other",
     _BODY(("UINT8", [3], 4), ("UINT8", [3], 2)), "Each by itself."),
    ("a negative size", _BODY(("UINT8", [3], -3), tail=3), "3, not −3."),
    ("a size that leads back", _BODY(("UINT8", [0], -3), ("UINT8", [6], 6), tail=3),
     "Each by itself: 0, not −3."),
    ("names in another order", _BODY(*_TWO, names="ba"), "As the JSON has it."),
    ("a product beyond 64 bits", _BODY(("UINT8", [2**32, 2**32], 0)), "2⁶⁴ is not 0."),
    ("an axis beyond 64 bits", _BODY(("UINT8", [2**70], 3)), "Compare first."),
    ("a negative header", _BODY(*_TWO, length="-N"), "A sign is no digit."),
    ("a header with a space", _BODY(*_TWO, length=" N"), "Nor is a space."),
    ("a header with a line end", _BODY(*_TWO, length="N\n"), "Nor is that."),
    ("ten digits", _BODY(*_TWO, length="0000000N"), "One to nine."),
    ("digits of another script", (_BODY(*_TWO)[0], "٣"), "0–9 only."),
    ("zeros in front", _BODY(*_TWO, length="000N"), "They are digits too."),
    ("a header that is too large", _BODY(*_TWO, length="N00"), "Longer?"),
    ("no header", (_BODY(*_TWO)[0], ""), "One digit at least."),
    ("nothing in it", _BODY(("FP32", [0], 0), ("INT64", [], 8)), "0 and 1."),
)
"""Bodies whose sizes or whose header are odd."""

_ASKED = draws.asked

TOKENS: tuple[_Row, ...] = (
    ("an algorithm that proves nothing", _ASKED(**draws.UNSIGNED), "ES256 only."),
    ("signed by a stranger", _ASKED(by="mallory"), "Verify."),
    ("an unknown key", _ASKED(head={"kid": "gone"}, by="new"), "By its name."),
    ("a key that is gone", _ASKED(head={"kid": "gone"}, by="old"), "By name."),
    ("a key that the token brings", draws.brought, "Only keys that you know."),
    ("the older key", _ASKED(head={"kid": "old"}), "It is still known."),
    ("a path to a key", _ASKED(head={"kid": "keys/new"}, by="new"), "By name."),
    ("a key that was dropped", draws.dropped, "keys.by_kid, each time."),
    ("too early", _ASKED(999), "nbf is 1000."),
    ("no end", _ASKED(claims={"exp": None}), "Without exp it never ends."),
    ("nobody's token", _ASKED(claims={"sub": None}), "A claim is missing: 401."),
    ("no beginning", _ASKED(claims={"nbf": None}), "nbf may be missing."),
    ("another service", _ASKED(claims={"aud": "printing"}), "aud."),
    ("a longer name", _ASKED(claims={"aud": "datahall-serving-test"}), "aud."),
    ("another issuer", _ASKED(claims={"iss": "datahall.example"}), "iss."),
    ("may only read", _ASKED(claims={"scope": "read"}), "403: known, no right."),
    ("two rights", _ASKED(claims={"scope": "read infer"}), "One of the words."),
    ("half a word", _ASKED(claims={"scope": "reinfer"}), "A whole word."),
    ("revoked", _ASKED(claims={"jti": "n13"}), "Its number is in the set."),
    ("a part of a number", _ASKED(claims={"jti": "n1"}), "n1 is not n13."),
    ("at another service", _ASKED(known=draws.ELSEWHERE, claims=draws.THERE),
     "keys.issuer, keys.audience, keys.scope."),
    ("no text for a key", _ASKED(head={"kid": ["new"]}), "A list."),
    ("no token", _ASKED(cut=slice(0, 0)), "Nothing is raised."),
)
"""Tokens, what the service knows, and a time."""
