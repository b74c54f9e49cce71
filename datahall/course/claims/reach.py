"""What some code uses of the package, name by name, as Python reads it.

`used` follows names from a notebook's cells into the package: a function, the constants and
functions that it uses in turn, and so on; a definition that nothing reaches does not count.
`meaning` writes code so that comments, docstrings, annotations, layout and the texts of errors do
not show, and so that every Python writes the same. Standard library only: any Python can run it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
# Modules that draw show a value; no measured value depends on them.
DRAWING = ("matplotlib", "ipywidgets", "IPython", "anywidget")
# Fields that say nothing about what code computes, or that not every Python knows.
_SILENT = {"ctx", "kind", "type_comment", "type_params", "type_ignores", "returns"}

Target = tuple[str, str]  # a module of the package and a name in it; "" stands for the module


def meaning(node: ast.AST) -> str:
    """Return code without what does not change its values.

    Example:
        >>> one, other = ast.parse("x = 1  # one"), ast.parse("x=1")
        >>> meaning(one) == meaning(other)
        True
        >>> meaning(ast.parse("x = 1.0")) == meaning(one)
        False
    """
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__} {node.value!r}"
    if isinstance(node, ast.Raise):
        return "Raise"
    if isinstance(node, ast.JoinedStr):
        return f"JoinedStr({', '.join(_pieces(node))})"
    parts = []
    for name, value in ast.iter_fields(node):
        if name in _SILENT or (name == "annotation" and isinstance(node, ast.arg)):
            continue
        if isinstance(value, ast.AST):
            parts.append(f"{name}={meaning(value)}")
        elif isinstance(value, list):
            kept = [v for v in value if not (isinstance(v, ast.stmt) and _is_text(v))]
            if kept:
                shown = (meaning(v) if isinstance(v, ast.AST) else repr(v) for v in kept)
                parts.append(f"{name}=[{', '.join(shown)}]")
        elif value is not None:
            parts.append(f"{name}={value!r}")
    return f"{type(node).__name__}({', '.join(parts)})"


def _pieces(node: ast.JoinedStr) -> Iterator[str]:
    """Write an f-string's parts, neighbouring texts joined: Pythons cut them differently."""
    text = ""
    for value in node.values:
        if isinstance(value, ast.Constant):
            text += str(value.value)
            continue
        if text:
            yield repr(text)
        text = ""
        yield meaning(value)
    if text:
        yield repr(text)


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@dataclass
class _Module:
    """The top level of one file: what its names are bound to, and what always runs."""

    bound: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imported: dict[str, Target] = field(default_factory=dict)
    always: list[ast.stmt] = field(default_factory=list)
    draws: bool = False


def _file(module: str) -> Path | None:
    """Return the file of a module of the package, or None if it is not one."""
    parts = module.split(".")
    if parts[0] != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*parts[1:])
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


@cache
def _read(module: str) -> _Module:
    file = _file(module)
    tree = ast.parse(file.read_text(encoding="utf-8")) if file else ast.Module([], [])
    inside = module if file and file.name == "__init__.py" else module.rpartition(".")[0]
    found = _Module(imported=_imports(tree.body, inside), draws=_draws(tree, inside))
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_text(node) or _for_types(node):
            continue
        names = _binds(node)
        for name in names:
            found.bound.setdefault(name, []).append(node)
        if not names or not isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
        ):
            found.always.append(node)
    return found


def _for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _binds(node: ast.stmt) -> set[str]:
    """Return the names that a statement binds at its own level."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {
        child.id
        for child in ast.walk(node)
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)
    }


def _draws(tree: ast.Module, inside: str) -> bool:
    libraries = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    top = _imports(tree.body, inside).values()
    return bool(libraries & set(DRAWING)) or (f"{PACKAGE.name}.plotting", "") in top


def _imports(nodes: list[ast.stmt], inside: str) -> dict[str, Target]:
    """Return what imports among some statements bind to modules and names of the package."""
    return {
        name: target
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        for name, target in [_import(node, alias, inside)]
        if _file(target[0])
    }


def _import(node: ast.Import | ast.ImportFrom, alias: ast.alias, inside: str) -> tuple[str, Target]:
    """Return the name that one import binds, and to what."""
    if isinstance(node, ast.Import):
        whole = alias.name if alias.asname else alias.name.split(".")[0]
        return alias.asname or whole, (whole, "")
    outer = inside.split(".")
    base = ".".join(outer[: len(outer) - node.level + 1]) if node.level else ""
    source = ".".join(part for part in (base, node.module) if part)
    inner = f"{source}.{alias.name}"
    return alias.asname or alias.name, (inner, "") if _file(inner) else (source, alias.name)


def _chains(node: ast.AST) -> Iterator[list[str]]:
    """Yield the dotted names that code uses, each as a list; errors that it raises do not count."""
    if isinstance(node, ast.Raise):
        return
    if isinstance(node, ast.Name):
        yield [node.id]
        return
    if isinstance(node, ast.Attribute):
        names: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            yield [inner.id, *reversed(names)]
            return
    for name, value in ast.iter_fields(node):
        if name in _SILENT or name == "annotation":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _chains(child)


class _Walk:
    """One walk from some code: which names of which modules it reaches."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, str]] = {}
        self._begun: set[Target] = set()

    def code(self, nodes: list[ast.stmt], scope: dict[str, Target], inside: str) -> None:
        """Follow every name that some statements use."""
        for node in nodes:
            local = _imports([n for n in ast.walk(node) if isinstance(n, ast.stmt)], inside)
            names = {**scope, **local}
            for chain in _chains(node):
                if chain[0] in names:
                    self.name(*names[chain[0]], chain[1:])

    def name(self, module: str, name: str, rest: list[str]) -> None:
        """Follow one name of a module; without a name, the next of the rest, or all of it."""
        while not name and rest and _file(f"{module}.{rest[0]}"):
            module, rest = f"{module}.{rest[0]}", rest[1:]
        if not name and rest:
            name, rest = rest[0], rest[1:]
        if (module, name) in self._begun or name.startswith("__"):
            return
        self._begun.add((module, name))
        here = _read(module)
        if here.draws:
            return
        self._keep(module, "", here.always)
        if name in here.imported:
            self.name(*here.imported[name], rest)
        elif name in here.bound:
            self._keep(module, name, here.bound[name])
        else:
            for each in (*here.bound, *here.imported):
                self.name(module, each, [])

    def _keep(self, module: str, name: str, nodes: list[ast.stmt]) -> None:
        here, kept = _read(module), self.found.setdefault(module, {})
        if name in kept:
            return
        kept[name] = "\n".join(map(meaning, nodes))
        file = _file(module)
        inside = module if file and file.name == "__init__.py" else module.rpartition(".")[0]
        own = {each: (module, each) for each in here.bound}
        self.code(nodes, {**here.imported, **own}, inside)


def used(code: str) -> dict[str, dict[str, str]]:
    """Return what some code uses of the package: for each module, its names and their meaning.

    Args:
        code: Python source, such as a notebook's cells joined.

    Returns:
        Module to name to meaning; the name "" holds what runs when the module is imported.

    Example:
        >>> sorted(used("from datahall import units; units.format_number(1)"))
        ['datahall.units']
    """
    walk, tree = _Walk(), ast.parse(code)
    everywhere = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    walk.code(tree.body, _imports(everywhere, ""), "")
    return {module: names for module, names in walk.found.items() if any(names.values())}


def words(code: str) -> set[str]:
    """Return the texts that stand in some code as constants.

    Example:
        >>> words('load("mnist")')
        {'mnist'}
    """
    nodes = ast.walk(ast.parse(code))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
