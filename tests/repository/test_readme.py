"""The README says what is true: its table is the course, its commands run as they are written."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest

from datahall.course import catalogue

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
# How each command of the README is proven. A new command needs a line here.
PROVEN = {
    "make run": "test_make_run_works_in_a_fresh_clone",
    "make lab": "test_make_lab_opens_jupyterlab",
    "make test": "CI itself: .ci/run is make test in a fresh clone",
    "datahall run 03 --preset full -p seed=1": "test_the_long_command_runs",
    "datahall run 03 --list-parameters": "test_a_quick_command_runs_as_written",
    "papermill notebooks/03_training.ipynb out.ipynb -p epochs 1": "test_papermill_works",
    "papermill --engine datahall notebooks/01_convolution.ipynb out.ipynb -p images 20": (
        "test_papermill_works"
    ),
}
QUICK = [command for command, how in PROVEN.items() if how.startswith("test_a_quick")]


def commands(text: str) -> list[str]:
    """Return the commands in the fenced blocks of a page, their comments taken off."""
    blocks = re.findall(r"(?ms)^```(?:console|sh|bash)\n(.*?)^```", text)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line and line[0] != "#"]


def environment(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a learner whose PATH has the environment, with a home of its own."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "DATAHALL_HOME": str(tmp_path / "home")}


def call(command: str, cwd: Path, tmp_path: Path, timeout: float = 280) -> str:
    """Run a command as it is written; return what it prints."""
    done = subprocess.run(
        shlex.split(command),
        cwd=cwd,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    """The module that makes the table."""
    spec = importlib.util.spec_from_file_location("tools_readme", ROOT / "tools" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone of this checkout's last commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so that no clone of it can be made")
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "clone")], check=True)
    return tmp_path / "clone"


def test_the_course_table_is_that_of_the_catalogue(readme: ModuleType):
    assert readme.with_table(README, ROOT) == README, "make fix"


def test_the_course_table_has_one_short_line_a_module(readme: ModuleType):
    lines = readme.table(ROOT).splitlines()[2:]
    assert len(lines) == len(catalogue.load().modules)
    assert max(map(len, lines)) < 250


def test_the_decisions_have_one_format_and_an_index(readme: ModuleType):
    folder = ROOT / "docs" / "decisions"
    assert (folder / "README.md").read_text(encoding="utf-8") == readme.index(folder), "make fix"
    for page in sorted(folder.glob("0*.md")):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]} "), page.name
        assert re.search(r"(?m)^Status: (accepted|replaced by \d{4})\.$", text), page.name
        assert re.findall(r"(?m)^## (.*)", text) == ["Context", "Decision", "Consequences"], (
            page.name
        )
        words = re.sub(r"(?m)^(#|Status:).*$", "", text).split()
        assert len(words) <= 200, f"{page.name} has {len(words)} words: one page is one reason"


def test_files_of_the_course_are_those_of_the_catalogue():
    meant = {name for notebook in catalogue.load().notebooks for name in notebook.files().values()}
    there = {
        f"{folder}/{path.name}"
        for folder in ("notebooks", "labs", "solutions")
        for path in (ROOT / folder).glob("*.ipynb")
    }
    assert there - meant == set(), "a file that course.toml does not know"
    assert meant - there == set(), "a file that course.toml promises"


def test_each_module_with_a_lecture_has_its_package_and_tests():
    for module in catalogue.load().modules:
        lectures = [ROOT / notebook.files()["lecture"] for notebook in module.notebooks]
        # Module 00 has a lecture only.
        if module.slug != "start_here" and any(lecture.exists() for lecture in lectures):
            assert (ROOT / "datahall" / module.slug / "core.py").exists(), module.slug
            assert list((ROOT / "tests/concepts").glob(f"test_{module.slug}*.py")), module.slug


def test_every_command_of_the_readme_is_proven_somewhere():
    assert set(commands(README)) == set(PROVEN)


def test_every_verb_that_a_page_names_exists():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    verbs = set(re.findall(r"(?m)^make ([a-z-]+)", listed.stdout))
    help_text = subprocess.run(
        [BIN / "datahall", "--help"], capture_output=True, text=True, check=True
    ).stdout
    ours = set(re.findall(r"(?m)^  ([a-z]+)  ", help_text))
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"(?m)(?:^|`)make ([a-z-]+)", text)) <= verbs, page.name
        if "decisions" not in page.parts:  # a decision may name what was rejected
            assert set(re.findall(r"(?m)(?:^|`|bin/)datahall ([a-z]+)", text)) <= ours, page.name


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_runs_as_written(command: str, tmp_path: Path):
    assert "epochs" in call(command, ROOT, tmp_path)


@pytest.mark.parametrize("engine", [False, True], ids=["alone", "with our engine"])
def test_papermill_works_from_another_folder(tmp_path: Path, engine: bool):
    (command,) = [
        line
        for line in commands(README)
        if line.startswith("papermill") and ("--engine datahall" in line) == engine
    ]
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    call(command, tmp_path, tmp_path)
    assert (tmp_path / "out.ipynb").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_long_command_runs(tmp_path: Path):
    (command,) = [line for line in commands(README) if "--preset full" in line]
    call(f"{command} --output-dir {tmp_path}", ROOT, tmp_path, timeout=1800)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_make_run_works_in_a_fresh_clone(clone: Path, tmp_path: Path):
    call("make run", clone, tmp_path, timeout=1800)
    assert (clone / "build" / "latest" / "report.html").stat().st_size > 10_000
    assert (clone / "build" / "latest" / "results.json").exists()
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""  # running writes nothing that git would see


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_make_fix_changes_nothing_in_a_fresh_clone(clone: Path, tmp_path: Path):
    call("make fix", clone, tmp_path, timeout=900)
    call("git diff --exit-code", clone, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_make_lab_opens_jupyterlab(tmp_path: Path):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    log = tmp_path / "lab.log"
    variables = {**environment(tmp_path), "BROWSER": "true"}  # a browser that does nothing
    with log.open("w") as file:
        server = subprocess.Popen(
            ["make", "lab"],
            cwd=ROOT,
            env=variables,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = wait_for_address(log)
        with urllib.request.urlopen(address, timeout=30) as page:  # noqa: S310 - our own server
            assert page.status == 200
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def wait_for_address(log: Path) -> str:
    """Return the address that JupyterLab prints."""
    for _ in range(600):
        found = re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab\S*", log.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"no address was printed: {log.read_text()[-2000:]}")
