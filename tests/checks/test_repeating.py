"""What is asked of an answer again: the same call at once, and tests that differ by chance."""

import itertools
import time

import pytest

from datahall.checking import Bank, Example, Property, Trap, Wrong

from .places import check, forgets_the_first, places

pytestmark = pytest.mark.processes

STEPS = [Example((3, 1), idea="Draw it."), Trap("a stride", (8, 3), {"stride": 2}, idea="…")]


def test_an_answer_that_is_wrong_when_it_is_called_twice_in_a_row_is_told_so():
    last = [()]

    def not_at_once(size, kernel, *, stride=1):
        again, last[0] = last[0] == (size, kernel, stride), (size, kernel, stride)
        return places(size, kernel, stride=stride) + again

    verdict = check(steps=STEPS)(not_at_once)
    assert "although the same call was right before" in verdict.message


def race(answer):
    """Say what a test of processes says: which of them fails first is chance."""
    return None if answer(3, 1) == 3 else f"process {next(TURNS)} failed first"


TURNS = itertools.count()


def test_an_idea_is_told_whatever_part_of_a_test_of_processes_fails_first():
    bank = Bank([], [Wrong(forgets_the_first, "Count the first place too.", "gaps")])
    for steady, told in ((False, True), (True, False)):
        steps = [*STEPS, Property("runs", race, idea="Look.", steady=steady)]
        message = check(steps=steps, bank=bank, isolated=False).judge(forgets_the_first).message
        assert message.endswith("Count the first place too.") is told


def test_a_test_that_lacks_time_when_it_is_repeated_says_nothing_of_the_answer():
    calls = itertools.count()

    def slow_at_last(answer):
        if next(calls):
            time.sleep(4)  # the machine is busy: longer than a call may take
        return None if answer(3, 1) == 3 else "wrong"

    steps = [*STEPS, Property("runs", slow_at_last, idea="Look.")]
    verdict = check(steps=steps, isolated=False, seconds=1.0).judge(places)
    assert verdict.state == "passed", verdict.message
