"""Labs are made from solutions: one line that raises takes the place of each answer.

The work is done by nbgrader's own preprocessors, called in one process (decision 0026), so a lab is
a valid nbgrader assignment. The same solution always gives the same bytes.

The headings and answers of all solutions are also written to `datahall/exercises.json`, where the
checks read them: an installed package has no solutions.

Reading order: `build` (one notebook in memory), `build_all` (the files), `write_facts`,
`as_lab_text` (the words).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from datahall.course.catalogue import lab_of, solution_of
from datahall.course.exits import InputError
from datahall.course.labs import exercises
from datahall.course.labs.exercises import BEGIN, END
from datahall.course.notebooks.normalise import EXERCISE, normalise, read, text_of
from datahall.errors import CourseError
from datahall.state import write_atomically

NOT_IN_LABS = ("solution", "nbval-ignore-output")
FACTS = Path("datahall", "exercises.json")


def build(solution: NotebookNode, *, name: str) -> NotebookNode:
    """Return the lab of a solution.

    Args:
        solution: The solution notebook; it is not changed.
        name: The lab's stem, such as `01_convolution_lab`: links to it are turned round.

    Raises:
        CourseError: nbgrader refuses the notebook, or an exercise has no answer between markers.
    """
    lab = normalise(solution, "solution")
    lab.cells = [cell for cell in lab.cells if _belongs_to_lab(cell)]
    for cell in lab.cells:
        _require_markers(cell)
        if cell.cell_type == "markdown":
            cell.source = as_lab_text(cell.source, name)
    lab = _through_nbgrader(lab, name)
    for cell in lab.cells:
        cell.metadata["tags"] = [
            tag for tag in cell.metadata.get("tags", []) if tag not in NOT_IN_LABS
        ]
    return normalise(lab, "lab")


def build_file(solution: Path) -> str:
    """Return the text of the lab file that belongs to a solution file."""
    return text_of(build(read(solution), name=lab_path(solution).stem))


def build_all(root: Path, which: str = "", *, write: bool = True) -> list[Path]:
    """Build the labs of a course; return those that were (or would be) changed.

    A lab that is up to date is not touched.

    Args:
        root: The course's folder, with `solutions/` and `labs/`.
        which: The start of a name (`01`, `01_convolution_cost`); all labs by default.
        write: Without it, only compare.

    Raises:
        InputError: No solution has that name.
        CourseError: One cannot be built.
    """
    folder = root / "solutions"
    solutions = [p for p in sorted(folder.glob("*.ipynb")) if p.stem.startswith(which)]
    if not solutions:
        raise InputError(
            f"No solution in {folder} starts with {which!r}. "
            "A number such as 01, or a stem, was expected."
        )
    changed = []
    for solution in solutions:
        target, text = lab_path(solution), build_file(solution)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            changed.append(target)
            if write:
                write_atomically(target, text)
    return changed


def write_facts(root: Path, *, write: bool = True) -> list[Path]:
    """Write `datahall/exercises.json` if a solution says something new; return it then.

    Args:
        root: The course's folder.
        write: Without it, only compare.

    Raises:
        CourseError: An exercise of a solution is not complete.
    """
    target = root / FACTS
    found: dict[str, Any] = {}
    for solution in sorted((root / "solutions").glob("*.ipynb")):
        found |= exercises.stated(read(solution), lab=lab_path(solution).stem)
    found = {number: found[number] for number in sorted(found)}
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return []
    if write:
        write_atomically(target, text)
    return [target]


def lab_path(solution: Path) -> Path:
    """Return where the lab of a solution lies.

    Example:
        >>> lab_path(Path("solutions/01_convolution_solution.ipynb")).as_posix()
        'labs/01_convolution_lab.ipynb'
    """
    return solution.parent.parent / "labs" / f"{lab_of(solution.stem)}.ipynb"


def as_lab_text(text: str, name: str) -> str:
    """Turn what a solution says of itself into what its lab says.

    The first heading loses the word *solution*; a link to the lab becomes a link to the solution.

    Example:
        >>> as_lab_text("# Solution 1. Count the places", "01_convolution_lab")
        '# Lab 1. Count the places'
        >>> as_lab_text("See [the lab](../labs/01_convolution_lab.ipynb).", "01_convolution_lab")
        'See [the solution](../solutions/01_convolution_solution.ipynb).'
    """
    solution = solution_of(name)
    text = re.sub(r"\A# (?:Solutions?|Lab solutions?)\b", "# Lab", text)
    text = re.sub(r"\A(# .*?)\s*(?:\(solutions?\)|[:,·–-] ?solutions?)(?=\n|\Z)", r"\1", text)

    def turned(link: re.Match[str]) -> str:
        words = re.sub(r"\blab\b", "solution", link[1])
        return f"[{words.replace(name, solution)}](../solutions/{solution}.ipynb)"

    return re.sub(rf"\[([^\]]*)\]\((?:\.\./labs/)?{re.escape(name)}\.ipynb\)", turned, text)


def _belongs_to_lab(cell: NotebookNode) -> bool:
    """Return whether a cell stays: those tagged solution discuss the answer, and go."""
    return bool(EXERCISE.fullmatch(cell.id)) or "solution" not in cell.metadata.get("tags", [])


def _require_markers(cell: NotebookNode) -> None:
    if cell.cell_type != "code":
        return
    begins, ends = cell.source.count(BEGIN), cell.source.count(END)
    wanted = 1 if EXERCISE.fullmatch(cell.id) else 0
    if (begins, ends) != (wanted, wanted):
        raise CourseError(
            f"cell {cell.id} has {begins} {BEGIN!r} and {ends} {END!r}; {wanted} each expected. "
            "Put the answer of an exercise between the two, inside the function, and nowhere else."
        )


def _through_nbgrader(nb: NotebookNode, name: str) -> NotebookNode:
    """Send a notebook through nbgrader's release steps, in its own order."""
    with _quiet_nbgrader():
        from nbgrader import preprocessors as steps

        resources: dict[str, Any] = {"unique_key": name, "metadata": {"name": name}}
        order = (
            steps.LockCells,
            _clear_solution(),
            steps.ClearOutput,
            steps.CheckCellMetadata,
            steps.ComputeChecksums,
            steps.ClearHiddenTests,
            steps.ClearMarkScheme,
            steps.ComputeChecksums,
            steps.CheckCellMetadata,
        )
        try:
            for step in order:
                nb, resources = step().preprocess(nb, resources)
        except (
            Exception
        ) as error:  # nbgrader raises RuntimeError, ValueError and its own kinds alike
            reason = str(error).rstrip(".")
            raise CourseError(f"nbgrader refuses {name}: {reason}. Mend the solution.") from error
    return nb


def _clear_solution() -> type:
    """Return nbgrader's ClearSolutions with a line that names the exercise.

    It is made late because importing nbgrader takes seconds.
    """
    from nbgrader.preprocessors import ClearSolutions

    class ClearSolution(ClearSolutions):  # type: ignore[misc]  # nbgrader has no types
        def preprocess_cell(self, cell: NotebookNode, resources: Any, cell_index: int) -> Any:
            line = f'raise NotImplementedError("{cell.id}: replace this line with your answer")'
            self.code_stub = {"python": line}
            return super().preprocess_cell(cell, resources, cell_index)

    return ClearSolution


@contextmanager
def _quiet_nbgrader() -> Iterator[None]:
    """Keep nbgrader's log lines off the screen: its errors are raised, and shown once."""
    import logging

    log = logging.getLogger("traitlets")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
