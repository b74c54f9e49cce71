"""Which checks there are, and the summary at the end of a lab."""

import sys
from types import ModuleType

import pytest

from datahall.checking import all_checks, checks_of, summary_for
from datahall.course import catalogue

from .places import check, forgets_the_first, places


@pytest.fixture
def summary():
    """The summary of a module of three checks in two labs, and the checks."""
    module = ModuleType("datahall.nothing.checks")
    module.third = check(lab="99_places_cost_lab")
    module.first, module.second = check(), check()
    for exercise, one in (("99.1", module.first), ("99.2", module.second), ("99.10", module.third)):
        one.exercise = exercise
    sys.modules[module.__name__] = module
    yield summary_for(module.__name__), module
    del sys.modules[module.__name__]


def test_a_summary_has_one_line_an_exercise_of_the_lab_and_the_total(summary):
    show, module = summary
    module.second(forgets_the_first)
    assert repr(show()).splitlines() == [
        "99.1  Count the places  not attempted  0 of 4 points",
        "99.2  Count the places  wrong          1 of 4 points",
        "0 of 2 exercises passed, 1 of 8 points",
    ]
    module.first(places)
    assert "1 of 2 exercises passed, 5 of 8 points" in show()._repr_html_()


def test_a_zygote_that_cannot_load_the_checks_is_not_the_answers_fault(summary, monkeypatch):
    from datahall.checking import forkserver

    _, module = summary
    # Another test may have imported TensorFlow here: then it would be forked, and loads nothing.
    monkeypatch.setattr(forkserver, "is_unused", lambda: False)
    monkeypatch.setattr(forkserver, "_running", {})  # or has one for this module
    with pytest.raises(forkserver.CannotTravelError, match="its process has ended"):
        forkserver.judged(module.second, places)
    assert module.second.module not in forkserver._running


def test_a_summary_without_any_check_shows_every_lab_in_order_of_number(summary):
    show, _ = summary
    assert [line.split()[0] for line in repr(show()).splitlines()] == ["99.1", "99.2", "99.10", "0"]
    assert len(repr(show("99_places_cost_lab")).splitlines()) == 2


def test_the_checks_of_a_concept_come_in_order_and_name_an_existing_lab():
    labs = {notebook.lab for notebook in catalogue.load().notebooks}
    found = checks_of("convolution")
    numbers = [int(one.exercise.split(".")[1]) for one in found]
    assert numbers == sorted(numbers) and len(numbers) >= 6
    assert {one.lab for one in found} <= labs


def test_a_concept_without_checks_has_none():
    assert checks_of("capstone") == [] == checks_of("no_such_concept")


def test_the_course_lists_the_checks_of_its_modules_in_order():
    modules = [one.exercise.split(".")[0] for one in all_checks()]
    assert modules == sorted(modules) and {"01", "02", "03"} <= set(modules)
    meant = {name for book in catalogue.load().notebooks for name in (book.stem, book.lab)}
    assert {one.lab for one in all_checks()} <= meant
