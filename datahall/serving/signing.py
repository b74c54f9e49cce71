"""Load what was verified, and nothing else.

`sign` writes the signature of a model's folder (an OpenSSF model-signing bundle, made with a
certificate). `verified` reads each file once, judges those very bytes, and returns them: whoever
loads the model opens no file again, so nothing can be exchanged between the check and the use.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from datahall.errors import DataError
from datahall.serving.defences import ALL, Defence, Defences
from datahall.serving.protocol import refuse

MODEL_FILE, CARD_FILE, SIGNATURE_FILE = "model.tflite", "model.json", "model.sig"
LABELS_FILE = "labels.json"  # names of the classes; not every model has it
MOST_FILES, MOST_BYTES = 16, 256 * 1024 * 1024
BROKEN = 503  # a model that is not loaded is not ready


class SigningLeaf(Protocol):
    """A certificate and its key, as PEM files."""

    @property
    def certificate(self) -> Path:
        """PEM file of the certificate."""

    @property
    def key(self) -> Path:
        """PEM file of its key."""


class SigningAuthority(Protocol):
    """Who signs: `datahall.serving.authority.Authority`, or anything with these."""

    @property
    def root(self) -> Path:
        """PEM file of the root certificate."""

    @property
    def signer(self) -> SigningLeaf:
        """The certificate that signs models."""


@dataclass(frozen=True)
class Trust:
    """Whose models are loaded.

    Args:
        root_pem: Certificate of the root, PEM; no other root counts.
        signer: Common name of the certificate that must have signed.
        least_version: Older versions are refused, whoever signed them.
        pinned: SHA-256 of the `.tflite` of each version that is known already.
    """

    root_pem: str
    signer: str = "datahall signer"
    least_version: int = 1
    pinned: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verified:
    """A model's files as they were judged.

    Attributes:
        files: The bytes by file name.
        digest: SHA-256 of the `.tflite`, in hex.
        signer: Common name of the certificate that signed; "" where no signature is asked for.
        version: The version that the signed card says.
        card: What `model.json` says.
    """

    files: Mapping[str, bytes]
    digest: str
    signer: str
    version: int
    card: Mapping[str, Any]

    @property
    def tflite(self) -> bytes:
        """The bytes of the network."""
        return self.files[MODEL_FILE]


def sign(folder: Path, authority: SigningAuthority) -> Path:
    """Sign all files of a folder; the signature is written beside them.

    Args:
        folder: The folder of one version.
        authority: Whose signing certificate is used.

    Returns:
        The path of the signature.

    Raises:
        DataError: The folder cannot be signed.
    """
    from model_signing import signing

    config: Any = signing.Config()  # type: ignore[no-untyped-call]
    signature = folder / SIGNATURE_FILE
    signature.unlink(missing_ok=True)
    leaf = authority.signer
    with tempfile.TemporaryDirectory(prefix="datahall-") as scratch:
        fresh = Path(scratch, SIGNATURE_FILE)  # outside, or it would sign itself
        try:
            config.use_certificate_signer(
                private_key=leaf.key,
                signing_certificate=leaf.certificate,
                certificate_chain=[authority.root],
            ).sign(folder, fresh)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{folder} cannot be signed ({error}). A folder of plain files and a signing "
                "certificate with its key were expected. Make both again."
            ) from error
        signature.write_bytes(fresh.read_bytes())
    return signature


def verified(folder: Path, trust: Trust, *, defences: Defences = ALL) -> Verified:
    """Return a model's files if they are to be trusted.

    Args:
        folder: The folder of one version.
        trust: Whose models are loaded.
        defences: The checks that are made.

    Raises:
        RefusedError: They are not: altered, more or fewer than signed, signed by another, too old,
            or not what the version has always been. The refusal's reason says which.
    """
    files = read_once(folder, links=Defence.EXACT_FILES not in defences)
    signer = _signer(files, trust, defences) if Defence.SIGNATURE in defences else ""
    if Defence.VERIFIED_BYTES not in defences:
        # What is often found: the files were checked, and are opened again by their names.
        files = read_once(folder, links=Defence.EXACT_FILES not in defences)
    card = _card(files)
    found = Verified(files, sha256(files[MODEL_FILE]), signer, card["version"], card)
    _fits(found, folder, trust, defences)
    return found


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes in hex."""
    return hashlib.sha256(content).hexdigest()


def read_once(folder: Path, *, links: bool = False) -> dict[str, bytes]:
    """Return the bytes of all files of a folder; each is opened once.

    Args:
        folder: A folder of plain files.
        links: Whether symbolic links are followed.

    Raises:
        RefusedError: There is no such folder, or something in it is no plain file, or too large.
    """
    follow = 0 if links else os.O_NOFOLLOW
    try:
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | follow)
    except OSError:
        refuse(BROKEN, "no_model", "There is no folder of this version.")
    try:
        names = sorted(os.listdir(inside))  # noqa: PTH208 (of the open folder, not of a name)
        if len(names) > MOST_FILES:
            refuse(BROKEN, "extra_file", f"A model has at most {MOST_FILES} files.")
        files = {name: _bytes(name, inside, follow) for name in names}
    finally:
        os.close(inside)
    for name in (MODEL_FILE, CARD_FILE):
        if name not in files:
            refuse(BROKEN, "missing_file", f"The model has no {name}.")
    return files


def _bytes(name: str, inside: int, follow: int) -> bytes:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | follow, dir_fd=inside)
    except OSError:
        refuse(BROKEN, "not_plain", "Something in the folder is a link, or cannot be read.")
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            refuse(BROKEN, "not_plain", "Something in the folder is no plain file.")
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(MOST_BYTES + 1)
    finally:
        os.close(handle)
    if len(content) > MOST_BYTES:
        refuse(BROKEN, "too_large", "A file of the model is too large.")
    return content


def _signer(files: Mapping[str, bytes], trust: Trust, defences: Defences) -> str:
    """Return who signed these bytes. The library judges a copy that nobody else can write."""
    if SIGNATURE_FILE not in files:
        refuse(BROKEN, "no_signature", "The model is not signed.")
    signed = _signed(files[SIGNATURE_FILE])
    exact = Defence.EXACT_FILES in defences
    extra = files.keys() - signed.digests.keys() - {SIGNATURE_FILE}
    if extra and exact:
        refuse(BROKEN, "extra_file", "There is a file that was not signed.")
    if signed.digests.keys() - files.keys():
        refuse(BROKEN, "missing_file", "A signed file is missing.")
    if any(sha256(files[name]) != digest for name, digest in signed.digests.items()):
        refuse(BROKEN, "altered_file", "A file is not what was signed.")
    kept = {name: files[name] for name in signed.digests}
    _verify(kept, files[SIGNATURE_FILE], trust)
    if signed.name != trust.signer or not signed.signs_code:
        refuse(BROKEN, "wrong_signer", "The model is signed by somebody else.")
    return str(signed.name)


def _verify(files: Mapping[str, bytes], signature: bytes, trust: Trust) -> None:
    # The library judges the certificate at the time it was made: nothing proves when a signature
    # was. A signer who is no longer trusted is shut out by his name, his versions by their number.
    from model_signing import hashing, verifying

    with tempfile.TemporaryDirectory(prefix="datahall-") as scratch:
        copy, bundle, root = (Path(scratch, name) for name in ("model", "model.sig", "root.pem"))
        copy.mkdir()
        for name, content in files.items():
            (copy / name).write_bytes(content)
        bundle.write_bytes(signature)
        root.write_text(trust.root_pem, encoding="ascii")
        judge, hasher = verifying.Config(), hashing.Config()  # type: ignore[no-untyped-call]
        judge.use_certificate_verifier(certificate_chain=[root])
        judge.set_hashing_config(hasher.use_file_serialization(max_workers=1))
        try:
            judge.verify(copy, bundle)
        except Exception:
            refuse(BROKEN, "bad_signature", "The signature is not good under the pinned root.")


def _signed(signature: bytes) -> SimpleNamespace:
    """Read from a bundle what it claims: file digests, and the signing certificate's name."""
    try:
        bundle = json.loads(signature)
        payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        resources = payload["predicate"]["resources"]
        digests = {str(one["name"]): str(one["digest"]) for one in resources}
        chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
        leaf = x509.load_der_x509_certificate(base64.b64decode(chain[0]["rawBytes"]))
        names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, LookupError, TypeError, x509.ExtensionNotFound):
        refuse(BROKEN, "bad_signature", "The signature is no bundle of a signing certificate.")
    # The library takes any certificate that may make signatures, a server's too.
    signs_code = ExtendedKeyUsageOID.CODE_SIGNING in usage
    name = names[0].value if len(names) == 1 else ""
    return SimpleNamespace(digests=digests, name=name, signs_code=signs_code)


def _card(files: Mapping[str, bytes]) -> Mapping[str, Any]:
    try:
        card = json.loads(files[CARD_FILE])
        fits = type(card["version"]) is int and type(card["name"]) is str
    except (ValueError, LookupError, TypeError, RecursionError):
        fits = False
    if not fits:
        refuse(BROKEN, "bad_card", f"{CARD_FILE} says no name and version.")
    found: Mapping[str, Any] = card
    return found


def _fits(found: Verified, folder: Path, trust: Trust, defences: Defences) -> None:
    """Refuse a model that is good in itself, and not the one that is wanted here."""
    if found.card.get("tflite_digest") != found.digest and Defence.VERIFIED_BYTES in defences:
        refuse(BROKEN, "altered_file", f"{MODEL_FILE} is not what {CARD_FILE} says.")
    if Defence.NO_ROLLBACK in defences:
        if found.version < trust.least_version:
            refuse(BROKEN, "rolled_back", "The version is older than the least that is allowed.")
        if str(found.version) != folder.name:  # an old model under a new number
            refuse(BROKEN, "wrong_version", "The folder's number is not the signed version.")
    pinned = trust.pinned.get(found.version)
    if Defence.MODEL_PIN in defences and pinned not in (None, found.digest):
        refuse(BROKEN, "wrong_digest", "The version is known with other bytes.")
