"""The learner's copies: made once, never overwritten, reset with the old answer kept."""

import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from datahall.course.exits import InputError, MachineError
from datahall.course.labs.copies import Desk, is_writable, work_folder

from .labs import SOLVED, STEM, STUB, WRONG, checkout, write

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.delenv("DATAHALL_WORK", raising=False)
    return Desk(checkout(tmp_path / "course"))


def write_answers(path, first):
    notebook = nbformat.read(path, 4)
    next(cell for cell in notebook.cells if cell.id == "exercise-99-1").source = first
    nbformat.write(notebook, path)
    return path


def answer(path, number):
    cells = {cell.id: cell for cell in nbformat.read(path, 4).cells}
    return cells[f"exercise-99-{number}"].source


def test_the_first_opening_copies_the_lab_and_the_next_keeps_the_copy(desk):
    copy = desk.open(STEM)
    assert copy == desk.root / "work" / "labs" / f"{STEM}.ipynb" and answer(copy, 1) == STUB.format(
        1
    )
    write(copy, SOLVED, None)
    assert desk.open(STEM) == copy and answer(copy, 1) == SOLVED
    assert stat.S_IMODE(copy.stat().st_mode) & 0o600 == 0o600


def test_a_fresh_copy_is_numbered_and_becomes_the_current_one(desk):
    copy = desk.open(STEM)
    write(copy, SOLVED, None)
    second, third = desk.fresh(STEM), desk.fresh(STEM)
    assert [path.name for path in (second, third)] == [f"{STEM}-2.ipynb", f"{STEM}-3.ipynb"]
    assert answer(copy, 1) == SOLVED and answer(third, 1) == STUB.format(1)
    assert desk.current(STEM) == third == desk.open(STEM)


def test_two_fresh_copies_at_the_same_moment_do_not_overwrite_each_other(desk):
    desk.open(STEM)
    later = desk.work / "labs" / f"{STEM}-2.ipynb"
    write(later, SOLVED, None)
    desk._copy(STEM, "labs", later)
    assert answer(later, 1) == SOLVED


def test_a_reset_puts_one_exercise_back_and_keeps_the_old_answer_below(desk):
    copy = write(desk.open(STEM), SOLVED, WRONG)
    assert desk.reset(STEM, "99.1") == copy
    assert answer(copy, 1) == STUB.format(1) and answer(copy, 2) == WRONG
    cells = nbformat.read(copy, 4).cells
    kept = cells[[cell.id for cell in cells].index("exercise-99-1") + 1]
    assert kept.cell_type == "raw" and SOLVED in kept.source


def test_two_resets_keep_two_answers_and_an_untouched_exercise_keeps_none(desk):
    copy = write(desk.open(STEM), SOLVED, None)
    desk.reset(STEM, "99.1")
    desk.reset(STEM, "99.1")
    notebook = nbformat.read(copy, 4)
    next(cell for cell in notebook.cells if cell.id == "exercise-99-1").source = WRONG
    nbformat.write(notebook, copy)
    desk.reset(STEM, "99.1")
    ids = [cell.id for cell in nbformat.read(copy, 4).cells if cell.id.startswith("kept")]
    assert sorted(ids) == ["kept-exercise-99-1-1", "kept-exercise-99-1-2"]
    nbformat.validate(nbformat.read(copy, 4))


def test_an_exercise_that_the_learner_deleted_comes_back_in_its_place(desk):
    copy = desk.open(STEM)
    notebook = nbformat.read(copy, 4)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "exercise-99-2"]
    nbformat.write(notebook, copy)
    desk.reset(STEM, "99.2")
    ids = [cell.id for cell in nbformat.read(copy, 4).cells]
    assert ids.index("exercise-99-2") == ids.index("about-99-2") + 1


def test_an_unknown_exercise_names_those_that_there_are(desk):
    with pytest.raises(InputError, match=r"no exercise '99\.7'\. It has 99\.1, 99\.2\."):
        desk.reset(STEM, "99.7")


def test_a_copy_knows_when_the_lab_has_changed(desk):
    copy = desk.open(STEM)
    assert not desk.is_outdated(copy) and desk.outdated() == []
    write(desk.root / "labs" / f"{STEM}.ipynb", None, None, None)
    assert desk.is_outdated(copy) and desk.outdated() == [copy]


def test_an_update_takes_the_newer_lab_keeps_the_answers_and_a_backup(desk):
    copy = write_answers(desk.open(STEM), SOLVED)
    write(desk.root / "labs" / f"{STEM}.ipynb", None, None, None)
    before = copy.read_bytes()
    told = desk.update(copy, dry_run=True)
    assert copy.read_bytes() == before and (told.kept, told.taken) == (1, 3)
    desk.update(copy)
    assert answer(copy, 1) == SOLVED and answer(copy, 3) == STUB.format(3)
    assert not desk.is_outdated(copy)
    (kept,) = desk.before.glob("*.ipynb")
    assert kept.read_bytes() == before
    desk.update(copy)
    assert len(list(desk.before.glob("*.ipynb"))) == 2, "no backup takes another's place"


def test_a_copy_that_is_updated_twice_is_merged_against_what_it_was_updated_to(desk):
    copy = write_answers(desk.open(STEM), SOLVED)
    for labs in ((None, None, None), (None, None, None, None), (None,)):
        write(desk.root / "labs" / f"{STEM}.ipynb", *labs)
        merged = desk.update(copy)
        assert (merged.kept, merged.both) == (1, 0)
    assert answer(copy, 1) == SOLVED
    assert "exercise-99-2" not in [cell.id for cell in nbformat.read(copy, 4).cells]


DAMAGED = {
    "empty": b"",
    "no JSON": b"{",
    "another thing": b"[]",
    "too deep": b"[" * 100_000,
    "not UTF-8": "ü".encode("latin-1"),
    "cells that are none": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [null]}',
    "an id that is none": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": '
    b'[{"cell_type": "raw", "id": 3, "source": "", "metadata": {}}]}',
    "strange metadata": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {"datahall": 3}, '
    b'"cells": []}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_copy_is_told_and_left_as_it_is(desk, content):
    copy = desk.open(STEM)
    copy.write_bytes(content)
    assert list(desk.damaged()) == [copy]
    assert desk.outdated() == []
    for act in (lambda: desk.update(copy), lambda: desk.reset(STEM, "99.1")):
        with pytest.raises(InputError, match="is not a notebook"):
            act()
    assert copy.read_bytes() == content
    copy.rename(copy.with_name("moved.txt"))
    assert answer(desk.open(STEM), 1)  # moved away, it is opened anew


def test_a_folder_of_a_copys_name_is_told(desk):
    (desk.work / "labs" / f"{STEM}.ipynb").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be read"):
        desk.update(desk.open(STEM))


def test_a_copy_with_a_byte_order_mark_without_ids_or_with_half_a_letter_is_read(desk):
    copy = desk.open(STEM)
    notebook = json.loads(copy.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        del cell["id"]
    notebook["cells"][0]["source"] = "\ud800"
    copy.write_text("\ufeff" + json.dumps(notebook), encoding="utf-8")
    desk.update(copy)
    assert "?" in copy.read_text(encoding="utf-8")


@pytest.mark.parametrize("version", ["x" * 5000, "../../labs/99_places_lab", 3])
def test_a_strange_version_in_a_copy_leads_nowhere(desk, version):
    copy = desk.open(STEM)
    notebook = nbformat.read(copy, 4)
    notebook.metadata["datahall"]["version"] = version
    nbformat.write(notebook, copy)
    assert desk.update(copy).kept == 0


def test_a_full_disk_during_an_update_leaves_the_copy_as_it_was(desk):
    copy = write_answers(desk.open(STEM), SOLVED)
    before = copy.read_bytes()
    room = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, room[1]))  # no file may grow beyond it
    try:
        with pytest.raises(MachineError, match="No backup"):
            desk.update(copy)
        with pytest.raises(MachineError, match="cannot be written"):
            desk.fresh(STEM)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, room)
    assert copy.read_bytes() == before
    assert [path.name for path in desk.work.rglob("*.ipynb") if ".datahall" not in path.parts] == [
        copy.name
    ]


def test_a_copy_starts_without_the_outputs_of_others(desk):
    lecture = desk.root / "notebooks" / "99_places.ipynb"
    cell = new_code_cell("2", id="two", outputs=[new_output("stream", text="2")])
    cell.execution_count = 1
    nbformat.write(new_notebook(cells=[cell]), lecture)
    (taken,) = nbformat.read(desk.open("99_places", "notebooks"), 4).cells
    assert taken.outputs == [] and taken.execution_count is None


def test_what_is_opened_is_copied_into_its_room_once(desk):
    for path in (f"labs/{STEM}.ipynb", "notebooks/99_places.ipynb"):
        desk.take(path)
        assert (desk.work / path).is_file()
    write_answers(desk.work / "labs" / f"{STEM}.ipynb", SOLVED)
    desk.take(f"labs/{STEM}.ipynb")
    assert answer(desk.current(STEM), 1) == SOLVED
    for strange in ("labs/nowhere.ipynb", f"labs/../labs/{STEM}.ipynb", "pyproject.toml", "labs"):
        desk.take(strange)
    assert len(list(desk.work.glob("*/*.ipynb"))) == 2


def test_copies_of_an_earlier_course_move_into_their_rooms_and_nothing_is_replaced(desk):
    desk.work.mkdir()
    for name in (f"{STEM}.ipynb", f"{STEM}-2.ipynb", "mine.ipynb"):
        write(desk.work / name, SOLVED, None)
    write(desk.work / "labs" / f"{STEM}-2.ipynb", WRONG, None)
    desk.settle()
    assert answer(desk.work / "labs" / f"{STEM}.ipynb", 1) == SOLVED
    assert answer(desk.work / "labs" / f"{STEM}-2.ipynb", 1) == WRONG
    assert answer(desk.work / f"{STEM}-2.ipynb", 1) == SOLVED
    assert (desk.work / "mine.ipynb").is_file()


def test_the_work_folder_can_be_chosen_and_leaves_a_checkout_that_cannot_be_written(
    desk, tmp_path, monkeypatch
):
    assert work_folder(desk.root) == desk.root / "work"
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path / "home"))
    (desk.root / "work").write_text("a file in the way")
    assert work_folder(desk.root) == tmp_path / "home" / "work"
    monkeypatch.setenv("DATAHALL_WORK", str(tmp_path / "mine"))
    assert work_folder(desk.root) == tmp_path / "mine"


def test_a_work_folder_that_cannot_be_made_names_the_way_out(desk, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="Set DATAHALL_WORK to a folder"):
        Desk(desk.root, tmp_path / "file" / "work").open(STEM)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place nobody writes: /proc")
def test_a_read_only_place_is_noticed_even_by_root(tmp_path):
    assert not is_writable(Path("/proc/self")) and is_writable(tmp_path / "a" / "b")


def test_a_read_only_checkout_has_its_copies_elsewhere(desk, tmp_path):
    script = (
        "from pathlib import Path\nfrom datahall.course.labs.copies import Desk\n"
        f"desk = Desk(Path({str(desk.root)!r}))\n"
        f"for path in ('labs/{STEM}.ipynb', 'notebooks/99_places.ipynb'):\n"
        "    desk.take(path)\n    print(desk.work / path, (desk.work / path).is_file())\n"
    )
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$1" -c "$2"'
    home = tmp_path / "home"
    run = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, str(desk.root), sys.executable, script],
        env=os.environ | {"DATAHALL_HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "unshare failed" in run.stderr or "Operation not permitted" in run.stderr:
        pytest.skip("this system lets nobody mount: needs user namespaces")
    assert run.stdout.splitlines() == [
        f"{home / 'work' / 'labs' / STEM}.ipynb True",
        f"{home / 'work' / 'notebooks' / '99_places'}.ipynb True",
    ], run.stderr
