"""Small files and small functions: beyond the size, split by idea, or say here why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES, CORE_LINES, FUNCTION_LINES, DEPTH = 400, 300, 40, 3
FILES = sorted(
    path
    for folder in ("datahall", "tools", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
# File or file::function, and the reason.
EXCUSED = {
    "datahall/convolution/lowering.py::conv2d_loops": "the lecture counts these loops, one an axis",
}
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.AsyncFor, ast.AsyncWith, ast.Match)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the length of a function's body in lines; signature and docstring do not count."""
    first, *others = function.body
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    begins = others[0] if is_docstring and others else first
    return (function.end_lineno or 0) - begins.lineno + 1


def depth(node: ast.AST, *, within_if: bool = False) -> int:
    """Return how deep blocks are nested; `elif` is no deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        is_elif = within_if and isinstance(child, ast.If) and child in getattr(node, "orelse", [])
        own = isinstance(child, BLOCKS) and not is_elif
        deepest = max(deepest, own + depth(child, within_if=isinstance(child, ast.If)))
    return deepest


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_small_and_so_are_its_functions(path: Path):
    name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    limit = CORE_LINES if path.name == "core.py" else FILE_LINES
    too_much = {}
    if len(text.splitlines()) > limit:
        too_much[name] = f"{len(text.splitlines())} lines, {limit} are allowed"
    for function in functions(ast.parse(text)):
        where = f"{name}::{function.name}"
        if code_lines(function) > FUNCTION_LINES:
            too_much[where] = f"{code_lines(function)} lines, {FUNCTION_LINES} are allowed"
        elif depth(function) > DEPTH:
            too_much[where] = f"{depth(function)} levels deep, {DEPTH} are allowed"
    assert {key: why for key, why in too_much.items() if key not in EXCUSED} == {}
