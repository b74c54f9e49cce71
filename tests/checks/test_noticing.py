"""What is told of a wrong value itself: true facts, told only if they hold for every call."""

import numpy as np
import pytest

from datahall.checking import all_checks
from datahall.checking.noticing import noticed

A, B = np.array([[1.0, 2.75], [-3.25, 4.0]]), np.array([[0.0, 7.125], [1.0, 1.0]])

TOLD = [
    (lambda x: -x, "The sign is turned round."),
    (lambda x: 2 * x, "Every number is 2 times what it should be."),
    (lambda x: x / 3, "Every number is 0.3333 times what it should be."),
    (lambda x: x + 1, "Every number is 1 too large."),
    (lambda x: x - 0.5, "Every number is 0.5 too small."),
    (lambda x: x.T, "The numbers are right, but the axes are exchanged."),
    (lambda x: x[::-1], "The numbers are right, but the first axis runs backwards."),
    (lambda x: x[:, ::-1], "The numbers are right, but the last axis runs backwards."),
    (lambda x: x[::-1, ::-1], "The numbers are right, but turned by 180 degrees."),
    (np.round, "The numbers are right, but rounded: keep all digits."),
    (lambda x: np.round(x, 2), "The numbers are right, but rounded: keep all digits."),
    (np.trunc, "The numbers are right, but without their fractions."),
    (np.ravel, "The numbers are right, only the shape is not."),
    (lambda x: np.roll(x, 1), "The right numbers stand at other places."),
    (lambda x: x * np.nan, "nan comes from 0 / 0, inf / inf, inf − inf or 0 · inf."),
    (lambda x: x.tolist(), "The numbers are right, only their type is not."),
    (lambda x: x**2, ""),
    (lambda x: np.zeros_like(x), ""),
    (lambda x: x, ""),
    (lambda x: "a", ""),
    (lambda x: None, ""),
]


@pytest.mark.parametrize(("mistake", "told"), TOLD)
def test_a_fact_is_told_of_all_values_or_not_at_all(mistake, told):
    assert noticed([(A, mistake(A)), (B, mistake(B))]) == told
    if "nan" not in told:
        assert noticed([(A, mistake(A)), (B, mistake(B)), (B, B**3)]) == ""


def test_parts_in_another_order_are_seen():
    for order in ((1, 2, 0), (0, 2, 1), (2, 1, 0)):
        pairs = [(right, tuple(right[n] for n in order)) for right in ((A, B, 1.0), (A, B, 2.0))]
        assert noticed(pairs) == "The parts are right, but they come in another order."
    assert noticed([*pairs, ((A, B, 2.0), (A, B, 3.0))]) == ""


def test_nan_in_an_argument_is_told_apart_from_nan_that_is_made():
    pairs = [(np.ones(2), np.array([1.0, np.nan]))]
    assert "nan is in an argument" in noticed(pairs, ([np.ones(2), np.array([np.nan])], [1, 0]))
    assert "nan comes from" in noticed(pairs, ([np.ones(2), "nan", None], {}))


def test_only_the_same_numbers_in_another_type_are_called_right():
    assert noticed([(np.array([536870913]), np.array([536870912])), (1, 1)]) == ""
    assert noticed([(1e-7, 1e-6), (4.0, 4.0)]) == ""
    assert noticed([(1.21052632e-05, 1.2105e-05), (4.0, 4.0)]) == ""
    assert noticed([(np.array([241], np.uint8), np.array([-15], np.int8))]) == ""


def test_a_part_of_another_type_is_told_and_a_number_beside_it_is_not():
    told = "The numbers are right, only their type is not."
    assert noticed([((1.0, -2), (1.0, -2.0)), ((3.0, 4), (3.0, 4.0))]) == told
    assert noticed([((1.0, -2), (1.0, -2.0)), ((3.0, 4), (3.5, 4.0))]) == ""


def test_whole_numbers_and_large_ones_are_compared():
    assert noticed([(3, 6), (4, 8)]) == "Every number is 2 times what it should be."
    assert noticed([(3, 6)]) == ""  # one number is no pattern
    assert noticed([(3, 3.0), (4, 4.0)]) == "The numbers are right, only their type is not."
    assert noticed([(3, "3"), (4, "4")]) == ""
    assert noticed([(np.ones(1), np.ones(0))]) == ""
    assert noticed([(10**400, 1)]) == ""


@pytest.mark.processes
def test_a_result_that_is_kept_for_another_call_is_named():
    kept = {}

    def by_shape(image, kernel):
        windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
        return kept.setdefault((image.shape, kernel.shape), (windows * kernel).sum(axis=(2, 3)))

    (check,) = [each for each in all_checks() if each.exercise == "01.2"]
    assert "That is the result of an earlier call" in check.judge(by_shape).message


@pytest.mark.processes
def test_zeros_are_no_result_of_an_earlier_call():
    (check,) = [each for each in all_checks() if each.exercise == "01.3"]
    message = check.judge(
        lambda image: np.zeros((image.shape[0] // 2, image.shape[1] // 2))
    ).message
    assert "returned" in message and "earlier call" not in message


@pytest.mark.processes
def test_an_argument_that_is_not_used_is_named():
    def constant_rate(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
        velocity = momentum * velocity - 0.01 * gradient
        return parameters + velocity, velocity

    (check,) = [each for each in all_checks() if each.exercise == "02.3"]
    said = check.judge(constant_rate).message
    assert "Here the result is the same as without `rate`: use the argument." in said


@pytest.mark.processes
def test_an_argument_is_not_named_where_ours_does_not_depend_on_it_either():
    def climbs(parameters, gradient, velocity, *, rate=0.01, momentum=0.9):
        velocity = momentum * velocity + rate * gradient
        return parameters + velocity * 2, velocity

    (check,) = [each for each in all_checks() if each.exercise == "02.3"]
    message = check.judge(climbs).message  # the example gives momentum=0.9, which is its default
    assert "momentum=0.9" in message and "same as without" not in message
