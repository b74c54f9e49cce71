"""Every check against answers that its bank does not hold, in the process that learners get."""

import pytest

from datahall.checking import all_checks
from datahall.checking.bank import written

from .slips import NAMES, SLIPS
from .unseen import ANSWERS

pytestmark = pytest.mark.processes

CHECKS = {check.exercise: check for check in all_checks()}


@pytest.mark.parametrize(
    ("exercise", "answer", "ideas"),
    [pytest.param(*row, id=f"{row[0]}-{row[1].__name__}") for row in ANSWERS],
)
def test_an_answer_that_no_bank_holds_is_judged_fairly(exercise, answer, ideas):
    check = CHECKS[exercise]
    verdict = check.judge(answer)
    if ideas is None:
        assert verdict.state == "passed", verdict.message
        return
    assert verdict.state == "wrong", "a wrong answer passes"
    assert "This check failed" not in verdict.message
    told = [wrong.says for wrong in check.bank.wrong if wrong.says in verdict.message]
    assert all(any(idea in said for idea in ideas) for said in told), verdict.message


@pytest.mark.parametrize(
    ("exercise", "changes", "says", "ideas"),
    [pytest.param(*row, id=f"{row[0]}-{next(iter(row[1].values()))[:30]}") for row in SLIPS],
)
def test_a_slip_that_no_bank_holds_is_refused_without_a_wrong_idea(exercise, changes, says, ideas):
    check = CHECKS[exercise]
    verdict = check.judge(written(exercise, changes, NAMES))
    assert verdict.state == "wrong", "a wrong answer passes"
    assert says in verdict.message and "only their type" not in verdict.message
    assert "return line" not in verdict.message and "earlier call" not in verdict.message
    told = [wrong.says for wrong in check.bank.wrong if wrong.says in verdict.message]
    assert all(any(idea in said for idea in ideas) for said in told), verdict.message


@pytest.mark.parametrize("exercise", ["03.5", "03.4", "06.1"])
def test_our_own_class_or_function_is_no_answer(exercise):
    ours = CHECKS[exercise].reference
    answers = [ours] if not isinstance(ours, type) else [ours, type("StopEarly", (ours,), {})]
    for answer in answers:
        verdict = CHECKS[exercise].judge(answer)
        assert (verdict.state, verdict.points) == ("wrong", 0.0), verdict.message
        assert "our own solution" in verdict.message
