"""The learner's own copies: what is opened, kept and reset, so that nothing of theirs is ever lost.

The learner's folder has the rooms of the checkout: `notebooks/`, `labs/`, `solutions/`. A notebook
is copied there when it is first opened, and never overwritten. Reading order: `Desk.open`,
`Desk.fresh`, `Desk.reset`, `Desk.update`, then `Desk.take`, which JupyterLab asks.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from copy import deepcopy
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_raw_cell

from datahall import state
from datahall.course.exits import InputError, MachineError
from datahall.course.labs.merging import Merged, merge, version_of
from datahall.course.notebooks.normalise import read, text_of

ROOMS = ("notebooks", "labs", "solutions")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEPT = ".datahall"  # what copies were made of, and what they were before an update


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

    @property
    def before(self) -> Path:
        """Where copies lie as they were before an update."""
        return self.work / _KEPT / "before"

    def settle(self) -> None:
        """Move copies of earlier versions of the course, which lay side by side, into their rooms.

        A file whose place is taken stays where it is.
        """
        for path in sorted(self.work.glob("*.ipynb")):
            with contextlib.suppress(InputError, OSError):
                room = self.work / self.original(path).parent.name
                room.mkdir(exist_ok=True)
                if not (room / path.name).exists():
                    path.rename(room / path.name)

    def copies(self, stem: str) -> list[Path]:
        """Return the learner's copies of a notebook, oldest first: `stem`, `stem-2`, `stem-3`."""
        named = re.compile(rf"{re.escape(stem)}(?:-(\d+))?\.ipynb")
        found = {
            int(match[1] or 1): path
            for room in ROOMS
            for path in (self.work / room).glob(f"{stem}*.ipynb")
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
        found = (self.root / room / name for room in ROOMS)
        if original := next((path for path in found if path.is_file()), None):
            return original
        raise InputError(f"{copy} is no copy of a notebook in {self.root}. Run `datahall list`.")

    def open(self, stem: str, room: str = "labs") -> Path:
        """Return the learner's copy, made if there is none.

        Raises:
            InputError: There is no such notebook.
            MachineError: The copy cannot be written.
        """
        return self.current(stem) or self._copy(stem, room, self.work / room / f"{stem}.ipynb")

    def fresh(self, stem: str) -> Path:
        """Make a numbered new copy beside the old ones and return it; the first has no number."""
        copies = self.copies(stem)
        if not copies:
            return self.open(stem)
        number = re.search(r"-(\d+)$", copies[-1].stem.removeprefix(stem))
        following = int(number[1]) + 1 if number else 2
        return self._copy(stem, "labs", self.work / "labs" / f"{stem}-{following}.ipynb")

    def reset(self, stem: str, exercise: str) -> Path:
        """Put an exercise's cell back as it was in the lab; the answer stays below it as raw text.

        Args:
            stem: The lab.
            exercise: Its number, `01.2`.

        Raises:
            InputError: The lab has no such exercise.
        """
        copy, lab = self.open(stem), read(self.root / "labs" / f"{stem}.ipynb")
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

    def is_outdated(self, copy: Path) -> bool:
        """Tell whether the course says something else now than when a copy of it was made."""
        taken = read(copy).metadata.get("datahall", {})
        if "version" in taken:
            return bool(taken["version"] != version_of(read(self.original(copy))))
        return bool(taken)  # made by a course that did not write down its version

    def outdated(self) -> list[Path]:
        """Return the copies that are older than the course, in the order of their names.

        One that cannot be read is not among them: see `damaged`.
        """
        found = []
        for path in self._all():
            with contextlib.suppress(InputError):
                if self.is_outdated(path):
                    found.append(path)
        return found

    def damaged(self) -> dict[Path, str]:
        """Return the copies that are no notebooks any more, and why."""
        found = {}
        for path in self._all():
            try:
                read(path)
            except InputError as error:
                found[path] = str(error)
        return found

    def _all(self) -> list[Path]:
        return [path for room in ROOMS for path in sorted((self.work / room).glob("*.ipynb"))]

    def update(self, copy: Path, *, dry_run: bool = False) -> Merged:
        """Put the newer version into a copy, cell by cell; what it was is kept as a backup.

        Args:
            copy: The learner's copy.
            dry_run: Only say what would change.

        Raises:
            InputError: It is no copy of a notebook of the course.
            MachineError: It cannot be written; then it is as it was.
        """
        mine, newer = read(copy), read(self.original(copy))
        taken = str(mine.metadata.get("datahall", {}).get("version", ""))
        base = self.work / _KEPT / "base" / f"{taken}.ipynb"
        known = _DIGEST.fullmatch(taken) is not None and base.is_file()
        merged = merge(_read_or_none(base) if known else None, mine, newer)
        if not dry_run:
            try:
                self._back_up(copy)
                self._remember(newer)
            except OSError as error:
                raise MachineError(
                    f"No backup of {copy} can be written ({error.strerror or error}). Free some "
                    "space; the copy is as it was."
                ) from error
            merged.notebook.metadata["datahall"] = {
                "copy_of": self.original(copy).stem,
                "version": version_of(newer),
            }
            state.write_atomically(copy, text_of(merged.notebook))
        return merged

    def take(self, path: str) -> None:
        """Make the learner's copy of a notebook that is about to be opened, if there is none.

        Args:
            path: Of the notebook, from the learner's folder: `labs/01_convolution_lab.ipynb`.
        """
        place = Path(path)
        original = self.root / place
        known = len(place.parts) == 2 and place.parent.name in ROOMS and place.suffix == ".ipynb"
        if known and original.is_file() and not (self.work / place).exists():
            self._copy(place.stem, place.parent.name, self.work / place)

    def _copy(self, stem: str, room: str, target: Path) -> Path:
        notebook = read(self.root / room / f"{stem}.ipynb")
        for cell in notebook.cells:  # what others measured is no news, and would give answers away
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        notebook.metadata["datahall"] = {"copy_of": stem, "version": version_of(notebook)}
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._remember(notebook)
            _write_new(target, text_of(notebook))
        except OSError as error:
            raise MachineError(
                f"Your copy {target} cannot be written ({error.strerror or error}). "
                "Set DATAHALL_WORK to a folder that you may write."
            ) from error
        return target

    def _remember(self, notebook: NotebookNode) -> None:
        """Keep a version of a notebook: a later one is merged against it."""
        place = self.work / _KEPT / "base" / f"{version_of(notebook)}.ipynb"
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            state.write_atomically(place, text_of(notebook))

    def _back_up(self, copy: Path) -> None:
        """Keep a copy as it is now, under a name that no file has."""
        place = self.before
        place.mkdir(parents=True, exist_ok=True)
        text, number = copy.read_text(encoding="utf-8-sig"), 1
        while (place / f"{copy.stem}.{number}.ipynb").exists():
            number += 1
        _write_new(place / f"{copy.stem}.{number}.ipynb", text)


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
            _write_plainly(target, text)
            return
        mask = os.umask(0)
        os.umask(mask)
        target.chmod(0o666 & ~mask)


def _write_plainly(target: Path, text: str) -> None:
    """Write a file that is not there; where that fails, no half of it stays."""
    with target.open("x", encoding="utf-8") as plain:
        try:
            plain.write(text)
            plain.flush()
        except OSError:
            target.unlink(missing_ok=True)  # made a line above
            raise


def _read_or_none(path: Path) -> NotebookNode | None:
    """Return what a copy was made of; damaged, it is as good as forgotten."""
    with contextlib.suppress(InputError):
        return read(path)
    return None


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
