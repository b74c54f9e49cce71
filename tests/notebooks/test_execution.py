"""Every notebook runs with parameters that are not its own: nothing in it is wired to the defaults.

Lectures run with their `smoke` parameters and another seed (solutions too, where they take one),
labs as a learner first opens them: unsolved. One run of the course's runner executes those whose
tests were chosen, two at a time; each notebook has its own time limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from datahall.course import catalogue
from datahall.course.notebooks import normalise, sources
from datahall.course.run import parameters, runner
from datahall.course.run.results import NotebookRun

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("notebooks", "solutions", "labs")
COURSE = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.ipynb"))]
LABS = [path for path in COURSE if path.parent.name == "labs"]
OTHER_SEED = 20_261
CEILING_S = 300  # one notebook, on a busy machine
WAITS = pytest.mark.timeout(CEILING_S * len(COURSE))  # whichever test is first waits for all


def takes_seed(path: Path) -> bool:
    """Tell whether a notebook declares the parameter `seed`."""
    return "seed" in {parameter.name for parameter in parameters.inspect(sources.read(path))}


def chosen(items: list[pytest.Item]) -> list[Path]:
    """Return the notebooks whose tests were chosen; all, if none was (`-k writes_nothing`)."""
    specs = [getattr(item, "callspec", None) for item in items if item.path == Path(__file__)]
    asked = {spec.params["path"] for spec in specs if spec is not None and "path" in spec.params}
    return [path for path in COURSE if path in asked] or COURSE


@pytest.fixture(scope="module")
def executed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[NotebookRun, Path]]:
    """Each notebook's run and the folder of its results, by file name."""
    found: dict[str, tuple[NotebookRun, Path]] = {}
    paths = chosen(request.session.items)
    for group, values in (
        ([path for path in paths if takes_seed(path)], {"seed": OTHER_SEED}),
        ([path for path in paths if not takes_seed(path)], {}),
    ):
        if group:
            results = runner.run(
                group,
                preset="smoke",
                parameters=values,
                jobs=2,
                timeout_s=CEILING_S,
                keep_going=True,
                output_dir=tmp_path_factory.mktemp("executed"),
            )
            found |= {Path(run.path).name: (run, results.folder) for run in results.notebooks}
    return found


@WAITS
@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_every_notebook_runs_with_other_parameters(path: Path, executed) -> None:
    run, _ = executed[path.name]
    assert run.status == "passed", run.failure
    assert run.failure is None


@WAITS
@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_an_unsolved_lab_says_of_each_exercise_that_it_is_not_attempted(
    path: Path, executed
) -> None:
    run, folder = executed[path.name]
    nb = normalise.read(folder / run.output)
    verdicts = [cell for cell in nb.cells if normalise.CHECK.fullmatch(cell.id)]
    assert verdicts
    for cell in verdicts:
        (output,) = (o for o in cell.outputs if o.output_type == "execute_result")
        assert output.data["text/plain"] == "0.0", cell.id
        assert "not attempted" in output.data["text/html"].lower(), cell.id


def test_every_lecture_takes_a_seed() -> None:
    lectures = [path for path in COURSE if path.parent.name == "notebooks"]
    without = [path.stem for path in lectures if not takes_seed(path)]
    assert without in ([], ["00_start_here"])


@WAITS
def test_running_writes_nothing_beside_the_notebooks(executed) -> None:
    for folder in FOLDERS:
        names = {path.name for path in (ROOT / folder).glob("*") if path.is_file()}
        assert names <= {path.name for path in COURSE}


@pytest.mark.timeout(300)
def test_papermill_alone_runs_a_lecture_from_any_folder(tmp_path: Path) -> None:
    """Batch users need neither our command nor a variable of ours."""
    entry = catalogue.load().find("03_training")[0]
    lecture = ROOT / entry.files()["lecture"]
    values = {**entry.presets.get("smoke", {}), "seed": OTHER_SEED}
    options = [text for name, value in values.items() for text in ("-p", name, str(value))]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("DATAHALL_")
    } | {"DATAHALL_HOME": str(tmp_path / "home")}
    papermill = Path(sys.executable).parent / "papermill"
    done = subprocess.run(
        [str(papermill), str(lecture), "out.ipynb", *options, "--no-progress-bar"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    nb = normalise.read(tmp_path / "out.ipynb")
    assert all(cell.execution_count for cell in nb.cells if cell.cell_type == "code")
    assert {path.name for path in tmp_path.iterdir()} == {"home", "out.ipynb"}
