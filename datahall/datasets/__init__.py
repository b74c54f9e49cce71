"""The data sets that ship with the course: loaded by name, checked, and mapped from disk.

`load("mnist")` is all that most readers need. The first load unpacks into the user's data folder
and checks every byte; later loads map those files into memory and trust them while size and time of
change stay the same. `verify` checks everything again. Each set has a file of its own, with a
function `load`; `files` finds, unpacks and checks.
"""

from __future__ import annotations

import importlib
from typing import Any

from datahall.datasets.files import FileReport, digest, names, path, verify

__all__ = ["FileReport", "digest", "load", "names", "path", "verify"]


def load(name: str) -> Any:
    """Load a data set by name.

    Args:
        name: One of `names()`.

    Raises:
        ParameterError: There is no such data set.
        DataError: A file is missing or damaged.
    """
    digest(name)  # refuses a name that is unknown
    return importlib.import_module(f"datahall.datasets.{name}").load()
