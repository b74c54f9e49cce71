"""The checks of module 02's lab: softmax, its gradient, momentum, Adam, and a printed formula."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datahall.checking import Case, Check, Example, Search, Trap, summary_for
from datahall.optimization import bank, losses, optimizers, regression
from datahall.optimization.activations import Array

_numbers = st.floats(-3, 3, width=32)
_sizes = st.tuples(st.integers(1, 3), st.integers(2, 3))


def _rows(shape: tuple[int, ...]) -> Any:
    """A strategy for float64 arrays of a shape."""
    return hnp.arrays(np.float64, shape, elements=_numbers)


def _adam_case(drawn: tuple[Array, Array, int]) -> Case:
    """A step of Adam from drawn gradients; the mean square is one that the mean allows."""
    gradient, mean, step = drawn
    return Case((np.zeros(2), gradient, mean, mean**2 + 0.25), {"step": step, "rate": 1.0})


def _targets_and_logits(size: tuple[int, int]) -> Any:
    """A strategy for one-hot targets and logits of a size, (batch, classes)."""
    batch, classes = size
    labels = st.lists(st.integers(0, classes - 1), min_size=batch, max_size=batch)
    return st.tuples(labels.map(lambda drawn: losses.one_hot(drawn, classes)), _rows(size))


softmax = Check(
    "02.1",
    "Write a softmax that survives 1000",
    function="softmax",
    reference=losses.softmax,
    bank=bank.SOFTMAX,
    points=4,
    minutes=10,
    difficulty=2,
    steps=[
        Example(
            (np.array([[0.0, np.log(3.0)]]),),
            idea="e to these logits is 1 and 3: the shares are 0.25 and 0.75.",
        ),
        Trap(
            "a logit of 1000",
            (np.array([[1000.0, 999.0]]),),
            idea="e to the 1000 fits in no number: take the largest from all first.",
        ),
        Trap(
            "two rows of very different size",
            (np.array([[1000.0, 1001.0, 1000.0], [-1000.0, -1000.0, -1001.0]]),),
            idea="Each row is a case of its own: its largest logit, its sum.",
        ),
        Search(
            _sizes.flatmap(lambda size: st.tuples(_rows(size))),
            idea="Compute this case by hand, row by row.",
        ),
    ],
)

cross_entropy_gradient = Check(
    "02.2",
    "Find the gradient of the cross-entropy",
    function="cross_entropy_gradient",
    reference=losses.cross_entropy_gradient,
    bank=bank.GRADIENT,
    points=4,
    minutes=10,
    difficulty=2,
    steps=[
        Example(
            (np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, np.log(2.0), 0.0]])),
            idea="The probabilities are 0.25, 0.5, 0.25; the target is class 1.",
        ),
        Example(
            (np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [2.0, 0.0]])),
            idea="Two rows: the loss is their mean.",
        ),
        Trap(
            "logits of 1000",
            (np.array([[1.0, 0.0]]), np.array([[-1000.0, 1000.0]])),
            idea="Use the softmax that survives 1000.",
        ),
        Search(
            _sizes.flatmap(_targets_and_logits),
            idea="(softmax - target) / rows, number by number.",
        ),
    ],
)

momentum_step = Check(
    "02.3",
    "Take a step with momentum",
    function="momentum_step",
    reference=optimizers.momentum_step,
    bank=bank.MOMENTUM,
    points=3,
    minutes=8,
    difficulty=1,
    steps=[
        Example(
            (np.array([1.0]), np.array([2.0]), np.array([-0.1])),
            {"rate": 0.1, "momentum": 0.9},
            idea="The velocity becomes 0.9 · (-0.1) - 0.1 · 2 = -0.29, the parameter 0.71.",
        ),
        Trap(
            "the first step",
            (np.array([1.0, -1.0]), np.array([1.0, -2.0]), np.zeros(2)),
            {"rate": 0.5, "momentum": 0.9},
            idea="Without a velocity it is plain descent.",
        ),
        Search(
            st.tuples(_rows((2,)), _rows((2,)), _rows((2,))),
            idea="velocity = momentum · velocity - rate · gradient; parameters + velocity.",
        ),
    ],
)

adam_step = Check(
    "02.4",
    "Take a step of Adam",
    function="adam_step",
    reference=optimizers.adam_step,
    bank=bank.ADAM,
    points=5,
    minutes=15,
    difficulty=3,
    steps=[
        Example(
            (np.array([1.0]), np.array([4.0]), np.array([0.0]), np.array([0.0])),
            {"step": 1, "rate": 0.5},
            idea="The first step has the length of the rate: the parameter becomes 0.5.",
        ),
        Example(
            (np.array([0.0]), np.array([1.0]), np.array([0.5]), np.array([1.0])),
            {"step": 10, "rate": 1.0},
            idea="The mean is 0.55, corrected 0.8444; the mean square 1, corrected 100.45.",
        ),
        Trap(
            "a gradient as small as ε",
            (np.array([0.0]), np.array([1e-8]), np.array([0.0]), np.array([0.0])),
            {"step": 1, "rate": 1.0},
            idea="ε stands outside the root: half a step is taken here.",
        ),
        Search(
            st.tuples(_rows((2,)), _rows((2,)), st.integers(1, 50)).map(_adam_case),
            idea="Follow the six lines of the formula one by one.",
        ),
    ],
)

squared_error_gradient = Check(
    "02.5",
    "Mend a printed formula",
    function="squared_error_gradient",
    reference=regression.gradient,
    bank=bank.SLOPE,
    points=4,
    minutes=12,
    difficulty=3,
    steps=[
        Example(
            (np.array([[1.0], [2.0]]), np.array([1.0, 2.0]), np.array([2.0])),
            idea="The errors are 1 and 2; 2/2 · (1·1 + 2·2) = 5, and it points uphill.",
        ),
        Trap(
            "weights that fit already",
            (np.array([[1.0], [2.0]]), np.array([3.0, 6.0]), np.array([3.0])),
            idea="At the minimum the gradient is zero.",
        ),
        Search(
            _sizes.flatmap(
                lambda size: st.tuples(_rows(size), _rows((size[0],)), _rows((size[1],)))
            ),
            idea="Compare with the change of the loss when one weight grows a little.",
        ),
    ],
)

summary = summary_for(__name__)
