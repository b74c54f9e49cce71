"""What a run will do: which notebooks, in which order, with which parameters."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from datahall.course import catalogue
from datahall.course.catalogue import PRESETS, Catalogue, Notebook
from datahall.course.exits import InputError, MachineError
from datahall.course.notebooks import sources
from datahall.course.run import parameters
from datahall.course.run.prepare import Prepared, prepare
from datahall.course.run.results import plain_text


@dataclass(frozen=True)
class Item:
    """One notebook of a plan.

    Attributes:
        name: Its name in this run: the stem, or the stem and a number when two files share it.
        source: The file, read.
        entry: Its row in the catalogue, or None for a notebook outside the course.
        preset: The preset that gave parameters, or None.
        parameters: Checked values.
        needs: Names of the items that must pass before it starts.
    """

    name: str
    source: sources.Source
    entry: Notebook | None = None
    preset: str | None = None
    parameters: Mapping[str, Any] | None = None
    needs: tuple[str, ...] = ()

    @cached_property
    def prepared(self) -> Prepared:
        """The notebook with its parameters in it.

        Raises:
            ParameterError: A value cannot be written into a notebook.
        """
        return prepare(self.source, self.parameters)


def make(
    words: Sequence[str | Path],
    *,
    preset: str = "classroom",
    given: Mapping[str, Any] | None = None,
) -> tuple[Item, ...]:
    """Return the notebooks that a run will execute, in the order of the course.

    Args:
        words: Numbers, slugs, stems or paths; every lecture that exists if there are none.
        preset: `smoke`, `classroom` or `full`.
        given: Values by parameter name, for every notebook of the run; they go before the preset's.

    Raises:
        InputError: A notebook or preset does not exist, or a file is damaged.
        ParameterError: A parameter is unknown to one of the notebooks, or of the wrong type.
    """
    if preset not in PRESETS:
        raise InputError(f"--preset {preset}: there are {', '.join(PRESETS)}.")
    course = catalogue.load()
    found = _files(course, words)
    items: list[Item] = []
    for path, entry in sorted(found.items(), key=lambda pair: _rank(course, pair[1])):
        source = sources.read(path)
        lecture = entry if entry is not None and entry.stem == source.stem else None
        values = parameters.check(
            source,
            lecture.parameters(preset) if lecture else {},
            origin=f"preset {preset} in course.toml",
        )
        values |= parameters.check(source, given or {})
        name = _free_name(plain_text(source.stem), [item.name for item in items])
        needs = _needs(course, lecture, [item.name for item in items]) if lecture else ()
        items.append(Item(name, source, lecture, preset if lecture else None, values, needs))
    return tuple(items)


def _files(course: Catalogue, words: Sequence[str | Path]) -> dict[Path, Notebook | None]:
    """Return each file that the words mean, with its row in the catalogue, each file once."""
    if not words:
        root = catalogue.repository_root()
        lectures = {root / notebook.files()["lecture"]: notebook for notebook in course.notebooks}
        existing: dict[Path, Notebook | None] = {
            path: entry for path, entry in lectures.items() if path.is_file()
        }
        if not existing:
            raise InputError(
                f"No notebook of the course exists in {root / 'notebooks'}. Give the path of one "
                "that ends in .ipynb."
            )
        return existing
    found: dict[Path, Notebook | None] = {}
    for word in words:
        for path, entry in _meant(course, word).items():
            found.setdefault(path, entry)
    return found


def _meant(course: Catalogue, word: str | Path) -> dict[Path, Notebook | None]:
    text = str(word)
    if isinstance(word, Path) or text.endswith(".ipynb") or os.sep in text:
        path = Path(text).resolve()
        return {path: _entry_of(course, path)}
    entries = course.find(text)
    root = catalogue.repository_root()
    named = course.entry(text)
    if named and named[1] != "lecture":
        return {root / named[0].files()[named[1]]: named[0]}
    lectures = {root / entry.files()["lecture"]: entry for entry in entries}
    existing: dict[Path, Notebook | None] = {
        path: entry for path, entry in lectures.items() if path.is_file()
    }
    if not existing:
        raise InputError(
            f"{text}: {next(iter(lectures))} does not exist yet. Run `datahall list` to see which "
            "notebooks do."
        )
    return existing


def _entry_of(course: Catalogue, path: Path) -> Notebook | None:
    """Return the row of a file of this checkout, or None for any other file."""
    try:
        root = catalogue.repository_root()
    except MachineError:
        return None
    for entry in course.notebooks:
        if any(path.resolve() == (root / name).resolve() for name in entry.files().values()):
            return entry
    return None


def _rank(course: Catalogue, entry: Notebook | None) -> int:
    stems = [notebook.stem for notebook in course.notebooks]
    return stems.index(entry.stem) if entry else len(stems)


def _free_name(stem: str, taken: Sequence[str]) -> str:
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def _needs(course: Catalogue, entry: Notebook, planned: Sequence[str]) -> tuple[str, ...]:
    """Return which of the planned notebooks must pass first, by its own and its module's needs."""
    module = course.module(entry.module)
    wanted = {
        *entry.needs,
        *(n.stem for need in module.needs for n in course.module(need).notebooks),
    }
    return tuple(name for name in planned if name in wanted)
