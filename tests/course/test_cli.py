"""The command line: what each verb says, its exit codes, and no traceback for any mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datahall.course import catalogue

Write = Callable[..., Path]
Command = Callable[..., Any]

VERBS = [
    "list", "doctor", "run", "lab", "check", "claims", "clean", "facts", "labs", "labs build",
    "data", "data verify", "launch",
]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(datahall: Command, verb: str) -> None:
    said = datahall(*verb.split(), "--help")
    assert said.code == 0
    assert f"datahall {verb}" in said.out
    assert len(said.out.split("Options:")[0].split("\n\n")[1].strip()) > 20


def test_help_names_every_verb_and_the_exit_codes(datahall: Command) -> None:
    said = datahall("--help")
    assert all(verb.split()[0] in said.out for verb in VERBS)
    assert "130 interrupted" in said.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["run", "convolutoin"],
            "'convolutoin' is no module or notebook of the course. Did you mean convolution",
        ),
        (["run", "missing.ipynb"], "missing.ipynb does not exist"),
        (["run", "."], "is no module or notebook"),
        (["run", "01", "--preset", "quick"], "--preset quick: there are smoke, classroom, full"),
        (["run", "-p", "epochs"], "-p epochs is not of the form name=value"),
        (["run", "--jobs", "0"], "'--jobs' / '-j': Input should be greater than"),
        (["run", "--speed", "9"], "No such option: --speed"),
        (["list", "--jsno"], "No such option: --jsno"),
        (["dance"], "No such command 'dance'"),
        (["data", "verify", "minst"], "There is no data set 'minst'"),
        (["launch", "train"], "'train'"),
        (["launch", "json:dumps", "-a", "steps"], "argument 'steps' is not NAME=VALUE"),
        (["launch", "json:dumps", "--hosts", "rack1:2222"], "rank is None. Both or neither"),
        (["launch", "json:dumps", "--hosts", "rack1", "--rank", "0"], "'rack1'"),
        (["launch", "json:dumps", "--backend", "mpi"], "'mpi' is not one of 'processes', 'ray'"),
        (["launch", "json:dumps", "--address", "a:1"], "--address was given with --backend proc"),
        (["launch", "json:dumps", "--folder", "/x"], "or write --backend ray"),
        (["launch", "json:dumps", "--backend", "ray", "--rank", "0"], "--rank was given with"),
        (["launch", "json:dumps", "--workers", "0"], "Invalid value for '--workers'"),
        (["launch", "json:dumps", "--limit", "0"], "limit_s is 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(
    datahall: Command, arguments: list[str], says: str
) -> None:
    said = datahall(*arguments)
    assert said.code == 2
    assert says in " ".join(said.err.split())
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("cells", "given", "says"),
    [
        (
            ["# parameters\nepochs: int = 1"],
            "epoch=2",
            "has no parameter 'epoch' (from -p). Did you mean 'epochs'?",
        ),
        (
            ["# parameters\nepochs: int = 1"],
            "epochs=abc",
            "-p epochs=abc: a value of type int was expected",
        ),
        (["x = 1"], "epochs=2", "takes no parameters, but -p gives 'epochs'"),
    ],
)
def test_a_wrong_parameter_runs_nothing(
    datahall: Command,
    write_notebook: Write,
    tmp_path: Path,
    cells: list[str],
    given: str,
    says: str,
) -> None:
    path = write_notebook(tmp_path / "book.ipynb", *cells)
    said = datahall("run", path, "-p", given, "--output-dir", tmp_path / "out")
    assert (said.code, says in said.err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_parameter_that_one_of_the_notebooks_lacks_runs_nothing(
    datahall: Command, write_notebook: Write, tmp_path: Path
) -> None:
    knows = write_notebook(tmp_path / "knows.ipynb", "# parameters\nseed: int = 1")
    lacks = write_notebook(tmp_path / "lacks.ipynb", "# parameters\nsize: int = 1")
    said = datahall("run", knows, lacks, "-p", "seed=2", "--output-dir", tmp_path / "out")
    assert said.code == 2
    assert "lacks has no parameter 'seed'" in said.err


def test_a_corrupted_notebook_is_bad_input(datahall: Command, tmp_path: Path) -> None:
    path = tmp_path / "half.ipynb"
    path.write_text('{"cells": [')
    said = datahall("run", path)
    assert (said.code, "half.ipynb is not a notebook: it is not JSON" in said.err) == (2, True)


def test_a_path_that_the_system_refuses_is_one_line_and_exit_code_three(datahall: Command) -> None:
    said = datahall("check", "x" * 300 + ".ipynb")
    assert (said.code, "File name too long" in said.err) == (3, True)
    assert len(said.err.splitlines()) == 1


def test_a_missing_kernel_is_told_with_those_that_are_there(
    datahall: Command, write_notebook: Write, tmp_path: Path
) -> None:
    path = write_notebook(tmp_path / "julia.ipynb", "1 + 1", kernel="julia-1.9")
    said = datahall("run", path, "--output-dir", tmp_path / "out")
    assert said.code == 3
    assert "needs the kernel 'julia-1.9', which is not installed. Installed: python3" in said.err


def test_a_run_prints_the_cell_the_reason_and_the_report(
    datahall: Command, write_notebook: Write, tmp_path: Path
) -> None:
    path = write_notebook(tmp_path / "fails.ipynb", "print(1)", "x = 1\nx / 0")
    said = datahall("run", path, "--output-dir", tmp_path / "out")
    assert said.code == 1
    assert "fails: cell cell-b (3): ZeroDivisionError: division by zero" in said.out
    assert "1 failed in " in said.out
    report = next(line for line in said.out.splitlines() if line.startswith("Report: "))
    assert Path(report.removeprefix("Report: ")).is_file()
    assert "start    fails" in said.err


def test_a_run_with_json_prints_the_results_and_nothing_else(
    datahall: Command, write_notebook: Write, tmp_path: Path
) -> None:
    path = write_notebook(tmp_path / "good.ipynb", "# parameters\nn: int = 1", "print(n)")
    said = datahall("run", path, "-p", "n=5", "--json", "--output-dir", tmp_path / "out")
    printed = json.loads(said.out)
    assert (said.code, printed["status"], printed["exit_code"]) == (0, "passed", 0)
    assert printed["notebooks"][0]["parameters"] == {"n": 5}
    assert printed == json.loads((tmp_path / "out" / "latest" / "results.json").read_text())


def test_parameters_are_listed_with_type_default_and_meaning(
    datahall: Command, write_notebook: Write, tmp_path: Path
) -> None:
    cell = "# parameters\nepochs: int = 2  # passes over the training data"
    path = write_notebook(tmp_path / "book.ipynb", cell)
    said = datahall("run", path, "--list-parameters")
    assert said.code == 0
    assert "epochs     int   2        passes over the training data" in said.out
    listed = json.loads(datahall("run", path, "--list-parameters", "--json").out)
    assert listed["book"] == [
        {
            "name": "epochs",
            "type": "int",
            "default": "2",
            "help": "passes over the training data",
            "presets": {},
        }
    ]


def test_the_list_shows_every_module_and_what_exists(datahall: Command) -> None:
    said = datahall("list")
    assert said.code == 0
    for module in catalogue.load().modules:
        assert f"{module.label}  " in said.out
    listed = json.loads(datahall("list", "--json").out)
    assert [row["number"] for row in listed["modules"]] == list(range(15))
    convolution = listed["modules"][1]
    assert convolution["exists"]["package"] == {"exists": 1, "of": 1}
    assert convolution["notebooks"][2]["needs"] == ["01_convolution"]


def test_the_data_are_verified_file_by_file(datahall: Command) -> None:
    said = datahall("data", "verify", "mnist")
    assert said.code == 0
    assert said.out.count("ok ") >= 4
    assert json.loads(datahall("data", "verify", "mnist", "--json").out)["ok"] is True


def test_no_heavy_library_is_imported_to_list_the_course() -> None:
    code = (
        "import sys; sys.argv = ['datahall', 'list', '--json']\n"
        "from datahall.course import cli\n"
        "try:\n    cli.main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'tensorflow', 'papermill', 'nbformat', 'jinja2', 'IPython'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_a_reader_that_closes_the_pipe_early_sees_no_traceback() -> None:
    command = f"{sys.executable} -m datahall.course.cli list --json | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_launch_shows_what_each_process_returns_and_tells_of_each_loss(datahall: Command) -> None:
    words = ["launch", "datahall.scaling.recovery:best_interval_s", "-a", "loss_s=100"]
    said = datahall(*words, "-a", "write_s=2", "--workers", "2")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == {"worker 0": 20.0, "worker 1": 20.0}
    said = datahall(*words, "-a", "write_s=0", "--workers", "1", "--restarts", "1")
    assert (said.code, said.out) == (1, "")
    assert said.err.count("ParameterError") == 2
    assert "Traceback" not in said.err
