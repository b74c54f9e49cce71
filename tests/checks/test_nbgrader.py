"""nbgrader's own grader reads our verdicts: its function, and a real graded assignment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.utils import determine_grade

from datahall.checking import all_checks, checks_of
from datahall.course import catalogue

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]

ANSWERS = {
    "right": "return (size - kernel) // stride + 1",
    "wrong": "return (size - kernel) // stride",
    "missing": 'raise NotImplementedError("exercise-99-1: replace this line with your answer")',
    "leaves": "import sys; sys.exit(0)",
    "noisy": "import sys; print('debug', file=sys.stderr); return (size - kernel) // stride + 1",
}
# The head of the answer, which is given, refuses a kernel that does not fit: one of four steps.
POINTS = {"right": 4, "wrong": 1, "missing": 0, "leaves": 1, "noisy": 4}


def marked(grade_id, *, points=None):
    """Return nbgrader's metadata for an answer cell, or for a check cell worth points."""
    facts = {"schema_version": 3, "grade_id": grade_id, "task": False, "locked": False}
    facts |= {"solution": points is None, "grade": points is not None}
    return {"nbgrader": facts | ({} if points is None else {"points": points, "locked": True})}


def notebook(body):
    """Return a lab of one exercise whose answer has that body."""
    head = (
        "def places(size, kernel, *, stride=1):\n    if kernel > size:\n        raise ValueError\n"
    )
    cells = [
        new_code_cell("from tests.checks.places import check\nchecked = check()", id="imports"),
        new_code_cell(head + f"    {body}", id="exercise-99-1", metadata=marked("exercise-99-1")),
        new_code_cell("checked(places)", id="check-99-1", metadata=marked("check-99-1", points=4)),
        new_code_cell("1 + 1", id="after"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_grading_function_of_nbgrader_reads_the_points(answer, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    executed = notebook(ANSWERS[answer])
    NotebookClient(executed, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    check, after = executed.cells[2:]
    assert determine_grade(check) == (POINTS[answer], 4)
    assert after.outputs[0].data["text/plain"] == "2"  # Run All goes on


# What `generate_assignment`, `autograde` and `validate` of nbgrader call, in one process.
GRADES = """
import json, pathlib, nbformat
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.validator import Validator
from traitlets.config import Config
from tests.checks.test_nbgrader import ANSWERS, notebook

course = pathlib.Path.cwd()
nbgrader = NbGraderAPI(CourseDirectory(root=str(course), course_id="datahall"))
assert nbgrader.generate_assignment("lab")["success"]
released = nbformat.read(course / "release" / "lab" / "lab.ipynb", 4)
scores, said = {}, {}
for student in ("right", "wrong", "missing"):
    folder = course / "submitted" / student / "lab"
    folder.mkdir(parents=True)
    released.cells[1].source = notebook(ANSWERS[student]).cells[1].source
    nbformat.write(released, folder / "lab.ipynb")
    result = nbgrader.autograde("lab", student)
    assert result["success"], result
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "datahall") as book:
        scores[student] = book.find_submission("lab", student).score
for student in ("right", "wrong"):
    result = Validator().validate(str(course / "submitted" / student / "lab" / "lab.ipynb"))
    said[student] = [failure["error"] for failure in result.get("failed", [])]
(course / "grades.json").write_text(json.dumps({"scores": scores, "said": said}))
"""


def test_a_real_assignment_is_graded_and_validated_by_the_verdicts(tmp_path):
    (tmp_path / "source" / "lab").mkdir(parents=True)
    solved = notebook(f"### BEGIN SOLUTION\n    {ANSWERS['right']}\n    ### END SOLUTION")
    nbformat.write(solved, tmp_path / "source" / "lab" / "lab.ipynb")
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it starts alembic
    run = subprocess.run(
        [sys.executable, "-c", GRADES],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": programs},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert run.returncode == 0, run.stderr
    grades = json.loads((tmp_path / "grades.json").read_text())
    assert grades["scores"] == {"right": 4, "wrong": 1, "missing": 0}
    assert grades["said"]["right"] == []
    assert grades["said"]["wrong"] == ["Partial credit; passed some but not all of the tests"]


LABS = sorted((ROOT / "labs").glob("*_lab.ipynb"))


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_nbgrader_gives_the_committed_solution_of_a_lab_full_points(path):
    solved = nbformat.read(ROOT / "solutions" / f"{catalogue.solution_of(path.stem)}.ipynb", 4)
    outputs = {cell.id: cell.get("outputs", []) for cell in solved.cells}
    points = {
        check.exercise: check.points for check in checks_of(catalogue.load().module(path.stem).slug)
    }
    checks = [cell for cell in nbformat.read(path, 4).cells if cell.id.startswith("check-")]
    for cell in checks:
        cell.outputs = outputs[cell.id]
        full = points[cell.id.removeprefix("check-").replace("-", ".")]
        assert determine_grade(cell) == (full, full), cell.id
    assert {each.exercise for each in all_checks() if each.lab == path.stem} == {
        cell.id.removeprefix("check-").replace("-", ".") for cell in checks
    }


def test_the_course_has_labs_to_grade():
    assert len(LABS) >= 4
