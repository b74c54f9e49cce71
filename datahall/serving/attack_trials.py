"""What answers of module 07's attack lab are held against: careless judges, lenient readers, logs.

The readers are the service's own (`validation.read`) without one defence, the log is its own
(`AuditLog`); the careless judges of tokens are written here, each with one mistake.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import posixpath
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from datahall.errors import ParameterError
from datahall.serving import forging, tokens
from datahall.serving.attack_answers import FAULTS, KINDS, on_wire
from datahall.serving.audit import AuditLog
from datahall.serving.defences import Defence, Defences
from datahall.serving.evidence_trials import Trial
from datahall.serving.protocol import Refusal, RefusedError, TensorSpec
from datahall.serving.validation import RequestLimits, read

NOW = 1_000_000.0
IMAGES = TensorSpec("images", "UINT8", (-1, 28, 28, 1), 0, 255, max_batch=32)
_DEEP = "/srv/models/service/replicas/one/trust/public"  # with keys/ eight levels
_ROOM = 4 << 20  # bytes of a body that a reader takes: more than any of the attacks needs


# Tokens -------------------------------------------------------------------------------------------


@cache
def issuer() -> tokens.Issuer:
    """Return the issuer of the honest tokens."""
    return tokens.Issuer()


def honest() -> tuple[str, bytes]:
    """Return an honest token and the public key that checks it, PEM."""
    token = issuer().issue("ada", now=NOW)
    return token, issuer().keys().by_kid[issuer().kid]


def judge(token: Any, mistake: str) -> str:
    """Judge a token with one mistake; return why it is refused, or nothing if it is believed.

    Args:
        token: What claims to be one.
        mistake: "unsigned", "confused", "path"; any other word: no mistake, the service's judge.
    """
    if not isinstance(token, str):
        return f"it is {type(token).__name__}, not text"
    if mistake not in KINDS:
        found = tokens.decide(token, issuer().keys(), NOW + 1)
        return found.says if isinstance(found, Refusal) else ""
    if "=" in token or len(token.split(".")) != 3:
        return "it is no token: three parts without padding, with dots between, were expected"
    if not re.fullmatch("[A-Za-z0-9_.-]*", token):
        return "it is not base64url, which has - and _ in place of + and /"
    try:
        header, claims, signature = forging.parts(token)
    except ParameterError:
        return "its parts are not base64url of JSON"
    return _unproven(token, header, signature, mistake) or _said(claims)


def _unproven(token: str, header: Mapping[str, Any], signature: bytes, mistake: str) -> str:
    if mistake == "unsigned":
        if header.get("alg") != "none":
            return 'its header does not say "alg": "none"'
        return "its signature is not empty" if signature else ""
    if header.get("alg") != "HS256":
        return 'its header does not say "alg": "HS256"'
    kid = header.get("kid")
    if mistake == "confused":
        secret = issuer().keys().by_kid.get(kid) if isinstance(kid, str) else None
        if secret is None:
            return "its header names no key of the service"
    else:
        secret, path = b"", posixpath.normpath(f"{_DEEP}/keys/{kid}")
        if path != "/dev/null":
            return f"its kid leads to {path}"
    return _unfit(token, signature, secret)


def _unfit(token: str, signature: bytes, secret: bytes) -> str:
    """Return what is wrong with an HMAC; the likely mistakes by name."""
    over = token.rpartition(".")[0]

    def fits(text: str, key: bytes = secret) -> bool:
        return hmac.compare_digest(hmac.digest(key, text.encode(), hashlib.sha256), signature)

    if fits(over):
        return ""
    if len(signature) != hashlib.sha256().digest_size:
        return f"its signature has {len(signature)} bytes, an HMAC-SHA256 has 32"
    if fits(over.partition(".")[2]):
        return "the HMAC fits the claims alone"
    if fits(over, secret.strip()):
        return "the HMAC fits the secret without its last line end"
    return "the HMAC does not fit the parts that it sends"


def _said(claims: Mapping[str, Any]) -> str:
    """Return what is wrong with claims that should say root, and else be the honest ones."""
    before = forging.parts(honest()[0])[1]
    if claims.get("sub") != "root":
        return 'its claims do not say "sub": "root"'
    same = {name: value for name, value in before.items() if name not in ("sub", "jti")}
    changed = [name for name, value in same.items() if claims.get(name) != value]
    changed += [] if "jti" in claims else ["jti"]
    return f"its claim {changed[0]} is not what it was" if changed else ""


def believes(kind: str) -> Trial:
    """Return a trial: does the judge with this mistake believe the forged token?

    Args:
        kind: "unsigned", "confused" or "path".
    """

    def test(answer: Any) -> str | None:
        for _ in range(8):  # what is not base64url shows in three tokens of four
            found = _dict(answer(*honest()), KINDS, "forge")
            if isinstance(found, str):
                return found
            if why := judge(found[kind], kind):
                return f"the judge with the mistake {kind!r} refuses your token: {why}"
        return None

    return test


def one_mistake_each(answer: Any) -> str | None:
    """Try each forged token on the judges that it is not made for."""
    found = _dict(answer(*honest()), KINDS, "forge")
    if isinstance(found, str):
        return found
    for kind in KINDS:
        for other in (*KINDS, "no mistake"):
            if other != kind and not judge(found[kind], other):
                return f"the token {kind!r} is believed by the judge with {other!r} too"
    return None


def judged(answer: Any) -> list[dict[str, str]]:
    """Return what each judge says of the tokens of an answer: a row for each judge.

    Args:
        answer: A `forge`.
    """
    found = answer(*honest())
    rows = []
    for mistake in (*KINDS, "none: the service"):
        said = {kind: judge(found[kind], mistake) for kind in KINDS}
        believed = {kind: "refused" if why else "believed" for kind, why in said.items()}
        rows.append({"the judge's mistake": mistake, **believed})
    return rows


def _dict(found: Any, names: tuple[str, ...], called: str) -> dict[str, Any] | str:
    if not isinstance(found, dict) or set(found) != set(names):
        got = sorted(map(str, found)) if isinstance(found, dict) else type(found).__name__
        return f"{called} returned {got}, expected a dict with {', '.join(names)}"
    return found


# Requests -----------------------------------------------------------------------------------------


def request() -> dict[str, Any]:
    """Return the JSON of an honest request with one image, decoded."""
    data = [(7 * place) % 256 for place in range(784)]
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 28, 28, 1], "data": data}
    return {"inputs": [tensor]}


def reads(sent: Any, defences: Defences) -> str:
    """Let the service's reader read a request; return why it is refused, or nothing.

    Args:
        sent: Content type, JSON and the bytes behind it.
        defences: Which of its checks are on.

    Raises:
        AssertionError: The reader has failed: that is no answer.
    """
    headers, body = on_wire(sent)
    try:
        read(body, headers, [IMAGES], RequestLimits(_ROOM), gives=("label", "scores"),
             defences=defences)  # fmt: skip
    except RefusedError as error:
        return error.refusal.says
    except Exception as error:
        raise AssertionError(f"the service fails ({type(error).__name__})") from error
    return ""


def kills(name: str) -> Trial:
    """Return a trial: does the request get through without this defence, and only then?

    Args:
        name: Of a defence.
    """

    def test(answer: Any) -> str | None:
        given = request()
        found = _dict(answer(given), FAULTS, "attacks")
        if isinstance(found, str):
            return found
        if given != request():
            return "attacks changed the honest request that it was given. Work on a copy"
        sent = found[name]
        if not _is_sent(sent):
            return f"attacks()[{name!r}] is no content type (text), JSON (dict) and bytes"
        if not reads(sent, Defences.all()):
            return f"{name!r} is answered by the intact service: it has no fault"
        if why := reads(sent, Defences.all().without(Defence(name))):
            return f"{name!r} is refused by the service that lacks only this check: {why}"
        return None

    return test


def _is_sent(sent: Any) -> bool:
    if not isinstance(sent, tuple) or len(sent) != 3:
        return False
    return all(isinstance(one, kind) for one, kind in zip(sent, (str, dict, bytes), strict=True))


# Logs ---------------------------------------------------------------------------------------------


def logs(value: str) -> dict[str, list[dict[str, Any]]]:
    """Return what stands in two logs after a request for a model of that name, decoded.

    Args:
        value: The name.

    Returns:
        The lines of the log that pastes and of the one that escapes.

    Raises:
        AssertionError: A line of the log that pastes is no JSON.
    """
    found = {}
    for name, defences in (
        ("pasting", Defences.all().without(Defence.LOG_ESCAPING, Defence.LOG_CHAIN)),
        ("escaping", Defences.all().without(Defence.LOG_CHAIN)),
    ):
        with tempfile.TemporaryDirectory(prefix="datahall-") as scratch:
            path = Path(scratch, "audit.jsonl")
            log = AuditLog(path, defences=defences)
            log.write(what="ready", model="mnist_cnn", verdict="allowed", status=200)
            log.write(what="infer", model=value, verdict="refused", status=404)
            log.write(what="live", model="mnist_cnn", verdict="allowed", status=200)
            log.close()
            lines = path.read_bytes().split(b"\n")[:-1]
        found[name] = [_decoded(number, line) for number, line in enumerate(lines, 1)]
    return found


def _decoded(number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        end = line[-24:].decode(errors="replace")
        raise AssertionError(f"line {number} of the log, which ends …{end}, is no JSON object")
    return found


def writes(entry: Mapping[str, Any]) -> Trial:
    """Return a trial: does the log that pastes get a line that says exactly this?

    Args:
        entry: What it must say.
    """

    def test(answer: Any) -> str | None:
        value = answer(dict(entry))
        if not isinstance(value, str):
            return f"inject returned {type(value).__name__}, expected text"
        both = logs(value)
        if dict(entry) not in both["pasting"]:
            return f"inject({dict(entry)}): no line of the log says exactly this"
        own = [line["what"] for line in both["pasting"] if "time" in line and "what" in line]
        if own[0] != "ready" or "infer" not in own[1:-1] or own[-1] != "live":
            return f"the log's own lines now say {', '.join(map(str, own))}: one is not whole"
        return None

    return test
