"""TLS as Mozilla's profiles demand it, and clients that must show a certificate."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from cryptography import x509

from datahall.errors import ParameterError
from datahall.serving import authority as authorities
from datahall.serving.client import ServiceClient
from datahall.serving.defences import Defence, Defences
from datahall.serving.deployment import Deployment, serve
from datahall.serving.guarded_socket import place

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def older() -> Iterator[Deployment]:
    """A service that also speaks TLS 1.2, and demands a client's certificate."""
    with serve(oldest_tls="1.2", mtls=True) as running:
        yield running


@pytest.fixture(scope="module")
def intermediate() -> Iterator[Deployment]:
    """A service that also speaks TLS 1.2."""
    with serve(oldest_tls="1.2") as running:
        yield running


def grade(service: Deployment, profile: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("sslyze")
    host, port = place(service.address)
    root = service.authority.root
    options = [f"--mozilla_config={profile}", "--certinfo_ca_file", str(root), "--certinfo"]
    more = ["--tlsv1_3", "--tlsv1_2", "--tlsv1_1", "--tlsv1", "--sslv3", "--sslv2"]
    more += ["--elliptic_curves", "--reneg", "--heartbleed", "--robot", "--openssl_ccs"]
    return subprocess.run(
        [program, *options, *more, f"{host}:{port}"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_with_tls_1_3_alone_the_service_is_modern_as_mozilla_grades(service: Deployment) -> None:
    graded = grade(service, "modern")
    assert graded.returncode == 0, graded.stdout[-2000:]
    assert "OK - Compliant" in graded.stdout


def test_with_tls_1_2_too_the_service_is_intermediate(intermediate: Deployment) -> None:
    graded = grade(intermediate, "intermediate")
    assert graded.returncode == 0, graded.stdout[-2000:]
    assert "OK - Compliant" in graded.stdout


def test_the_grader_sees_what_is_not_modern(intermediate: Deployment) -> None:
    assert grade(intermediate, "modern").returncode != 0


def test_http_2_is_offered_and_tls_1_2_is_not(service: Deployment) -> None:
    host, port = place(service.address)
    context = ssl.create_default_context(cadata=service.authority_pem)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((host, port)) as plain,
        context.wrap_socket(plain, server_hostname=host) as wire,
    ):
        assert wire.version() == "TLSv1.3"
        assert wire.selected_alpn_protocol() == "h2"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection((host, port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname=host)


def refused(client: ServiceClient) -> bool:
    """Tell whether the connection is refused: TLS 1.3 tells a client so after its first word."""
    with client:
        try:
            client.request("GET", "/v2/health/live")
        except httpx.TransportError:
            return True
    return False


def test_mutual_tls_lets_in_a_client_of_the_authority_alone(
    older: Deployment, images: np.ndarray, tmp_path: Path
) -> None:
    with older.client() as client:
        assert client.infer(images).labels.shape == (4,)
    pem, token = older.authority_pem, older.token()
    assert refused(ServiceClient(older.address, token=token, ca=pem))
    own = older.authority
    strangers = authorities.create(tmp_path / "strangers").client
    for leaf in (strangers, own.server, own.signer):  # another root; right root, wrong purpose
        pair = (leaf.certificate, leaf.key)
        assert refused(ServiceClient(older.address, token=token, ca=pem, certificate=pair))


def test_a_client_certificate_does_not_replace_the_token(older: Deployment) -> None:
    with older.client() as client:
        client.token = ""
        assert client.request("GET", "/v2").status == 401


def test_a_client_refuses_a_service_of_another_authority(
    service: Deployment, tmp_path: Path
) -> None:
    other = authorities.create(tmp_path / "other")
    with (
        ServiceClient(service.address, ca=other.root) as client,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.metadata()


def test_without_the_defence_tls_the_address_is_plain() -> None:
    with serve(defences=Defences.all().without(Defence.TLS)) as plain:
        assert plain.address.startswith("http://127.0.0.1:")
        with plain.client() as client:
            assert client.metadata()["name"] == "mnist_cnn"


@pytest.mark.parametrize("asked", [{"replicas": 0}, {"oldest_tls": "1.1"}])
def test_a_service_that_cannot_be_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match="were expected"):
        serve(**asked)  # type: ignore[arg-type]


def test_a_certificate_is_good_for_one_purpose_and_thirty_days(service: Deployment) -> None:
    for leaf in (service.authority.server, service.authority.client, service.authority.signer):
        found = x509.load_pem_x509_certificate(leaf.certificate.read_bytes())
        usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert len(list(usage)) == 1
        assert (found.not_valid_after_utc - found.not_valid_before_utc).days == 30
        assert leaf.key.stat().st_mode & 0o777 == 0o600
