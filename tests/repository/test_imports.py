"""Who may import whom, read from the files: the rule of docs/architecture.md.

Shared kernel <- core <- figures <- widgets; core <- bank <- checks; concepts <- course. A concept
uses an earlier concept's core, never a later one's. Core does not draw.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from datahall.course import catalogue

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "datahall"
ORDER = {module.slug: module.number for module in catalogue.load().modules}
# What each room of a concept may use of its own concept. A file split off by idea, cost_figures, is
# in the room of what it imports; one that imports none of this is core.
MAY_USE = {
    "core": {"core"},
    "bank": {"core", "bank"},
    "checks": {"core", "bank", "checks"},
    "figures": {"core", "figures"},
    "widgets": {"core", "figures", "widgets"},
}
DRAWING = ("matplotlib", "ipywidgets", "IPython", "anywidget", "datahall.plotting")
ROOMS = {  # the first that a file imports something of
    "widgets": ("ipywidgets", "anywidget"),
    "figures": ("matplotlib", "datahall.plotting"),
    "bank": ("datahall.checking.Bank",),
    "checks": ("datahall.checking",),
}
HEAVY = ("tensorflow", "keras")
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    """Return the dotted name of a module of ours."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    """Return the names of the modules that a file imports; ours as precisely as can be read."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name_of(path).split(".")
            package = package if path.name == "__init__.py" else package[:-1]
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                known = is_module(inner) or inner == "datahall.checking.Bank"  # a front door's
                found.add(inner if known else source)
    return found


def is_module(name: str) -> bool:
    """Tell whether a dotted name is a file or folder of ours."""
    path = ROOT.joinpath(*name.split("."))
    return name.startswith("datahall") and (path.is_dir() or path.with_suffix(".py").exists())


def place(name: str) -> tuple[str, str]:
    """Return (region, room) of a module of ours: ('concept', 'core'), ('kernel', ''), …"""
    parts = [*name.split("."), "", ""]
    if parts[1] == "course":
        return "course", ""
    if parts[1] in ORDER:
        return parts[1], parts[2] if parts[2] in MAY_USE else room_of(name)
    return "kernel", ""


@cache
def room_of(name: str) -> str:
    """Return the room of a file of a concept, from what it imports."""
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    found = imports(path) if path.exists() else set()
    rooms = (room for room, marks in ROOMS.items() for one in found if one.startswith(marks))
    return next(rooms, "core")


def fault(path: Path, imported: str) -> str | None:
    """Return what is wrong with one import, or None."""
    here, room = place(name_of(path))
    there, other = place(imported)
    if here == "course" or there == "kernel":
        return None
    if there == "course" or here == "kernel":
        return "the kernel and the concepts know nothing of what stands on them"
    if here == there:
        return None if other in MAY_USE[room] else f"{room} may not use {other}"
    if ORDER[there] > ORDER[here]:
        return "a concept may not use a later one"
    return None if other == "core" else "only the core of another concept may be used"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_imports_only_what_stands_below_it(path: Path):
    ours = sorted(name for name in imports(path) if name.split(".")[0] == "datahall")
    faults = {name: why for name in ours if (why := fault(path, name))}
    assert faults == {}


def test_a_file_of_a_concept_is_named_after_its_room():
    said = {p: p.stem.rpartition("_")[2] for p in FILES if place(name_of(p))[1]}
    wrong = {
        name_of(path): room
        for path, word in said.items()
        if (word if word in MAY_USE else "core") != (room := place(name_of(path))[1])
    }
    assert wrong == {}


@pytest.mark.parametrize("path", [p for p in FILES if place(name_of(p))[1] == "core"], ids=name_of)
def test_core_does_not_draw(path: Path):
    drawn = {name for name in imports(path) if name.startswith(DRAWING)}
    assert drawn == set()


@pytest.mark.parametrize(
    "path", [p for p in FILES if place(name_of(p))[0] in ("kernel", "course")], ids=name_of
)
def test_kernel_and_machinery_start_without_tensorflow(path: Path):
    heavy = {name for name in imports(path, top_only=True) if name.split(".")[0] in HEAVY}
    assert heavy == set()


def test_the_rule_sees_a_wrong_import():
    concept = PACKAGE / "convolution"
    assert fault(concept / "core.py", "datahall.convolution.figures") == "core may not use figures"
    assert fault(concept / "core.py", "datahall.training.core") == (
        "a concept may not use a later one"
    )
    assert fault(PACKAGE / "units.py", "datahall.convolution.core") is not None
    assert fault(PACKAGE / "training" / "core.py", "datahall.convolution.core") is None


def test_a_name_stands_for_one_thing_in_the_whole_package():
    modules: dict[str, list[str]] = {}
    classes: dict[str, list[str]] = {}
    for path in FILES:
        if path.stem not in (*MAY_USE, "__init__", "__main__"):
            modules.setdefault(path.stem, []).append(name_of(path))
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes.setdefault(node.name, []).append(name_of(path))
    twice = {name: where for name, where in (modules | classes).items() if len(where) > 1}
    assert not twice, "give them two names, of the standard terms of their fields"
