"""The learner's own copies: what is opened, kept and reset, so that nothing of theirs is ever lost.

A lab is copied to the learner's folder when it is first opened, and never overwritten. Reading
order: `Desk.open`, `Desk.fresh`, `Desk.reset`, then `Desk.shown`, which JupyterLab asks.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from copy import deepcopy
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_raw_cell

from datahall import state
from datahall.course.exits import InputError, MachineError
from datahall.course.notebooks.normalise import read, text_of

_COPIED = ("labs", "notebooks")


def work_folder(root: Path) -> Path:
    """Return where the learner's copies are: `DATAHALL_WORK`, `work/`, or the user's data folder.

    Args:
        root: The checkout. Its `work/` is taken if it can be written.
    """
    if chosen := os.environ.get("DATAHALL_WORK"):
        return Path(chosen).expanduser().absolute()
    inside = root / "work"
    return inside if is_writable(inside) else state.data_folder() / "work"


def is_writable(folder: Path) -> bool:
    """Tell whether files can be made in a folder, or the folder itself in the one above it."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:  # asking for permission is no answer on a read-only mount, nor for root
        with tempfile.TemporaryFile(dir=there):
            return there.is_dir()
    except OSError:
        return False


class Desk:
    """The learner's folder beside a checkout.

    Args:
        root: The checkout, with `labs/` and `notebooks/`.
        work: The learner's folder; found by `work_folder` if left out.
    """

    def __init__(self, root: Path, work: Path | None = None) -> None:
        self.root = root
        self.work = work if work is not None else work_folder(root)

    def copies(self, stem: str) -> list[Path]:
        """Return the learner's copies of a notebook, oldest first: `stem`, `stem-2`, `stem-3`."""
        named = re.compile(rf"{re.escape(stem)}(?:-(\d+))?\.ipynb")
        found = {
            int(match[1] or 1): path
            for path in self.work.glob(f"{stem}*.ipynb")
            if (match := named.fullmatch(path.name))
        }
        return [found[number] for number in sorted(found)]

    def current(self, stem: str) -> Path | None:
        """Return the newest copy, None if there is none."""
        return next(reversed(self.copies(stem)), None)

    def original(self, copy: Path) -> Path:
        """Return the file of the checkout that a copy was made of.

        Raises:
            InputError: The checkout has no such file.
        """
        name = f"{re.sub(r'-[0-9]+$', '', copy.stem)}.ipynb"
        found = (self.root / folder / name for folder in _COPIED)
        if original := next((path for path in found if path.is_file()), None):
            return original
        raise InputError(f"{copy} is no copy of a notebook in {self.root}. Run `datahall list`.")

    def open(self, stem: str, folder: str = "labs") -> Path:
        """Return the learner's copy, made if there is none.

        Raises:
            InputError: There is no such lab.
            MachineError: The copy cannot be written.
        """
        return self.current(stem) or self._copy(stem, folder, self.work / f"{stem}.ipynb")

    def fresh(self, stem: str) -> Path:
        """Make a numbered new copy beside the old ones and return it; the first has no number."""
        copies = self.copies(stem)
        if not copies:
            return self.open(stem)
        number = re.search(r"-(\d+)$", copies[-1].stem.removeprefix(stem))
        following = int(number[1]) + 1 if number else 2
        return self._copy(stem, "labs", self.work / f"{stem}-{following}.ipynb")

    def reset(self, stem: str, exercise: str) -> Path:
        """Put an exercise's cell back as it was in the lab; the answer stays below it as raw text.

        Args:
            stem: The lab.
            exercise: Its number, `01.2`.

        Raises:
            InputError: The lab has no such exercise.
        """
        copy, lab = self.open(stem), self._lab(stem)
        name = f"exercise-{exercise.replace('.', '-')}"
        ids = [cell.id for cell in lab.cells]
        if name not in ids:
            known = [id_[9:].replace("-", ".") for id_ in ids if id_.startswith("exercise-")]
            raise InputError(
                f"{stem} has no exercise {exercise!r}. It has {', '.join(known) or 'none'}."
            )
        notebook = read(copy)
        _put_back(notebook, lab, name)
        state.write_atomically(copy, text_of(notebook))
        return copy

    def is_outdated(self, copy: Path, stem: str) -> bool:
        """Tell whether the lab has changed since a copy of it was made."""
        taken = read(copy).metadata.get("datahall", {}).get("sha256")
        return taken is not None and taken != _digest(self.root / "labs" / f"{stem}.ipynb")

    def shown(self, path: Path) -> Path:
        """Return what JupyterLab shows for a file of the checkout: the learner's copy, if any.

        Labs always; lectures only where the checkout cannot be written.
        """
        if not self._is_copied(path):
            return path
        return self.current(path.stem) or path

    def take(self, path: Path) -> None:
        """Make the learner's copy of a file of the checkout that is about to be opened."""
        if self._is_copied(path) and path.is_file():
            self.open(path.stem, path.parent.name)

    def _is_copied(self, path: Path) -> bool:
        folder = path.parent.name
        if path.suffix != ".ipynb" or path.parent.parent != self.root or folder not in _COPIED:
            return False
        return folder == "labs" or not is_writable(path.parent)

    def _lab(self, stem: str, folder: str = "labs") -> NotebookNode:
        return read(self.root / folder / f"{stem}.ipynb")

    def _copy(self, stem: str, folder: str, target: Path) -> Path:
        notebook = self._lab(stem, folder)
        source = self.root / folder / f"{stem}.ipynb"
        notebook.metadata["datahall"] = {"copy_of": stem, "sha256": _digest(source)}
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            _write_new(target, text_of(notebook))
        except OSError as error:
            raise MachineError(
                f"Your copy {target} cannot be written ({error.strerror or error}). "
                "Set DATAHALL_WORK to a folder that you may write."
            ) from error
        return target


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_new(target: Path, text: str) -> None:
    """Write a file whole, or leave the one that is already there."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent) as file:
        file.write(text)
        file.flush()
        try:
            os.link(file.name, target)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            with target.open("x", encoding="utf-8") as plain:
                plain.write(text)
            return
        mask = os.umask(0)
        os.umask(mask)
        target.chmod(0o666 & ~mask)


def _put_back(notebook: NotebookNode, lab: NotebookNode, name: str) -> None:
    ids = [cell.id for cell in lab.cells]
    pristine = deepcopy(lab.cells[ids.index(name)])
    places = {cell.id: place for place, cell in enumerate(notebook.cells)}
    if name not in places:  # the learner deleted it: after the last cell that came before it
        before = [places[id_] for id_ in ids[: ids.index(name)] if id_ in places]
        notebook.cells.insert(max(before, default=-1) + 1, pristine)
        return
    answer = notebook.cells[places[name]]
    if answer.source.strip() == pristine.source.strip():
        return
    taken = sum(id_.startswith(f"kept-{name}") for id_ in places)
    kept = new_raw_cell(  # type: ignore[no-untyped-call]
        f"# Your earlier answer, kept when the exercise was reset.\n{answer.source}"
    )
    kept.id = f"kept-{name}-{taken + 1}"
    notebook.cells[places[name]] = pristine
    notebook.cells.insert(places[name] + 1, kept)
