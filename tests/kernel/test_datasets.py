"""MNIST as it ships: what it is, and what is said when it is not."""

import gzip
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from datahall import datasets
from datahall.datasets import files
from datahall.datasets.mnist import read_idx
from datahall.errors import DataError, ParameterError

FILES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def copy(tmp_path: Path, home: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the set that a test may damage, found first."""
    folder = tmp_path / "data" / "mnist"
    shutil.copytree(root / "datasets" / "mnist", folder)
    monkeypatch.setenv("DATAHALL_DATA", str(folder.parent))
    return folder


def test_mnist_has_the_canonical_shapes_types_and_class_counts(home: Path) -> None:
    mnist = datasets.load("mnist")
    assert mnist.train.images.shape == (60000, 28, 28)
    assert mnist.test.images.shape == (10000, 28, 28)
    assert mnist.train.images.dtype == mnist.train.labels.dtype == np.uint8
    assert (mnist.train.images.min(), mnist.train.images.max()) == (0, 255)
    # LeCun's page and every textbook: 5923 zeros … 5949 nines in the training set
    assert np.bincount(mnist.train.labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert len(mnist.test) == 10000


def test_images_are_mapped_from_disk_and_cannot_be_changed(home: Path) -> None:
    images = datasets.load("mnist").train.images
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0, 0, 0] = 1


def test_the_shipped_files_have_no_time_or_name_in_their_gzip_header(root: Path) -> None:
    for file in FILES:
        head = (root / "datasets" / "mnist" / f"{file}.gz").read_bytes()[:10]
        assert head[3] == 0, "no name in the header"
        assert head[4:8] == bytes(4), "no time in the header"


def test_the_card_names_the_digests_of_the_manifest(root: Path) -> None:
    card = (root / "datasets" / "mnist" / "README.md").read_text()
    for file in FILES:
        content = gzip.decompress((root / "datasets" / "mnist" / f"{file}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() in card


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match=r"no data set 'cifar'. One of mnist"):
        datasets.load("cifar")


def test_a_flipped_bit_is_found_and_the_way_out_named(copy: Path) -> None:
    file = copy / "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(file.read_bytes()))
    content[1000] ^= 1
    file.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DataError, match=r"train-labels.*is not the file.*expected 60,008 bytes"):
        datasets.load("mnist")


def test_a_truncated_file_is_found(copy: Path) -> None:
    file = copy / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(DataError, match=r"t10k-images.*is damaged or cut short"):
        datasets.load("mnist")


def test_a_file_that_is_no_gzip_is_found(copy: Path) -> None:
    (copy / "t10k-images-idx3-ubyte.gz").write_text("404: not found")
    with pytest.raises(DataError, match=r"damaged or cut short"):
        datasets.load("mnist")


def test_a_missing_file_names_every_place_it_was_looked_for(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setattr(files, "_REPOSITORY", copy.parent / "no-repository")
    with pytest.raises(DataError, match=r"is missing. It was looked for in .*data.*git checkout"):
        datasets.load("mnist")


def test_an_unpacked_file_that_was_changed_is_unpacked_anew(home: Path) -> None:
    file = datasets.path("mnist", "train-labels-idx1-ubyte")
    good = file.read_bytes()
    file.write_bytes(good[:-10])
    assert datasets.path("mnist", "train-labels-idx1-ubyte").read_bytes() == good


def test_a_changed_file_of_the_same_size_is_not_trusted(home: Path) -> None:
    """Size and place alone say nothing; the time of change is part of the stamp."""
    file = datasets.path("mnist", "train-labels-idx1-ubyte")
    good = file.read_bytes()
    with file.open("r+b") as opened:  # in place: same size, same inode
        opened.seek(1000)
        opened.write(bytes([good[1000] ^ 1]))
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert datasets.path("mnist", "train-labels-idx1-ubyte").read_bytes() == good


def test_a_half_written_file_beside_the_set_is_never_taken_for_it(home: Path) -> None:
    (home / "datasets" / "mnist").mkdir(parents=True)
    (home / "datasets" / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01")
    assert len(datasets.load("mnist").test) == 10000


def test_a_data_folder_that_cannot_be_written_says_which_variable_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="DATAHALL_HOME"):
        datasets.load("mnist")


def test_read_idx_refuses_a_header_that_does_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"\0\0\x08\x01\0\0\0\x05abc")
    with pytest.raises(DataError, match="not a complete IDX file"):
        read_idx(file)


def test_verify_reports_every_file_and_what_is_wrong_with_it(copy: Path) -> None:
    datasets.load("mnist")
    assert all(not report.problem for report in datasets.verify("mnist"))
    (copy / "t10k-labels-idx1-ubyte.gz").write_bytes(b"")
    unpacked = datasets.path("mnist", "train-labels-idx1-ubyte")
    unpacked.write_bytes(b"x")
    problems = [report.problem for report in datasets.verify("mnist") if report.problem]
    assert len(problems) == 2
    assert any("has been changed" in problem for problem in problems)
