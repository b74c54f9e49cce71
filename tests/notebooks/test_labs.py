"""Labs are what their solutions say, and nbgrader takes them as its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from datahall.course.labs import build as labs
from datahall.course.notebooks import normalise
from datahall.course.notebooks.structure import problems
from datahall.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]
SOLUTIONS = sorted((ROOT / "solutions").glob("*.ipynb"))


def cell(cells: list[NotebookNode], name: str) -> NotebookNode:
    return next(cell for cell in cells if cell.id == name)


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)
def test_every_lab_is_built_from_its_solution(solution: Path) -> None:
    committed = labs.lab_path(solution).read_text(encoding="utf-8")
    assert committed == labs.build_file(solution), "Run `datahall labs build`."


def test_every_lab_has_a_solution() -> None:
    built = {labs.lab_path(path).name for path in SOLUTIONS}
    assert {path.name for path in (ROOT / "labs").glob("*.ipynb")} == built


@pytest.fixture
def lab(folder, tinyconcept) -> NotebookNode:
    return labs.build(normalise.read(folder.solution()), name="90_tiny_lab")


def test_an_answer_becomes_one_line_that_names_the_exercise(lab) -> None:
    assert cell(lab.cells, "exercise-90-1").source.splitlines()[1:] == [
        '    """Return the whole number that follows the one given, for any number."""',
        '    raise NotImplementedError("exercise-90-1: replace this line with your answer")',
    ]


def test_a_lab_has_no_outputs_no_counts_and_no_answers(lab) -> None:
    for each in lab.cells:
        if each.cell_type == "code":
            assert each.outputs == []
            assert each.execution_count is None
    assert "number + 1" not in normalise.text_of(lab)
    assert "SOLUTION" not in normalise.text_of(lab)


def test_a_lab_is_called_lab_and_links_to_its_solution(lab) -> None:
    assert lab.cells[0].source == (
        "# Lab 90. Count on\n\nSee [the solution](../solutions/90_tiny_solution.ipynb)."
    )


def test_cells_that_discuss_the_answer_stay_in_the_solution(folder, tinyconcept) -> None:
    def change(cells: list[NotebookNode]) -> None:
        talk = new_markdown_cell("The answer counts on.", id="discussion")
        talk.metadata["tags"] = ["solution"]
        cells.insert(-1, talk)

    lab = labs.build(normalise.read(folder.solution(change)), name="90_tiny_lab")
    assert "discussion" not in [each.id for each in lab.cells]


def test_points_and_locks_are_those_nbgrader_wants(lab) -> None:
    check = cell(lab.cells, "check-90-1").metadata
    assert check["nbgrader"]["points"] == 4
    assert (check["deletable"], check["editable"]) == (False, False)
    assert cell(lab.cells, "exercise-90-1").metadata["deletable"] is False
    assert len(check["nbgrader"]["checksum"]) == 32


def test_the_lab_keeps_the_rules_of_labs(folder, tinyconcept) -> None:
    folder.solution()
    (target,) = labs.build_all(folder.root)
    assert problems(target) == []


def test_building_twice_gives_the_same_bytes_and_touches_nothing(folder, tinyconcept) -> None:
    folder.solution()
    (target,) = labs.build_all(folder.root)
    first = target.read_bytes()
    os.utime(target, ns=(1, 1))
    assert labs.build_all(folder.root) == []
    assert (target.read_bytes(), target.stat().st_mtime_ns) == (first, 1)


def test_comparing_finds_an_edited_lab_and_leaves_it(folder, tinyconcept) -> None:
    folder.solution()
    (target,) = labs.build_all(folder.root)
    edited = target.read_text(encoding="utf-8").replace("Count on", "Count up")
    target.write_text(edited, encoding="utf-8")
    assert labs.build_all(folder.root, write=False) == [target]
    assert target.read_text(encoding="utf-8") == edited


def test_only_the_named_lab_is_built(folder, tinyconcept) -> None:
    folder.solution()
    with pytest.raises(CourseError, match=r"No solution in .* starts with '91'"):
        labs.build_all(folder.root, "91")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    ### END SOLUTION", "", "has 1 '### BEGIN SOLUTION' and 0 '### END SOLUTION'"),
        ("### BEGIN SOLUTION", "", "has 0 '### BEGIN SOLUTION'"),
    ],
)
def test_missing_markers_are_named(folder, tinyconcept, old: str, new: str, message: str) -> None:
    def change(cells: list[NotebookNode]) -> None:
        exercise = cell(cells, "exercise-90-2")
        exercise.source = exercise.source.replace(old, new)

    with pytest.raises(CourseError, match=f"cell exercise-90-2 {message}"):
        labs.build(normalise.read(folder.solution(change)), name="90_tiny_lab")


def test_markers_outside_an_exercise_are_refused(folder, tinyconcept) -> None:
    def change(cells: list[NotebookNode]) -> None:
        cell(cells, "use-90-1").source += f"\n{labs.BEGIN}\nx = 1\n{labs.END}"

    with pytest.raises(CourseError, match=r"cell use-90-1 has 1 .*; 0 each expected"):
        labs.build(normalise.read(folder.solution(change)), name="90_tiny_lab")


def nbgrader(course: Path, *arguments: str) -> str:
    """Run one of nbgrader's own commands in a course folder."""
    command = [sys.executable, "-m", "nbgrader", *arguments]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls alembic
    environment = os.environ | {"IPYTHONDIR": str(course / "ipython"), "PATH": path}
    done = subprocess.run(
        command, cwd=course, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def scores(course: Path) -> dict[str, float]:
    """Return the points of each student from nbgrader's own gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        return {row["student"]: row["score"] for row in book.submission_dicts("tiny")}


def submit(course: Path, student: str, text: str) -> None:
    target = course / "submitted" / student / "tiny" / "90_tiny.ipynb"
    target.parent.mkdir(parents=True)
    target.write_text(text, encoding="utf-8")


def test_nbgrader_generates_validates_and_grades_our_notebooks(
    folder, tinyconcept, tmp_path: Path
) -> None:
    solution = folder.solution()
    course = tmp_path / "course"
    source = course / "source" / "tiny" / "90_tiny.ipynb"
    source.parent.mkdir(parents=True)
    source.write_text(solution.read_text(encoding="utf-8"), encoding="utf-8")

    nbgrader(course, "generate_assignment", "tiny")
    released = normalise.read(course / "release" / "tiny" / "90_tiny.ipynb")
    lab = labs.build(normalise.read(solution), name="90_tiny_lab")
    ours = {each.id: each.metadata.get("nbgrader") for each in lab.cells}
    theirs = {each.id: each.metadata.get("nbgrader") for each in released.cells}
    without = lambda facts: {k: v for k, v in (facts or {}).items() if k != "checksum"}  # noqa: E731
    assert {k: without(v) for k, v in ours.items()} == {k: without(v) for k, v in theirs.items()}
    checks = [name for name in ours if name.startswith("check-")]
    assert [ours[name] for name in checks] == [theirs[name] for name in checks]

    assert "Success! Your notebook passes all the tests." in nbgrader(
        course, "validate", str(source.relative_to(course))
    )
    unsolved = normalise.text_of(lab)
    half = unsolved.replace(
        'raise NotImplementedError(\\"exercise-90-2: replace this line with your answer\\")',
        "return number + 1",
    )
    assert half != unsolved
    submit(course, "nobody", unsolved)
    submit(course, "half", half)
    submit(course, "solved", solution.read_text(encoding="utf-8"))
    nbgrader(course, "autograde", "tiny")
    assert scores(course) == {"nobody": 0.0, "half": 4.0, "solved": 12.0}
