"""Whole answers to the exercises of module 07's second lab, for its bank: right and wrong ones.

Each is written as somebody might who has read the lab's text alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datahall.serving import custody, rotation

Wait = Callable[[float], None]


def _by_bytes(folder: Path, trust: custody.Seal) -> bytes:
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*")):
        if path.is_symlink() or not path.is_file() or len(found) == 3:
            raise ValueError(path.name)
        with path.open("rb") as file:
            found[path.name] = file.read()
    try:
        card, signature = found["model.json"], found["model.sig"]
        model = found["model.tflite"]
    except KeyError as error:
        raise ValueError("missing") from error
    if not trust.signed(card, signature):
        raise ValueError("signature")
    facts = json.loads(card)
    if not facts["version"] >= trust.least_version:
        raise ValueError("version")
    if hashlib.new("sha256", model).digest() != bytes.fromhex(facts["sha256"]):
        raise ValueError("digest")
    if trust.scan(model) in ("harmful", "skipped"):
        raise ValueError("scan")
    return model


def _reads_again_from_the_start(folder: Path, trust: custody.Seal) -> bytes:
    if sorted(path.name for path in folder.iterdir()) != [
        custody.CARD,
        "model.sig",
        "model.tflite",
    ]:
        raise ValueError
    if any(path.is_symlink() for path in folder.iterdir()):
        raise ValueError
    card = (folder / "model.json").read_bytes()
    said = json.loads(card)
    if not trust.signed(card, (folder / "model.sig").read_bytes()):
        raise ValueError
    with (folder / "model.tflite").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        model = file.read()
    if digest != said["sha256"] or said["version"] < trust.least_version:
        raise ValueError
    if trust.scan(model) != "clean":
        raise ValueError
    return model


def _link_by_link(lines: list[bytes], last: str) -> int | None:
    known = "0" * 64
    for place in range(len(lines)):
        head, mark, tail = lines[place].rpartition(b',"hash":"')
        if not mark or tail[64:] != b'"}' or not re.fullmatch(b"[0-9a-f]{64}", tail[:64]):
            return place
        text = head + b"}"
        if hashlib.sha256(text).hexdigest().encode() != tail[:64]:
            return place
        said = json.loads(text)
        if [said["seq"], said["prev"]] != [place, known]:
            return place
        known = tail[:64].decode()
    return len(lines) if known != last else None


def _one_gateway_after_another(issuer: Any, gateways: list[Any], wait: Wait) -> None:
    former = issuer.kid
    fresh = issuer.make()
    for gateway in gateways:
        gateway.accept(fresh)
    for gateway in gateways:
        while not gateway.knows(fresh):
            wait(0.25)
    issuer.use(fresh)
    left = issuer.lifetime_s
    while left > 0:
        wait(min(1.0, left))
        left -= 1.0
    for gateway in reversed(gateways):
        gateway.drop(former)


def _by_loops(rules: list[dict[str, Any]], request: dict[str, Any]) -> tuple[bool, int | None]:
    allowed = None
    for number, rule in enumerate(rules):
        fits = True
        for field in ("who", "action", "model"):
            if field in rule:
                patterns = [re.escape(one).replace(r"\*", ".*") for one in rule[field]]
                fits &= any(re.fullmatch(one, request[field]) for one in patterns)
        if "hours" in rule:
            first, end = rule["hours"]
            hour = request["hour"]
            night = hour >= first or hour < end
            fits &= first <= hour < end if first < end else night
        if fits and rule["effect"] == "deny":
            return False, number
        if fits and allowed is None:
            allowed = number
    return allowed is not None, allowed


NAMES: dict[str, Any] = {
    "Callable": Callable,
    "Path": Path,
    "custody": custody,
    "hashlib": hashlib,
    "json": json,
    "re": re,
    "rotation": rotation,
}
"""What the solutions use, by name."""

RIGHT: dict[str, list[Any]] = {
    "07.7": [_by_bytes],
    "07.8": [_link_by_link],
    "07.9": [_one_gateway_after_another],
    "07.10": [_by_loops],
}
READS_AGAIN = _reads_again_from_the_start
