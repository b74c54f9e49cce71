"""Answers to the exercises of module 05's lab on several machines that are no slip in the solution.

The bank says of each whether it is right, and what is said to whoever writes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


def by_waiting(times: Any) -> tuple[int, float] | None:
    """Find the straggler by who waits least."""
    waited = times[..., 2] - times[..., 1]
    alone = [int(w.argmin()) if (w == w.min()).sum() == 1 else -1 for w in waited.T]
    for rank in set(alone) - {-1}:
        if alone.count(rank) > len(alone) / 2:
            saved = [
                sorted(w)[1] - sorted(w)[0]
                for w, a in zip(waited.T, alone, strict=True)
                if a == rank
            ]
            return rank, sum(saved) / len(alone)
    return None


def piece_by_piece(work: int, interval: int, write: int, restart: int, losses: Any) -> int:
    """Go through the stretches of work, each until it ends without a loss.

    Args:
        work: Seconds of work in all.
        interval: Seconds of work between two checkpoints.
        write: Seconds that writing one takes.
        restart: Seconds from a loss until work goes on.
        losses: Moments at which the job is lost, in seconds.

    Returns:
        The second at which all is done.
    """
    pieces = [interval + write] * ((work - 1) // interval)
    pieces.append(work - len(pieces) * interval)
    now, left = 0, sorted(losses, reverse=True)
    for piece in pieces:
        while left and left[-1] < now + piece:
            now = left.pop() + restart
        now += piece
    return now


def on_average(work: int, interval: int, write: int, restart: int, losses: Any) -> float:
    """Charge each loss with half an interval.

    Args:
        work: Seconds of work in all.
        interval: Seconds of work between two checkpoints.
        write: Seconds that writing one takes.
        restart: Seconds from a loss until work goes on.
        losses: Moments at which the job is lost, in seconds.

    Returns:
        The second at which all is done, as half an interval a loss would have it.
    """
    whole = work + (work - 1) // interval * write
    return whole + len(losses) * (restart + interval / 2)


def first_what_can(stage: int, stages: int, microbatches: int) -> list[tuple[str, int]]:
    """Go forward as far as memory allows, else backward.

    Args:
        stage: Which one, from 0.
        stages: How many there are.
        microbatches: How many go through each.
    """
    sent = done = 0
    passes = []
    while done < microbatches:
        if sent < microbatches and sent - done < stages - stage:
            passes.append(("F", sent))
            sent += 1
        else:
            passes.append(("B", done))
            done += 1
    return passes


def from_one(stage: int, stages: int, microbatches: int) -> list[tuple[str, int]]:
    """Number the microbatches from one.

    Args:
        stage: Which one, from 0.
        stages: How many there are.
        microbatches: How many go through each.
    """
    return [(kind, n + 1) for kind, n in first_what_can(stage, stages, microbatches)]


class Slots:
    """Writes two files in turn, each with a digest of what it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _read(self) -> list[tuple[int, str, Any]]:
        found = []
        for name in "ab":
            data = (self.folder / name).read_bytes() if (self.folder / name).exists() else b""
            if data[:32] == hashlib.sha256(data[32:]).digest():
                number, state = pickle.loads(data[32:])  # noqa: S301 (what we wrote ourselves)
                found.append((number, name, state))
        return sorted(found, key=lambda one: one[0])

    def save(self, state: Any) -> None:
        """Write over the older of the two."""
        found = self._read()
        number, last = found[-1][:2] if found else (0, "a")
        data = pickle.dumps((number + 1, dict(state)))
        (self.folder / ("b" if last == "a" else "a")).write_bytes(
            hashlib.sha256(data).digest() + data
        )

    def load(self) -> Any:
        """Return the newer one that is whole."""
        found = self._read()
        return found[-1][2] if found else None


class _InFolder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _of(self, path: Path | None) -> Any:
        if path is None or not path.exists():
            return None
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}


class FileEach(_InFolder):
    """Writes a file for each array, and renames them one by one."""

    def save(self, state: Any) -> None:
        """Keep each array."""
        for name, array in state.items():
            np.save(self.folder / "unfinished.npy", array)
            (self.folder / "unfinished.npy").replace(self.folder / f"own_{name}.npy")

    def load(self) -> Any:
        """Return whatever arrays there are."""
        found = self.folder.glob("own_*.npy")
        return {one.stem.removeprefix("own_"): np.load(one) for one in found} or None


class MarkFirst(_InFolder):
    """Says which file is the newest before it is written."""

    def save(self, state: Any) -> None:
        """Write the mark, then the file."""
        name, mark = f"s{len(list(self.folder.glob('s*.npz')))}.npz", self.folder / "mark"
        mark.write_text(name)
        mark.replace(self.folder / "newest")
        np.savez(self.folder / name, **state)

    def load(self) -> Any:
        """Load the file that is marked."""
        mark = self.folder / "newest"
        if not mark.exists():
            return None
        with np.load(self.folder / mark.read_text()) as stored:
            return {name: stored[name] for name in stored.files}


class OpenRename(_InFolder):
    """Renames a file that is still open, and its end still in a buffer."""

    def save(self, state: Any) -> None:
        """Write, rename, close."""
        kept = io.BytesIO()
        np.savez(kept, **state)
        with (self.folder / "unfinished").open("wb") as opened:
            opened.write(kept.getvalue())
            (self.folder / "unfinished").replace(self.folder / "state.npz")

    def load(self) -> Any:
        """Load the only file."""
        return self._of(self.folder / "state.npz")


class BackUp(_InFolder):
    """Keeps the old file as a backup, and writes the new one in place."""

    def save(self, state: Any) -> None:
        """Move what is there to the backup, whole or not, then write."""
        path = self.folder / "state.npz"
        if path.exists():
            path.replace(self.folder / "backup.npz")
        np.savez(path, **state)

    def load(self) -> Any:
        """Load the file, or the backup if that fails."""
        for name in ("state.npz", "backup.npz"):
            with contextlib.suppress(OSError, ValueError, EOFError, zipfile.BadZipFile):
                if (found := self._of(self.folder / name)) is not None:
                    return found
        return None


class AsText(_InFolder):
    """Numbers its files, and takes the last one by name."""

    def save(self, state: Any) -> None:
        """Write beside, then name it by its number."""
        number = len(list(self.folder.glob("s*.npz")))
        np.savez(self.folder / "unfinished.npz", **state)
        (self.folder / "unfinished.npz").replace(self.folder / f"s{number}.npz")

    def load(self) -> Any:
        """Load what sorts last."""
        return self._of(max(self.folder.glob("s*.npz"), default=None))
