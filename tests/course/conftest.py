"""Tiny notebooks, built where they are needed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from datahall.course import cli, warm

Write = Callable[..., Path]
Kernels = Callable[[], list[psutil.Process]]


def build_notebook(path: Path, *sources: str, kernel: str | None = "python3") -> Path:
    """Write a notebook of code cells `cell-a`, `cell-b` …; a leading `# parameters` tags a cell."""
    cells = [new_markdown_cell("# A tiny notebook", id="title")]
    for letter, source in zip("abcdefghijklmnop", sources, strict=False):
        cell = new_code_cell(source, id=f"cell-{letter}")
        if source.startswith("# parameters"):
            cell.metadata["tags"] = ["parameters"]
        cells.append(cell)
    notebook = new_notebook(cells=cells)
    if kernel is not None:
        notebook.metadata["kernelspec"] = {
            "name": kernel,
            "display_name": kernel,
            "language": "python",
        }
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="session")
def write_notebook() -> Write:
    """Return the builder of tiny notebooks."""
    return build_notebook


@pytest.fixture(scope="session")
def zygotes() -> Iterator[dict[str, str]]:
    """The variables of warm kernels, for tests of what is above a kernel."""
    with warm.zygotes() as held:
        yield held


def living_kernels() -> list[psutil.Process]:
    """Return the living kernels of runs, the warm ones and what they are forked from too."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = "DATAHALL_KERNEL" in process.environ()
            forked = "datahall.course.warm.zygote" in process.cmdline()
            if (marked or forked) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture(scope="session")
def kernels() -> Kernels:
    """Return the function that finds living kernels."""
    return living_kernels


@pytest.fixture
def no_kernel_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Assert that a test leaves no kernel behind; other tests may run kernels meanwhile."""
    mark = secrets.token_hex(8)
    monkeypatch.setenv("DATAHALL_TEST_MARK", mark)
    yield
    assert not [process for process in living_kernels() if marked(process, mark)]


def marked(process: psutil.Process, mark: str) -> bool:
    """Tell whether a process was started by the test with that mark."""
    try:
        return process.environ().get("DATAHALL_TEST_MARK") == mark
    except (psutil.Error, OSError):
        return False


@dataclass(frozen=True)
class Said:
    """What a command returned and wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def datahall(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Return a function that runs the command line in this process."""

    def run(*arguments: object) -> Said:
        monkeypatch.setattr("sys.argv", ["datahall", *map(str, arguments)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as error:
            code = error.code or 0
        written = capsys.readouterr()
        assert isinstance(code, int)
        return Said(code, written.out, written.err)

    return run
