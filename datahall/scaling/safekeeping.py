"""A checkpoint that survives a kill at any moment: written beside the old one, then renamed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FolderCheckpoint:
    """The newest state of a training, in a folder of its own.

    A rename within a folder happens whole or not at all, so whoever loads finds the old state or
    the new one. The data reach the disk before the rename, so this also holds when power fails.

    Args:
        folder: Exists; nobody else writes there.

    Example:
        >>> import tempfile
        >>> one = FolderCheckpoint(Path(tempfile.mkdtemp()))
        >>> one.load() is None
        True
        >>> one.save({"weights": np.arange(3)})
        >>> one.load()
        {'weights': array([0, 1, 2])}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Keep a state, arrays of any shape by name, in place of the one before."""
        unfinished = self.folder / "unfinished.npz"
        with unfinished.open("wb") as stored:
            np.savez(stored, **state)  # type: ignore[arg-type]  # a name is a name
            stored.flush()
            os.fsync(stored.fileno())
        unfinished.replace(self.folder / "state.npz")

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Return the newest state that was kept; None if there is none."""
        path = self.folder / "state.npz"
        if not path.exists():
            return None
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}
