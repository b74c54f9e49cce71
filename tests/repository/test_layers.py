"""Every test file is run by `make test`: by one layer, in every state of its markers."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from _pytest.mark.expression import Expression


@pytest.fixture(scope="module")
def layers(root: Path) -> ModuleType:
    """The plan of the layers as a module."""
    spec = importlib.util.spec_from_file_location("tools_layers", root / "tools" / "layers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


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
