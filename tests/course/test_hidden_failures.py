"""What a cell hides, swallows or leaves half-said is told; ordinary notebooks of others pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from datahall.course.run import results, runner
from datahall.course.run.results import NotebookRun, Results

Write = Callable[..., Path]

HIDDEN = {
    "captured_error": ("%%capture\n1/0", "error", "ZeroDivisionError: division by zero"),
    "captured_exit": ("%%capture\nimport sys\nsys.exit(0)", "exit", "sys.exit(0)"),
    "captured_syntax": ("%%capture\nx = = 1", "error", "SyntaxError"),
    "captured_magic": ("%%capture\n%nosuchmagic", "error", "UsageError"),
    "in_a_widget": (
        "import ipywidgets as widgets\nwith widgets.Output():\n    1/0",
        "error",
        "ZeroDivisionError",
    ),
    "interactive": (
        "import ipywidgets as widgets\nwidgets.interact(lambda n: 1 / n, n=0);",
        "error",
        "ZeroDivisionError",
    ),
    "run_script_raises": ("%run raises.py", "error", "ValueError: from a script"),
    "run_script_exits": ("%run exits.py", "exit", "sys.exit(3)"),
    "nested": ("get_ipython().run_cell('1/0')\nprint('on')", "error", "ZeroDivisionError"),
    "real_time_signal": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGRTMIN + 3)",
        "kernel-died",
        "SIGRTMIN+3",
    ),
}
FINE = {
    "says_tb": ("try:\n    1/0\nexcept ZeroDivisionError:\n    print('handled')", "%tb"),
    "expects": (
        "from datahall.reporting import expect_error",
        "with expect_error(ZeroDivisionError):\n    1/0",
    ),
    "run_script_ends": ("%run ends.py",),
    "captured": ("%%capture\nprint('quiet')",),
    "widget": (
        "import ipywidgets as w\nout = w.Output()\nwith out:\n    print(1)\nout",
        "w.interact(lambda n: n, n=3);",
    ),
    "shell": ("!true",),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, write_notebook: Write) -> Results:
    folder = tmp_path_factory.mktemp("hidden")
    (folder / "raises.py").write_text("raise ValueError('from a script')")
    (folder / "exits.py").write_text("import sys\nsys.exit(3)")
    (folder / "ends.py").write_text("import sys\nprint('done')\nsys.exit(0)")
    paths = [
        write_notebook(folder / f"{name}.ipynb", "x = 1", cell, "print('never')")
        for name, (cell, _, _) in HIDDEN.items()
    ]
    paths += [write_notebook(folder / f"{name}.ipynb", *cells) for name, cells in FINE.items()]
    return runner.run(paths, keep_going=True, timeout_s=60, pages=False, output_dir=folder / "out")


@pytest.mark.parametrize("name", HIDDEN)
def test_an_error_that_a_cell_hides_fails_it_and_names_it(found: Results, name: str) -> None:
    _, kind, says = HIDDEN[name]
    run = found[name]
    assert run.failure is not None
    assert (run.status, run.failure.kind) == ("failed", kind)
    assert (run.failure.cell_id, run.failure.cell_number) == ("cell-b", 3)
    assert says in run.failure.message
    assert [cell.status for cell in run.cells] == ["passed", "failed", "not run"]


@pytest.mark.parametrize("name", FINE)
def test_what_only_looks_like_it_passes(found: Results, name: str) -> None:
    assert (found[name].status, found[name].failure) == ("passed", None)


def test_a_reply_that_comes_while_a_widget_is_told_its_outputs_is_not_lost(
    tmp_path: Path, write_notebook: Write
) -> None:
    cells = ["import ipywidgets as widgets\nout = widgets.Output()"]
    cells += ["with out:\n    print(1)"] * 300  # one in about fifty lost its reply
    path = write_notebook(tmp_path / "many.ipynb", *cells)
    (run,) = runner.run([path], timeout_s=60, pages=False, output_dir=tmp_path / "out").notebooks
    assert (run.status, run.failure) == ("passed", None)


SWALLOWS = "import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    print('trained')"


@pytest.mark.usefixtures("no_kernel_left")
@pytest.mark.parametrize("cell", [SWALLOWS, "!sleep 600"], ids=["swallowed", "shell"])
def test_a_notebook_stopped_at_its_time_limit_never_passes(
    tmp_path: Path, write_notebook: Write, cell: str
) -> None:
    path = write_notebook(tmp_path / "slow.ipynb", cell, "print('never')")
    (run,) = runner.run([path], timeout_s=5, pages=False, output_dir=tmp_path / "out").notebooks
    assert run.failure is not None
    assert (run.status, run.failure.kind, run.failure.cell_id) == ("failed", "timeout", "cell-a")
    assert [cell.status for cell in run.cells] == ["failed", "not run"]


@pytest.mark.parametrize(
    ("kernel", "language"), [("python", "python"), ("python3", "python3"), ("python3", "ipython")]
)
def test_ordinary_names_of_python_are_understood(
    tmp_path: Path, write_notebook: Write, kernel: str, language: str
) -> None:
    path = write_notebook(tmp_path / "book.ipynb", "# parameters\nn: int = 1", "assert n == 3")
    book = nbformat.read(path, 4)
    book.metadata["kernelspec"] = {"name": kernel, "display_name": "x", "language": language}
    nbformat.write(book, path)
    assert runner.run([path], parameters={"n": "3"}, pages=False, output_dir=tmp_path / "out").ok


def test_a_notebook_that_papermill_left_after_a_failure_names_the_right_cell(
    tmp_path: Path, write_notebook: Write
) -> None:
    first = write_notebook(tmp_path / "in.ipynb", "# parameters\nn: int = 0", "x = 1", "1 / n")
    left = tmp_path / "left.ipynb"
    papermill = Path(sys.executable).parent / "papermill"
    command = [papermill, first, left, "-p", "n", "0", "--no-progress-bar"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    source = nbformat.read(left, 4)
    number = next(n for n, cell in enumerate(source.cells, 1) if cell.id == "cell-c")
    for parameters in ({}, {"n": 0}):
        found = runner.run([left], parameters=parameters, pages=False, output_dir=tmp_path / "out")
        (run,) = found.notebooks
        assert run.failure is not None
        assert (run.failure.cell_id, run.failure.cell_number) == ("cell-c", number)


def test_an_odd_file_name_a_damaged_record_and_nan_lose_nothing(
    tmp_path: Path, write_notebook: Write
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 #1?"))
    folder.mkdir()
    odd = write_notebook(
        folder / os.fsdecode(b"50% \xe9 #1?.ipynb"),
        "from IPython.display import display\n"
        "display({'text/plain': 'x', 'application/vnd.datahall.result+json':"
        " {'name': 'a', 'value': 1, 'bound': 3}}, raw=True)",
        "display({'text/plain': 'x', 'application/vnd.datahall.result+json':"
        " {'name': 'b', 'value': float('nan')}}, raw=True)",
        "display({'application/json': {'loss': float('inf')}, 'text/plain': 'y'}, raw=True)",
    )
    found = runner.run([odd], output_dir=tmp_path / "out")
    (run,) = found.notebooks
    assert (run.status, run.failure) == ("passed", None)
    assert [value.name for value in run.values] == ["b"]
    assert run.notes == (
        "cell cell-a: a damaged result was left out: 'bound': Input should be an object, not 3",
    )
    assert found.folder is not None
    strict = {"parse_constant": lambda name: pytest.fail(f"{name} is not JSON")}
    raw = json.loads((found.folder / "results.json").read_text(), **strict)
    assert raw["notebooks"][0]["values"][0]["value"] == "nan"
    assert run.output is not None
    json.loads((found.folder / run.output).read_text(), **strict)
    assert results.load(found.folder).to_dict() == raw


def test_links_of_the_report_lead_to_files_whatever_their_names(
    tmp_path: Path, write_notebook: Write
) -> None:
    import re
    from urllib.parse import unquote

    path = write_notebook(tmp_path / "50% of #1?.ipynb", "print(1)")
    found = runner.run([path], output_dir=tmp_path / "out")
    assert found.folder is not None
    pages = [found.folder / "report.html", *(found.folder / "notebooks").glob("*.html")]
    assert len(pages) == 2
    for page in pages:
        links = [x for x in re.findall(r'href="([^"]+)"', page.read_text()) if x[0] != "#"]
        assert links
        for link in links:
            assert "#" not in link
            assert "?" not in link
            assert (page.parent / unquote(link)).is_file(), link


def test_a_page_holds_no_script_and_a_terminal_no_escape(
    tmp_path: Path, write_notebook: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    from datahall.course.run.view import PlainView

    path = write_notebook(
        tmp_path / "attack.ipynb",
        "from IPython.display import HTML\n"
        "HTML('<b on' + 'click=x()>b</b><scr' + 'ipt>alert(1)</script>')",
        "raise ValueError('\\x1b[2Jgone \\x1b]0;title\\x07')",
    )
    found = runner.run([path], view=PlainView(), output_dir=tmp_path / "out")
    assert found.folder is not None
    page = (found.folder / "notebooks" / "attack.html").read_text()
    assert "<b>b</b>" in page
    assert "<script" not in page
    assert "onclick" not in page
    assert "script-src 'none'" in page
    said = capsys.readouterr().err
    assert "ValueError: gone" in said
    assert "\x1b" not in said
    run = found["attack"]
    assert run.failure is not None
    assert "\x1b" not in run.failure.traceback


@pytest.mark.parametrize("stream", ["full", "closed"])
def test_a_full_or_closed_stream_changes_neither_results_nor_exit_code(
    tmp_path: Path, write_notebook: Write, stream: str
) -> None:
    path = write_notebook(tmp_path / "book.ipynb", "print(1)")
    arguments = f"-m datahall.course.cli run {path} --output-dir {tmp_path / 'out'}"
    ends = {"full": ">/dev/full 2>/dev/full", "closed": ">&- 2>&-"}[stream]
    done = subprocess.run(["sh", "-c", f"exec {sys.executable} {arguments} {ends}"], check=False)
    assert done.returncode == 0
    assert results.load(tmp_path / "out" / "latest").ok


@pytest.mark.parametrize(
    ("declared", "given", "arrives"),
    [
        ("dict[str, int]", "{'a': 1}", {"a": 1}),
        ("dict[int, str]", "{1: 'a'}", None),
        ("tuple[int, int]", "(1, 2)", None),
        ("set[int]", "{3, 4}", None),
        ("list[str]", "1,2", ["1", "2"]),
        ("list[list[float]]", "[[1, 2], [3]]", [[1.0, 2.0], [3.0]]),
        ("float", "inf", float("inf")),
        ("Literal['a', 'b']", "b", "b"),
        ("str", 'quo"te\\n\u00e9', 'quo"te\\n\u00e9'),
    ],
)
def test_either_what_was_typed_arrives_or_exit_code_2_says_why_not(
    datahall: Callable[..., object],
    tmp_path: Path,
    write_notebook: Write,
    declared: str,
    given: str,
    arrives: object,
) -> None:
    path = write_notebook(
        tmp_path / "book.ipynb",
        f"# parameters\nfrom typing import Literal\nx: {declared} = None",
        f"expected = {arrives!r}".replace("inf", "float('inf')"),
        "assert x == expected and type(x) is type(expected), (x, expected)",
    )
    said = datahall("run", path, "-p", f"x={given}", "--output-dir", tmp_path / "out")
    if arrives is None:
        assert said.code == 2
        assert "-p x=" in said.err
        assert "Traceback" not in said.err
    else:
        assert said.code == 0, said.err
        (run,) = results.load(tmp_path / "out" / "latest").notebooks
        assert isinstance(run, NotebookRun)
        assert "x" in (run.parameters or {})


def test_parameters_come_from_a_file_and_the_command_line_goes_before_it(
    datahall: Callable[..., object], tmp_path: Path, write_notebook: Write
) -> None:
    path = write_notebook(
        tmp_path / "book.ipynb",
        "# parameters\nn: int = 1\nrate: float = 0.1\nname: str = ''",
        "assert (n, rate, name) == (5, 0.5, 'yes')",
    )
    (tmp_path / "values.yaml").write_text("n: 4\nrate: 0.5\nname: 'yes'\n")
    options = ("--params-file", tmp_path / "values.yaml", "-p", "n=5", "--output-dir", tmp_path)
    assert datahall("run", path, *options).code == 0
    for text, says in (("- 1\n", "holds a list"), ("a: [", "cannot be read as parameters")):
        (tmp_path / "values.yaml").write_text(text)
        said = datahall("run", path, *options)
        assert (said.code, says in said.err) == (2, True)


def test_a_kernel_can_be_chosen_and_a_missing_one_is_refused(
    datahall: Callable[..., object], tmp_path: Path, write_notebook: Write
) -> None:
    path = write_notebook(tmp_path / "book.ipynb", "print(1)", kernel="course-env")
    options = ("--output-dir", tmp_path / "out")
    refused = datahall("run", path, *options)
    assert refused.code == 3
    assert "needs the kernel 'course-env', which is not installed" in refused.err
    assert "--kernel" in refused.err
    assert datahall("run", path, "--kernel", "python3", *options).code == 0


def test_a_kernels_temporary_files_are_gone_with_the_run(
    tmp_path: Path, write_notebook: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    left = "import tempfile\nprint(tempfile.mkdtemp(prefix='left-by-a-cell'))"
    path = write_notebook(tmp_path / "book.ipynb", left)
    assert runner.run([path], pages=False, output_dir=tmp_path / "out").ok
    assert list(temporary.iterdir()) == []
