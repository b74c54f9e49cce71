"""A hit only where everything is as it was: each ingredient is changed, one at a time.

The notebooks are small and stand for lectures of the course; their kernels are real.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from datahall import state
from datahall.course import catalogue
from datahall.course.notebooks import sources
from datahall.course.run import cache, parameters
from datahall.course.run.execute import complete
from datahall.course.run.folder import RunFolder
from datahall.course.run.plan import Item
from datahall.course.run.results import NotebookRun
from datahall.course.run.schedule import Schedule, Settings
from datahall.course.run.view import View

Write = Callable[..., Path]
ENTRY = catalogue.load().find("00_start_here")[0]
STAYS = """
import os, pathlib, sys
sys.path.insert(0, {here!r})
import helper
top = pathlib.Path({here!r})
text = (top / "table.csv").read_text()
there = (top / "later.csv")
try:
    more = there.read_text()
except OSError:
    more = ""
names = sorted(os.listdir(top / "folder"))
print(helper.value, text, more, names, n, os.environ.get("DATAHALL_COLOUR"))
"""


class Course:
    """A folder with a lecture, what it reads, and a way to run it with the cache."""

    def __init__(self, here: Path, write_notebook: Write, zygotes: dict[str, str]) -> None:
        self.here, self.out, self.zygotes = here / "course", here / "out", zygotes
        (self.here / "folder").mkdir(parents=True)
        (self.here / "table.csv").write_text("1")
        (self.here / "helper.py").write_text("value = 1")
        (self.here / "folder" / "a.txt").write_text("")
        cell = STAYS.format(here=str(self.here))
        self.path = write_notebook(self.here / "lecture.ipynb", "# parameters\nn: int = 1", cell)

    def run(self, *items: Item, pages: bool = False, **given: object) -> dict[str, NotebookRun]:
        """Run notebooks, the lecture if none is given."""
        plan = items or (item(self.path, **given),)
        folder = RunFolder(self.out)
        try:
            settings = Settings(jobs=2, pages=pages, timeout_s=60)
            schedule = Schedule(
                plan, folder, settings, View(), None, zygotes=self.zygotes, cached=True
            )
            complete(schedule.run())
            folder.publish()
            return {run.name: run for run in schedule.runs}
        finally:
            folder.drop_scratch()


def item(path: Path, *needs: str, preset: str = "smoke", **given: object) -> Item:
    """Return a notebook of a plan as if it were a lecture of the course."""
    source = sources.read(path)
    return Item(path.stem, source, ENTRY, preset, parameters.check(source, given), needs)


@pytest.fixture
def course(
    tmp_path: Path,
    write_notebook: Write,
    monkeypatch: pytest.MonkeyPatch,
    zygotes: dict[str, str],
) -> Course:
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAHALL_COLOUR", "red")
    return Course(tmp_path, write_notebook, zygotes)


def edit_cell(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    book = nbformat.read(course.path, 4)
    book.cells[-1].source += "\n# a word"
    nbformat.write(book, course.path)


def touch_lock(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_lock", lambda: "another lock")


def other_packages(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "installed", lambda: [["numpy", 1]])


def other_data(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.datasets, "digest", lambda name: f"another {name}")


def other_machine(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    here = cache.runtime.fingerprint()
    monkeypatch.setattr(cache.runtime, "fingerprint", lambda: {**here, "cpu": "another"})


def other_executor(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_digest_of_folder", lambda folder: "another")


CHANGES: dict[str, Callable[[Course, pytest.MonkeyPatch], object]] = {
    "a code cell": edit_cell,
    "a file it read": lambda c, _: (c.here / "table.csv").write_text("2"),
    "a module it imported": lambda c, _: (c.here / "helper.py").write_text("value = 2"),
    "a file it missed": lambda c, _: (c.here / "later.csv").write_text("here now"),
    "the names in a folder it listed": lambda c, _: (c.here / "folder" / "b.txt").write_text(""),
    "a variable of the environment": lambda c, m: m.setenv("DATAHALL_COLOUR", "blue"),
    "a variable that libraries read": lambda c, m: m.setenv("OMP_NUM_THREADS", "1"),
    "the lock": touch_lock,
    "the installed packages": other_packages,
    "a data set": other_data,
    "the machine": other_machine,
    "the executor": other_executor,
}


def test_a_changed_ingredient_is_no_hit(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [course.run()["lecture"].cached for _ in range(2)] == [False, True]
    for what, change in CHANGES.items():
        change(course, monkeypatch)
        assert [course.run()["lecture"].cached for _ in range(2)] == [False, True], what
    (course.here / "table.csv").unlink()
    assert course.run()["lecture"].status == "failed"


def test_what_ran_warm_is_given_back_cold_and_the_reverse(course: Course) -> None:
    held = course.zygotes
    for zygotes in (held, {}):
        course.zygotes = zygotes
        assert [course.run()["lecture"].cached for _ in range(2)] == [not zygotes, True]
    (course.here / "helper.py").write_text("value = 2")
    assert [course.run()["lecture"].cached for _ in range(2)] == [False, True]
    course.zygotes = held
    assert course.run()["lecture"].cached


def test_other_parameters_or_another_preset_are_no_hit(course: Course) -> None:
    course.run(n=3)
    assert course.run(n=3)["lecture"].cached
    assert not course.run(n=4)["lecture"].cached
    assert not course.run()["lecture"].cached
    assert not course.run(item(course.path, preset="full", n=3))["lecture"].cached


def test_a_hit_brings_back_outputs_and_results_with_the_prose_of_today(course: Course) -> None:
    first = course.run(pages=True)["lecture"]
    book = nbformat.read(course.path, 4)
    book.cells[0].source = "# Told better"
    nbformat.write(book, course.path)
    again = course.run(pages=True)["lecture"]
    assert again.cached
    assert replace(again, cached=False) == first
    folder = max(course.out.glob("2*"), key=lambda path: path.stat().st_mtime_ns)
    executed = nbformat.read(folder / "notebooks" / "lecture.ipynb", 4)
    assert executed.cells[0].source == "# Told better"
    assert executed.cells[-1].outputs[0].text == "1 1  ['a.txt'] 1 red\n"
    assert executed.metadata["datahall"]["cached"] is True
    assert "Told better" in (folder / "notebooks" / "lecture.html").read_text()


@pytest.mark.parametrize(
    "cell",
    [
        "import socket\nsocket.socket().close()",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])",
        "import os\nos.system('true')",
        "import os\npid = os.fork()\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0);",
        "!true",
    ],
)
def test_a_notebook_that_opened_a_socket_or_started_a_process_is_not_kept(
    course: Course, write_notebook: Write, cell: str
) -> None:
    path = write_notebook(course.here / "starts.ipynb", cell)
    for _ in range(2):
        (run,) = course.run(item(path)).values()
        assert (run.status, run.cached) == ("passed", False)


def test_a_notebook_that_failed_is_not_kept(course: Course, write_notebook: Write) -> None:
    path = write_notebook(course.here / "fails.ipynb", "1 / 0")
    assert [course.run(item(path))["fails"].status for _ in range(2)] == ["failed", "failed"]
    assert not list((state.data_folder() / "cache" / "runs").glob("*"))


MAKES = """
import os, pathlib
folder = pathlib.Path(os.environ["DATAHALL_HOME"], "artifacts")
folder.mkdir(exist_ok=True)
(folder / ".net.part").write_text(pathlib.Path({here!r}, "table.csv").read_text())
os.replace(folder / ".net.part", folder / "net.txt")
"""
USES = """
import os, pathlib
print(pathlib.Path(os.environ["DATAHALL_HOME"], "artifacts", "net.txt").read_text())
"""


def test_what_a_need_made_is_restored_and_counts(course: Course, write_notebook: Write) -> None:
    makes = write_notebook(course.here / "makes.ipynb", MAKES.format(here=str(course.here)))
    uses = write_notebook(course.here / "uses.ipynb", USES)
    third = write_notebook(course.here / "third.ipynb", USES + "\n# again")

    def run() -> list[bool]:
        plan = (item(makes), item(uses, "makes"), item(third, "uses"))
        found = course.run(*plan)
        assert {run.status for run in found.values()} == {"passed"}
        return [found[name].cached for name in ("makes", "uses", "third")]

    assert run() == [False, False, False]
    assert run() == [True, True, True]
    book = nbformat.read(third, 4)
    book.cells[-1].source += "\n# edited"
    nbformat.write(book, third)
    assert run() == [True, True, False]  # and it found what `makes` had made
    (course.here / "table.csv").write_text("other weights")
    assert run() == [False, False, False]


def test_a_damaged_entry_is_no_hit(course: Course) -> None:
    course.run()
    (entry,) = (state.data_folder() / "cache" / "runs").glob("*/entry.json")
    whole = entry.read_text()
    for damage in ("", "{}", whole[: len(whole) // 2], whole.replace('"seen"', '"sawn"')):
        entry.write_text(damage)
        assert not course.run()["lecture"].cached
        (entry,) = (state.data_folder() / "cache" / "runs").glob("*/entry.json")


def test_clean_empties_the_cache(course: Course, datahall: Callable[..., object]) -> None:
    course.run()
    said = datahall("clean", "--output-dir", course.out)
    assert said.code == 0
    assert "1 cached" in said.out
    assert not course.run()["lecture"].cached
