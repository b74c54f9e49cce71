"""Extras: what is there, and what to do where it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from datahall import extras
from datahall.course import catalogue
from datahall.errors import CourseError, ParameterError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra of a package that nobody has."""
    monkeypatch.setitem(extras.MODULES, "jax", ("numpy", "a_package_that_nobody_has"))


@pytest.mark.usefixtures("absent")
def test_an_extra_of_which_a_part_is_missing_is_refused_with_the_command_that_installs_it():
    with pytest.raises(CourseError, match=r'jax is not installed.* make setup EXTRAS="jax"$'):
        extras.require("jax")


@pytest.mark.usefixtures("absent")
def test_of_several_extras_only_those_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(extras.MODULES, "ray", ("json",))
    assert extras.lacking("ray", "jax") == ("jax",)
    assert "jax and runtimes are not" in extras.advice("jax", "runtimes")


def test_an_extra_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ParameterError, match=r"'jaxx'\. One of jax, ray, runtimes"):
        extras.lacking("jaxx")


def test_asking_for_an_extra_imports_nothing_of_it():
    program = "import sys; from datahall import extras; extras.lacking(*extras.MODULES); "
    watched = "print([m for m in ('jax', 'ray', 'onnx') if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", program + watched], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


def test_a_lecture_names_only_extras_that_exist():
    for notebook in catalogue.load().notebooks:
        assert set(notebook.extras) <= set(extras.MODULES), notebook.stem
