"""The stand-in: a module that is run alone has a network that works, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from datahall import artifact, datasets
from datahall.training import core
from datahall.training.stand_in import stand_in


@pytest.mark.processes
def test_a_stand_in_reads_digits_says_what_it_is_and_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mnist = datasets.load("mnist")
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path / "home"))
    made = stand_in()
    assert stand_in() == made
    assert artifact.lineage(made)[0].digest == mnist.digest
    facts = made.steps[0].facts
    assert facts["stand_in"] is True
    assert 0.94 < facts["test_accuracy"] < 0.99
    answers = artifact.load(made).predict(core.as_floats(mnist.test.images[:500]), verbose=0)
    assert (answers.argmax(1) == mnist.test.labels[:500]).mean() > 0.9


def test_the_network_of_lecture_03_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path / "home"))
    saved = artifact.save(core.travelling_network(), step="03_training", facts={})
    assert stand_in() == saved
