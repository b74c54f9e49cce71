"""A certificate authority of the course's own: one root, and leaves that live thirty days.

Read `create`, `open` and `kept` first, then `Authority.renew`. The root signs: `server` (the
gateway), `client` (mutual TLS), `signer` (the model's signature), and any other name that a test
asks for. A leaf is good for one purpose only: a server's certificate signs no model, and a
signer's opens no connection. Keys are files of mode 0600 in a folder of mode 0700.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from datahall import state
from datahall.errors import DataError, ParameterError

ROOT_DAYS, LEAF_DAYS = 365, 30
SKEW = datetime.timedelta(minutes=5)  # a certificate is valid a little before it is made
NAMES = ("localhost", "127.0.0.1", "::1")
PURPOSES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "signer": ExtendedKeyUsageOID.CODE_SIGNING,
}
_ORGANISATION = "Datahall course"


@dataclass(frozen=True)
class Leaf:
    """A certificate and its key.

    Attributes:
        certificate: PEM file.
        key: PEM file, mode 0600.
    """

    certificate: Path
    key: Path

    def bundle(self) -> bytes:
        """Return certificate and key in one PEM, as HAProxy reads them: a secret."""
        return self.certificate.read_bytes() + self.key.read_bytes()


@dataclass(frozen=True)
class Authority:
    """The root and its leaves, in a folder.

    Attributes:
        folder: Where they are, mode 0700.
    """

    folder: Path

    @property
    def root(self) -> Path:
        """The root's certificate, PEM: what a client trusts."""
        return self.folder / "root.pem"

    @property
    def root_pem(self) -> bytes:
        """The bytes of `root`."""
        return self.root.read_bytes()

    @property
    def server(self) -> Leaf:
        """The gateway's certificate and key."""
        return self.leaf("server")

    @property
    def client(self) -> Leaf:
        """A client's certificate and key, for mutual TLS."""
        return self.leaf("client")

    @property
    def signer(self) -> Leaf:
        """The certificate and key that sign models."""
        return self.leaf("signer")

    def leaf(self, name: str) -> Leaf:
        """Return where a leaf is.

        Args:
            name: `server`, `client`, `signer`, or what `renew` was called with.
        """
        return Leaf(self.folder / f"{name}.pem", self.folder / f"{name}.key")

    def renew(
        self,
        name: str,
        *,
        purpose: str = "",
        now: datetime.datetime | None = None,
        days: int = LEAF_DAYS,
        into: Path | None = None,
    ) -> Leaf:
        """Make a new key and certificate under a name; old ones that stand there are replaced.

        Args:
            name: Name of the leaf, and the certificate's common name: `datahall NAME`.
            purpose: One of `PURPOSES`; left out, the name says it.
            now: When it is made, UTC; left out, the clock says it.
            days: How long it is valid.
            into: The folder where they are written; left out, the authority's own.

        Returns:
            The new leaf.

        Raises:
            ParameterError: The purpose is none of `PURPOSES`.
        """
        purpose = purpose or name
        if purpose not in PURPOSES:
            raise ParameterError(
                f"the purpose of certificate {name!r} is {purpose!r}. One of "
                f"{', '.join(PURPOSES)} was expected. Give purpose= one of them."
            )
        key = ec.generate_private_key(ec.SECP256R1())
        root = x509.load_pem_x509_certificate(self.root_pem)
        began = (now or datetime.datetime.now(datetime.UTC)) - SKEW
        made = _begun(name, root.subject, key, began, days)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        made = made.add_extension(_usage(signs_certificates=False), critical=True)
        made = made.add_extension(x509.ExtendedKeyUsage([PURPOSES[purpose]]), critical=False)
        made = made.add_extension(_issued_by(root), critical=False)
        if purpose == "server":
            made = made.add_extension(x509.SubjectAlternativeName(_names()), critical=False)
        certificate = made.sign(self._root_key(), hashes.SHA256())
        leaf = Authority(into).leaf(name) if into else self.leaf(name)
        _write(leaf.key, _pem(key))
        _write(leaf.certificate, certificate.public_bytes(serialization.Encoding.PEM))
        return leaf

    def _root_key(self) -> ec.EllipticCurvePrivateKey:
        pem = (self.folder / "root.key").read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 (we made it)
        return key


def create(folder: Path, *, now: datetime.datetime | None = None) -> Authority:
    """Make an authority: its root, and the leaves `server`, `client` and `signer`.

    Args:
        folder: Where; made with mode 0700, and empty of another authority.
        now: When it is made, UTC; left out, the clock says it.

    Raises:
        DataError: The folder holds an authority already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = Authority(folder)
    if made.root.exists():
        raise DataError(
            f"{folder} holds an authority already. An empty folder was expected: a new root would "
            "make every certificate of the old one worthless. Open it, or give another folder."
        )
    key = ec.generate_private_key(ec.SECP256R1())
    began = (now or datetime.datetime.now(datetime.UTC)) - SKEW
    own = _subject("root")
    root = _begun("root", own, key, began, ROOT_DAYS)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(_usage(signs_certificates=True), critical=True)
    _write(folder / "root.key", _pem(key))
    certificate = root.sign(key, hashes.SHA256())
    _write(made.root, certificate.public_bytes(serialization.Encoding.PEM))
    for name in PURPOSES:
        made.renew(name, now=now)
    return made


def kept(folder: Path, *, now: datetime.datetime | None = None) -> Authority:
    """Return the authority of a folder that stays: made if there is none, renewed where it is old.

    Several processes may ask at once: one makes it, and it appears whole or not at all.

    Args:
        folder: Where it is, or will be.
        now: UTC; left out, the clock says it.

    Raises:
        DataError: It cannot be made or read, or its root has expired.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with state.alone(folder.parent):
            if not (folder / "root.pem").exists():
                _make_whole(folder, now)
            made = open(folder, now=now)
            _refresh(made, now)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        why = getattr(error, "strerror", None) or error
        raise DataError(
            f"The authority {folder} cannot be used ({why}). A folder that you may write was "
            "expected, with the files of an authority or none. Free some space, give another "
            "--folder, or move this one away: models signed by it must then be published again."
        ) from error
    return made


def _make_whole(folder: Path, now: datetime.datetime) -> None:
    """Make an authority beside its place and rename it: whoever is killed leaves no half of one."""
    with tempfile.TemporaryDirectory(prefix=".authority-", dir=folder.parent) as scratch:
        create(Path(scratch, "made"), now=now)
        Path(scratch, "made").rename(folder)


def _refresh(made: Authority, now: datetime.datetime) -> None:
    """Renew the leaves that are missing, in the second half of their life, or from the future."""
    begins = x509.load_pem_x509_certificate(made.root_pem).not_valid_before_utc
    if now < begins:
        raise DataError(
            f"the root certificate in {made.folder} is valid from {begins:%Y-%m-%d}, and today is "
            f"{now:%Y-%m-%d}. A clock that goes right was expected. Set it."
        )
    for name in PURPOSES:
        if not _is_fresh(made.leaf(name), now):
            made.renew(name, now=now)


def _is_fresh(leaf: Leaf, now: datetime.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(leaf.certificate.read_bytes())
        key = serialization.load_pem_private_key(leaf.key.read_bytes(), password=None)
    except (OSError, ValueError):  # deleted or damaged
        return False
    half = (certificate.not_valid_after_utc - certificate.not_valid_before_utc) / 2
    begun = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - half
    return begun and certificate.public_key() == key.public_key()


def open(folder: Path, *, now: datetime.datetime | None = None) -> Authority:
    """Return the authority that stands in a folder.

    Args:
        folder: Where `create` made it.
        now: UTC; left out, the clock says it.

    Raises:
        DataError: There is none, its time is over, or others may read its keys.
    """
    made = Authority(folder)
    if not made.root.is_file():
        raise DataError(
            f"{folder} holds no authority: root.pem is missing. A folder that `create` made was "
            "expected. Call authority.create(folder) first."
        )
    ends = x509.load_pem_x509_certificate(made.root_pem).not_valid_after_utc
    now = now or datetime.datetime.now(datetime.UTC)
    if ends < now + datetime.timedelta(days=LEAF_DAYS):
        raise DataError(
            f"the root certificate in {folder} ends on {ends:%Y-%m-%d}. One that outlives its "
            "leaves was expected. Make a new authority in another folder, and sign models again."
        )
    loose = [path.name for path in folder.glob("*.key") if path.stat().st_mode & 0o077]
    if loose:
        raise DataError(
            f"{folder}: others may read {', '.join(sorted(loose))}. Mode 0600 was expected of a "
            "key. Make a new authority: these keys may have been copied."
        )
    return made


def _begun(
    name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    began: datetime.datetime,
    days: int,
) -> x509.CertificateBuilder:
    """Return what every certificate has: names, key, number, dates, and the key's identifier."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + datetime.timedelta(days=days))
        .add_extension(identifier, critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"datahall {name}"),
        ]
    )


def _names() -> list[x509.GeneralName]:
    return [
        x509.DNSName(name) if name == "localhost" else x509.IPAddress(ipaddress.ip_address(name))
        for name in NAMES
    ]


def _issued_by(root: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may ever read: it has its mode before it has content."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    temporary.replace(path)
