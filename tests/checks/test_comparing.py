"""Equal or not, and the first thing that differs."""

from dataclasses import dataclass

import numpy as np
import pytest

from datahall.checking.comparing import difference


@dataclass
class Point:
    x: float
    y: float


class Tensor:
    """Behaves as a framework's tensor does: it has a dtype and turns into an array."""

    dtype = "float32"

    def __init__(self, values):
        self.values = np.asarray(values, np.float32)

    def numpy(self):
        return self.values


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (3, np.int64(3)),
        (0.5, 0.5 + 1e-8),
        (1.0, 1),
        (float("nan"), float("nan")),
        (True, np.bool_(True)),
        (np.arange(3), np.arange(3, dtype=np.uint8)),
        (np.ones(2), Tensor([1, 1])),
        (Tensor([1, 2]), np.array([1.0, 2.0])),
        ([1, 2.0], (1, 2.0)),
        ([1.0, 2.0], np.array([1.0, 2.0])),
        ({"a": np.ones(2)}, {"a": np.ones(2)}),
        (Point(1, 2), Point(1, 2)),
        ("same", "same"),
        ({1, 2}, {2, 1}),
        (None, None),
        (np.float32(2), np.array(2.0)),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf])),
    ],
)
def test_equal_values_are_equal(expected, got):
    assert difference(expected, got) is None


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        (3, 4, "it is 4 instead of 3"),
        (3, 3.0, "it is a float instead of an int"),
        (1, True, "it is a bool instead of an int"),
        (True, 1, "it is an int instead of a bool"),
        (3, "3", "it is a str instead of an int"),
        (3, None, "it is None"),
        (None, 3, "it should be None"),
        (0.5, 0.6, "it is 0.6 instead of 0.5"),
        ([1, 2], [1], "it has 1 items instead of 2"),
        ([1, 2], [1, 3], "in item 1: it is 3 instead of 2"),
        ([1, 2], "12", "it is a str instead of a list"),
        ((1, [2, 3]), (1, [2, 4]), "in item 1: in item 1: it is 4 instead of 3"),
        ({"a": 1}, {}, "the key 'a' is missing"),
        ({"a": 1}, {"a": 1, "b": 2}, "the key 'b' should not be there"),
        ({"a": 1}, {"a": 2}, "under 'a': it is 2 instead of 1"),
        ({"a": 1}, [1], "it is a list instead of a dict"),
        (Point(1, 2), Point(1, 3), "its y: it is 3 instead of 2"),
        (Point(1, 2), 3, "it is an int instead of a Point"),
        ("one", "two", "it is 'two' instead of 'one'"),
        (np.zeros(2), [0.0, 0.0], "it is a list instead of an array"),
        (np.zeros((2, 1)), np.zeros((1, 2)), "the shape is (1, 2) instead of (2, 1)"),
        (np.zeros(2, bool), np.zeros(2), "the dtype is float64 (floating-point numbers) instead"),
        (np.zeros(3), np.array([0, 1.0, 2.0]), "at [1]: 1.0 instead of 0.0 (2 of 3 differ)"),
        (np.array(1.0), np.array(2.0), "it is not equal: 2.0 instead of 1.0"),
    ],
)
def test_what_differs_first_is_said(expected, got, said):
    assert said in str(difference(expected, got))


def test_a_tolerance_can_be_chosen():
    assert difference(1.0, 1.01) and difference(1.0, 1.01, rtol=0.1) is None
