"""`papermill --engine datahall`: strict with anyone's notebook; papermill alone stays as it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from datahall.course import warm

Write = Callable[..., Path]
BIN = Path(sys.executable).parent
PARENT = "import os, psutil; print(' '.join(psutil.Process(os.getppid()).cmdline()))"
ENDLESS = "import time\nwhile True: time.sleep(0.1)"
SWALLOWS = "import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    print('went on')"

# What a cell does in the middle of a notebook, the words that tell, and papermill's options. Where
# an error stands in the cell's outputs, papermill names the cell, as it does for any other error.
OURS, PAPERMILLS = "cell cell-b (3): ", 'Exception encountered at "In [2]"'
ZOO: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "exits": ("import sys; sys.exit(0)", "sys.exit(0)", ()),
    "quits": ("quit()", "the cell ended the kernel", ()),
    "captured": ("%%capture\n1 / 0", "ZeroDivisionError", ()),
    "killed": ("import os; os.kill(os.getpid(), 9)", "signal 9 (SIGKILL)", ()),
    "late": (ENDLESS, "time limit of 2", ("--execution-timeout", "2")),
    "swallows": (SWALLOWS, "time limit of 2", ("--execution-timeout", "2")),
}
WITHOUT_OURS = """
import sys, entrypoints
found = entrypoints.get_group_all
entrypoints.get_group_all = lambda *a, **k: [p for p in found(*a, **k) if p.name != "datahall"]
"""
BROKEN = """
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        chain = ("datahall", "datahall.course", "datahall.course.run", "datahall.course.run.engine")
        if name.startswith("datahall") and name not in chain:
            raise SyntaxError(f"{name} is broken")
sys.meta_path.insert(0, Broken())
"""
PAPERMILL = "\nfrom papermill.__main__ import papermill\npapermill()\n"


@dataclass(frozen=True)
class Ran:
    """What papermill did with one notebook."""

    code: int
    said: str
    folder: Path

    @property
    def notebook(self) -> nbformat.NotebookNode:
        return nbformat.read(self.folder / "out.ipynb", 4)

    def cell(self, name: str) -> nbformat.NotebookNode:
        return next(cell for cell in self.notebook.cells if cell.id == name)


def environment(runtime: Path) -> dict[str, str]:
    """Return what a stranger's shell has: no variable of ours, a runtime folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DATAHALL_")}
    return kept | {"XDG_RUNTIME_DIR": str(runtime), "TMPDIR": str(runtime / "tmp")}


def papermill(
    source: Path, variables: dict[str, str], *options: str, program: str | None = None
) -> Ran:
    """Run papermill's command in a folder of its own."""
    folder = source.parent / f"elsewhere-{source.stem}"
    folder.mkdir()
    command = [str(BIN / "papermill")] if program is None else [sys.executable, "-c", program]
    done = subprocess.run(
        [*command, str(source), "out.ipynb", "--no-progress-bar", *options],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=250,
    )
    return Ran(done.returncode, done.stdout + done.stderr, folder)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's runtime folder, short enough for sockets, and a temporary one inside."""
    folder = tmp_path_factory.mktemp("run")
    folder.chmod(0o700)
    (folder / "tmp").mkdir()
    return folder


@pytest.fixture(scope="module")
def held(runtime: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody who keeps a terminal with `datahall warm` open."""
    variables = environment(runtime)
    program = [str(BIN / "datahall"), "warm", "--kinds", "plain"]
    with subprocess.Popen(program, env=variables, stdout=subprocess.PIPE, text=True) as keeper:
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline().startswith("plain: ")
            yield variables
        finally:
            keeper.terminate()


@pytest.fixture(scope="module")
def zoo(
    tmp_path_factory: pytest.TempPathFactory, write_notebook: Write, held: dict[str, str]
) -> dict[str, Ran]:
    """Every case, by `papermill --engine datahall` with forked kernels, two at a time."""
    folder = tmp_path_factory.mktemp("zoo")
    parameters = "# parameters\nn: int = 1"
    cases = {
        name: (("print('before')", cell, "print('ran on')"), options)
        for name, (cell, _, options) in ZOO.items()
    }
    cases["fails"] = (("print('before')", "1 / 0", "print('ran on')"), ())
    cases["passes"] = ((parameters, "print(n)", PARENT, "print(os.getcwd())"), ("-p", "n", "3"))
    paths = {name: write_notebook(folder / f"{name}.ipynb", *cases[name][0]) for name in cases}

    def one(name: str) -> Ran:
        return papermill(paths[name], held, "--engine", "datahall", *cases[name][1])

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(cases, pool.map(one, cases), strict=True))


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs).strip()


def test_a_notebook_that_is_well_passes_with_the_values_given(zoo: dict[str, Ran]) -> None:
    ran = zoo["passes"]
    assert ran.code == 0, ran.said
    assert printed(ran.cell("cell-b")) == "3"
    assert Path(printed(ran.cell("cell-d"))) == ran.folder
    about = ran.notebook.metadata.papermill
    assert (about.parameters, about.exception) == ({"n": 3}, None)
    code = [cell for cell in ran.notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5]
    for cell in code:
        assert (cell.metadata.papermill.status, cell.metadata.papermill.exception) == (
            "completed",
            False,
        )
        assert cell.metadata.papermill.duration >= 0


def test_its_kernel_is_forked_while_datahall_warm_runs(zoo: dict[str, Ran]) -> None:
    assert "datahall.course.warm.zygote plain" in printed(zoo["passes"].cell("cell-c"))


@pytest.mark.parametrize("name", ZOO)
def test_what_papermill_would_let_pass_or_leave_without_a_cell_fails_and_names_it(
    name: str, zoo: dict[str, Ran]
) -> None:
    ran = zoo[name]
    assert ran.code not in (0, None), ran.said
    assert (PAPERMILLS if name == "captured" else OURS) in ran.said
    assert ZOO[name][1] in ran.said
    assert printed(ran.cell("cell-a")) == "before"
    assert ran.cell("cell-c").outputs == []
    assert ran.cell("cell-c").execution_count is None


@pytest.mark.parametrize("name", [*ZOO, "fails"])
def test_the_notebook_left_behind_says_which_cell_failed(name: str, zoo: dict[str, Ran]) -> None:
    about = {cell.id: cell.metadata.get("papermill") for cell in zoo[name].notebook.cells}
    assert zoo[name].notebook.metadata.papermill.exception is True
    states = {cell: about[cell].status for cell in ("cell-a", "cell-b", "cell-c")}
    assert states == {"cell-a": "completed", "cell-b": "failed", "cell-c": "pending"}
    assert [about[cell].exception for cell in ("cell-a", "cell-b")] == [False, True]


def test_outputs_go_where_papermills_options_lead_them(
    tmp_path: Path, write_notebook: Write, runtime: Path
) -> None:
    source = write_notebook(
        tmp_path / "says.ipynb", "import sys\nprint('one')\nprint('two', file=sys.stderr)"
    )
    options = ("--log-output", "--stdout-file", "out.txt", "--stderr-file", "err.txt")
    ran = papermill(source, environment(runtime), "--engine", "datahall", *options)
    assert ran.code == 0, ran.said
    assert (ran.folder / "out.txt").read_text() == "one\n"
    assert (ran.folder / "err.txt").read_text() == "two\n"
    assert "one" in ran.said


def test_an_ordinary_error_is_told_as_papermill_tells_it(zoo: dict[str, Ran]) -> None:
    ran = zoo["fails"]
    assert ran.code == 1
    assert "PapermillExecutionError" in ran.said
    assert "ZeroDivisionError" in ran.said
    cells = ran.notebook.cells
    assert cells[0].metadata.tags == ["papermill-error-cell-tag"]
    assert "An Exception was encountered at" in cells[0].source
    (place,) = (number for number, cell in enumerate(cells) if cell.get("id") == "cell-b")
    assert 'id="papermill-error-cell"' in cells[place - 1].source


def test_nothing_is_left_beside_the_notebooks_nor_in_the_temporary_folder(
    zoo: dict[str, Ran], runtime: Path
) -> None:
    for name, ran in zoo.items():
        assert {path.name for path in ran.folder.iterdir()} == {"out.ipynb"}, name
    names = [path.stem for path in ran.folder.parent.glob("*.ipynb")]
    assert sorted(names) == sorted(zoo)
    deadline = time.monotonic() + 15
    while left(runtime) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left(runtime) == []


def left(runtime: Path) -> list[str]:
    return [path.name for path in (runtime / "tmp").iterdir() if path.name.startswith("datahall")]


def test_the_engine_works_cold_too(tmp_path: Path, write_notebook: Write) -> None:
    (tmp_path / "tmp").mkdir()
    source = write_notebook(tmp_path / "cold.ipynb", "# parameters\nn = 1", "print(n)", PARENT)
    options = ("--engine", "datahall", "-p", "n", "4")
    ran = papermill(source, environment(tmp_path), *options)
    assert ran.code == 0, ran.said
    assert printed(ran.cell("cell-b")) == "4"
    assert "warm" not in printed(ran.cell("cell-c"))
    assert warm.FOLDER not in environment(tmp_path)


def test_papermill_alone_makes_the_same_notebook_with_and_without_us(
    tmp_path: Path, write_notebook: Write
) -> None:
    (tmp_path / "tmp").mkdir()
    cells = ("# parameters\nn = 1", "print(n)", "import sys; sys.exit(0)", "print('never')")
    made = []
    for name, program in (("with", None), ("without", WITHOUT_OURS + PAPERMILL)):
        source = write_notebook(tmp_path / f"{name}.ipynb", *cells)
        ran = papermill(source, environment(tmp_path), "-p", "n", "2", program=program)
        assert ran.code == 0, ran.said  # papermill's own leniency
        made.append(timeless((ran.folder / "out.ipynb").read_text()).replace(name, "name"))
    assert made[0] == made[1]
    assert '"2\\n"' in made[0]


def timeless(text: str) -> str:
    """Take the times, and ids that are drawn by lot, out of an executed notebook."""
    text = re.sub(r'"20\d\d-\d\d-\d\dT[0-9:.+]+(Z|00:00)?"', '"time"', text)
    text = re.sub(r'"duration": [0-9.e-]+', '"duration": 0', text)
    return re.sub(r'"id": "[0-9a-f]{8}"', '"id": ""', text)


def modules(program: str) -> set[str]:
    """Return the modules that a fresh Python has loaded after a program."""
    tell = "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program + tell], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_papermill_loads_of_ours_the_engine_alone() -> None:
    ours = modules("import papermill") - modules(WITHOUT_OURS + "import papermill")
    assert ours == {
        "datahall",
        "datahall.course",
        "datahall.course.run",
        "datahall.course.run.engine",
    }


def test_papermill_works_when_the_rest_of_our_package_is_broken(
    tmp_path: Path, write_notebook: Write
) -> None:
    (tmp_path / "tmp").mkdir()
    source = write_notebook(tmp_path / "plain.ipynb", "print(1)")
    ran = papermill(source, environment(tmp_path), program=BROKEN + PAPERMILL)
    assert ran.code == 0, ran.said
    source = write_notebook(tmp_path / "ours.ipynb", "print(1)")
    options = ("--engine", "datahall")
    ran = papermill(source, environment(tmp_path), *options, program=BROKEN + PAPERMILL)
    assert ran.code == 1
    assert "datahall.course.run.strict is broken" in ran.said
