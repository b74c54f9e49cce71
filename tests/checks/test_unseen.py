"""Every check against answers that its bank does not hold, in the process that learners get."""

import pytest

from datahall.checking import all_checks

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
