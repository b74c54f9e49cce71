"""The service without HTTP: a model that is verified and replaced, and a decision for each request.

`Service.answer` is the whole way of a request: the model's name, the tensors, once only or not, the
network, the answer. It raises `RefusedError` for what it does not answer. `app` puts HTTP round it.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np
import orjson

from datahall.errors import CourseError, DataError
from datahall.serving import repository
from datahall.serving.audit import AuditLog
from datahall.serving.defences import Defence
from datahall.serving.measures import Measures
from datahall.serving.model import ServedModel
from datahall.serving.nonces import Nonces
from datahall.serving.protocol import (
    InferResponse,
    Message,
    Refusal,
    RefusedError,
    Tensor,
    encode_response,
    refuse,
)
from datahall.serving.settings import ServiceSettings
from datahall.serving.signing import CARD_FILE, Trust, verified
from datahall.serving.validation import read

TOKEN_HASH_HEADER, SUBJECT_HEADER = "x-datahall-token-hash", "x-datahall-subject"
NONCE_HEADER = "datahall-nonce"
UNLOGGED = Refusal(503, "no_log", "The decision cannot be logged: no answer without it.")


@dataclass(frozen=True)
class Answered:
    """An answer, and the name that the caller gave to his request."""

    message: Message
    id: str


class Service:
    """One model, its log and its counters.

    Args:
        settings: What to serve, and with which defences.

    Raises:
        RefusedError: The model is not to be trusted.
        DataError: There is none, or the log cannot be opened.

    Attributes:
        model: What is served now.
        in_flight: How many requests are being answered.
        problem: Why the last reload was refused; "" if it was not.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings, self.on = settings, settings.on
        self.in_flight, self.problem = 0, ""
        self._log_fails = False
        self.measures = Measures(lambda: self.in_flight)
        self.log = None
        if settings.audit is not None:
            key = settings.audit_key.read_bytes() if settings.audit_key else None
            self.log = AuditLog(settings.audit, key, defences=self.on)
        self._nonces = Nonces(settings.nonces)
        self._scratch = bytearray()
        try:
            self._serve(self.verify(settings.trust), "load")
        except (CourseError, OSError) as error:
            self._not_loaded(error, "load")
            raise
        if self._log_fails:
            raise DataError(
                f"The log {settings.audit} cannot be written. Room on its disk was expected. Free "
                "some space, or choose another folder."
            )

    def verify(self, trust: Trust) -> ServedModel:
        """Return the version that is to be served, verified and ready; changes nothing.

        Args:
            trust: Whose models are loaded.

        Raises:
            RefusedError: It is not to be trusted.
            DataError: There is none.
        """
        told = self.settings
        version = told.version or repository.current(told.models, told.name)
        folder = repository.place(told.models, told.name, version)
        return ServedModel(verified(folder, trust, defences=self.on))

    def take(self, found: ServedModel | Exception) -> bool:
        """End a reload: serve the new model, or keep the old one and say why.

        Args:
            found: What `verify` returned or raised.

        Returns:
            Whether the new model is served.
        """
        if isinstance(found, ServedModel):
            self._serve(found, "reload")
        else:
            self._not_loaded(found, "reload")
        self.measures.reloaded()
        return isinstance(found, ServedModel)

    def answer(self, path: bytes, headers: Mapping[str, str], body: bytes) -> Answered:
        """Answer one request for inference.

        Args:
            path: The path as it came, not decoded.
            headers: The headers, names in small letters.
            body: All bytes.

        Raises:
            RefusedError: It is not answered.
        """
        model = self.named(path)
        request = read(
            body,
            headers,
            model.inputs,
            self.settings.limits,
            gives=("label", "scores"),
            defences=self.on,
            scratch=self._scratch,
        )
        self._once(headers)
        labels, scores = model.predict(request.inputs[model.inputs[0].name])
        self.measures.predicted(labels)
        if Defence.COARSE_SCORES in self.on:
            scores = np.round(scores, 2)
        found = {
            "label": Tensor("label", "INT64", labels),
            "scores": Tensor("scores", "FP32", scores),
        }
        outputs = tuple(found[name] for name in request.outputs or found)
        said = InferResponse(model.name, str(model.version), outputs, request.id)
        return Answered(encode_response(said, binary=request.binary), request.id or "")

    def named(self, path: bytes) -> ServedModel:
        """Return the model that a path names.

        Args:
            path: The path as it came: `/v2/models/NAME[/versions/VERSION][/…]`.

        Raises:
            RefusedError: It names another one.
        """
        name, version = names(path)
        model = self.model
        if Defence.MODEL_NAME in self.on:
            if name != model.name:
                refuse(404, "unknown_model", "There is no model of this name.")
            if version not in (None, str(model.version)):
                refuse(404, "unknown_version", "This version of the model is not served.")
        return model

    def metadata(self, path: bytes) -> dict[str, Any]:
        """Return what the protocol says of a model.

        Args:
            path: The path as it came.

        Raises:
            RefusedError: There is no such model.
        """
        model = self.named(path)
        if Defence.MODEL_NAME not in self.on:
            return self._card(path)
        said: dict[str, Any] = {
            "name": model.name,
            "versions": [str(model.version)],
            "platform": "litert_tflite",
            "inputs": [one.metadata() for one in model.inputs],
            "outputs": [one.metadata() for one in model.outputs],
        }
        if model.labels is not None:
            said["parameters"] = {"labels": model.labels}
        return said

    def record(self, refusal: Refusal | None, took_s: float, **said: Any) -> Refusal | None:
        """Count a decision and log it.

        Args:
            refusal: Why there was no answer; None if there was one.
            took_s: How long it took, in seconds.
            said: More fields of the log's line.

        Returns:
            The decision: where it cannot be logged, a refusal for that reason.
        """
        status, reason = (refusal.status, refusal.reason) if refusal else (200, "ok")
        verdict = "refused" if refusal else "allowed"
        line = {"digest": self.model.digest, "verdict": verdict, "reason": reason}
        if not self._logged({**said, **line, "status": status}):
            refusal, status, reason = UNLOGGED, UNLOGGED.status, UNLOGGED.reason
        self.measures.count(status, reason, took_s)
        return refusal

    def _logged(self, line: Mapping[str, Any]) -> bool:
        """Write a line; where that fails, tell the operator once, until it works again."""
        if self.log is None:
            return True
        try:
            self.log.write(**line)
        except DataError as error:
            if not self._log_fails:
                print(f"no answer without a log: {error}", file=sys.stderr, flush=True)
            self._log_fails = True
            return False
        if self._log_fails:
            print("the log is written again", file=sys.stderr, flush=True)
        self._log_fails = False
        return True

    def who(self, headers: Mapping[str, str]) -> str:
        """Return who asks, for the log: the hash of the token that the gateway has judged."""
        if Defence.HASHED_TOKEN in self.on:
            return headers.get(TOKEN_HASH_HEADER, "")
        return headers.get("authorization", "")

    def explained(self, refusal: Refusal, body: bytes = b"") -> dict[str, Any]:
        """Return the body of an error; only without `QUIET_ERRORS` does it tell more.

        Args:
            refusal: Why there is no answer.
            body: What came.
        """
        if Defence.QUIET_ERRORS in self.on:
            return {"error": refusal.says}
        trace, came = traceback.format_exc(), body[:512].decode("utf-8", "replace")
        return {"error": f"{refusal.says} {refusal.reason}\n{trace}\n{came}"}

    def _serve(self, model: ServedModel, what: str) -> None:
        self.model, self.problem = model, ""
        self.measures.serves(model.name, model.version, model.digest)
        self._say(what, "allowed", "ok", model.digest, f"{model.name}/{model.version}")

    def _not_loaded(self, error: Exception, what: str) -> None:
        self.problem = error.refusal.reason if isinstance(error, RefusedError) else "no_model"
        self._say(what, "refused", self.problem, "", self.settings.name)

    def _say(self, what: str, verdict: str, reason: str, digest: str, model: str) -> None:
        said = {"who": "service", "what": what, "model": model, "digest": digest}
        self._logged({**said, "verdict": verdict, "reason": reason})

    def _once(self, headers: Mapping[str, str]) -> None:
        """Refuse a request that its caller wants once only, the second time."""
        nonce = headers.get(NONCE_HEADER)
        if nonce is None or Defence.REPLAY not in self.on:
            return
        if not 8 <= len(nonce) <= 128:
            refuse(400, "wrong_nonce", "A nonce has 8 to 128 letters.")
        mark = hashlib.sha256(f"{headers.get(SUBJECT_HEADER, '')}\n{nonce}".encode()).hexdigest()
        if self._nonces.met(mark):
            refuse(409, "seen_before", "A request with this nonce was answered already.")

    def _card(self, path: bytes) -> dict[str, Any]:
        """Return the card of the model in the folder that the caller names: any folder."""
        name, version = names(path)
        folder = self.settings.models / name / (version or str(self.model.version))
        found: dict[str, Any] = orjson.loads((folder / CARD_FILE).read_bytes())
        return found


def names(path: bytes) -> tuple[str, str | None]:
    """Return the model and the version that a path names.

    Args:
        path: As it came. It is cut before it is decoded, so a `%2F` is part of a name.

    Example:
        >>> names(b"/v2/models/mnist_cnn/versions/2/infer")
        ('mnist_cnn', '2')
        >>> names(b"/v2/models/..%2Fsecret/infer")
        ('../secret', None)
    """
    parts = path.decode("latin-1").split("/")
    if b"%" in path:
        parts = [unquote(one) for one in parts]
    version = parts[5] if len(parts) > 5 and parts[4] == "versions" else None
    return parts[3] if len(parts) > 3 else "", version
