"""The course's home page: the map, what this learner has done, and where to go on.

A Markdown page in the learner's folder, written anew whenever it is opened. What was done is read
from their copies as they were saved: nothing is executed (`datahall check` does that). Read `page`
first, then `Standing`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from datahall import state
from datahall.course import catalogue, minutes
from datahall.course.catalogue import Module, Notebook
from datahall.course.exits import InputError
from datahall.course.labs import exercises
from datahall.course.labs.copies import Desk
from datahall.course.notebooks.normalise import read

NAME = "Course.md"
_HEAD = ("| | | you | minutes |", "|---|:---|:---|---:|")


@dataclass(frozen=True)
class Standing:
    """A lecture or a lab as a learner has it.

    Attributes:
        path: Of the notebook, from the learner's folder.
        title: What the page calls it.
        done: Steps done: code cells run, or exercises passed.
        of: Steps that there are.
        minutes: What a reader needs for all of it; None if that is not known.
        opened: Whether there is a copy.
        damaged: Whether no copy can be read.
    """

    path: str
    title: str
    done: int
    of: int
    minutes: int | None
    opened: bool
    damaged: bool = False

    @property
    def is_lab(self) -> bool:
        """Whether its steps are exercises."""
        return self.path.startswith("labs/")

    @property
    def words(self) -> str:
        """What the page says of it."""
        if not self.opened:
            return "not opened"
        if self.damaged:
            return "damaged: move the file away"
        if self.done >= self.of:
            return "all passed" if self.is_lab else "read"
        return f"{self.done} of {self.of} {'passed' if self.is_lab else 'cells run'}"

    @property
    def minutes_left(self) -> int:
        """What is left of its minutes, in proportion."""
        return round((self.minutes or 0) * (1 - min(1.0, self.done / max(1, self.of))))


def write(desk: Desk) -> None:
    """Write the page into the learner's folder, if it says something else than before."""
    place, text = desk.work / NAME, page(desk)
    if not place.is_file() or place.read_text(encoding="utf-8") != text:
        state.write_atomically(place, text)


def page(desk: Desk) -> str:
    """Return the page as Markdown."""
    course = catalogue.load()
    rooms = {module.number: tuple(_states(desk, module)) for module in course.modules}
    every = [each for states in rooms.values() for each in states]
    return "\n\n".join(
        [
            f"# {course.title}",
            _continue(every),
            "\n".join(
                [*_HEAD, *(row for m in course.modules for row in _rows(m, rooms[m.number]))]
            ),
            _planned([m for m in course.modules if not rooms[m.number]]),
            _help(desk),
        ]
    )


def following(states: Iterable[Standing]) -> Standing | None:
    """Return what to go on with: what was begun, else what was never opened; None if all is done.

    Args:
        states: In the order of the course.
    """
    left = [each for each in states if not each.opened or each.done < each.of]
    begun = [each for each in left if each.opened]
    return next(iter(begun or left), None)


def _states(desk: Desk, module: Module) -> Iterable[Standing]:
    for row in module.notebooks:
        yield _lecture(desk, row)
        if row.lab:
            yield _lab(desk, row)


def _lecture(desk: Desk, row: Notebook) -> Standing:
    copy = desk.current(row.stem)
    path = f"notebooks/{row.stem}.ipynb"
    done, of = 0, 1
    notebook = None if copy is None else _read_or_none(copy)
    if notebook is not None:
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        done, of = sum(cell.execution_count is not None for cell in code), max(1, len(code))
    took = minutes.lecture(row, desk.root)
    opened = copy is not None
    return Standing(path, row.title, done, of, took, opened, opened and notebook is None)


def _lab(desk: Desk, row: Notebook) -> Standing:
    stem = str(row.lab)
    copies = desk.copies(stem)
    readable = [one for copy in copies if (one := _read_or_none(copy)) is not None]
    counts = [[each.state == "passed" for each in exercises.judged(one)] for one in readable]
    best = max(counts, key=sum, default=[False])
    path = copies[-1].relative_to(desk.work).as_posix() if copies else f"labs/{stem}.ipynb"
    took = minutes.lab(row, desk.root)
    title, opened = f"Lab: {row.title}", bool(copies)
    damaged = opened and not readable
    return Standing(path, title, sum(best), len(best) or 1, took, opened, damaged)


def _read_or_none(copy: Path) -> NotebookNode | None:
    """Return a copy; None if it is damaged: that keeps nobody from the rest of the course."""
    with contextlib.suppress(InputError):
        return read(copy)
    return None


def _continue(states: list[Standing]) -> str:
    left = sum(each.minutes_left for each in states)
    labs = [each for each in states if each.is_lab and each.opened]
    passed = f"{sum(each.done for each in labs)} exercises passed"
    if (chosen := following(states)) is None:
        return f"**All is done.** {passed}."
    begun = any(each.opened for each in states)
    verb = "Continue" if begun else "Begin"
    return f"**[{verb}: {chosen.title}]({chosen.path})** · {passed} · about {_time(left)} are left"


def _time(whole: int) -> str:
    return f"{whole} minutes" if whole < 90 else f"{round(whole / 60)} hours"


def _rows(module: Module, states: tuple[Standing, ...]) -> Iterable[str]:
    """Return a module's rows of the table; none if nothing of it exists."""
    if states:
        yield f"| **{module.number}** | **{module.title}** | | |"
    lecture = 0
    for each in states:
        lecture += not each.is_lab
        number = "" if each.is_lab else f"{module.number}.{lecture}"
        took = "" if each.minutes is None else str(each.minutes)
        yield f"| {number} | [{each.title}]({each.path}) | {each.words} | {took} |"


def _planned(modules: list[Module]) -> str:
    named = ", ".join(f"{module.number}. {module.title}" for module in modules)
    return f"Planned, not written yet: {named}." if named else ""


def _help(desk: Desk) -> str:
    old = len(desk.outdated())
    verb = "has" if old == 1 else "have"
    news = f"{old} of your notebooks {verb} a newer version. " if old else ""
    return (
        "Everything that you open here is your own copy: change what you like. "
        f"{news}In a terminal, `datahall update` puts newer versions into your copies and keeps "
        "what is yours, `datahall check` judges all your exercises, "
        "`datahall lab --reset 01.2` puts one back."
    )
