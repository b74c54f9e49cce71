"""What the tests of checks share."""

import sys

import pytest

from datahall.checking import child


@pytest.fixture(autouse=True)
def _forks_even_after_tensorflow(request, monkeypatch):
    """Let isolated checks fork although a bank loaded TensorFlow: the answers here use NumPy."""
    if sys.platform == "linux" and request.module.__name__.endswith(("judging", "misbehaviour")):
        monkeypatch.setattr(child, "can_fork", lambda: True)
