"""What answers of module 07's first lab are held against where a call alone says too little.

Real files for names of keys, processor time for a comparison, and what a refusal says.
"""

from __future__ import annotations

import itertools
import os
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datahall.serving import admission_draws
from datahall.serving.protocol import Refusal

Trial = Callable[[Any], str | None]
"""Is called with an answer; returns None where it is right, else a sentence."""

# Refusals -----------------------------------------------------------------------------------------

_MARK = "zebra-4711"


def says_nothing_back(admit: Any) -> str | None:
    """Look whether a refusal repeats what it was sent."""
    spec = admission_draws.SPEC
    for key in ("name", "datatype", "data", "shape"):
        sent = admission_draws.tensor(**{key: _MARK if key != "data" else [7, _MARK]})
        if said := _repeats(admit(sent, spec), f"admit({sent}, spec)"):
            return said
    sent = admission_draws.tensor() | {_MARK: 1}
    return _repeats(admit(sent, spec), f"admit({sent}, spec)")


def says_no_size_back(tensors: Any) -> str | None:
    """Look whether a refusal repeats a header that is none."""
    sent, _ = admission_draws.body(("UINT8", [3], 3))
    return _repeats(tensors(sent, _MARK), f"tensors(body, {_MARK!r})")


def says_no_token_back(decide: Any) -> str | None:
    """Look whether a refusal repeats a token, or what stands in it."""
    made: dict[str, Any] = {name: {name: _MARK} for name in ("iss", "aud", "scope", "sub")}
    made["sub"] |= {"scope": "read"}
    tokens = {name: admission_draws.token(claims) for name, claims in made.items()}
    tokens["kid"] = admission_draws.token(head={"kid": _MARK})
    for name, token in tokens.items():
        called = f"decide(<a token: {name}={_MARK!r}>, keys, 1100)"
        if said := _repeats(decide(token, admission_draws.keys(), 1100), called, token):
            return said
    return _repeats(decide(_MARK, admission_draws.keys(), 1100), f"decide({_MARK!r}, keys, 1100)")


def _repeats(found: Any, called: str, sent: str = _MARK) -> str | None:
    if not isinstance(found, Refusal):
        return f"{called} returned {type(found).__name__}, expected a Refusal"
    words = f"{found.reason} {found.says}"
    if _MARK not in words and str(sent) not in words:
        return None
    shown = words if len(words) < 100 else f"{words[:80]}…"
    return f"{called} says {shown!r}: that repeats what was sent"


# Names of keys ------------------------------------------------------------------------------------

_FILES = ("keys/ada.pem", "keys/bob.x.pem", "keys/in/deep.pem", "spy.pem", "keys-old/ada.pem")
_KEYS = {"ada": b"the key in keys/ada.pem", "bob.x": b"the key in keys/bob.x.pem"}
_PIECES = (
    *("", "ada", "ADA", "spy", "lent", "in", "deep", "keys", "keys-old"),
    *(".", "..", "/", "//", "\0", " ", ".pem", "*"),
)


def finds(*kids: str) -> Trial:
    """Return a trial: is each name answered with its key, or with None?

    Args:
        kids: Names; `{}` in them stands for the folder's path.
    """

    def test(key_for: Any) -> str | None:
        with tempfile.TemporaryDirectory() as place:
            folder = _furnished(Path(place).resolve())
            for kid in kids:
                asked = kid.replace("{}", str(folder))
                wanted, got = _KEYS.get(asked), _asked(key_for, asked, folder)
                if got != wanted:
                    return _told(kid, got, wanted)
        return None

    return test


def finds_no_way_out(key_for: Any) -> str | None:
    """Look at every name of up to four pieces: names, dots, slashes, a zero byte."""
    kids = itertools.chain.from_iterable(
        itertools.product(_PIECES, repeat=count) for count in (1, 2, 3)
    )
    names = dict.fromkeys("".join(pieces) for pieces in kids)
    longer = [f"{one}{other}" for one in ("../", "./", "....//", "in/../") for other in _PIECES]
    return finds(*names, *longer, *(f"../{name}" for name in longer))(key_for)


def _furnished(place: Path) -> Path:
    """Fill a folder with keys, and its neighbourhood with what is none; return the folder."""
    for name in _FILES:
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"the key in {name}".encode())
    folder = place / "keys"
    (folder / "lent.pem").symlink_to(place / "spy.pem")
    (folder / "twin.pem").symlink_to("ada.pem")
    (folder / "box.pem").mkdir()
    os.mknod(folder / "plug.pem", stat.S_IFSOCK | 0o600)
    (folder / "notes.txt").write_bytes(b"no key")
    return folder


def _asked(key_for: Any, kid: str, folder: Path) -> Any:
    """Return what comes back; of an error its kind only: its text would name a temporary folder."""
    try:
        return key_for(kid, folder)
    except (OSError, ValueError, LookupError) as error:
        return type(error)


def _told(kid: str, got: Any, wanted: bytes | None) -> str:
    name = repr(kid.replace("{}", "<folder>"))
    name = name if len(name) < 60 else f"{name[:50]}…'"
    did = f"raised {got.__name__}" if isinstance(got, type) else f"returned {got!r}"
    return f"key_for({name}, folder) {did}, expected {wanted!r}"


# Comparisons --------------------------------------------------------------------------------------

_LENGTHS = (2**18, 2**24)  # bytes; the second where the first is so fast that little else counts
_FAST_S, _ROUNDS, _MOST = 1e-3, 5, 2.5


def tells_no_place(same: Any) -> str | None:
    """Look whether the processor time of a comparison depends on where two values differ.

    What takes many times as long as the comparison itself (both values written in hex, say) hides
    it from a clock, also from this one. The sentence names the fastest place only: which place is
    the slowest is chance where several take as long.
    """
    for length in _LENGTHS:
        kept = bytes(range(256)) * (length // 256)
        took = _least_s(same, kept)
        fast, slow = min(took, key=lambda name: took[name]), max(took, key=lambda name: took[name])
        if took[slow] > _MOST * took[fast]:
            return (
                f"the processor time depends on where two long values differ: if it is {fast}, it "
                f"takes less than {1 / _MOST:.0%} of the longest time"
            )
        if took[slow] > _FAST_S:
            break
    return None


def tells_apart(same: Any) -> str | None:
    """Look whether thousands of different values are told apart: part of a digest does not do."""
    for number in range(1, 4000):
        given = number.to_bytes(4, "big")
        if same(given, b"same") is not False:
            return f"same({given!r}, b'same') did not return False"
    return None


def _least_s(same: Any, kept: bytes) -> dict[str, float]:
    """Return the least processor time of a comparison, in s, by the place that differs."""
    ends = {"the first byte": 0, "the middle byte": len(kept) // 2, "the last byte": len(kept) - 1}
    given = {name: kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :] for name, at in ends.items()}
    given["no byte"] = bytes(bytearray(kept))  # equal, and not the same object
    took = dict.fromkeys(given, float("inf"))
    for _, (name, value) in itertools.product(range(_ROUNDS), given.items()):  # in turns
        began = time.thread_time_ns()
        same(value, kept)
        took[name] = min(took[name], (time.thread_time_ns() - began) / 1e9)
    return took
