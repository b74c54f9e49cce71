"""The strategies that searches share draw what they promise."""

import numpy as np
import pytest
from hypothesis import strategies as st

from datahall.checking.drawing import arrays, calls, vectors
from datahall.checking.searching import smallest


def drawn(strategy):
    seen = []
    smallest(strategy, seen.append, examples=60, seconds=20, stop=lambda found: False)
    return seen


def test_calls_come_with_and_without_each_optional_argument():
    seen = drawn(calls(st.tuples(st.integers(0, 9)), {"step": st.integers(1, 3)}, rate=st.just(1)))
    assert {frozenset(case.kwargs) for case in seen} == {
        frozenset({"step"}),
        frozenset({"step", "rate"}),
    }
    assert {case.kwargs["step"] for case in seen} == {1, 2, 3}
    assert all(len(case.args) == 1 for case in seen)


@pytest.mark.parametrize(("scales", "most"), [((), 3000.0), ((1.0,), 3.0), ((1.0, 300.0), 900.0)])
def test_arrays_have_their_shape_and_every_scale(scales, most):
    seen = drawn(arrays((2, 3), *scales))
    assert {(each.shape, each.dtype) for each in seen} == {((2, 3), np.dtype(float))}
    largest = [abs(each).max() for each in seen]
    assert most / 3 < max(largest) <= most
    assert any(0 < each <= 3 for each in largest)


def test_vectors_are_arrays_of_floats():
    one, several = vectors(1, [2, 3])
    assert one.tolist() == [1.0] and several.tolist() == [2.0, 3.0] and one.dtype == float
