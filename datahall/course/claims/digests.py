"""Digests of what a measured value depends on: the notebook's code, what it uses, the data.

One digest for each module of the package that the notebook reaches, over the names that it reaches
there: an edit of another function leaves it as it is. `reach` does the following.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

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
    reached = reach.used(code)
    for module in sorted(reached):
        names = reached[module]
        found[module] = _sha256("\0".join(f"{name}\0{names[name]}" for name in sorted(names)))
    named = reach.words(code) & set(datasets.names())
    found |= {f"data set {name}": datasets.digest(name) for name in sorted(named)}
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def libraries(versions: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the versions of the libraries that compute: of this environment, or out of a run's.

    Args:
        versions: What a run recorded; this environment's own if left out.
    """
    found = {}
    for name in LIBRARIES:
        for build in (f"{name}-cpu", name):
            known = _installed(build) if versions is None else versions.get(build)
            if known and name not in found:
                found[name] = known
    return found


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
