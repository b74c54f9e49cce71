"""What answers of module 07's second lab are called with: altered logs, and tables of rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from datahall.serving.audit import START

Lines = list[bytes]

# Logs ---------------------------------------------------------------------------------------------


def written(*said: str, first: int = 0, before: str = START) -> Lines:
    """Return lines of a log, chained.

    Args:
        said: What each line says.
        first: The number of the first one.
        before: The hash that it goes on from.
    """
    lines = []
    for number, word in enumerate(said, first):
        entry = {"time": f"12:00:{number:02}", "seq": number, "what": word, "prev": before}
        lines.append(hashed(json.dumps(entry, separators=(",", ":")).encode()))
        before = last_of(lines)
    return lines


def hashed(body: bytes) -> bytes:
    """Return a line: a JSON object with its hash put before its last brace."""
    return body[:-1] + f',"hash":"{hashlib.sha256(body).hexdigest()}"}}'.encode()


def last_of(lines: Sequence[bytes]) -> str:
    """Return the hash of the last line."""
    return lines[-1][-66:-2].decode() if lines else START


def edited(line: bytes, *, hashed_again: bool = False) -> bytes:
    """Return a line in which `no` has become `ok`, or one letter another.

    Args:
        line: As it was written.
        hashed_again: Whether it gets a new hash.
    """
    changed = line.replace(b'"no', b'"ok') if b'"no' in line else line.replace(b"12:", b"13:")
    return hashed(changed[: changed.rindex(b',"hash"')] + b"}") if hashed_again else changed


LOG = written("no", "yes", "no", "no é", "yes")


def log(change: Callable[[Lines], Lines] = list, *, last: str = "") -> tuple[Lines, str]:
    """Return a log of five lines, altered, and the hash of its last line as it was written.

    Args:
        change: Alters it.
        last: Another hash.
    """
    return change(list(LOG)), last or last_of(LOG)


def at(place: int, *lines: bytes, instead: int = 1) -> Callable[[Lines], Lines]:
    """Return a change: at a place stand other lines.

    Args:
        place: Where.
        lines: What stands there.
        instead: How many lines they replace.
    """
    return lambda whole: [*whole[:place], *lines, *whole[place + instead :]]


# fmt: off
ALTERED: tuple[tuple[str, tuple[Lines, str], str], ...] = (
    ("hashed again", log(at(2, edited(LOG[2], hashed_again=True))),
     "Line 2 fits by itself; line 3 names another hash."),
    ("a line is missing", log(at(2)), "What does line 3 name as the one before?"),
    ("the first is missing", log(at(0)), "The first line has 64 zeros."),
    ("a line twice", log(at(1, LOG[1], LOG[1])), "The copy does not fit."),
    ("two lines changed places", log(at(1, LOG[2], LOG[1], instead=2)), "1."),
    ("cut off at the end", log(at(3, instead=2)), "Is the last one the last?"),
    ("nothing is left", log(at(0, instead=5)), "Is the last one the last?"),
    ("the end written anew", log(at(4, edited(LOG[4], hashed_again=True))),
     "The chain holds; its end is not the one that is known."),
    ("numbers that do not count", (written("no", "no", first=1), "0" * 64), "seq counts from 0."),
    ("another log's end", log(lambda lines: written("no", before="1" * 64)),
     "The first line has 64 zeros."),
    ("two lines altered", log(at(1, edited(LOG[1]), LOG[2], edited(LOG[3]), instead=3)),
     "The first of them."),
    ("an empty line between", log(at(3, b"", instead=0)), "No line has no text."),
    ("a byte that is no letter", log(at(3, LOG[3].replace(b"no", b"n\xffo"))),
     "The bytes that are there."),
    ("not JSON", log(at(3, b"\xff\xfe")), "Anything may stand there."),
    ("an empty line", log(at(3, b"")), "Anything may stand there."),
    ("text behind the end", log(at(3, LOG[3] + b' {"verdict":"allowed"}')), "The whole line."),
    ("an empty log", ([], "0" * 64), "As it was written."),
)
# fmt: on
"""What is altered in a log, the log and its last hash, and what to look at."""


@st.composite
def _logs(draw: Any) -> tuple[Lines, str]:
    words = draw(st.lists(st.sampled_from(["no", "yes", 'no "', "é\n"]), min_size=1, max_size=5))
    lines = written(*words)
    last, place = last_of(lines), draw(st.integers(0, len(lines) - 1))
    what, other = draw(st.integers(0, 10)), draw(st.integers(0, len(lines) - 1))
    if what == 1:
        lines[place] = edited(lines[place])
    elif what == 2:
        lines[place] = edited(lines[place], hashed_again=True)
    elif what == 3:
        del lines[place]
    elif what == 4:
        lines[place], lines[other] = lines[other], lines[place]
    elif what == 5:
        lines.insert(place, lines[other])
    elif what == 6:
        lines = lines[:place]
    elif what == 7:
        lines[place] = draw(st.sampled_from([b"", b"{}", lines[place][:-1], lines[place] + b" "]))
    elif what == 8:
        rest = written(*["new"] * (len(lines) - place), first=place, before=last_of(lines[:place]))
        lines = lines[:place] + rest
    elif what == 9:
        lines = written(*words, first=draw(st.sampled_from([0, 1])))
    return lines, last


LOGS = _logs()
"""A log, as it was written or altered in one way, and the hash of its last line."""

# Rules --------------------------------------------------------------------------------------------

ADA = {"who": "ada", "action": "infer", "model": "mnist_cnn", "hour": 9}


def asked(*rules: dict[str, Any], **changes: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return rules, and Ada's request with changes.

    Args:
        rules: In order.
        changes: Of the request.
    """
    return list(rules), ADA | changes


def allow(**fields: Any) -> dict[str, Any]:
    """Return a rule that allows."""
    return {"effect": "allow", **fields}


def deny(**fields: Any) -> dict[str, Any]:
    """Return a rule that denies."""
    return {"effect": "deny", **fields}


_TEXTS = ("ada", "adam", "Ada", "eve", "a", "a.a", "")
_PATTERNS = st.lists(
    st.sampled_from(["*", "ada", "ada*", "a*", "eve", "a.*", "ad", "A*", "", "?da", "[a]da"]),
    max_size=2,
)
_HOURS = st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(
    lambda hours: hours[0] != hours[1]
)
_RULES = st.lists(
    st.fixed_dictionaries(
        {"effect": st.sampled_from(["allow", "allow", "deny"])},
        optional={"who": _PATTERNS, "action": _PATTERNS, "model": _PATTERNS, "hours": _HOURS},
    ),
    max_size=4,
)
REQUESTS = st.tuples(
    _RULES,
    st.fixed_dictionaries(
        {name: st.sampled_from(_TEXTS) for name in ("who", "action", "model")}
        | {"hour": st.integers(0, 23)}
    ),
)
"""Rules and a request."""
