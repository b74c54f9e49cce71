"""The checks of module 02's lab: softmax, its gradient, momentum, Adam, and a printed formula."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datahall.checking import Check, Example, Search, Trap, summary_for
from datahall.checking.drawing import arrays, calls, vectors
from datahall.optimization import bank, losses, optimizers, regression

_sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))
_shares = st.sampled_from([0.5, 0.0, 0.9, 0.25, 1.0])
_shapes = hnp.array_shapes(min_dims=1, max_dims=3, max_side=3)


def _logits(shape: tuple[int, int]) -> Any:
    return arrays(shape, 1.0, 300.0, 10_000.0)


def _targets_and_logits(size: tuple[int, int]) -> Any:
    """A strategy for one-hot targets and logits of a size, (batch, classes)."""
    batch, classes = size
    labels = st.lists(st.integers(0, classes - 1), min_size=batch, max_size=batch)
    return st.tuples(labels.map(lambda drawn: losses.one_hot(drawn, classes)), _logits(size))


softmax = Check(
    "02.1",
    reference=losses.softmax,
    bank=bank.SOFTMAX,
    steps=[
        Example((np.array([[0.0, np.log(3.0)]]),), idea="e to these logits is 1 and 3."),
        Trap("a logit of 1000", (np.array([[1000.0, 999.0]]),), idea="What is the largest power?"),
        Trap(
            "two rows of very different size",
            (np.array([[1000.0, 1001.0, 1000.0], [-1000.0, -1000.0, -1001.0]]),),
            idea="Each row is a case of its own.",
        ),
        Trap("one logit far above", (np.array([[0.0, 2000.0, 0.0]]),), idea="Two powers are 0."),
        Trap("one logit far below", (np.array([[-2000.0, 0.0, 0.0]]),), idea="One power is 0."),
        Trap("any size", (np.array([[-3e4, 0.0], [3e4, 2.9e4]]),), idea="No power is above 1."),
        Search(
            _sizes.flatmap(lambda size: st.tuples(_logits(size))),
            idea="Compute this case by hand, row by row.",
        ),
    ],
)

cross_entropy_gradient = Check(
    "02.2",
    reference=losses.cross_entropy_gradient,
    bank=bank.GRADIENT,
    steps=[
        Example(
            (np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, np.log(2.0), 0.0]])),
            idea="The probabilities are 0.25, 0.5, 0.25; the target is class 1.",
        ),
        Example(
            (np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [2.0, 0.0]])),
            idea="There are two rows, and the loss is a mean.",
        ),
        Trap(
            "logits of 1000",
            (np.array([[1.0, 0.0]]), np.array([[-1000.0, 1000.0]])),
            idea="The probabilities are 0 and 1.",
        ),
        Search(_sizes.flatmap(_targets_and_logits), idea="Compute this case number by number."),
    ],
)

momentum_step = Check(
    "02.3",
    reference=optimizers.momentum_step,
    bank=bank.MOMENTUM,
    steps=[
        Example(
            vectors(1, 2, -0.1),
            {"rate": 0.1, "momentum": 0.9},
            idea="0.9 · (-0.1) - 0.1 · 2 = -0.29; 1 - 0.29 = 0.71.",
        ),
        Trap(
            "the first step",
            vectors([1, -1, 2], [1, -2, 0.5], [0, 0, 0]),
            {"rate": 0.5, "momentum": 0.8},
            idea="Without a velocity it is plain descent.",
        ),
        Trap("its defaults", (np.ones((2, 2)), np.eye(2), np.ones((2, 2))), idea="Rate 0.01, 0.9."),
        Trap(
            "no momentum",
            vectors([1, 1], [1, 2], [1, 1]),
            {"momentum": 0.0},
            idea="Nothing of the old velocity is kept.",
        ),
        Search(
            calls(
                _shapes.flatmap(lambda s: st.tuples(*[arrays(s)] * 3)),
                rate=_shares,
                momentum=_shares,
            ),
            idea="Put this case into the two formulas.",
        ),
    ],
)

# The mean square is one that the mean allows.
_adam_arguments = _shapes.flatmap(lambda shape: st.tuples(arrays(shape), arrays(shape))).map(
    lambda drawn: (drawn[0] + 1, *drawn, drawn[1] ** 2 + 0.25)
)

adam_step = Check(
    "02.4",
    reference=optimizers.adam_step,
    bank=bank.ADAM,
    steps=[
        Example(
            vectors(1, 4, 0, 0), {"step": 1, "rate": 0.5}, idea="m: 0.4, corrected 4; v: 0.016, 16."
        ),
        Example(
            vectors(0, 1, 0.5, 1), {"step": 10, "rate": 1.0}, idea="m is 0.55, corrected 0.844."
        ),
        Trap(
            "a gradient as small as ε",
            vectors(0, 1e-8, 0, 0),
            {"step": 1, "rate": 1.0},
            idea="The corrected root is 1e-8, as large as ε.",
        ),
        Trap("its default rate", vectors(1, 2, -3, 4), {"step": 3}, idea="Without it, 0.001."),
        Search(
            calls(
                _adam_arguments, {"step": st.integers(1, 50) | st.integers(1, 5000)}, rate=_shares
            ),
            idea="Follow the five formulas one by one.",
        ),
    ],
)

squared_error_gradient = Check(
    "02.5",
    reference=regression.gradient,
    bank=bank.SQUARED_ERROR_GRADIENT,
    steps=[
        Example(
            (np.array([[1.0], [2.0]]), np.array([1.0, 2.0]), np.array([2.0])),
            idea="The errors are 1 and 2; 2/2 · (1·1 + 2·2) = 5.",
        ),
        Trap(
            "weights that fit already",
            (np.array([[1.0], [2.0]]), np.array([3.0, 6.0]), np.array([3.0])),
            idea="At the minimum the gradient is zero.",
        ),
        Trap(
            "more rows than features",
            (np.array([[1.0, 0.5], [2.0, -1.0], [0.0, 3.0]]), np.zeros(3), np.ones(2)),
            idea="The errors are 1.5, 1 and 3.",
        ),
        Search(
            st.tuples(st.integers(1, 5), st.integers(1, 4)).flatmap(
                lambda size: st.tuples(arrays(size, 1.0, 50.0), arrays(size[0]), arrays(size[1]))
            ),
            idea="Compare with the change of the loss when one weight grows a little.",
        ),
    ],
)

summary = summary_for(__name__)
