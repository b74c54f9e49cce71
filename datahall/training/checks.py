"""The checks of module 03's lab: metrics, doubt, an augmentation, the loop, a callback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import keras
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datahall.checking import Check, Example, Property, Search, Trap, summary_for
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
        Trap("further than the image is wide", (_LEFT, 0, 4), idea="Nothing of it is left."),
        Trap("fractions", (np.array([[[0.25, 0.5], [0.75, 1]]]), -1, 1), idea="Keep the type."),
        Search(
            st.tuples(_images, st.integers(-6, 6), st.integers(-6, 6)),
            idea="Draw the image before and after.",
        ),
    ],
)

_IMAGES = np.array([[1.0, 2.0], [3.0, 1.0]], np.float32)


def _tiny(optimizer: str, *, dropout: float = 0.0, deep: bool = False) -> keras.Model:
    """Return a compiled network with known weights; a deep one has a frozen layer in its middle."""
    parts = [keras.layers.Dropout(dropout, seed=0)] if dropout else []
    parts += [keras.layers.Dense(2, name=f"layer_{n}") for n in range(3 if deep else 1)]
    model = keras.Sequential([keras.layers.Input((2,)), *parts])
    for part in parts[1 if dropout else 0 :]:
        part.set_weights([np.array([[1.0, 0.0], [0.0, 1.0]]), np.zeros(2)])
        part.trainable = part.name != "layer_1"
    rule = keras.optimizers.SGD(0.5) if optimizer == "SGD" else keras.optimizers.Adam(0.1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(rule, loss, run_eagerly=True)  # so few steps are not worth a graph
    return model


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


def _steps(
    told: str, optimizer: str, batches: Sequence[Sequence[int]], **network: Any
) -> Callable[[Any], str | None]:
    """Return a test: do these steps give the losses and weights that Keras' own steps give?

    Args:
        told: What the network is, for the message.
        optimizer: `SGD` or `Adam`.
        batches: The labels of each step.
        network: How the network is made.
    """

    @cache
    def keras_own() -> list[tuple[float, list[Any]]]:
        model, after = _tiny(optimizer, **network), []
        for labels in batches:
            loss = float(model.train_on_batch(_IMAGES, np.array(labels)))
            after.append((loss, model.get_weights()))
        return after

    def test(step: Any) -> str | None:
        mine = _tiny(optimizer, **network)
        for number, labels in enumerate(batches, start=1):
            once = f"step {number} of {optimizer} on {told}"
            loss = step(mine, mine.optimizer, _cross_entropy, _IMAGES, np.array(labels))
            wanted, weights = keras_own()[number - 1]
            if not isinstance(loss, float) and (np.shape(loss) != () or not hasattr(loss, "dtype")):
                return f"train_step returned {loss!r} at {once}, expected the loss {wanted:.4f}"
            if not np.isclose(float(loss), wanted, atol=1e-5):
                return f"train_step returned {float(loss):.4f} at {once}, expected {wanted:.4f}"
            pairs = zip(mine.weights, weights, strict=True)
            if wrong := [pair for pair in pairs if not np.allclose(*pair, atol=1e-4)]:
                names = " and ".join(" ".join(one.path.split("/")[-2:]) for one, _ in wrong)
                one, other = (np.array(each, float).round(4).tolist() for each in wrong[0])
                return f"after {once} {names} are wrong: the first is {one}, expected {other}"
        return None

    return test


train_step = Check(
    "03.4",
    reference=loop.train_step,
    bank=bank.TRAIN_STEP,
    steps=[
        Property(
            "takes the step of the example",
            _steps("one layer", "SGD", [[0, 0]]),
            idea="Compare with the example: loss 0.7201, kernel [[1.2722, −0.2722], …].",
        ),
        Property(
            "moves every trainable weight by the optimizer's rule",
            _steps("three layers, layer_1 frozen", "Adam", [[0, 1], [1, 0], [1, 0]], deep=True),
            idea="Which variables, which gradients and which optimizer does the step use?",
        ),
        Property(
            "trains with dropout switched on",
            _steps("a layer after dropout", "SGD", [[0, 0]], dropout=0.5),
            idea="How is the network called in training?",
        ),
    ],
)


def _stops(
    losses: Sequence[float], patience: int, *, epochs: int, best: int
) -> Callable[[Any], str | None]:
    """Return a test that drives a callback as `fit` does; the network's weight tells its epoch.

    Args:
        losses: The validation loss of each epoch; the training loss falls all the time.
        patience: The callback's patience.
        epochs: How many epochs it should run.
        best: Whose weights it should keep.
    """

    def test(answer: Any) -> str | None:
        model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        model.stop_training, ran = False, 0
        callback = answer(patience)
        callback.set_model(model)
        callback.on_train_begin({})
        said = f"with patience {patience} and validation losses {list(losses)} StopEarly"
        for epoch, loss in enumerate(losses):
            model.set_weights([np.full((1, 1), epoch + 1.0)])
            callback.on_epoch_begin(epoch, {})
            callback.on_epoch_end(epoch, {"loss": 1 / (epoch + 1), "val_loss": loss})
            ran = epoch + 1
            if model.stop_training:
                break
            if (kept := float(model.get_weights()[0][0, 0])) != ran:
                return f"{said} put the weights of epoch {kept:.0f} back after epoch {ran}"
        if ran != epochs:
            return f"{said} ran {ran} epochs, expected {epochs}"
        callback.on_train_end({})
        if (kept := float(model.get_weights()[0][0, 0])) != best:
            return f"{said} kept the weights of epoch {kept:.0f}, expected {best}"
        return None

    return test


_NAN = float("nan")

StopEarly = Check(
    "03.5",
    reference=callbacks.StopEarly,
    bank=bank.STOP_EARLY,
    steps=[
        Property(
            "stops after `patience` bad epochs",
            _stops([3.0, 1.0, 2.0, 2.0, 0.5], 2, epochs=4, best=2),
            idea="Go through the epochs by hand: the best so far, and the bad ones in a row.",
        ),
        Property(
            "starts counting anew at a new best",
            _stops([3.0, 4.0, 2.0, 3.0, 1.0, 2.0, 2.0], 2, epochs=7, best=5),
            idea="How many bad epochs have come since the last new best?",
        ),
        Property(
            "compares with the best epoch",
            _stops([1.0, 3.0, 2.0, 1.5, 1.2, 1.1], 3, epochs=4, best=1),
            idea="Which of these epochs is a new best?",
        ),
        Property(
            "takes a small gain for a new best",
            _stops([1.0, 0.999, 0.998, 0.9979], 2, epochs=4, best=4),
            idea="Which of these epochs is a new best?",
        ),
        Property(
            "takes a tie for none",
            _stops([2.0, 1.0, 1.0, 1.0, 0.5], 2, epochs=4, best=2),
            idea="Which of these epochs is a new best?",
        ),
        Property(
            "takes no nan for a best",
            _stops([_NAN, 2.0, _NAN, _NAN, 1.0], 2, epochs=4, best=2),
            idea="A comparison with nan is always False.",
        ),
        Property(
            "keeps the best weights also when nothing stops it",
            _stops([2.0, 1.0, 3.0], 5, epochs=3, best=2),
            idea="on_train_end runs in any case.",
        ),
    ],
)

summary = summary_for(__name__)
