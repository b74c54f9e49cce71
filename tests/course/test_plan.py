"""Plans: which files a word means, in which order they run, and what each one waits for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datahall.course import catalogue
from datahall.course.catalogue import Catalogue
from datahall.course.exits import InputError
from datahall.course.run import plan, runner
from datahall.errors import ParameterError

Write = Callable[..., Path]

COURSE = """
[course]
title = "A course"
version = "1"
[[module]]
number = 1
slug = "waves"
title = "Waves"
result = "a wave"
[[module.notebook]]
stem = "01_waves"
title = "A wave"
lab = "01_waves_lab"
[module.notebook.presets.smoke]
steps = 3
[[module.notebook]]
stem = "01_waves_more"
title = "More waves"
needs = ["01_waves"]
[[module]]
number = 2
slug = "echoes"
title = "Echoes"
result = "an echo"
needs = ["waves"]
[[module.notebook]]
stem = "02_echoes"
title = "An echo"
[[module.notebook]]
stem = "02_echoes_late"
title = "Not written yet"
"""
PARAMETERS = "# parameters\nsteps: int = 100  # steps"


@pytest.fixture
def checkout(tmp_path: Path, write_notebook: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "solutions").mkdir()
    (tmp_path / "course.toml").write_text(COURSE)
    course: Catalogue = catalogue.load(tmp_path / "course.toml")
    for stem in ("01_waves", "01_waves_more", "02_echoes"):
        write_notebook(tmp_path / "notebooks" / f"{stem}.ipynb", PARAMETERS, "print(steps)")
    write_notebook(tmp_path / "solutions" / "01_waves_solution.ipynb", "print(1)")
    monkeypatch.setattr(catalogue, "load", lambda: course)
    monkeypatch.setattr(catalogue, "repository_root", lambda: tmp_path)
    return tmp_path


def names(items: tuple[plan.Item, ...]) -> list[str]:
    return [item.name for item in items]


@pytest.mark.usefixtures("checkout")
def test_no_word_means_every_lecture_that_exists_in_order() -> None:
    assert names(plan.make([])) == ["01_waves", "01_waves_more", "02_echoes"]


@pytest.mark.usefixtures("checkout")
def test_words_are_put_in_the_order_of_the_course_each_once() -> None:
    assert names(plan.make(["02", "waves", "01_waves"])) == [
        "01_waves",
        "01_waves_more",
        "02_echoes",
    ]


def test_notebooks_outside_the_course_come_last_in_their_own_order(
    checkout: Path, write_notebook: Write
) -> None:
    own = [write_notebook(checkout / f"{name}.ipynb", "x = 1") for name in ("z", "a")]
    items = plan.make([*own, "01_waves"])
    assert names(items) == ["01_waves", "z", "a"]
    assert items[1].entry is None


@pytest.mark.usefixtures("checkout")
def test_a_notebook_waits_for_its_needs_and_its_modules_needs() -> None:
    needs = {item.name: item.needs for item in plan.make([])}
    assert needs == {
        "01_waves": (),
        "01_waves_more": ("01_waves",),
        "02_echoes": ("01_waves", "01_waves_more"),
    }


@pytest.mark.usefixtures("checkout")
def test_a_need_that_is_not_part_of_the_run_is_not_waited_for() -> None:
    assert plan.make(["02"])[0].needs == ()


@pytest.mark.usefixtures("checkout")
def test_a_preset_gives_parameters_and_the_command_line_goes_before_it() -> None:
    (item,) = plan.make(["01_waves"], preset="smoke")
    assert (item.preset, item.parameters) == ("smoke", {"steps": 3})
    (item,) = plan.make(["01_waves"], preset="smoke", given={"steps": "7"})
    assert item.parameters == {"steps": 7}
    (item,) = plan.make(["01_waves"])
    assert item.parameters == {}


def test_a_preset_that_names_an_unknown_parameter_is_refused(
    checkout: Path, write_notebook: Write
) -> None:
    write_notebook(checkout / "notebooks" / "01_waves.ipynb", "# parameters\nstep: int = 1")
    with pytest.raises(
        ParameterError, match=r"01_waves has no parameter 'steps' .from preset smoke in course.toml"
    ):
        plan.make(["01_waves"], preset="smoke")


def test_a_solution_is_meant_by_its_stem_and_takes_no_preset(checkout: Path) -> None:
    (item,) = plan.make(["01_waves_solution"], preset="smoke")
    assert item.source.path == checkout / "solutions" / "01_waves_solution.ipynb"
    assert item.parameters == {}


@pytest.mark.usefixtures("checkout")
def test_a_notebook_that_is_not_written_yet_is_refused() -> None:
    with pytest.raises(InputError, match=r"02_echoes_late.ipynb does not exist"):
        plan.make(["02_echoes_late"])


def test_what_needs_a_failed_notebook_is_not_started(checkout: Path, write_notebook: Write) -> None:
    write_notebook(checkout / "notebooks" / "01_waves_more.ipynb", PARAMETERS, "1 / 0")
    found = runner.run([], keep_going=True, pages=False, output_dir=checkout / "out")
    assert [run.status for run in found.notebooks] == ["passed", "failed", "skipped"]
    failure = found["02_echoes"].failure
    assert failure is not None
    assert failure.message == "not started: it needs 01_waves_more, which did not pass"
