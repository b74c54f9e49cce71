"""The checks of module 07's first lab: tensors, bytes, tokens, names of keys, secrets, rates."""

from __future__ import annotations

import hmac

from datahall.checking import Check, Example, Property, Search, Trap
from datahall.serving import admission, tokens, validation
from datahall.serving import admission_bank as bank
from datahall.serving import admission_cases as cases
from datahall.serving import admission_draws as draws
from datahall.serving import admission_trials as trials

# Checks are tables too: what is called, and what to look at.
# fmt: off

_SENT, _SPEC = draws.tensor, draws.SPEC

admit = Check(
    "07.1",
    reference=draws.by_status(validation.admit),
    lends=validation.admit,
    ours=[validation.admit],
    bank=bank.ADMIT,
    steps=[
        Example((_SENT(), _SPEC), idea="Flat data, in row order."),
        Example((_SENT(shape=[2, 2], data=[[1, 2], [3, 4]]), _SPEC), idea="Nested as the shape."),
        Example((_SENT(shape=[2, 2]), _SPEC), idea="Four values are said, two are there."),
        *(Trap(what, args, idea=idea) for what, args, idea in cases.TENSORS),
        Property("repeats nothing", trials.says_nothing_back, idea="Say what was expected."),
        Search(draws.TENSORS, idea="Which line of the specification does it break?", examples=120),
    ],
)

_TWO = ("UINT8", [3], 3), ("FP32", [2], 8)

tensors = Check(
    "07.2",
    reference=draws.by_status(admission.tensors),
    lends=admission.tensors,
    ours=[admission.tensors],
    bank=bank.TENSORS,
    steps=[
        Example(draws.body(("UINT8", [3], 3)), idea="1, 2, 3."),
        Example(draws.body(*_TWO), idea="The second begins where the first ends."),
        *(Trap(what, args, idea=idea) for what, args, idea in cases.BODIES),
        Property("repeats nothing", trials.says_no_size_back, idea="Say what was expected."),
        Search(draws.BODIES, idea="Write down where each tensor begins and ends.", examples=100),
    ],
)

decide = Check(
    "07.3",
    reference=draws.by_status(tokens.decide),
    lends=tokens.decide, ours=[tokens.decide],
    bank=bank.DECIDE,
    steps=[
        Example(draws.asked(), idea="An honest token, in time."),
        Example(draws.asked(1300), idea="At 1300 it has expired."),
        *(Trap(what, args, idea=idea) for what, args, idea in cases.TOKENS),
        Property("repeats nothing", trials.says_no_token_back, idea="Say what was expected."),
        Search(draws.TOKENS, idea="Which of the conditions does not hold?", examples=100),
    ],
)

_OUT = "The names that there are, and no path."

key_for = Check(
    "07.4",
    reference=admission.key_for,
    bank=bank.KEY_FOR,
    steps=[
        Property("finds keys", trials.finds("ada", "bob.x", "bob"), idea="The file's name."),
        Property("knows what is not there", trials.finds("eve", "", "notes"), idea="None."),
        Property("goes nowhere else", trials.finds("../spy", "....//spy"), idea=_OUT),
        Property("knows its neighbours", trials.finds("../keys-old/ada"), idea=_OUT),
        Property("goes no deeper", trials.finds("in/deep"), idea=_OUT),
        Property("makes no detours", trials.finds("../keys/ada", "./ada"), idea=_OUT),
        Property("knows whole paths", trials.finds("{}/ada", "{}/../spy", "{}-old/ada"), idea=_OUT),
        Property("opens no socket", trials.finds("plug"), idea="Path.is_file."),
        Property("follows no links", trials.finds("lent", "twin"), idea="Path.is_symlink."),
        Property("reads no folder", trials.finds("box", "in"), idea="Path.is_file."),
        Property("takes any text", trials.finds("\0", "ada\0", "a" * 5000, "\ud800"), idea=_OUT),
        Property("has no way out", trials.finds_no_way_out, idea=_OUT),
    ],
)

same = Check(
    "07.5",
    reference=lambda given, kept: hmac.compare_digest(given, kept),
    ours=[admission.same],
    bank=bank.SAME,
    steps=[
        Example((b"abc", b"abc"), idea="Equal."),
        Example((b"abd", b"abc"), idea="The last byte differs."),
        Trap("a beginning", (b"ab", b"abc"), idea="Shorter is not equal."),
        Trap("nothing", (b"", b"abc"), idea="Nothing is the beginning of everything."),
        Trap("longer", (b"abcd", b"abc"), idea="Longer is not equal."),
        Trap("in another order", (b"cab", b"abc"), idea="Place by place."),
        Trap("differences that cancel", (b"bac", b"abc"), idea="+1 and −1."),
        Trap("the first byte", (b"xbc", b"abc"), idea="One difference is enough."),
        Trap("a zero in front", (b"\0abc", b"abc"), idea="Four bytes are not three."),
        Trap("a zero behind", (b"abc\0", b"abc"), idea="Four bytes are not three."),
        Trap("another case", (b"ABC", b"abc"), idea="Other bytes are other bytes."),
        Trap("white space", (b"abc\n", b"abc "), idea="Other bytes are other bytes."),
        Trap("nothing twice", (b"", b""), idea="Equal."),
        Trap("a check sum that is the same", (b"plumless", b"buckeroo"),
             idea="All of the value counts."),
        Property("tells many apart", trials.tells_apart, idea="All of the value counts."),
        Search(draws.PAIRS, idea="Compare place by place.", examples=100),
        Property("tells no place", trials.tells_no_place, by_clock=True, idea="Look at all bytes."),
    ],
)

limit = Check(
    "07.6",
    reference=admission.limit,
    ours=[admission.least_burst],
    bank=bank.LIMIT,
    steps=[
        Example(([[0, 0, 0, 60]], 4, 2000), idea="Rate 1, burst 3."),
        Example(([[0, 0, 0, 60]], 3, 2000), idea="3 + 1/60 is above 3."),
        Example(([[0, 0, 1]], 4, 50_000), idea="Rate 1: 2 and 59/60 are missing."),
        Trap("a steady client", ([[0, 1, 2, 3, 4, 5]], 3, 99_999), idea="No two at once."),
        Trap("a long rest", ([[0, 600, 600, 600]], 9, 3000), idea="A full bucket gains nothing."),
        Trap("the burst counts in a day", ([[0, 0]], 9, 1441), idea="2 + 1440 is above 1441."),
        Trap("exactly the day", ([[0, 0]], 9, 1442), idea="2 + 1440 is 1442."),
        Trap("exactly the second", ([[0] * 5 + [5] * 5], 6, 99_999), idea="5 + 60/60 is 6."),
        Trap("two clients", ([[0, 0], [0, 0, 0]], 4, 2000), idea="Each has a bucket of its own."),
        Trap("the second client", ([[0], [0, 0, 0]], 9, 2000), idea="All of them."),
        Trap("a faster rate, a smaller burst", ([[0, 0, 30, 30, 60, 60]], 3, 9000), idea="Try."),
        Trap("two thirds of a token", ([[0, 0, 0, 2, 3, 5]], 4, 99_999),
             idea="Count in sixtieths of a token: these are whole numbers."),
        Trap("no day for a token", ([[0]], 9, 1439), idea="Rates begin with 1."),
        Search(draws.RATES, idea="Which rate is the first, and what is missing at it?",
               examples=120),
    ],
)
