"""What the tests of the service share: a signed model, and a running service for each file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from datahall.serving import authority, course_model, repository
from datahall.serving.authority import Authority
from datahall.serving.deployment import Deployment, serve
from datahall.serving.gateway_plan import Limits

# Small enough that a test can exceed them; no honest test here does.
LIMITS = Limits(slow_s=2.0, idle_s=4.0)


@pytest.fixture(scope="session")
def authority_here(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that signs the models of these tests."""
    return authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def tflite() -> bytes:
    """The network, int8."""
    return course_model.tflite()[0]


@pytest.fixture
def models(tmp_path: Path, tflite: bytes, authority_here: Authority) -> Path:
    """A model repository with versions 1 and 2, signed; 2 is current."""
    for version in (1, 2):
        folder = tmp_path / "models"
        repository.publish(tflite, folder, repository.MODEL_NAME, version, authority_here)
    return folder


@pytest.fixture(scope="module")
def service() -> Iterator[Deployment]:
    """The whole service with the course's own model: one a file."""
    with serve(replicas=2, limits=LIMITS) as running:
        yield running


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Four images (4, 28, 28), uint8, of noise: what they show does not matter here."""
    return np.random.default_rng(7).integers(0, 256, (4, 28, 28)).astype(np.uint8)
