"""The checks of module 03's lab: metrics, doubt, an augmentation, the loop, a callback."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datahall.checking import Check, Example, Search, Trap, summary_for
from datahall.checking.rehearsing import epochs_end, steps_as_keras
from datahall.training import bank, callbacks, loop, metrics

_square = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        hnp.arrays(np.int64, (classes, classes), elements=st.integers(0, 9)),
        st.integers(0, classes - 1),
    )
)
_answers = st.one_of(st.integers(1, 30), st.integers(1, 10_000)).flatmap(
    lambda total: st.tuples(st.integers(0, total), st.just(total))
)
_images = st.builds(
    lambda drawn, kind, factor: (drawn * factor).astype(kind),
    hnp.arrays(
        np.int64, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.integers(0, 9)
    ),
    st.sampled_from([np.uint8, np.float32, np.int64]),
    st.sampled_from([1, 0.25, -7]),
)
_LEFT = np.array([[[1, 2, 3]]], np.uint8)

scores = Check(
    "03.1",
    reference=metrics.scores,
    bank=bank.SCORES,
    steps=[
        Example((np.array([[3, 1], [2, 4]]), 1), idea="4 are right, 5 called 1, 6 are 1."),
        Trap("a class that was never predicted", (np.array([[5, 0], [2, 0]]), 1), idea="0 of 0."),
        Trap("none right", (np.array([[0, 1], [1, 0]]), 1), idea="Precision and recall are 0."),
        Trap("many images", (np.array([[9, 1], [2, 40_000]]), 1), idea="Which type holds 40,000?"),
        Trap("three classes", (np.array([[7, 1, 0], [2, 5, 3], [0, 0, 9]]), 2), idea="Count."),
        Search(_square, idea="Work this matrix out by hand."),
    ],
)

interval = Check(
    "03.2",
    reference=metrics.wilson_interval,
    bank=bank.INTERVAL,
    steps=[
        Example((98, 100), idea="Put the numbers into the formula one by one."),
        Trap("every answer right", (10, 10), idea="The lower end is 0.7225."),
        Trap(
            "many answers", (9800, 10000), idea="The interval is narrow, and p is near its middle."
        ),
        Search(_answers, idea="Put the numbers into the formula one by one."),
    ],
)

shift = Check(
    "03.3",
    reference=callbacks.shift,
    bank=bank.SHIFT,
    steps=[
        Example((np.array([[[1, 2], [3, 4]]], np.uint8), 1, 0), idea="Draw it before and after."),
        Trap("to the left", (_LEFT, 0, -1), idea="What was in column 1 stands in column 0."),
        Trap("any values", (np.array([[[-300.5, 999.25, 7]]]), 0, 1), idea="Move them unchanged."),
        Trap("further than the image is wide", (_LEFT, 0, 4), idea="Nothing of it is left."),
        Trap("fractions", (np.array([[[0.25, 0.5], [0.75, 1]]]), -1, 1), idea="Keep the type."),
        Search(
            st.tuples(_images, st.integers(-6, 6), st.integers(-6, 6)),
            idea="Draw the image before and after.",
        ),
    ],
)

train_step = Check(
    "03.4",
    reference=loop.train_step,
    bank=bank.TRAIN_STEP,
    steps=[
        steps_as_keras("takes the step of the example", "SGD", [[0, 0]], on="one layer",
                       idea="The example: loss 0.7201, kernel [[1.2722, −0.2722], …]."),
        steps_as_keras("moves every trainable weight by the optimizer's rule", "Adam",
                       [[0, 1], [1, 0], [1, 0]], on="three layers, layer_1 frozen", deep=True,
                       idea="Which variables, gradients and optimizer does the step use?"),
        steps_as_keras("trains with dropout switched on", "SGD", [[0, 0]],
                       on="a layer after dropout", dropout=0.5,
                       idea="How is the network called in training?"),
    ],
)  # fmt: skip

_BY_HAND = "Go through the epochs by hand: the best so far, and the bad ones in a row."
_NEW = "Which of these epochs is a new best?"
_NAN = float("nan")

StopEarly = Check(
    "03.5",
    reference=callbacks.StopEarly,
    bank=bank.STOP_EARLY,
    steps=[
        epochs_end("stops after `patience` bad epochs", [3, 1, 2, 2, 0.5], 2, 4, 2, idea=_BY_HAND),
        epochs_end("counts anew at a new best", [50, 60, 70, 40, 50, 30], 3, 6, 6, idea=_BY_HAND),
        epochs_end("compares with the best epoch", [1, 3, 2, 1.5, 1.2, 1.1], 3, 4, 1, idea=_NEW),
        epochs_end("takes a small gain", [1, 0.999, 0.998, 0.9979], 2, 4, 4, idea=_NEW),
        epochs_end("takes a tie for no new best", [2, 1, 1, 1, 0.5], 2, 4, 2, idea=_NEW),
        epochs_end("takes nan for a bad epoch", [2, _NAN, 3, 4, 1], 2, 3, 1, idea=_BY_HAND),
        epochs_end("counts from the first epoch on", [_NAN, _NAN, _NAN, 1], 2, 2, 2, idea=_BY_HAND),
        epochs_end("takes losses of any sign", [-1, -2, -1.5, -1.6, -3], None, 4, 2, idea=_NEW),
        epochs_end("keeps the best also when nothing stops it", [2, 1, 3], 5, 3, 2,
                   idea="on_train_end runs in any case."),
    ],
)  # fmt: skip

summary = summary_for(__name__)
