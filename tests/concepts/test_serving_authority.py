"""The authority: what a folder holds, who may read it, when its time is over."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from datahall.errors import DataError, ParameterError
from datahall.serving import authority

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def test_every_leaf_is_signed_by_the_root_and_every_key_is_the_users_alone(tmp_path: Path):
    made = authority.create(tmp_path / "own")
    root = x509.load_pem_x509_certificate(made.root_pem)
    key = root.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for name in authority.PURPOSES:
        leaf = x509.load_pem_x509_certificate(made.leaf(name).certificate.read_bytes())
        leaf.verify_directly_issued_by(root)
        assert made.leaf(name).key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    assert authority.open(tmp_path / "own") == made


def test_a_renewed_leaf_has_another_key_and_may_stand_in_another_folder(tmp_path: Path):
    made = authority.create(tmp_path / "own")
    before = made.server.bundle()
    (tmp_path / "elsewhere").mkdir()
    other = made.renew("server", into=tmp_path / "elsewhere")
    assert made.server.bundle() == before != other.bundle()
    assert made.renew("server").bundle() != before


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "root.pem").unlink(), "holds no authority"),
        (lambda folder: (folder / "signer.key").chmod(0o644), "others may read signer.key"),
    ],
)
def test_a_folder_that_is_not_as_it_was_made_is_refused(damage, said: str, tmp_path: Path):
    authority.create(tmp_path / "own")
    damage(tmp_path / "own")
    with pytest.raises(DataError, match=said):
        authority.open(tmp_path / "own")


def test_an_authority_whose_time_is_over_is_refused(tmp_path: Path):
    authority.create(tmp_path / "own", now=LONG_AGO)
    with pytest.raises(DataError, match="ends on 2020-12-3"):
        authority.open(tmp_path / "own")


def test_a_second_authority_in_the_same_folder_is_refused(tmp_path: Path):
    authority.create(tmp_path / "own")
    with pytest.raises(DataError, match="holds an authority already"):
        authority.create(tmp_path / "own")


def test_a_purpose_that_does_not_exist_is_refused(tmp_path: Path):
    with pytest.raises(ParameterError, match="server, client, signer"):
        authority.create(tmp_path / "own").renew("mail", purpose="mail")
