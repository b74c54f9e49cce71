"""Every test file is run by `make test`: by one layer, in every state of its markers."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from _pytest.mark.expression import Expression


def load(root: Path, name: str) -> ModuleType:
    """Return a file of `tools/` as a module."""
    spec = importlib.util.spec_from_file_location(name, root / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def layers(root: Path) -> ModuleType:
    """The plan of the layers as a module."""
    return load(root, "layers")


@pytest.fixture(scope="module")
def plan(root: Path, layers: ModuleType) -> ModuleType:
    """`tools/test.py` as a module."""
    return load(root, "test")


def marks_of(file: Path) -> set[str]:
    """Return the markers that a whole file carries: `pytestmark = pytest.mark.name`."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            marks = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            found |= {ast.unparse(mark).removeprefix("pytest.mark.") for mark in marks}
    return found


def takes(command: tuple[str, ...], file: Path, root: Path) -> bool:
    """Tell whether a pytest command collects a file."""
    inside = [root / word for word in command if (root / word).exists()]
    ignored = [root / word.partition("=")[2] for word in command if word.startswith("--ignore=")]
    if not any(file.is_relative_to(path) for path in inside) or file in ignored:
        return False
    wanted = command[command.index("-m") + 1] if "-m" in command else "not slow"
    marks = marks_of(file)
    return Expression.compile(wanted).evaluate(lambda name, **_: name in marks)


def test_every_test_file_runs_in_exactly_one_layer(layers: ModuleType, root: Path) -> None:
    commands = [c for layer in layers.TEST for c in layer.commands if c[0] == "pytest"]
    commands = [c for c in commands if "--nbval" not in c]
    files = sorted((root / "tests").rglob("test_*.py"))
    assert len(files) > 50
    runs = {file: sum(takes(command, file, root) for command in commands) for file in files}
    assert {file.name: count for file, count in runs.items() if count != 1} == {}


def test_every_folder_of_notebooks_with_outputs_is_compared(layers: ModuleType) -> None:
    (command,) = (c for layer in layers.TEST for c in layer.commands if "--nbval" in c)
    assert {"notebooks", "solutions"} <= set(command)


def words(layer) -> list[str]:
    return [word for command in layer.commands for word in command]


def test_the_layers_for_a_notebook_take_its_own_files_and_no_other(
    layers: ModuleType, root: Path
) -> None:
    structure, concept, nbval, papermill = layers.for_notebooks(["01_convolution_cost"])
    own = ["notebooks/01_convolution_cost.ipynb", "solutions/01_convolution_cost_solution.ipynb"]
    lab = "labs/01_convolution_cost_lab.ipynb"
    found = {
        layer.name: sorted(word for word in words(layer) if word.endswith(".ipynb"))
        for layer in (structure, nbval)
    }
    assert found == {"structure": sorted([*own, lab]), "nbval": own}
    assert ("datahall", "labs", "build", "--check", "01_convolution_cost_lab") in structure.commands
    names = "[01_convolution_cost] or [01_convolution_cost_lab] or [01_convolution_cost_solution]"
    chosen = papermill.commands[0]
    assert sorted(chosen[-1].split(" or ")) == sorted(names.split(" or "))
    assert "datahall/convolution" in words(concept)
    tests = {word for word in words(concept) if word.startswith("tests/concepts/")}
    assert tests == {
        str(path.relative_to(root)) for path in root.glob("tests/concepts/test_convolution*.py")
    }
    assert concept.commands[1][-1] == "[01. or [01_convolution_cost_lab]"


def test_a_number_means_every_notebook_of_its_module(layers: ModuleType, root: Path) -> None:
    nbval = layers.for_notebooks(["01"])[2]
    files = {word for word in words(nbval) if word.endswith(".ipynb")}
    there = [*root.glob("notebooks/01_*.ipynb"), *root.glob("solutions/01_*.ipynb")]
    assert files == {str(path.relative_to(root)) for path in there}


def test_a_module_with_tests_of_its_own_runs_them_and_its_checks(layers: ModuleType) -> None:
    concept = layers.for_notebooks(["07"])[1]
    assert {"tests/serving", "datahall/serving", "tests/checks/test_banks.py"} <= set(
        words(concept)
    )


def test_a_lecture_without_lab_or_checks_has_no_empty_commands(layers: ModuleType) -> None:
    structure, *_ = layers.for_notebooks(["02_optimization_claims"])
    assert len(structure.commands) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No layer is called 'nonsense'"),
        (["--notebooks", "99"], "'99' is no module or notebook"),
        (["--notebooks"], "--notebooks stands alone"),
        (["unit", "--notebooks", "01"], "--notebooks stands alone"),
    ],
)
def test_what_does_not_exist_is_bad_input(arguments: list[str], said: str, root: Path) -> None:
    command = [sys.executable, str(root / "tools" / "test.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert said in done.stdout


def test_ceilings_of_layers_that_run_notebooks_are_a_notebook(layers: ModuleType) -> None:
    grows = {layer.name for layer in layers.TEST if layer.grows}
    assert {"nbval", "papermill"} <= grows
    assert not grows & {"lint", "unit", "course", "warm", "repository", "browser"}
    nbval = next(layer for layer in layers.TEST if layer.name == "nbval")
    unit = next(layer for layer in layers.TEST if layer.name == "unit")
    assert nbval.ceiling_min(60) == pytest.approx(60 * nbval.minutes)
    assert unit.ceiling_min(60) == unit.ceiling_min(1) <= 1
    assert sum(layer.ceiling_min(60) for layer in layers.TEST) <= 40


def test_the_table_ends_with_sixty_notebooks(plan: ModuleType, layers: ModuleType) -> None:
    now = layers.notebooks()
    files = [*plan.ROOT.glob("notebooks/*.ipynb"), *plan.ROOT.glob("solutions/*.ipynb")]
    assert now == len(files) + len([*plan.ROOT.glob("labs/*.ipynb")])
    results = [
        plan.Result(layer, seconds=60.0 * (20 if layer.name == "nbval" else 1), passed=1)
        for layer in layers.TEST
    ]
    fixed = sum(not layer.grows for layer in layers.TEST)
    each = (20 + len(layers.TEST) - fixed - 1) / 20
    text = plan.summary(results, 20)
    assert f"20 notebooks now: {fixed:.2f} minutes fixed, {each:.3f} a notebook" in text
    minutes = fixed + 60 * each
    assert f"with 60: make test {minutes:.1f}; at most 40: missed" in text
    assert f"with 60: .ci/run {minutes + 6:.1f}, 6 for the set-up included; at most 60" in text
    (row,) = (line for line in text.splitlines() if line.startswith("nbval"))
    assert row.endswith("over its ceiling")


def test_a_part_of_the_layers_promises_nothing_of_the_whole(
    plan: ModuleType, layers: ModuleType
) -> None:
    nbval = next(layer for layer in layers.TEST if layer.name == "nbval")
    text = plan.summary([plan.Result(nbval, seconds=60.0)], 20)
    assert "with 60: 3.0, without lint, unit" in text
    assert "met" not in text


ORPHAN = """
import subprocess, sys
work = "import time\\nwhile time.process_time() < 1: pass"
subprocess.Popen([sys.executable, "-c", work], start_new_session=True)
"""
COUNT = """
import subprocess, sys
sys.path[:0] = ["tools"]
import test
test.adopt_orphans()
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
before = test.cpu_seconds()
test.wait_for_orphans()
print(test.cpu_seconds() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are handed over on Linux only")
def test_the_processor_time_of_what_outlives_its_parent_is_counted(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, ORPHAN], cwd=root, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) >= 0.9
