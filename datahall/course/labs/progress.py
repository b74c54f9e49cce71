"""`datahall check`: where a learner is: exercises passed, wrong and open, what comes next.

The learner's copies are executed in a fresh kernel, as if somebody else opened them; an untouched
lab is not executed, its exercises are open. Nothing is written into a notebook.

Read `show` first, then `look_at` (one lab).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datahall import state
from datahall.course import catalogue
from datahall.course.exits import Exit, InputError
from datahall.course.labs import exercises
from datahall.course.labs.copies import Desk
from datahall.course.labs.exercises import Exercise
from datahall.course.notebooks.normalise import read

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from rich.console import Console

CELL_S = 60  # seconds for one cell


@dataclass
class Lab:
    """One lab, looked at.

    Attributes:
        lab: The lab's stem, or a file's.
        file: The file that was looked at: the learner's copy, or the lab itself.
        exercises: Its exercises with their verdicts.
        trouble: Why it could not be executed to its end, or "".
    """

    lab: str
    file: Path
    exercises: list[Exercise] = field(default_factory=list)
    trouble: str = ""


def show(which: str | None = None, *, as_json: bool = False) -> Exit:
    """Look at labs and print where the learner is.

    Args:
        which: A number, slug, stem or a path to a notebook; every lab if None.
        as_json: Print JSON instead of a table.

    Returns:
        `Exit.OK` if every exercise is passed, `Exit.FAILED` if one is wrong or open.

    Raises:
        InputError: Nothing has that name, or the file is no notebook.
    """
    labs = [
        max((_looked_at(name, path, which) for path in paths), key=_worth)
        for name, paths in _files(which)
    ]
    if as_json:
        print(json.dumps(facts(labs), indent=1, ensure_ascii=False))
    else:
        _print(labs)
    done = all(item.state == "passed" for lab in labs for item in lab.exercises)
    return Exit.OK if done and not any(lab.trouble for lab in labs) else Exit.FAILED


def _looked_at(name: str, path: Path, which: str | None) -> Lab:
    """Look at one of several files: a damaged one is told, and keeps no other from its turn."""
    try:
        return look_at(name, path)
    except InputError as error:
        if which is not None and which.endswith(".ipynb"):
            raise
        return Lab(name, path, trouble=str(error))


def _worth(lab: Lab) -> tuple[float, bool, Path]:
    """Return by what the best of a lab's copies is found."""
    return _points(lab), bool(lab.exercises), lab.file


def look_at(name: str, path: Path) -> Lab:
    """Execute a lab's file if anything in it was attempted, and collect the verdicts.

    Raises:
        InputError: The file is no notebook.
    """
    notebook = read(path)
    found = exercises.of(notebook)
    if found and not any(exercise.attempted for exercise in found):
        return Lab(name, path, found)
    trouble = _execute(notebook, path.resolve().parent)
    judged = exercises.judged(notebook)
    if not judged:
        raise InputError(f"{path} has no exercises. Name a lab: `datahall list` shows them.")
    return Lab(name, path, judged, trouble)


def facts(labs: list[Lab]) -> dict[str, Any]:
    """Return what was found as plain data, schema 1."""
    found = [item for lab in labs for item in lab.exercises]
    following = next_step(labs)
    return {
        "schema": 1,
        "labs": [asdict(lab) | {"file": str(lab.file)} for lab in labs],
        **{state: sum(item.state == state for item in found) for state in _STATES},
        "points": sum(item.points for item in found),
        "of": sum(item.of for item in found),
        "next": {"lab": following[0].lab, "exercise": following[1].number} if following else None,
        "minutes_left": minutes_left(found),
    }


_STATES = ("passed", "wrong", "open")


def next_step(labs: list[Lab]) -> tuple[Lab, Exercise] | None:
    """Return what to do next: in labs already begun what is wrong, then what is open."""
    begun = sorted(labs, key=lambda lab: not any(item.attempted for item in lab.exercises))
    left = [
        (lab, item)
        for lab in begun
        for state in ("wrong", "open")
        for item in lab.exercises
        if item.state == state
    ]
    return left[0] if left else None


def minutes_left(found: list[Exercise]) -> int:
    """Return the minutes of what is not passed, as the labs state them."""
    return sum(item.minutes for item in found if item.state != "passed")


def _points(lab: Lab) -> float:
    return sum(item.points for item in lab.exercises)


def _files(which: str | None) -> list[tuple[str, list[Path]]]:
    """Return each lab with its files: the learner's copies, of which the best counts."""
    if which is not None and which.endswith(".ipynb") and Path(which).is_file():
        return [(Path(which).stem, [Path(which)])]
    course = catalogue.load()
    notebooks = course.notebooks if which is None else course.find(which)
    desk = Desk(catalogue.repository_root())
    stems = dict.fromkeys(notebook.lab for notebook in notebooks if notebook.lab)
    desk.settle()
    pairs = [(s, desk.copies(s) or [desk.root / "labs" / f"{s}.ipynb"]) for s in stems]
    files = [(stem, paths) for stem, paths in pairs if paths[0].is_file()]
    if not files:
        raise InputError(f"There is no lab for {which or 'the course'}. See `datahall list`.")
    return files


def _execute(notebook: NotebookNode, folder: Path) -> str:
    """Execute a notebook in memory; return why it did not come to its end, or ""."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    from datahall.course.run.alone import execute_alone
    from datahall.course.run.prepare import Prepared

    positions = tuple((str(cell.get("id")), n) for n, cell in enumerate(notebook.cells, 1))
    seen = execute_alone(
        Prepared(notebook, positions),  # in this environment's kernel: a copy may name another
        folder=folder,
        home=state.data_folder(),
        cell_timeout_s=CELL_S,
        on_after_error=True,
    )
    where = seen.current.id if seen.current else "?"
    if isinstance(seen.error, DeadKernelError):
        return f"The kernel died in cell {where}: out of memory, or ended by the code."
    if isinstance(seen.error, CellTimeoutError):
        return f"Cell {where} did not end, and could not be interrupted."
    return ""


def _print(labs: list[Lab]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for lab in labs:
        _print_lab(console, lab)
    console.print(_closing(labs), markup=False, soft_wrap=True)


def _print_lab(console: Console, lab: Lab) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(f"{lab.lab} ({_short(lab.file)})", markup=False, soft_wrap=True)
    table = Table(box=None)
    for name in ("exercise", "title", "verdict"):
        table.add_column(name)
    table.add_column("points", justify="right")
    for item in lab.exercises:
        score = f"{item.points:g} of {item.of:g}"
        table.add_row(item.number, escape(item.title), item.state, score)
    console.print(table)
    said = [f"  {item.number}: {item.message}" for item in lab.exercises if item.message]
    for line in [*said, f"  {lab.trouble}" if lab.trouble else ""]:
        console.print(line, markup=False, soft_wrap=True)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _closing(labs: list[Lab]) -> str:
    found = [item for lab in labs for item in lab.exercises]
    counts = ", ".join(f"{sum(i.state == state for i in found)} {state}" for state in _STATES)
    points = f"{sum(item.points for item in found):g} of {sum(item.of for item in found):g} points"
    if (following := next_step(labs)) is None:
        return f"{counts}; {points}. All is done."
    lab, item = following
    left = minutes_left(found)
    return (
        f"{counts}; {points}.\nNext: exercise {item.number}, {item.title}, in {lab.lab} "
        f"(about {item.minutes} minutes; {left} minutes in all are left)."
    )
