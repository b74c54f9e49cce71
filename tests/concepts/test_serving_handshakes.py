"""Whom a client accepts: a handshake in memory with certificates of the course's authority."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from datahall.serving import authority
from datahall.serving.handshakes import handshake

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> authority.Authority:
    return authority.create(tmp_path_factory.mktemp("ours") / "authority")


def root(of: authority.Authority) -> bytes:
    return of.root_pem


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_certificate_of_the_root_and_the_name_is_accepted(ours, name: str) -> None:
    assert handshake(ours.server, root(ours), name=name) == "accepted, TLSv1.3"


def test_a_certificate_of_another_root_is_refused(ours, tmp_path: Path) -> None:
    other = authority.create(tmp_path / "other")
    assert handshake(other.server, root(ours)).startswith("refused: ")


def test_a_certificate_of_another_name_is_refused(ours) -> None:
    assert "Hostname mismatch" in handshake(ours.server, root(ours), name="example.org")


def test_a_certificate_whose_time_is_over_is_refused(ours) -> None:
    old = ours.renew("old", purpose="server", now=LONG_AGO)
    assert handshake(old, root(ours)) == "refused: certificate has expired"


def test_a_certificate_that_signs_models_opens_no_connection(ours) -> None:
    assert handshake(ours.signer, root(ours)).startswith("refused: ")


def test_with_mutual_tls_the_client_needs_a_certificate_for_clients(ours) -> None:
    assert handshake(ours.server, root(ours), client=ours.client) == "accepted, TLSv1.3"
    assert handshake(ours.server, root(ours), client=ours.signer).startswith("refused: ")
