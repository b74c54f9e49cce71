"""Every check of the course against its bank: each answer, its verdict and its message."""

from collections.abc import Callable
from typing import Any

import pytest

from datahall.checking import Check, Wrong, all_checks
from datahall.course import catalogue

CHECKS = all_checks()
pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:keras"),
]


def name_of(answer: Any) -> str:
    return getattr(answer, "__name__", type(answer).__name__)


def named(check: Check, answer: Any) -> Any:
    return pytest.param(
        check, answer, id=f"{check.exercise}-{name_of(getattr(answer, 'answer', answer))}"
    )


EACH_CHECK = pytest.mark.parametrize(
    "check", [pytest.param(check, id=check.exercise) for check in CHECKS]
)


def test_the_course_has_checks():
    assert len(CHECKS) >= 6


def test_each_exercise_has_one_check():
    numbers = [check.exercise for check in CHECKS]
    assert len(set(numbers)) == len(numbers)


@EACH_CHECK
def test_a_bank_holds_two_right_and_three_wrong_answers(check: Check):
    assert len(check.bank.right) >= 2 and len(check.bank.wrong) >= 3
    ideas = [wrong.idea for wrong in check.bank.wrong]
    assert len(set(ideas)) == len(ideas) and all(ideas)


@EACH_CHECK
def test_a_check_has_all_that_its_lab_and_fact_sheet_need(check: Check):
    assert check.points > 0 and check.minutes > 0 and 1 <= check.difficulty <= 5
    known = catalogue.load().notebooks
    assert check.lab in {name for notebook in known for name in (notebook.stem, notebook.lab)}
    assert check.lab.startswith(check.exercise[:2])
    assert check.steps and all(step.idea for step in check.steps)


@pytest.mark.parametrize(
    ("check", "answer"), [named(check, answer) for check in CHECKS for answer in check.bank.right]
)
def test_a_right_answer_passes_with_full_points(check: Check, answer: Callable[..., Any]):
    verdict = check.judge(answer)
    assert (verdict.state, verdict.points) == ("passed", check.points), verdict.message
    assert verdict.note == "", "it was not judged in the child that learners get"


@pytest.mark.parametrize(
    ("check", "wrong"), [named(check, wrong) for check in CHECKS for wrong in check.bank.wrong]
)
def test_a_wrong_answer_is_refused_with_the_message_meant_for_it(check: Check, wrong: Wrong):
    verdict = check.judge(wrong.answer)
    assert verdict.state == "wrong" and verdict.points < check.points
    assert wrong.says in verdict.message
    assert verdict.note == "", "it was not judged in the child that learners get"


@EACH_CHECK
def test_a_stub_is_not_attempted(check: Check):
    def stub(*args, **kwargs):
        raise NotImplementedError("replace this line with your answer")

    verdict = check.judge(stub)
    assert (verdict.state, verdict.points) == ("not attempted", 0.0), verdict.message
