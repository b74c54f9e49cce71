"""Digests of what a measured value depends on: the notebook's code, what it uses, the data.

One digest for each module of the package that the notebook reaches, over the names that it reaches
there: an edit of another function leaves it as it is. `reach` does the following.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping

from datahall import datasets
from datahall.course import catalogue
from datahall.course.claims import reach
from datahall.course.notebooks import sources

NOTEBOOK = "the notebook"
# The libraries that compute a measured value; one TensorFlow, whatever its build is called.
LIBRARIES = ("keras", "numpy", "scikit-learn", "scipy", "tensorflow")


def of(notebook: str) -> dict[str, str]:
    """Return the digests by what they stand for.

    Args:
        notebook: Stem of a lecture.

    Returns:
        A digest for `the notebook`, for each module that it uses and for each data set it names.

    Raises:
        InputError: There is no such lecture.
    """
    entry = catalogue.load().find(notebook)[0]
    source = sources.read(catalogue.repository_root() / entry.files()["lecture"])
    return of_code("\n".join(cell.source for cell in source.code_cells))


def of_code(code: str) -> dict[str, str]:
    """Return the digests of some code: `of` a notebook's cells, joined."""
    found = {NOTEBOOK: _sha256(reach.meaning(ast.parse(code)))}
    named = sorted(reach.words(code) & set(datasets.names()))
    # A set is loaded by its name, so that no import tells: its file counts as if it were called.
    called = [f"from datahall.datasets.{name} import load as load_{name}" for name in named]
    called += [f"load_{name}()" for name in named]
    reached = reach.used("\n".join([code, *called]))
    for module in sorted(reached):
        names = reached[module]
        found[module] = _sha256("\0".join(f"{name}\0{names[name]}" for name in sorted(names)))
    found |= {f"data set {name}": datasets.digest(name) for name in named}
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def libraries(versions: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of the libraries that compute, out of all that a run recorded."""
    found = {}
    for name in LIBRARIES:
        if known := versions.get(name) or versions.get(f"{name}-cpu"):
            found[name] = known
    return found


def unlocked(versions: Mapping[str, str]) -> list[str]:
    """Return the libraries of a run that are not those of the lock, each with its version.

    The lock may hold several versions of a library, for several Pythons.

    Args:
        versions: What a run recorded.
    """
    lock = (catalogue.repository_root() / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"(?m)^([a-z-]+)==([^ ;\\]+)", lock))
    return [
        f"{name} {version}"
        for name, version in libraries(versions).items()
        if not {(name, version), (f"{name}-cpu", version)} & locked
    ]
