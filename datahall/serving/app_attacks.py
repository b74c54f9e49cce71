"""Attacks that the app's defences stop, one for each."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson

from datahall.serving.attack_answers import attacks as faulty
from datahall.serving.attack_answers import inject, on_wire
from datahall.serving.attacks import Attack, Attempt, answered, asked, image, lines, refused
from datahall.serving.audit import first_altered
from datahall.serving.client import Replied
from datahall.serving.defences import Defence
from datahall.serving.protocol import decode_response
from datahall.serving.spoken import Sent, call
from datahall.serving.target import Target

DRAFT = "draft"  # a model that lies in the repository and is not served


def _faulty(target: Target, name: str) -> Sent:
    headers, body = on_wire(faulty(orjson.loads(asked(image()).body))[name])
    more = tuple((n, v) for n, v in headers.items() if n != "content-type")
    return Sent(body, headers=more, kind=headers["content-type"], token=target.token())


def content_type(target: Target) -> Attempt:
    """Send JSON as plain text, as a stranger's web page can without being asked."""
    return answered(target, _faulty(target, "content_type"), "plain text was answered")


def strict_json(target: Target) -> Attempt:
    """Send a field twice: a filter that reads the first one sees another request."""
    two = [asked(image(seed)).body[1:-1] for seed in (0, 1)]
    sent = replace(asked(image()), body=b"{" + b",".join(two) + b"}", token=target.token())
    return answered(target, sent, "a request that says two things was answered")


def exact_shape(target: Target) -> Attempt:
    """Say another shape."""
    return answered(target, _faulty(target, "exact_shape"), "pixels without places were answered")


def datatype(target: Target) -> Attempt:
    """Say another type."""
    return answered(target, _faulty(target, "datatype"), "floats were read as octets")


def value_range(target: Target) -> Attempt:
    """Send 256, which a byte cannot hold."""
    return answered(target, _faulty(target, "value_range"), "256 was read as another pixel")


def batch_limit(target: Target) -> Attempt:
    """Send more images than a request may hold."""
    return answered(target, _faulty(target, "batch_limit"), "33 images for the price of one")


def size_adds_up(target: Target) -> Attempt:
    """Announce an image and send none: what is answered then is the last caller's."""
    secret = replace(asked(image(7), binary=True), token=target.token("victim"))
    theirs = call(target, secret)
    came = call(target, _faulty(target, "size_adds_up"))
    if came.status != 200:
        return Attempt(False, refused(came))
    same = bool(np.array_equal(_scores(came), _scores(theirs)))
    return Attempt(same, "the scores of another caller's image came back" if same else "no harm")


def _scores(came: Replied) -> Any:
    outputs = decode_response(came.body, came.headers).outputs
    return next(each.array for each in outputs if each.name == "scores")


def model_name(target: Target) -> Attempt:
    """Ask for a model that is not served, and for one whose name leads out of the folder."""
    sent = Sent(path=f"/v2/models/{DRAFT}/versions/1", method="GET", token=target.token())
    came = call(target, sent)
    if came.status == 200 and b"digest" in came.body:
        return Attempt(True, "the card of a model that is not served was read")
    sent = replace(asked(image()), path="/v2/models/../infer", token=target.token())
    return answered(target, sent, "a model with the name .. answered")


def quiet_errors(target: Target) -> Attempt:
    """Make an error, and read what it tells."""
    came = call(target, Sent(b'{"inputs": "canary-1234', token=target.token()))
    told = b"Traceback" in came.body or b"canary-1234" in came.body
    return Attempt(told, "the error tells code and input" if told else refused(came))


def log_escaping(target: Target) -> Attempt:
    """Ask for a model whose name ends the log's line and begins another."""
    entry = {"who": "root", "verdict": "allowed", "mark": time.monotonic_ns()}
    path = f"/v2/models/{quote(inject(entry), safe='')}"
    call(target, Sent(path=path, method="GET", token=target.token()))
    found = orjson.dumps(entry) in [line.replace(b": ", b":").replace(b", ", b",")
                                    for line in lines(target)]  # fmt: skip
    return Attempt(found, "a foreign line stands in the log" if found else "it stayed one value")


def log_chain(target: Target) -> Attempt:
    """Change a line of a copy of the log, and ask the verifier about both."""
    call(target, replace(asked(image()), token=target.token()))
    log = next(path for path in target.audit if b'"allowed"' in path.read_bytes())
    before = log.read_bytes().splitlines()
    place = max(i for i, line in enumerate(before) if b'"allowed"' in line)
    after = list(before)
    after[place] = after[place].replace(b'"allowed"', b'"refused"')
    same = first_altered(before) == first_altered(after)
    told = "the verifier says the same of the log and of the forged one"
    return Attempt(same, told if same else f"line {place} is found")


def hashed_token(target: Target) -> Attempt:
    """Read a token from the log, and use it."""
    call(target, replace(asked(image()), token=target.token("victim")))
    for line in reversed(lines(target)):
        who = str(orjson.loads(line).get("who", "")) if line.startswith(b"{") else ""
        stolen = who.removeprefix("Bearer ")
        if stolen.count(".") == 2:
            sent = replace(asked(image()), token=stolen)
            return answered(target, sent, "a token was read from the log and used")
    return Attempt(False, "no token stands in the log")


def coarse_scores(target: Target) -> Attempt:
    """Change one pixel a little, and see which way the scores move."""
    came = call(target, replace(asked(image()), token=target.token()))
    scores = _scores(came).astype(np.float64) if came.status == 200 else np.zeros(1)
    fine = bool((np.abs(scores * 100 - np.rint(scores * 100)) > 1e-3).any())
    return Attempt(fine, "scores come with all their digits" if fine else "two digits at most")


def replay(target: Target) -> Attempt:
    """Send a recorded request again, although its caller wanted it once only."""
    nonce = f"once-only-{time.monotonic_ns()}"
    sent = replace(asked(image()), token=target.token())
    sent = replace(sent, headers=(*sent.headers, ("Datahall-Nonce", nonce)))
    first = call(target, sent)
    if first.status != 200:
        return Attempt(False, refused(first))
    return answered(target, sent, "the same request was answered twice")


def _attack(defence: Defence) -> Attack:
    run = globals()[defence.value]
    return Attack(defence, run.__doc__, run)


APP = tuple(_attack(each) for each in Defence if each.place == "app")
