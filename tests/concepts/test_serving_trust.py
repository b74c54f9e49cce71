"""Only what was signed by the right one is loaded, and only the bytes that were judged."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from datahall.errors import DataError, ParameterError
from datahall.serving import authority, repository, signing
from datahall.serving.defences import ALL, Defence
from datahall.serving.protocol import RefusedError
from datahall.serving.signing import Trust, verified

NAME, NETWORK = "mnist_cnn", b"not a network, but bytes to sign " * 40


@pytest.fixture(scope="module")
def signers(tmp_path_factory):
    """Return the authority that is trusted, and a stranger's."""
    return [authority.create(tmp_path_factory.mktemp("signers") / one) for one in ("own", "other")]


@pytest.fixture(scope="module")
def published(tmp_path_factory, signers):
    """Return a repository with two good versions, and the trust in them."""
    models = tmp_path_factory.mktemp("published")
    for version in (1, 2):
        content = NETWORK + bytes([version])
        repository.publish(content, models, NAME, version, signers[0], labels=list("0123456789"))
    return models


@pytest.fixture
def models(published, tmp_path):
    """Return a copy of the repository that a test may damage."""
    return Path(shutil.copytree(published, tmp_path / "models"))


@pytest.fixture
def trust(signers):
    """Return the trust in the own authority."""
    return Trust(signers[0].root_pem.decode())


def refused(folder, trust, **more):
    """Return the reason why a folder is refused."""
    with pytest.raises(RefusedError) as caught:
        verified(folder, trust, **more)
    assert caught.value.refusal.status == 503
    return caught.value.refusal.reason


def test_a_signed_model_is_loaded_with_what_is_known_of_it(models, trust):
    found = verified(models / NAME / "2", trust)
    assert found.tflite == NETWORK + b"\x02"
    assert (found.version, found.signer) == (2, "datahall signer")
    assert found.digest == signing.sha256(found.tflite)
    assert found.card["inputs"][0]["name"] == "images"


def test_the_signature_is_one_that_the_tool_of_openssf_accepts(models, signers):
    from model_signing import hashing, verifying

    folder = models / NAME / "1"
    config = verifying.Config().use_certificate_verifier(certificate_chain=[signers[0].root])
    config.set_hashing_config(hashing.Config().set_ignored_paths(paths=["model.sig"]))
    config.verify(folder, folder / "model.sig")


@pytest.mark.parametrize("name", ["model.tflite", "model.json", "labels.json"])
def test_a_flipped_bit_in_any_file_is_refused(models, trust, name):
    path = models / NAME / "1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert refused(models / NAME / "1", trust) == "altered_file"


def test_a_flipped_bit_in_the_signature_is_refused(models, trust):
    path = models / NAME / "1" / "model.sig"
    bundle = json.loads(path.read_bytes())
    said = bundle["dsseEnvelope"]["signatures"][0]
    said["sig"] = said["sig"][:20] + ("A" if said["sig"][20] != "A" else "B") + said["sig"][21:]
    path.write_text(json.dumps(bundle))
    assert refused(models / NAME / "1", trust) == "bad_signature"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"dsseEnvelope": {"payload": "!!"}}', "null"])
def test_a_signature_that_is_none_is_refused(models, trust, text):
    (models / NAME / "1" / "model.sig").write_text(text)
    assert refused(models / NAME / "1", trust) == "bad_signature"


@pytest.mark.parametrize("name", ["extra.bin", ".gitignore", ".gitattributes"])
def test_an_extra_file_is_refused_also_where_the_tool_would_look_away(models, trust, name):
    (models / NAME / "1" / name).write_text("more")
    assert refused(models / NAME / "1", trust) == "extra_file"


def test_an_extra_folder_is_refused(models, trust):
    (models / NAME / "1" / "more").mkdir()
    assert refused(models / NAME / "1", trust) == "not_plain"


@pytest.mark.parametrize("name", ["model.tflite", "model.json", "labels.json"])
def test_a_missing_file_is_refused(models, trust, name):
    (models / NAME / "1" / name).unlink()
    assert refused(models / NAME / "1", trust) == "missing_file"


def test_a_model_without_signature_is_refused(models, trust):
    (models / NAME / "1" / "model.sig").unlink()
    assert refused(models / NAME / "1", trust) == "no_signature"


def test_a_link_is_refused_though_it_leads_to_the_right_bytes(models, trust, tmp_path):
    path = models / NAME / "1" / "model.tflite"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert refused(models / NAME / "1", trust) == "not_plain"
    path.unlink()
    os.mkfifo(path)
    assert refused(models / NAME / "1", trust) == "not_plain"


def test_a_folder_that_is_a_link_is_refused(models, trust):
    (models / NAME / "1").rename(models / "moved")
    (models / NAME / "1").symlink_to(models / "moved")
    assert refused(models / NAME / "1", trust) == "no_model"


def test_a_strangers_signature_is_refused(models, trust, signers):
    signing.sign(models / NAME / "1", signers[1])
    assert refused(models / NAME / "1", trust) == "bad_signature"


class Impostor:
    """The right authority, with another of its leaves for a signer."""

    def __init__(self, of, leaf):
        self.root, self.signer = of.root, of.leaf(leaf)


def test_a_server_certificate_of_the_same_root_signs_no_model(models, trust, signers):
    signing.sign(models / NAME / "1", Impostor(signers[0], "server"))
    assert refused(models / NAME / "1", trust) == "wrong_signer"
    named = Trust(trust.root_pem, signer="datahall server")
    assert refused(models / NAME / "1", named) == "wrong_signer"


def test_another_signer_of_the_same_root_is_refused_unless_it_is_the_one_named(
    models, trust, signers
):
    signers[0].renew("colleague", purpose="signer")
    signing.sign(models / NAME / "1", Impostor(signers[0], "colleague"))
    assert refused(models / NAME / "1", trust) == "wrong_signer"
    named = Trust(trust.root_pem, signer="datahall colleague")
    assert verified(models / NAME / "1", named).signer == "datahall colleague"


def test_an_old_version_is_refused_though_it_is_rightly_signed(models, trust):
    least = Trust(trust.root_pem, least_version=2)
    assert refused(models / NAME / "1", least) == "rolled_back"
    assert verified(models / NAME / "2", least).version == 2


def test_an_old_version_under_a_new_number_is_refused(models, trust):
    shutil.copytree(models / NAME / "1", models / NAME / "3")
    assert refused(models / NAME / "3", trust) == "wrong_version"


def test_other_bytes_under_a_known_version_are_refused_though_rightly_signed(
    models, trust, signers
):
    pinned = Trust(trust.root_pem, pinned={1: signing.sha256(NETWORK + b"\x01")})
    assert verified(models / NAME / "1", pinned).version == 1
    shutil.rmtree(models / NAME / "1")
    repository.publish(b"other", models, NAME, 1, signers[0])
    assert verified(models / NAME / "1", trust).version == 1
    assert refused(models / NAME / "1", pinned) == "wrong_digest"


@pytest.mark.parametrize("card", ["", "[]", "{}", '{"name": "x", "version": "1"}', "[" * 9000])
def test_a_card_that_says_nothing_is_refused(models, trust, signers, card):
    (models / NAME / "1" / "model.json").write_text(card)
    signing.sign(models / NAME / "1", signers[0])
    assert refused(models / NAME / "1", trust) == "bad_card"


def racing(folder, trust, defences, tries):
    """Verify while another thread exchanges the network again and again; return what was loaded."""
    path, good = folder / "model.tflite", (folder / "model.tflite").read_bytes()
    bad, over = b"evil" + good, threading.Event()

    def exchange():
        while not over.is_set():
            for content in (good, bad):
                scratch = folder.parent / "swap"
                scratch.write_bytes(content)
                scratch.rename(path)

    racer = threading.Thread(target=exchange)
    racer.start()
    loaded = []
    try:
        while len(loaded) < tries and loaded.count(bad) == 0:
            try:
                loaded.append(verified(folder, trust, defences=defences).tflite)
            except RefusedError as error:
                loaded.append(error.refusal.reason)
    finally:
        over.set()
        racer.join()
    return {str(one) if one in ("altered_file", "bad_signature") else one for one in loaded}, bad


def test_a_file_exchanged_between_check_and_use_is_never_loaded(models, trust):
    folder = models / NAME / "1"
    good = (folder / "model.tflite").read_bytes()
    loaded, bad = racing(folder, trust, ALL, tries=40)
    assert bad not in loaded
    assert loaded <= {good, "altered_file"}


def test_who_opens_the_file_again_loads_what_was_exchanged(models, trust):
    off = ALL.without(Defence.VERIFIED_BYTES)
    loaded, bad = racing(models / NAME / "1", trust, off, tries=2000)
    assert bad in loaded


def lacking(defence, folder, trust):
    """Return what is loaded without one defence; with it, it is refused."""
    refused(folder, trust)
    return verified(folder, trust, defences=ALL.without(defence))


def test_without_the_signature_anybody_makes_models(models, trust, signers):
    repository.publish(b"evil", models, NAME, 3, signers[1])
    assert lacking(Defence.SIGNATURE, models / NAME / "3", trust).tflite == b"evil"


def test_without_exact_files_an_unsigned_file_is_read(models, trust, signers):
    repository.publish(NETWORK, models, NAME, 3, signers[0])
    (models / NAME / "3" / "labels.json").write_text('["9"]')
    found = lacking(Defence.EXACT_FILES, models / NAME / "3", trust)
    assert found.files["labels.json"] == b'["9"]'


def test_without_the_bar_to_rollback_an_old_version_is_loaded(models, trust):
    least = Trust(trust.root_pem, least_version=2)
    assert lacking(Defence.NO_ROLLBACK, models / NAME / "1", least).version == 1


def test_without_the_pin_other_bytes_are_loaded(models, trust):
    pinned = Trust(trust.root_pem, pinned={1: "0" * 64})
    assert lacking(Defence.MODEL_PIN, models / NAME / "1", pinned).version == 1


def test_a_switch_goes_forward_and_back(models):
    assert repository.versions(models, NAME) == [1, 2]
    assert repository.current(models, NAME) == 2
    repository.switch(models, NAME, 1)
    assert repository.current(models, NAME) == 1
    with pytest.raises(DataError, match="no version 7"):
        repository.switch(models, NAME, 7)


@pytest.mark.parametrize("said", ["", "two", "0", "-1", "../1", "1" * 40])
def test_a_current_version_that_is_none_is_refused(models, said):
    (models / NAME / "current").write_text(said)
    with pytest.raises(DataError, match="says no version"):
        repository.current(models, NAME)


def test_a_number_is_published_once(models, signers):
    with pytest.raises(DataError, match="used once"):
        repository.publish(NETWORK, models, NAME, 2, signers[0])
    assert sorted(one.name for one in (models / NAME).iterdir()) == ["1", "2", "current"]


@pytest.mark.parametrize(("name", "version"), [("../x", 1), ("", 1), ("A", 1), ("a", 0)])
def test_a_place_outside_the_repository_is_none(models, name, version):
    with pytest.raises(ParameterError, match="small letters"):
        repository.place(models, name, version)


def ends(pem):
    return x509.load_pem_x509_certificate(pem.read_bytes()).not_valid_after_utc


def test_an_authority_that_is_kept_renews_its_leaves_in_the_second_half_of_their_life(tmp_path):
    now, days = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    first = authority.kept(tmp_path / "kept", now=now)
    root, end = first.root_pem, ends(first.server.certificate)
    assert ends(authority.kept(tmp_path / "kept", now=now + 10 * days).server.certificate) == end
    later = authority.kept(tmp_path / "kept", now=now + 40 * days)  # the next month
    assert ends(later.server.certificate) > now + 60 * days
    assert later.root_pem == root
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("name", ["server.pem", "client.key", "signer.pem"])
def test_a_leaf_that_was_deleted_or_damaged_is_made_again(tmp_path, name):
    made = authority.kept(tmp_path / "kept")
    (made.folder / "server.key").write_bytes(made.client.key.read_bytes())  # of another
    (made.folder / name).unlink()
    again = authority.kept(tmp_path / "kept")
    assert (again.folder / name).stat().st_size > 0
    for leaf in (again.server, again.client, again.signer):
        key = serialization.load_pem_private_key(leaf.key.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(leaf.certificate.read_bytes())
        assert certificate.public_key() == key.public_key()


def test_an_authority_that_cannot_be_used_says_what_to_do(tmp_path):
    now = datetime.datetime.now(datetime.UTC)
    made = authority.kept(tmp_path / "kept", now=now)
    for days, said in {366: "Make a new authority", -2: "A clock that goes right"}.items():
        with pytest.raises(DataError, match=said):
            authority.kept(tmp_path / "kept", now=now + datetime.timedelta(days=days))
    made.root.unlink()
    with pytest.raises(DataError, match="move this one away"):
        authority.kept(tmp_path / "kept", now=now)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be used"):
        authority.kept(tmp_path / "file" / "kept")


def test_several_that_ask_at_once_get_one_authority(tmp_path):
    roots = []
    asks = [
        threading.Thread(target=lambda: roots.append(authority.kept(tmp_path / "kept").root_pem))
        for _ in range(4)
    ]
    for ask in asks:
        ask.start()
    for ask in asks:
        ask.join()
    assert len(roots) == 4
    assert len(set(roots)) == 1
