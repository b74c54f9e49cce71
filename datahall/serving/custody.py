"""A model's folder under one signed card, and who loads it: what the service does, small enough.

The service signs folders in OpenSSF's form (`signing`); here a folder holds three files, and the
card names the digest of the one that is loaded. Read `Sealer.write` first, then `load`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

CARD, MODEL, SIGNATURE = "model.json", "model.tflite", "model.sig"
CLEAN, HARMFUL, SKIPPED = "clean", "harmful", "skipped"


@dataclass(frozen=True)
class Seal:
    """Whose models are loaded.

    Attributes:
        public: The key that must have signed the card.
        least_version: Older versions are refused, whoever signed them.
        scanner: Looks into a model; says `clean`, `harmful` or `skipped`.
    """

    public: ec.EllipticCurvePublicKey = field(repr=False)
    least_version: int = 1
    scanner: Callable[[bytes], str] = field(default=lambda model: CLEAN, repr=False)

    def signed(self, card: bytes, signature: bytes) -> bool:
        """Say whether a signature is one of these very bytes.

        Args:
            card: The bytes of `model.json`.
            signature: The bytes of `model.sig`.
        """
        try:
            self.public.verify(signature, card, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    def scan(self, model: bytes) -> str:
        """Look into a model: `clean`, `harmful`, or `skipped` where the scanner lacks something.

        Args:
            model: Its bytes.
        """
        return self.scanner(model)


class Sealer:
    """Who signs: a key pair, made new."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())

    def card(self, model: bytes, version: int) -> bytes:
        """Return the card of a model.

        Args:
            model: Its bytes.
            version: Its number.
        """
        digest = hashlib.sha256(model).hexdigest()
        return json.dumps({"name": "digits", "version": version, "sha256": digest}).encode()

    def sign(self, card: bytes) -> bytes:
        """Return the signature of a card."""
        return self._private.sign(card, ec.ECDSA(SHA256()))

    def write(self, folder: Path, model: bytes, version: int = 3) -> None:
        """Write a model, its card and the card's signature into a folder.

        Args:
            folder: It exists.
            model: Its bytes.
            version: Its number.
        """
        card = self.card(model, version)
        contents = {MODEL: model, CARD: card, SIGNATURE: self.sign(card)}
        for name, content in contents.items():
            (folder / name).write_bytes(content)

    def trust(self, **more: Any) -> Seal:
        """Return a trust in this key.

        Args:
            more: What else a `Seal` has.
        """
        return Seal(self._private.public_key(), **more)


def load(folder: Path, trust: Seal) -> bytes:
    """Return the bytes of a model that is to be trusted: those very bytes that were judged.

    Args:
        folder: Holds a card, a model, a signature, and nothing else.
        trust: Whose models are loaded.

    Raises:
        ValueError: It is not to be trusted.

    Source:
        CWE-367 (time of check, time of use); OpenSSF Model Signing, version 1.0.
    """
    names = (CARD, MODEL, SIGNATURE)
    if sorted(os.listdir(folder)) != sorted(names):  # noqa: PTH208 (names are all that is asked)
        raise ValueError("The folder does not hold the three files of a model.")
    card, model, signature = (_once(folder / name) for name in names)
    if not trust.signed(card, signature):
        raise ValueError("The card is not signed.")
    said = json.loads(card)
    if said["version"] < trust.least_version:
        raise ValueError("The version is too old.")
    if hashlib.sha256(model).hexdigest() != said["sha256"] or trust.scan(model) != CLEAN:
        raise ValueError("The model is not what the card says, or was not found clean.")
    return model


def _once(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ValueError("A file is a link, or cannot be read.") from error
    with os.fdopen(handle, "rb") as file:
        return file.read()
