"""Digests of what a measured value depends on: the notebook's code, the concepts' code, the data.

Code is compared as Python reads it: comments, docstrings and layout may change, and so may modules
that the notebook does not import.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

import datahall
from datahall.course import catalogue
from datahall.course.notebooks import sources

# These rooms draw, ask and check; a measured value does not depend on them.
_OTHER_ROOMS = ("figures", "widgets", "checks", "bank")
_PACKAGE = Path(datahall.__file__).parent


def of(notebook: str) -> dict[str, str]:
    """Return the digests by what they stand for.

    Args:
        notebook: Stem of a lecture.

    Raises:
        InputError: There is no such lecture.
    """
    entry = catalogue.load().find(notebook)[0]
    source = sources.read(catalogue.repository_root() / entry.files()["lecture"])
    cells = "\n".join(cell.source for cell in source.code_cells)
    code = hashlib.sha256()
    for file in sorted(modules(cells)):
        name = file.relative_to(_PACKAGE).as_posix()
        code.update(f"{name}\0{meaning(file.read_text(encoding='utf-8'))}\0".encode())
    return {
        "notebook": hashlib.sha256(meaning(cells).encode()).hexdigest(),
        "code": code.hexdigest(),
        "data": hashlib.sha256((_PACKAGE / "datasets.toml").read_bytes()).hexdigest(),
    }


def meaning(code: str) -> str:
    """Return code without comments, docstrings and layout.

    Example:
        >>> meaning("x = 1  # one") == meaning("x=1")
        True
        >>> meaning("x = 1") == meaning("x = 2")
        False
    """
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [child for child in body if not _is_text(child)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def modules(code: str) -> set[Path]:
    """Return the concepts' modules that some code imports, and all that those import in turn."""
    found: set[Path] = set()
    waiting = [code]
    while waiting:
        for file in set(_imported(waiting.pop())) - found:
            found.add(file)
            waiting.append(file.read_text(encoding="utf-8"))
    return found


def _imported(code: str) -> Iterator[Path]:
    slugs = {module.slug for module in catalogue.load().modules}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            file = _PACKAGE.joinpath(*parts[1:]).with_suffix(".py")
            room = not file.stem.endswith(_OTHER_ROOMS)
            if len(parts) == 3 and parts[1] in slugs and room and file.is_file():
                yield file
