"""What nbval compares in our notebooks: the text of a result, not the value that was measured."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from datahall.course.notebooks import normalise
from datahall.course.notebooks import tool as notebooks

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (
    "import os, time\n"
    "from datahall.reporting import expect\n"
    "expect('share of a day', time.time() / 1e12, at_most=1.0)"
)


def nbval(
    path: Path, *options: str, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the course's nbval command on one notebook."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "datahall.course.notebooks.nbval_plugin",
        "--nbval",
    ]
    command += [
        "--rootdir",
        str(path.parent),
        "--nbval-current-env",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    command += ["--nbval-sanitize-with", str(ROOT / "tests" / "nbval_sanitize.cfg"), *options]
    return subprocess.run(
        [*command, path.name],
        cwd=path.parent,
        env=os.environ | (variables or {}),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of a notebook that measures something, executed."""
    path = tmp_path_factory.mktemp("executed") / "90_measured.ipynb"
    cells = [new_code_cell(SOURCE, id="measured"), new_code_cell("print('two')", id="two")]
    path.write_text(
        normalise.text_of(normalise.normalise(new_notebook(cells=cells))), encoding="utf-8"
    )
    notebooks.execute(path)
    return path.read_text(encoding="utf-8")


def test_another_measured_value_passes(executed: str, tmp_path: Path) -> None:
    path = tmp_path / "90_measured.ipynb"
    assert executed.count("measured:") == 1
    changed = re.sub(r'"value": [\d.e-]+', '"value": 0.5', executed)
    changed = re.sub(r"measured: [^)]*", "measured: 7", changed)
    assert changed != executed
    path.write_text(changed, encoding="utf-8")
    done = nbval(path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize(("stored", "changed"), [("≤ 1: yes", "≤ 2: yes"), ("two\\n", "three\\n")])
def test_another_text_fails(executed: str, tmp_path: Path, stored: str, changed: str) -> None:
    path = tmp_path / "90_measured.ipynb"
    text = executed.replace(stored, changed)
    assert text != executed
    path.write_text(text, encoding="utf-8")
    done = nbval(path)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_kernels_are_offline_without_a_reader_and_share_a_data_folder(folder) -> None:
    source = (
        "import os, socket\n"
        "seen = [os.environ[n] for n in ('DATAHALL_HEADLESS', 'DATAHALL_OFFLINE_GUARD')]\n"
        "print(*seen, 'PYTHONDONTWRITEBYTECODE' in os.environ, 'MPLBACKEND' in os.environ)\n"
        "print('datahall-nbval-' in os.environ['DATAHALL_HOME'])\n"
        "try:\n"
        "    socket.create_connection(('192.0.2.1', 9), timeout=1)\n"
        "except PermissionError:\n"
        "    print('refused')"
    )
    path = folder.write("notebooks/90_seen.ipynb", [new_code_cell(source, id="seen")])
    nb = normalise.read(path)
    text = "1 1 False True\nTrue\nrefused\n"
    nb.cells[0].outputs = [new_output("stream", name="stdout", text=text)]
    path.write_text(normalise.text_of(nb), encoding="utf-8")
    done = nbval(path)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
def test_kernels_are_forked_from_the_zygote_that_suits_a_notebook_and_leave_nothing(folder) -> None:
    source = (
        "import os, sys\n"
        "parent = open(f'/proc/{os.getppid()}/cmdline').read().split('\\0')\n"
        "print('datahall.course.warm.zygote' in parent, 'tensorflow' in sys.modules)\n"
        "print(os.environ['DATAHALL_WARM'], file=open(os.environ['WHERE'], 'a'))"
    )
    names = {"90_forked": "True False", "91_forked": "True True", "92_forked": "True False"}
    where = folder.root / "where"
    for name, text in names.items():
        cells = [new_code_cell(source, id="seen")]
        cells += [new_code_cell("import tensorflow", id="more")] if "True True" in text else []
        path = folder.write(f"notebooks/{name}.ipynb", cells)
        nb = normalise.read(path)
        nb.cells[0].outputs = [new_output("stream", name="stdout", text=f"{text}\n")]
        path.write_text(normalise.text_of(nb), encoding="utf-8")
    done = nbval(path.parent, "-n", "2", "--dist", "loadscope", variables={"WHERE": str(where)})
    assert done.returncode == 0, done.stdout
    places = set(where.read_text().splitlines())
    assert len(places) == 1 and not Path(places.pop()).exists()


def test_the_sanitise_file_is_short_and_matches_no_bare_number() -> None:
    text = (ROOT / "tests" / "nbval_sanitize.cfg").read_text(encoding="utf-8")
    patterns = re.findall(r"^regex: (.*)$\n^replace: (.*)$", text, flags=re.MULTILINE)
    assert 1 <= len(patterns) <= 5
    assert text.count("\n# ") >= len(patterns)
    for pattern, _ in patterns:
        for number in ("3", "3.14", "-1e-5", "12 %", "106,000", "0.98 s"):
            assert not re.search(pattern, number), (pattern, number)
