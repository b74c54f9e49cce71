"""What a public function says of itself: the shapes of its arrays, and each of many arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(p for p in (ROOT / "datahall").rglob("*.py") if "__pycache__" not in p.parts)
ARRAY = re.compile(r"\b(Array|ArrayLike|NDArray|ndarray|Tensor)\b")
# Named axes in brackets, or a sentence with the word: "Input shape: any."
SHAPE = re.compile(r"(?i)\bshapes?\b|\((?:[^(),]+,)+[^()]*\)")
MANY = 3
# File::function, and the reason.
EXCUSED = {
    "datahall/course/labs/contents.py::CourseContents.get": "Jupyter's own method, as it calls it",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, Function]]:
    """Yield the public functions and methods of a file, by their names."""
    for node in body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            name = f"{within}{node.name}"
            if isinstance(node, Function):
                yield name, node
            else:
                yield from public(node.body, f"{name}.")


def classes() -> dict[str, ast.ClassDef]:
    """Return every class of the package by its name."""
    nodes = (node for path in FILES for node in ast.parse(path.read_text("utf-8")).body)
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


CLASSES = classes()


def inherits(name: str) -> bool:
    """Tell whether a method is one that a class of ours above it describes."""
    owner, _, method = name.rpartition(".")
    bases = [ast.unparse(base) for base in CLASSES[owner].bases] if owner in CLASSES else []
    above = [base for base in bases if base in CLASSES]
    return any(
        method in {n.name for n in CLASSES[base].body if isinstance(n, Function)}
        or inherits(f"{base}.{method}")
        for base in above
    )


def arguments(function: Function) -> list[ast.arg]:
    """Return what a caller gives, in order."""
    given = function.args
    rest = [one for one in (given.vararg, given.kwarg) if one]
    found = [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]
    return [one for one in found if one.arg not in ("self", "cls") and one.arg[0] != "_"]


def described(text: str) -> set[str]:
    """Return the names that stand in the block `Args` of a docstring."""
    block = re.search(r"(?ms)^Args:\n(.*?)(?=^\S|\Z)", text)
    lines = re.findall(r"(?m)^    \**(\w[\w, ]*):", block[1]) if block else []
    return {name.strip() for line in lines for name in line.split(",")}


def faults(path: Path) -> dict[str, str]:
    """Return what the docstrings of a file leave out, by function."""
    is_command = path.parent.name == "verbs"  # there, the help of each option says it
    found = {}
    for name, function in public(ast.parse(path.read_text(encoding="utf-8")).body):
        text, given = ast.get_docstring(function) or "", arguments(function)
        lacking = [one.arg for one in given if one.arg not in described(text)]
        annotations = [ast.unparse(one.annotation) for one in given if one.annotation]
        if inherits(name) or f"{path.relative_to(ROOT)}::{name}" in EXCUSED:
            continue
        if len(given) >= MANY and lacking and not is_command:
            found[name] = f"Args lacks {', '.join(lacking)}"
        elif any(map(ARRAY.search, annotations)) and not SHAPE.search(text):
            found[name] = "the shape of no array is given"
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_public_function_tells_its_shapes_and_each_of_many_arguments(path: Path):
    assert faults(path) == {}


@pytest.mark.parametrize("path", sorted((ROOT / "datahall/course/verbs").glob("*.py")))
def test_every_option_of_a_verb_has_its_help(path: Path):
    for _, function in public(ast.parse(path.read_text(encoding="utf-8")).body):
        if any("command" in ast.unparse(mark) for mark in function.decorator_list):
            silent = [a.arg for a in arguments(function) if "help=" not in ast.unparse(a)]
            assert silent == [], function.name


def test_the_rule_sees_what_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "some.py"
    path.write_text(
        "def three(a, b, c):\n    '''Add.\n\n    Args:\n        a: One.\n        b: Two.\n    '''\n"
        "def two(a, b):\n    '''Add.'''\n"
        "def array(values: Array):\n    '''Sum.'''\n"
        "def shaped(values: Array):\n    '''Sum (rows, columns).'''\n"
        "def _own(a, b, c):\n    '''Add.'''\n"
    )
    assert faults(path) == {
        "three": "Args lacks c",
        "array": "the shape of no array is given",
    }
