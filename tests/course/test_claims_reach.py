"""What makes a record stale: an edit of something it uses, under any Python, and nothing else."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from datahall.course.claims import command, digests, ledger, reach, records
from datahall.course.exits import Exit
from datahall.course.notebooks import sources

PACKAGE = Path(reach.__file__).resolve().parents[2]
CELLS = """
from datahall import runtime
from datahall.convolution import core, figures
runtime.start(seed=1)
core.output_size(28, 5)
figures.anything()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that a test may edit; `reach` reads it."""
    copy = tmp_path / "datahall"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.js"))
    monkeypatch.setattr(reach, "PACKAGE", copy)
    reach._read.cache_clear()
    yield copy
    reach._read.cache_clear()


def after_edit(package: Path, file: str, old: str, new: str, code: str = CELLS) -> set[str]:
    """Edit a file of the copy and return what has become stale."""
    before = digests.of_code(code)
    path = package / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    reach._read.cache_clear()
    after = digests.of_code(code)
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("convolution/core.py", "def output_size(", "X = 1\n\n\ndef output_size(", set()),
        ("convolution/core.py", "def pad_image(", "def _pad_image(", set()),
        ("convolution/core.py", '"""Return', '"""Give back', set()),
        ("convolution/core.py", "raise ShapeError(", "raise ShapeError(\n'', ", set()),
        ("convolution/figures.py", "def ", "def x", set()),
        ("reporting.py", "digits: int = 3", "digits: int = 4", set()),
        ("runtime.py", "at_most_s: float = 2.0", "at_most_s: float = 3.0", set()),
        ("convolution/core.py", "// stride + 1", "// stride + 2", {"datahall.convolution.core"}),
        ("runtime.py", "random.seed(seed)", "random.seed(seed + 1)", {"datahall.runtime"}),
        ("runtime.py", "import random", "import random\nos.umask(0)", {"datahall.runtime"}),
    ],
)
def test_an_edit_of_what_is_used_counts_and_no_other(
    package: Path, file: str, old: str, new: str, stale: set[str]
) -> None:
    assert after_edit(package, file, old, new) == stale


def test_measure_counts_for_a_notebook_that_measures(package: Path) -> None:
    code = "from datahall import runtime\nruntime.measure(print)"
    edit = ("runtime.py", "at_most_s: float = 2.0", "at_most_s: float = 3.0")
    assert after_edit(package, *edit, code=code) == {"datahall.runtime"}


def test_a_helper_two_calls_away_counts(package: Path) -> None:
    code = "from datahall.optimization import core\ncore.cross_entropy"  # re-exported by core
    found = reach.used(code)
    assert "softmax" not in found.get("datahall.optimization.losses", {})
    code = "from datahall.optimization.core import cross_entropy_gradient as g"
    used = reach.used(code + "\ng")["datahall.optimization.losses"]
    assert {"cross_entropy_gradient", "softmax", "log_softmax", "log_sum_exp"} <= used.keys()


def test_a_module_that_is_handed_on_whole_counts_whole() -> None:
    whole = reach.used("from datahall.convolution import core\nprint(core)")
    assert {"output_size", "pad_image", "conv2d"} <= whole["datahall.convolution.core"].keys()


def test_a_name_imported_inside_a_function_is_followed() -> None:
    code = "def f():\n    from datahall.convolution.core import pad_image\n    return pad_image"
    assert "pad_image" in reach.used(code)["datahall.convolution.core"]


def test_only_data_sets_that_are_named_count() -> None:
    found = digests.of_code('from datahall import datasets\ndatasets.load("ames")')
    assert "data set ames" in found
    assert "data set mnist" not in found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('"""Words."""\nx = [1,\n 2]', "x = [1, 2]  # two", True),
        ("def f(a: int) -> int:\n    return a", "def f(a):\n    return a", True),
        ("raise ValueError('old')", "raise ValueError('new')", True),
        ("x = 1", "x = 1.0", False),
        ("x = 1", "x = True", False),
        ("x = 'ab'", "x = b'ab'", False),
        ("f'{a}b'", "f'{a}c'", False),
        ("f'{a!r}'", "f'{a}'", False),
        ("def f(a, *, b=1): pass", "def f(a, b=1): pass", False),
        ("x += 1", "x -= 1", False),
    ],
)
def test_meaning_sees_what_code_does(one: str, other: str, same: bool) -> None:
    assert (reach.meaning(ast.parse(one)) == reach.meaning(ast.parse(other))) is same


def interpreters() -> dict[str, str]:
    """Return the supported Pythons of this machine, by version: on the path, or beside this one."""
    found = {}
    beside = Path(sys.base_prefix).parent
    for minor in (11, 12, 13):
        named = [shutil.which(f"python3.{minor}"), *beside.glob(f"*3.{minor}.*/bin/python3")]
        for python in filter(None, named):
            asked = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
            answer = subprocess.run(asked, capture_output=True, text=True, check=False)
            if answer.stdout.split() == ["3", str(minor)]:
                found[f"3.{minor}"] = str(python)
    return found


def test_every_python_of_this_machine_reads_the_same(root: Path) -> None:
    """`reach` needs the standard library only, so a bare interpreter can run it."""
    lectures = sorted((root / "notebooks").glob("*.ipynb"))
    cells = ["\n".join(c.source for c in sources.read(p).code_cells) for p in lectures]
    program = (
        "import importlib.util, json, sys\n"
        "spec = importlib.util.spec_from_file_location('reach', sys.argv[1])\n"
        "reach = sys.modules['reach'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(reach)\n"
        "cells = json.load(sys.stdin)\n"
        "print(json.dumps([[reach.meaning(reach.ast.parse(c)), reach.used(c)] for c in cells]))\n"
    )
    here = [[reach.meaning(ast.parse(code)), reach.used(code)] for code in cells]
    pythons = interpreters()
    assert "{}.{}".format(*sys.version_info) in pythons
    for version, python in pythons.items():
        asked = [python, "-I", "-c", program, reach.__file__]
        answer = subprocess.run(asked, input=json.dumps(cells), capture_output=True, text=True)
        assert answer.returncode == 0, f"Python {version}: {answer.stderr}"
        assert json.loads(answer.stdout) == here, f"Python {version} reads other code"


@pytest.mark.slow
@pytest.mark.timeout(3600)  # it makes a whole environment and measures in it
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_ledger_holds_under_every_supported_python(
    version: str, root: Path, tmp_path: Path
) -> None:
    """The environment is made from the lock, as for a user of that Python."""
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed here")
    venv = tmp_path / "venv"
    subprocess.run([python, root / "tools" / "setup.py", "--venv", venv], check=True, cwd=root)
    check = [venv / "bin" / "datahall", "claims", "--check"]
    done = subprocess.run(check, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # What an edit has made stale since the last measurement is so under every Python.
    kept = {claim: records.read(claim) for claim in ledger.load() if claim.notebook}
    stale = [claim.id for claim, record in kept.items() if record and records.stale(claim, record)]
    assert re.findall(r"(?m)^stale: (C\d+)", done.stdout) == stale


@pytest.mark.slow
def test_no_long_claim_is_contradicted_by_a_fresh_run() -> None:
    assert command.command(check=True, long=True) is Exit.OK
