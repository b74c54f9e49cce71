"""The checks of module 03's lab: metrics, doubt, an augmentation, the loop, a callback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datahall.checking import Check, Example, Property, Search, Trap, summary_for
from datahall.training import bank, callbacks, loop, metrics

_square = st.integers(2, 4).flatmap(
    lambda classes: st.tuples(
        hnp.arrays(np.int64, (classes, classes), elements=st.integers(0, 5)),
        st.integers(0, classes - 1),
    )
)
_counts = st.integers(1, 30).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
_batches = st.tuples(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 4)),
        elements=st.integers(0, 9),
    ),
    st.integers(-4, 4),
    st.integers(-4, 4),
)

scores = Check(
    "03.1",
    "Judge one digit",
    function="scores",
    reference=metrics.scores,
    bank=bank.SCORES,
    points=4,
    minutes=10,
    steps=[
        Example(
            (np.array([[3, 1], [2, 4]]), 1),
            idea="Of 5 called 1, 4 are right; of 6 that are 1, 4 were found.",
        ),
        Trap(
            "a class that was never predicted",
            (np.array([[5, 0], [2, 0]]), 1),
            idea="Return 0 where there is nothing to divide by.",
        ),
        Search(_square, idea="Work this matrix out by hand: column for precision, row for recall."),
    ],
)

interval = Check(
    "03.2",
    "Say how sure you are",
    function="interval",
    reference=metrics.wilson_interval,
    bank=bank.INTERVAL,
    points=4,
    minutes=10,
    steps=[
        Example((98, 100), idea="z is 1.959964; the middle is (p + z²/2n) / (1 + z²/n)."),
        Trap("every answer right", (10, 10), idea="The lower bound is below 1: 0.7225."),
        Search(_counts, idea="Put the numbers into the formula one by one."),
    ],
)

shift = Check(
    "03.3",
    "Move an image",
    function="shift",
    reference=callbacks.shift,
    bank=bank.SHIFT,
    points=4,
    minutes=10,
    steps=[
        Example(
            (np.array([[[1, 2], [3, 4]]], np.uint8), 1, 0),
            idea="The first row comes down, the new first row is 0.",
        ),
        Trap(
            "to the left",
            (np.array([[[1, 2, 3]]], np.uint8), 0, -1),
            idea="A negative number moves to the left.",
        ),
        Trap(
            "further than the image is wide",
            (np.array([[[1, 2]]], np.uint8), 0, 3),
            idea="Nothing of the image is left.",
        ),
        Search(_batches, idea="Draw the image before and after."),
    ],
)


def _tiny(*, dropout: float = 0.0) -> tuple[keras.Model, Any]:
    """Return a network of two inputs and two classes with known weights, and its optimizer."""
    parts = [keras.layers.Dropout(dropout, seed=0)] if dropout else []
    outputs = keras.layers.Dense(2, kernel_initializer="ones")
    model = keras.Sequential([keras.layers.Input((2,)), *parts, outputs])
    outputs.set_weights([np.array([[1.0, 0.0], [0.0, 1.0]]), np.zeros(2)])
    return model, keras.optimizers.SGD(0.5)


_IMAGES = np.array([[1.0, 2.0], [3.0, 1.0]], np.float32)
_LABELS = np.array([0, 0])


def _taken(step: Callable[..., Any], *, dropout: float = 0.0) -> tuple[Any, list[list[float]]]:
    """Take one step on the tiny network; return the loss and the weights after it."""
    model, optimizer = _tiny(dropout=dropout)
    loss = step(model, optimizer, _cross_entropy, _IMAGES, _LABELS)
    return loss, np.round(model.get_weights()[0].astype(np.float64), 4).tolist()


def _cross_entropy(labels: Any, outputs: Any) -> Any:
    """Return the mean cross-entropy, after looking at which argument came first.

    Raises:
        AssertionError: Labels and outputs have been swapped.
    """
    shapes = tuple(np.shape(labels)), tuple(np.shape(outputs))
    if shapes != ((2,), (2, 2)):
        raise AssertionError(
            f"train_step called loss_function(labels, outputs) with shapes {shapes[0]} and "
            f"{shapes[1]}, expected (2,) and (2, 2)"
        )
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, outputs)


def _tells_the_loss(step: Callable[..., Any]) -> str | None:
    loss, _ = _taken(step)
    wanted, _ = _taken(loop.train_step)
    if np.shape(loss) != () or not np.isclose(float(loss), float(wanted), atol=1e-5):
        return f"train_step on two images returned {_number(loss)}, expected {float(wanted):.4f}"
    return None


def _moves_the_weights(step: Callable[..., Any]) -> str | None:
    found, wanted = _taken(step)[1], _taken(loop.train_step)[1]
    if not np.allclose(found, wanted, atol=1e-3):
        return f"after train_step the kernel is {found}, expected {wanted}"
    return None


def _trains_with_dropout(step: Callable[..., Any]) -> str | None:
    found, wanted = _taken(step, dropout=0.5)[0], _taken(loop.train_step, dropout=0.5)[0]
    if not np.isclose(float(found), float(wanted), atol=1e-5):
        return (
            f"with a dropout layer train_step returned {_number(found)}, "
            f"expected {float(wanted):.4f}"
        )
    return None


def _number(value: Any) -> str:
    try:
        return f"{float(value):.4f}"
    except (TypeError, ValueError):
        return repr(value)


train_step = Check(
    "03.4",
    "Take one step",
    function="train_step",
    reference=loop.train_step,
    bank=bank.TRAIN_STEP,
    points=4,
    minutes=12,
    difficulty=3,
    isolated=False,
    seconds=20,
    steps=[
        Property(
            "returns the loss before the update",
            _tells_the_loss,
            idea="The loss is loss_function(labels, outputs), a scalar.",
        ),
        Property(
            "moves every weight by the optimizer's rule",
            _moves_the_weights,
            idea="Ask the tape for the gradients of all trainable variables, then apply them.",
        ),
        Property(
            "trains with dropout switched on",
            _trains_with_dropout,
            idea="Call the network with training=True.",
        ),
    ],
)


def _trained(callback: Any, losses: Sequence[float]) -> tuple[int, float]:
    """Drive a callback as `fit` does; return how many epochs ran and whose weights are kept."""
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin({})
    epochs = 0
    for epoch, loss in enumerate(losses):
        model.set_weights([np.full((1, 1), epoch + 1.0)])  # the weight tells its epoch
        callback.on_epoch_begin(epoch, {})
        callback.on_epoch_end(epoch, {"loss": 0.0, "val_loss": loss})
        epochs += 1
        if model.stop_training:
            break
    callback.on_train_end({})
    return epochs, float(model.get_weights()[0][0, 0])


def _stops(losses: Sequence[float], patience: int) -> Callable[[Any], str | None]:
    """Return a test: with these validation losses, does it stop in time and keep the best?"""

    def test(answer: Any) -> str | None:
        wanted = _trained(callbacks.StopEarly(patience), losses)
        found = _trained(answer(patience), losses)
        said = f"with patience {patience} and validation losses {list(losses)} StopEarly"
        if found[0] != wanted[0]:
            return f"{said} ran {found[0]} epochs, expected {wanted[0]}"
        if found[1] != wanted[1]:
            return f"{said} kept the weights of epoch {found[1]:.0f}, expected {wanted[1]:.0f}"
        return None

    return test


StopEarly = Check(
    "03.5",
    "Stop at the right time",
    function="StopEarly",
    reference=callbacks.StopEarly,
    bank=bank.STOP_EARLY,
    points=4,
    minutes=15,
    difficulty=3,
    isolated=False,
    seconds=20,
    steps=[
        Property(
            "stops after `patience` bad epochs",
            _stops([3.0, 1.0, 2.0, 2.0, 0.5], 2),
            idea="Count the epochs since the best one.",
        ),
        Property(
            "starts counting anew at a new best",
            _stops([3.0, 4.0, 2.0, 3.0, 1.0, 2.0, 2.0], 2),
            idea="A new best sets the count back to 0.",
        ),
        Property(
            "compares with the best epoch",
            _stops([1.0, 3.0, 2.0, 1.5, 1.2], 3),
            idea="Getting better again is not yet a new best.",
        ),
        Property(
            "keeps the best weights also when nothing stops it",
            _stops([2.0, 1.0, 3.0], 5),
            idea="on_train_end runs in any case.",
        ),
    ],
)

summary = summary_for(__name__)
