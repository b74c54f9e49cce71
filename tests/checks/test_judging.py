"""What a check says of an answer: the verdict, the points, the smallest case, the idea."""

import asyncio
import itertools
import time
from types import FunctionType

import numpy as np
import pytest
from hypothesis import strategies as st

from datahall.checking import Bank, Check, Example, Property, Search, Trap, Wrong
from datahall.errors import CheckFailed

from .places import BANK, by_counting, check, forgets_the_first, places, rounds_up

MODES = pytest.mark.parametrize("isolated", [True, False], ids=["in a child", "in the kernel"])


@MODES
@pytest.mark.parametrize("answer", BANK.right)
def test_a_right_answer_passes_with_full_points(answer, isolated):
    verdict = check(isolated=isolated)(answer)
    assert (verdict.state, verdict.points, verdict.message) == ("passed", 4.0, "")
    assert " ".join(str(verdict).split()) == "Exercise 99.1: passed 4 of 4 points"


@MODES
@pytest.mark.parametrize("wrong", BANK.wrong, ids=lambda wrong: wrong.answer.__name__)
def test_a_typical_mistake_is_told_its_own_idea(wrong, isolated):
    verdict = check(isolated=isolated)(wrong.answer)
    assert verdict.state == "wrong" and verdict.points < 4
    assert verdict.message.endswith(wrong.says)


def test_the_message_says_what_was_called_what_came_back_and_what_was_expected():
    verdict = check()(forgets_the_first)
    assert verdict.message == "places(1, 1) returned 0, expected 1. Count the first place too."
    assert " ".join(str(verdict).split()) == f"Exercise 99.1: {verdict.message} 1 of 4 points"


def test_a_trap_is_named():
    assert check()(rounds_up).message == (
        "places(8, 3, stride=2) returned 4, expected 3 (a stride that does not divide). "
        "A step that does not fit is not a place."
    )


def test_a_mistake_that_no_bank_knows_gets_the_idea_of_the_step():
    assert check()(lambda size, kernel, stride=1: 7).message.endswith("expected 1. Draw it.")


def test_the_search_shrinks_to_the_smallest_counterexample():
    def wrong_from_nine_on(size, kernel, *, stride=1):
        return places(size, kernel, stride=stride) + (size >= 9 and kernel >= 2)

    message = check()(wrong_from_nine_on).message
    assert message.startswith("places(9, 2) returned 9, expected 8.")
    assert message.endswith("What differs from the rest?")


def test_the_search_leaves_no_folder_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for isolated in (True, False):
        check(isolated=isolated)(lambda size, kernel, stride=1: 7)
        check(isolated=isolated)(places)
    assert list(tmp_path.iterdir()) == []


def stub(size, kernel, *, stride=1):
    """Return the number of places."""
    raise NotImplementedError("exercise-99-1: replace this line with your answer")


def dots(size, kernel, *, stride=1):
    """Return the number of places."""
    ...


def nothing(size, kernel, *, stride=1):
    return None


@MODES
@pytest.mark.parametrize("answer", [stub, dots, nothing, None, ...])
def test_an_answer_that_is_not_written_is_not_attempted(answer, isolated):
    verdict = check(isolated=isolated)(answer)
    assert (verdict.state, verdict.points) == ("not attempted", 0.0)
    assert " ".join(str(verdict).split()) == "Exercise 99.1: not attempted yet 0 of 4 points"


def test_an_answer_that_leaves_one_case_unwritten_is_wrong_and_keeps_its_points():
    def half(size, kernel, *, stride=1):
        if kernel > size:
            raise ValueError
        if stride > 1:
            raise NotImplementedError
        return size - kernel + 1

    verdict = check()(half)
    assert (verdict.state, verdict.points) == ("wrong", 3.0)
    assert "raised NotImplementedError" in verdict.message


def test_a_not_implemented_error_of_a_library_is_an_error_like_any_other():
    def library(size, kernel, *, stride=1):
        return asyncio.AbstractEventLoop().time()

    verdict = check()(library)
    assert verdict.state == "wrong" and "raised NotImplementedError" in verdict.message


@pytest.mark.parametrize("answer", [3, "places", [1]])
def test_something_that_is_no_function_is_told_how_to_call_the_check(answer):
    verdict = check()(answer)
    assert verdict.state == "wrong"
    assert (
        "Write checks.places(places), with no parentheses after the inner name." in verdict.message
    )


def test_an_expected_error_must_be_raised():
    def lenient(size, kernel, *, stride=1):
        return max(0, (size - kernel) // stride + 1)

    message = check()(lenient).message
    assert message == (
        "places(2, 3) returned 0, expected it to raise ValueError (a kernel that does not fit). "
        "Refuse it."
    )


def test_an_error_names_itself_and_the_line_in_the_learners_code():
    def reads_too_far(size, kernel, *, stride=1):
        row = [0] * size
        return row[size]

    message = check()(reads_too_far).message
    assert message.startswith("places(1, 1) raised IndexError: list index out of range, in line ")
    assert "return row[size]" in message


def copy_of(function):
    return FunctionType(function.__code__, function.__globals__, function.__name__)


def array_check(reference, wrong=(), **changes):
    bank = Bank(right=[reference], wrong=[Wrong(answer, says, "") for answer, says in wrong])
    reference = copy_of(reference)  # to give the reference back is no answer
    image = np.array([[1.0, 2.0], [3.0, 4.0]])
    settings = {"steps": [Example((image,), idea="Look again.")], "points": 2, **changes}
    return Check("99.2", "Double", function="double", reference=reference, bank=bank, **settings)


@MODES
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda image: None if image.size else 0, "returned None, expected the array [[2.0"),
        (lambda image: (2 * image).tolist(), "it is a list instead of an array"),
        (
            lambda image: 2 * image[0],
            "returned the array [2.0, 4.0] of shape (2,), float64, expected the array",
        ),
        (lambda image: (2 * image).astype(int), "the dtype is int64 (whole numbers) instead of"),
        (
            lambda image: image + np.array([[1, 2], [3, 5]]),
            "(both of shape (2, 2), float64; the first difference is at [1, 1])",
        ),
        (
            lambda image: 2 * image[image > 9],
            "returned the array [] of shape (0,), float64, expected the array",
        ),
    ],
)
def test_an_array_is_compared_in_kind_shape_and_value(answer, said, isolated):
    verdict = array_check(lambda image: 2 * image, isolated=isolated)(answer)
    assert verdict.state == "wrong" and said in verdict.message


def test_an_array_of_another_width_is_fine():
    check = array_check(lambda image: 2 * image)
    assert check(lambda image: (2 * image).astype(np.float32)).state == "passed"


@MODES
def test_an_answer_that_changes_its_input_is_told_so(isolated):
    def in_place(image):
        image *= 2
        return image

    verdict = array_check(lambda image: 2 * image, isolated=isolated)(in_place)
    assert verdict.message == (
        "double([[1.0, 2.0], [3.0, 4.0]]) changed its argument image in place. "
        "Work on a copy: image.copy()."
    )


def test_an_exercise_may_ask_for_a_change_in_place():
    def double(image):
        image *= 2

    def half_done(image):
        image[0] *= 2

    assert array_check(double)(double).state == "passed"
    said = array_check(double)(half_done).message
    assert "in image afterwards: the first difference is at [1, 0]: 3.0 instead of 6.0" in said


class Counter:
    """A right answer that is a class."""

    def __init__(self):
        self.seen = 0

    def add(self, value):
        self.seen += value
        return self.seen


class Forgetful(Counter):
    def add(self, value):
        self.seen = value
        return self.seen


class Unwritten:
    def __init__(self):
        self.seen = 0

    def add(self, value):
        raise NotImplementedError


def remembers(counter):
    made = counter()
    made.add(1)
    total = made.add(2)
    return None if total == 3 else f"adding 1 and 2 gave {total}, expected 3"


def asserts_the_same(counter):
    made = counter()
    made.add(1)
    assert made.add(2) == 3, "adding 1 and 2 did not give 3"


def property_check(test):
    bank = Bank(right=[Counter], wrong=[Wrong(Forgetful, "Add to what is there.", "overwrites")])
    return Check(
        "99.3", "Count", function="Counter", reference=dict, bank=bank, points=2,
        steps=[Property("remembers", test, idea="Where is the sum kept?")],
    )  # fmt: skip


@pytest.mark.parametrize("test", [remembers, asserts_the_same])
def test_a_property_judges_classes(test):
    assert property_check(test)(Counter).state == "passed"
    verdict = property_check(test)(Forgetful)
    assert verdict.state == "wrong" and verdict.message.endswith("Add to what is there.")
    assert "adding 1 and 2" in verdict.message
    assert property_check(test)(Unwritten).state == "not attempted"


@pytest.mark.parametrize(("answer", "asked"), [(rounds_up, False), (by_counting, True)])
def test_a_clock_is_asked_only_where_all_values_are_right(answer, asked):
    seen = []
    clock = Property("takes its time", seen.append, by_clock=True, idea="How long?")
    verdict = check(steps=[*check().steps, clock], isolated=False)(answer)
    assert bool(seen) == asked == (verdict.state == "passed")
    assert asked or verdict.message.endswith("A step that does not fit is not a place.")


def test_an_answer_that_draws_random_numbers_is_told_that_it_is_not_steady():
    ticks = itertools.count()
    steps = [Search(st.tuples(st.integers(1, 9), st.just(1)), idea="")]
    verdict = check(steps=steps)(lambda size, kernel, stride=1: size + (next(ticks) == 3))
    assert "different results for the same arguments" in verdict.message


def test_points_are_shared_out_over_the_steps_in_halves():
    def right_once(size, kernel, *, stride=1):
        return 1

    assert check(points=3)(right_once).points == 0.5


def test_use_gives_the_learners_function_once_it_passes_and_says_which(capsys):
    exercise = check()
    assert exercise.use(by_counting) is by_counting
    assert exercise.use(forgets_the_first) is exercise.reference
    exercise(stub)
    assert exercise.use(stub) is exercise.reference
    assert capsys.readouterr().out.splitlines() == [
        "with your places",
        "with the reference places: exercise 99.1 is not passed yet",
        "with the reference places: exercise 99.1 is not passed yet",
    ]


def test_only_strict_mode_raises_and_only_for_a_wrong_answer(monkeypatch):
    monkeypatch.setenv("DATAHALL_STRICT", "1")
    check()(places)
    check()(stub)
    with pytest.raises(CheckFailed, match=r"Exercise 99\.1: places\(1, 1\) returned 0, expected 1"):
        check()(forgets_the_first)


@MODES
def test_a_check_that_is_itself_broken_says_so_and_does_not_blame_the_answer(isolated):
    steps = [Example(lambda: 1 // 0, idea="")]
    verdict = check(steps=steps, isolated=isolated)(places)
    assert "This check failed (ZeroDivisionError" in verdict.message
    assert "your answer was not judged" in verdict.message


def test_a_large_array_is_told_by_shape_and_the_first_difference():
    image = np.zeros((20, 30))
    check = array_check(lambda image: image + 1, steps=[Example((image,), idea="Look again.")])

    def one_off(image):
        result = image + 1
        result[3, 4] = 7
        return result

    assert check(one_off).message == (
        "double(an array of shape (20, 30), float64) returned an array of shape (20, 30), float64, "
        "expected an array of shape (20, 30), float64: the first difference is at [3, 4]: 7.0 "
        "instead of 1.0. Look again."
    )


def test_a_trap_is_named_after_the_call_where_the_sentence_ends_in_parentheses():
    steps = [Trap("negative numbers", (np.array([-1.0, 2.0]),), idea="Mind the sign.")]
    message = array_check(lambda image: 2 * image, steps=steps)(
        lambda image: abs(2 * image)
    ).message
    assert message.startswith("double([-1.0, 2.0]) (negative numbers) returned [2.0, 4.0]")


def test_a_search_that_takes_too_long_ends_and_what_held_counts_as_held():
    def slow(size, kernel, *, stride=1):
        time.sleep(0.2)
        return places(size, kernel, stride=stride)

    steps = [Search(st.tuples(st.integers(5, 30), st.integers(1, 5)), idea="", examples=10_000)]
    assert check(steps=steps, seconds=0.2)(slow).state == "passed"


def test_an_advice_without_a_stop_gets_one():
    steps = [Example((1, 1), idea="Count the first place")]
    wrong = check(steps=steps, bank=Bank(right=[], wrong=[]))(lambda size, kernel: 0)
    assert wrong.message.endswith("Count the first place.")


def adds_one(numbers):
    numbers += 1
    return numbers.sum()


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (lambda *given: adds_one(*given), "numbers"),
        (lambda mine: adds_one(mine), "mine"),
        (lambda *, numbers: adds_one(numbers), "numbers"),
    ],
)
def test_a_changed_argument_is_called_what_the_learner_calls_it_or_else_as_we_do(answer, name):
    by_name = "kwonly" if answer.__code__.co_kwonlyargcount else ""
    given = {"numbers": np.ones(2)}
    step = Example((), given) if by_name else Example(tuple(given.values()))
    total = Check(
        "99.7",
        "Add up",
        function="total",
        reference=lambda numbers: numbers.sum() + 2.0,
        bank=Bank(right=[], wrong=[]),
        steps=[step],
    )
    said = total.judge(answer).message
    assert f"changed its argument {name} in place" in said
    assert f"Work on a copy: {name}.copy()." in said


def test_an_answer_that_is_wrong_at_once_after_itself_is_told_so():
    before = []

    def right_unless_repeated(size, kernel, *, stride=1):
        again = bool(before) and before[-1] == (size, kernel, stride)
        before.append((size, kernel, stride))
        return places(size, kernel, stride=stride) + again

    steps = [Example((3, 1), idea="Draw it."), Trap("a stride", (8, 3), {"stride": 2}, idea="…")]
    message = check(steps=steps)(right_unless_repeated).message
    assert "although the same call was right before" in message
