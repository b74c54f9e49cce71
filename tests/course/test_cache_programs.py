"""Programs of the course that a lecture starts are observed: what they read counts for a hit."""

from __future__ import annotations

import json
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from datahall.course.run import observing

from .test_cache import MAKES, USES, Course, course, item

__all__ = ["course"]
Write = Callable[..., Path]

STARTS = """
import os, signal, subprocess, sys
from datahall import programs
here = {here!r}
where = dict(os.environ, PYTHONPATH=here)
def run(module, *words):
    with subprocess.Popen(
        programs.command(module, *words), env=where, stdout=subprocess.PIPE, text=True
    ) as child:
        said = child.stdout.readline().strip()
        {end}
    return said, child.returncode
print(run("child", here))
"""
CHILD = """
import os, pathlib, sys, time
import ingredient
import _lsprof
here = pathlib.Path(sys.argv[1])
text = (here / "child.csv").read_text()
names = sorted(os.listdir(here / "folder"))
try:
    there = (here / "later.csv").read_text()
except OSError:
    there = ""
{more}
print(ingredient.value, text, names, there, __name__, sys.argv[1:] == [str(here)], flush=True)
{end}
"""
GRANDCHILD = """
import subprocess
from datahall import programs
command = programs.command("grandchild", str(here))
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip(), end=" ")
"""


def lecture(
    course: Course, write: Write, *, more: str = "", end: str = "", killed: str = ""
) -> Path:
    """Write a lecture that starts a program, and what the program reads."""
    (course.here / "ingredient.py").write_text("value = 'first'")
    (course.here / "child.csv").write_text("1")
    (course.here / "child.py").write_text(CHILD.format(more=more, end=end))
    (course.here / "grandchild.py").write_text(
        "import pathlib, sys\nprint(pathlib.Path(sys.argv[1], 'deep.csv').read_text())"
    )
    (course.here / "deep.csv").write_text("deep")
    name = f"_lsprof{sysconfig.get_config_var('EXT_SUFFIX')}"  # a module in C that nobody imports
    shutil.copyfile(Path(sysconfig.get_config_var("DESTSHARED"), name), course.here / name)
    cell = STARTS.format(here=str(course.here), end=killed or "pass")
    return write(course.here / "starts.ipynb", cell)


def cached(course: Course, path: Path) -> bool:
    """Run a lecture, which must pass; tell whether it was given back."""
    (run,) = course.run(item(path)).values()
    assert (run.status, run.failure) == ("passed", None)
    return run.cached


def append(path: Path) -> None:
    """Make a file other than it was: its loader does not mind a zero at the end."""
    path.write_bytes(path.read_bytes() + b"\0")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file it read": lambda here: (here / "child.csv").write_text("2"),
    "a module it imported": lambda here: (here / "ingredient.py").write_text("value = 'second'"),
    "a module in C": lambda here: append(next(here.glob("_lsprof*"))),
    "its own code": lambda here: (here / "child.py").write_text(
        (here / "child.py").read_text() + "\n"
    ),
    "a file it missed": lambda here: (here / "later.csv").write_text("here now"),
    "names in a folder it listed": lambda here: (here / "folder" / "b.txt").write_text(""),
    "a file that its own program read": lambda here: (here / "deep.csv").write_text("deeper"),
}
DEATHS = {
    "ends by itself": {},
    "is killed": {"end": "time.sleep(600)", "killed": "child.kill()"},
    "leaves at once": {"end": "os._exit(0)"},
}


@pytest.mark.parametrize("death", DEATHS)
def test_what_a_program_read_counts_however_it_ended(
    course: Course, write_notebook: Write, death: str
) -> None:
    path = lecture(course, write_notebook, more=GRANDCHILD, **DEATHS[death])
    assert not cached(course, path)
    assert cached(course, path)
    for what, change in CHANGES.items():
        change(course.here)
        assert not cached(course, path), what
        assert cached(course, path), what


UNSEEN = {
    "a process of its own": "import subprocess\nsubprocess.run([sys.executable, '-c', ''])",
    "a fork": "pid = os.fork()\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)",
    "a socket": "import socket\nsocket.socket().close()",
    "a shell": "os.system('true')",
}


@pytest.mark.parametrize("what", UNSEEN)
def test_a_program_that_starts_what_is_not_seen_makes_the_run_unfit(
    course: Course, write_notebook: Write, what: str
) -> None:
    path = lecture(course, write_notebook, more=UNSEEN[what])
    assert [cached(course, path) for _ in range(2)] == [False, False]


def test_what_a_program_made_is_restored(course: Course, write_notebook: Write) -> None:
    (course.here / "maker.py").write_text(MAKES.format(here=str(course.here)))
    cell = (
        "import os, subprocess\nfrom datahall import programs\n"
        f"where = dict(os.environ, PYTHONPATH={str(course.here)!r})\n"
        "subprocess.run(programs.command('maker'), env=where, check=True);"
    )
    makes = write_notebook(course.here / "makes.ipynb", cell)
    for more, cached in (("", False), ("# edited", True)):
        uses = write_notebook(course.here / "uses.ipynb", USES, more)
        found = course.run(item(makes), item(uses, "makes"))
        assert [run.status for run in found.values()] == ["passed", "passed"]
        assert [run.cached for run in found.values()] == [cached, False]


ODD = {
    "another command than the expected one": "command = [*programs.command('this'), 'more']",
    "the same command twice": "command = programs.command('this')\nsubprocess.run(command)",
    "another interpreter": "command = ['/bin/sh', '-c', 'true']\nprograms.command('this')",
}


@pytest.mark.parametrize("what", ODD)
def test_only_the_expected_program_is_trusted_once(
    course: Course, write_notebook: Write, what: str
) -> None:
    cell = f"import subprocess\nfrom datahall import programs\n{ODD[what]}\nsubprocess.run(command)"
    path = write_notebook(course.here / "odd.ipynb", cell)
    assert [cached(course, path) for _ in range(2)] == [False, False]


def test_a_program_that_outlives_the_lecture_makes_the_run_unfit(
    course: Course, write_notebook: Write
) -> None:
    lecture(course, write_notebook, end="time.sleep(600)")
    cell = (
        "import os, subprocess\nfrom datahall import programs\n"
        f"where = dict(os.environ, PYTHONPATH={str(course.here)!r})\n"
        f"command = programs.command('child', {str(course.here)!r})\n"
        "child = subprocess.Popen(command, env=where, stdout=subprocess.PIPE)\n"
        "child.stdout.readline();"
    )
    path = write_notebook(course.here / "leaves.ipynb", cell)
    assert [cached(course, path) for _ in range(2)] == [False, False]


@pytest.mark.parametrize("told", ["", '["opened", "/a"', '["unknown", "/a"]', "3", "[]"])
def test_a_program_that_told_nothing_or_half_is_as_good_as_unseen(
    tmp_path: Path, told: str
) -> None:
    file = tmp_path / "told"
    file.write_text(told)
    observer = observing.Observer(str(tmp_path / "target"), "")  # type: ignore[no-untyped-call]
    observer.add("programs", str(file))  # type: ignore[no-untyped-call]
    observer.finish()  # type: ignore[no-untyped-call]
    assert json.loads((tmp_path / "target").read_text())["started"]
