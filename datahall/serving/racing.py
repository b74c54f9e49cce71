"""Somebody who swaps a file exactly between two reads of it, in every order that there is.

A racer that only runs beside a loader wins now and then; this one is the worst that can happen, and
the same each time. It hears of each read of the file in this thread, and then writes what comes
next in the order, in place: neither a path that is opened twice nor a file that is read twice is
safe from it. Whoever reads once sees one content, whatever the order.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from datahall.serving.custody import CARD, MODEL, Seal

READS = 4  # of one file: what comes at each of them is one of two contents
_READERS = frozenset({"read", "read1", "readall", "readinto", "readline", "readlines", "pread"})


class Swapper:
    """While it is entered, a file changes after each of its reads.

    Args:
        path: The file.
        contents: What is in it at its first read, its second, and so on; the last one stays. All
            of one length.
    """

    def __init__(self, path: Path, contents: Sequence[bytes]) -> None:
        self._path, self._contents, self._turn = path, contents, 0

    def __enter__(self) -> Swapper:
        """Write the first content, and listen."""
        self._handle = os.open(self._path, os.O_WRONLY)
        self._own, self._before = os.fstat(self._handle), sys.getprofile()
        self._write()
        sys.setprofile(self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        sys.setprofile(self._before)
        os.close(self._handle)

    def _heard(self, frame: FrameType, event: str, function: Any) -> None:
        if event == "c_return" and self._has_read(function):
            self._turn += 1
            self._write()

    def _has_read(self, function: Any) -> bool:
        if getattr(function, "__name__", "") not in _READERS:
            return False
        file: Any = getattr(function, "__self__", None)
        if not hasattr(file, "fileno"):
            return True  # os.read and its like do not say of what
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._own)
        except (OSError, ValueError):
            return False

    def _write(self) -> None:
        os.pwrite(self._handle, self._contents[min(self._turn, len(self._contents) - 1)], 0)


def outcomes(
    load: Callable[[Path, Seal], bytes],
    folder: Path,
    trust: Seal,
    *,
    name: str = MODEL,
    foreign: bytes | None = None,
    reads: int = READS,
) -> Counter[str]:
    """Load a model while a file of its folder is swapped, once for each order of two contents.

    Args:
        load: Called with folder and trust.
        folder: Holds a model, its card and its signature.
        trust: Whose models are loaded.
        name: The file that is swapped.
        foreign: What it is swapped with; by default it is the file with one bit changed.
        reads: At how many reads it may be one or the other.

    Returns:
        How often the model came back as it was signed (`signed`), another one came back
        (`foreign`), or it was refused with ValueError (`refused`).
    """
    own, model = (folder / name).read_bytes(), (folder / MODEL).read_bytes()
    signed = model if name == MODEL else None
    other = bytes([own[0] ^ 1]) + own[1:] if foreign is None else foreign
    found: Counter[str] = Counter()
    for contents in itertools.product((own, other), repeat=reads):
        with Swapper(folder / name, contents):
            try:
                loaded = load(folder, trust)
            except ValueError:
                found["refused"] += 1
                continue
        found["signed" if loaded == signed else "foreign"] += 1
    (folder / name).write_bytes(own)
    return found


def card_outcomes(
    load: Callable[[Path, Seal], bytes], folder: Path, trust: Seal, foreign: bytes
) -> Counter[str]:
    """Load a foreign model while the signed card and a foreign one take turns.

    Args:
        load: Called with folder and trust.
        folder: Holds a foreign model, and the card and the signature of another one.
        trust: Whose models are loaded.
        foreign: The foreign card, as long as the signed one.
    """
    return outcomes(load, folder, trust, name=CARD, foreign=foreign)
