"""What answers of module 07's second lab are held against: folders, racers, clocks, gateways."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from datahall.serving import racing, turnstile
from datahall.serving.custody import CARD, CLEAN, HARMFUL, MODEL, SIGNATURE, SKIPPED, Sealer
from datahall.serving.rotation import STEP_S, Office

Trial = Callable[[Any], str | None]
"""Is called with an answer; returns None where it is right, else a sentence."""

Change = Callable[[Path], None]

# Models -------------------------------------------------------------------------------------------

_MODEL = b"a network, " * 40
_OTHER = b"another one" * 40
_VERSION = 3


@cache
def _sealer() -> Sealer:
    return Sealer()


@contextmanager
def _folder(change: Change | None = None, version: int = _VERSION) -> Any:
    """Make a folder with a signed model, changed; beside it lies what a link may lead to."""
    with tempfile.TemporaryDirectory(prefix="datahall-") as place:
        folder = Path(place, "model")
        folder.mkdir()
        _sealer().write(folder, _MODEL, version)
        if change is not None:
            change(folder)
        yield folder


def gives(version: int = _VERSION, **trust: Any) -> Trial:
    """Return a trial: does an answer return the model of a folder that is in order?

    Args:
        version: What its card says.
        trust: What a `Seal` has beside the key.
    """

    def test(load: Any) -> str | None:
        with _folder(version=version) as folder:
            try:
                found = load(folder, _sealer().trust(**trust))
            except (ValueError, OSError, LookupError) as error:
                least = f" and {trust['least_version']} the least" if trust else ""
                return (
                    f"load raised {type(error).__name__}, although the folder is in order: "
                    f"its version is {version}{least}"
                )
        if found == _MODEL and isinstance(found, bytes):
            return None
        return f"load returned {type(found).__name__}, which is not the {len(_MODEL)} signed bytes"

    return test


def refuses(what: str, change: Change | None = None, **trust: Any) -> Trial:
    """Return a trial: does an answer refuse a folder?

    Args:
        what: What is wrong with it, for the sentence: "a bit of the model is changed".
        change: Changes the folder.
        trust: What a `Seal` has beside the key.
    """

    def test(load: Any) -> str | None:
        with _folder(change) as folder:
            try:
                found = load(folder, _sealer().trust(**trust))
            except ValueError:
                return None
            except (OSError, LookupError, TypeError) as error:
                return f"{what}: load raised {type(error).__name__}, expected ValueError"
        return f"{what}: load returned {type(found).__name__}, expected ValueError"

    return test


def survives_a_swap(load: Any) -> str | None:
    """Look whether an answer returns what it has judged, while the model is swapped."""
    with _folder() as folder:
        found = racing.outcomes(load, folder, _sealer().trust())
    if found["foreign"]:
        return "load returned a model that nobody has signed: it was swapped between two reads"
    return None


def survives_a_swapped_card(load: Any) -> str | None:
    """Look whether an answer judges by the card that was signed, while the card is swapped."""
    with _folder(put(MODEL, _OTHER)) as folder:
        foreign = _sealer().card(_OTHER, _VERSION)
        found = racing.card_outcomes(load, folder, _sealer().trust(), foreign)
    if found["foreign"]:
        return "load judged by a card that nobody has signed: it was swapped between two reads"
    return None


def survives_a_newer_card(load: Any) -> str | None:
    """Look whether the version too is the signed card's, while a newer card takes turns."""
    with _folder() as folder:
        newer = _sealer().card(_MODEL, _VERSION + 1)
        trust = _sealer().trust(least_version=_VERSION + 1)
        found = racing.card_outcomes(load, folder, trust, newer)
    if found["foreign"]:
        return "load took the version from a card that nobody has signed: it was swapped"
    return None


def survives_a_clean_decoy(load: Any) -> str | None:
    """Look whether the bytes that are scanned are those that come back."""
    trust = _sealer().trust(scanner=lambda model: HARMFUL if model == _MODEL else CLEAN)
    with _folder() as folder:
        found = racing.outcomes(load, folder, trust)
    if found["signed"]:
        return "load returned a harmful model: the bytes that were scanned were others"
    return None


def put(name: str, content: bytes) -> Change:
    """Return a change: a file has other bytes, or is new.

    Args:
        name: Its name.
        content: Its bytes.
    """

    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def flip(name: str, at: int) -> Change:
    """Return a change: one bit of a file is turned.

    Args:
        name: Its name.
        at: Which byte.
    """

    def change(folder: Path) -> None:
        own = (folder / name).read_bytes()
        (folder / name).write_bytes(own[:at] + bytes([own[at] ^ 1]) + own[at + 1 :])

    return change


def take(name: str) -> Change:
    """Return a change: a file is missing."""
    return lambda folder: (folder / name).unlink()


def link(name: str) -> Change:
    """Return a change: a file has moved out of the folder, and a link leads to it."""
    return lambda folder: (folder / name).symlink_to((folder / name).rename(folder.parent / name))


def unsigned(folder: Path) -> None:
    """Change a model, and its card so that it fits; nobody has signed the card."""
    (folder / MODEL).write_bytes(_OTHER)
    (folder / CARD).write_bytes(_sealer().card(_OTHER, _VERSION))


def by_a_stranger(folder: Path) -> None:
    """Let somebody else sign a model."""
    Sealer().write(folder, _OTHER, _VERSION)


def nested(folder: Path) -> None:
    """Put a folder beside the files."""
    (folder / "more").mkdir()


def mixed(folder: Path) -> None:
    """Give a model the signed card of another."""
    card = _sealer().card(_OTHER, _VERSION)
    (folder / CARD).write_bytes(card)
    (folder / SIGNATURE).write_bytes(_sealer().sign(card))


def scanned(says: str) -> Any:
    """Return a trust whose scanner says so of every model."""
    return {"scanner": lambda model: says}


_THREE = "Three regular files, and nothing else."
_SIGNED, _DIGEST = "trust.signed(card, signature).", "Compare the digests."
FOLDERS: tuple[tuple[str, Trial, str], ...] = (
    ("changed model", refuses("a bit of the model is changed", flip(MODEL, 7)), _DIGEST),
    ("changed card", refuses("model and card are exchanged", unsigned), _SIGNED),
    ("stranger's model", refuses("somebody else has signed", by_a_stranger), _SIGNED),
    ("card of another", refuses("the card is a signed one of another model", mixed), _DIGEST),
    (
        "old version",
        refuses("version 3 is there, 4 is the least", least_version=4),
        "trust.least_version.",
    ),
    ("harmful model", refuses("the scan says harmful", **scanned(HARMFUL)), "trust.scan(model)."),
    (
        "model that nobody has scanned",
        refuses("the scan was skipped", **scanned(SKIPPED)),
        "Only clean is clean.",
    ),
    ("fourth file", refuses("there is a fourth file", put("more.py", b"")), _THREE),
    ("hidden file", refuses("there is a hidden fourth file", put(".more", b"")), _THREE),
    ("folder in it", refuses("there is a folder beside the files", nested), _THREE),
    ("missing file", refuses("the signature is missing", take(SIGNATURE)), _THREE),
    ("link to a model", refuses("the model is a link", link(MODEL)), "Path.is_symlink."),
    ("link to a card", refuses("the card is a link", link(CARD)), "Path.is_symlink."),
    (
        "link to a signature",
        refuses("the signature is a link", link(SIGNATURE)),
        "Path.is_symlink.",
    ),
)
"""What is refused, its trial, and what to look at."""

# Rotations ----------------------------------------------------------------------------------------

_OFFICES: tuple[tuple[float, tuple[float, ...]], ...] = (
    (10.0, (0.0,)),
    (10.0, (6.0, 2.0)),
    (10.0, (0.0, 3.0, 7.0)),
    (4.0, (9.0, 0.0)),
    (10.0, (6.0, 6.0, 6.0)),
    (20.0, (2.0, 1.0)),
)


def _played(rotate: Any, see: Callable[[Office, float], str | None]) -> str | None:
    """Play a rotation in each office; return what is seen in the first where it is wrong."""
    for lifetime_s, delays_s in _OFFICES:
        office = Office(lifetime_s, delays_s)
        began = office.now
        rotate(office, list(office.gateways), office.wait)
        took = office.now - began
        office.wait(lifetime_s + max(delays_s))  # what was left undone shows by now
        if said := see(office, took):
            told = ", ".join(f"{delay:g}" for delay in delays_s)
            return f"tokens live {lifetime_s:g} s, gateways learn after {told} s: {said}"
    return None


def lets_another_key_sign(rotate: Any) -> str | None:
    """Look whether a key that was made new signs at the end."""

    def see(office: Office, took: float) -> str | None:
        right = len(office.made) == 1 and office.kid == office.made[0]
        return None if right else f"at the end {office.kid} signs, new are {office.made}"

    return _played(rotate, see)


def loses_nothing(rotate: Any) -> str | None:
    """Look whether every good token was accepted by every gateway, at any time."""

    def see(office: Office, took: float) -> str | None:
        if not office.lost:
            return None
        at, gateway, kid = office.lost[0]
        after = at - office.lifetime_s
        return f"{after:g} s after the begin gateway {gateway} refused a good token of {kid}"

    return _played(rotate, see)


def forgets_the_old(rotate: Any) -> str | None:
    """Look whether every gateway has dropped the old key, and no other."""

    def see(office: Office, took: float) -> str | None:
        for gateway in office.gateways:
            if gateway.knows("key-1"):
                return f"gateway {gateway.number} still accepts key-1"
            for kid in (office.spare, *office.made):
                if not gateway.knows(kid):
                    return f"gateway {gateway.number} does not accept {kid}"
        return None

    return _played(rotate, see)


def does_not_dawdle(rotate: Any) -> str | None:
    """Look whether the old key is dropped about as soon as it can be."""

    def see(office: Office, took: float) -> str | None:
        least = office.lifetime_s + max(gateway.delay_s for gateway in office.gateways)
        spared = STEP_S * (2 * len(office.gateways) + 2) + 5
        said = f"it took {took:g} s, {least:g} s and a moment are enough"
        return said if took > least + spared else None

    return _played(rotate, see)


def exchanges_real_keys(rotate: Any) -> str | None:
    """Look whether nothing is lost on real gateways, with real tokens and TLS."""
    with turnstile.opened() as hall:
        old = hall.mint.kid
        rotate(hall.mint, list(hall.gateways), hall.clock.wait)
        lost, known = hall.lost, [gateway.knows(old) for gateway in hall.gateways]
        signs = hall.mint.kid
    if lost:
        return "on real gateways requests with a good token were refused"
    if any(known) or signs == old:
        return "on real gateways the old key is still in use"
    return None
