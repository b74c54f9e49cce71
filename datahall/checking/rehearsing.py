"""Steps for answers that train a network: a training loop and a callback are driven on a tiny one.

What they should do is what Keras' own loop does, or what follows from a list of losses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from datahall.checking.showing import described
from datahall.checking.steps import Property

_IMAGES = np.array([[1.0, 2.0], [3.0, 1.0]], np.float32)


def network(optimizer: str, *, dropout: float = 0.0, deep: bool = False) -> Any:
    """Return a compiled network of two inputs and two classes, with known weights.

    Args:
        optimizer: `SGD` (rate 0.5) or `Adam` (rate 0.1).
        dropout: Share of the inputs that a first layer drops.
        deep: Whether it has three layers, `layer_1` in its middle frozen, or one.
    """
    import keras

    parts = [keras.layers.Dropout(dropout, seed=0)] if dropout else []
    parts += [keras.layers.Dense(2, name=f"layer_{n}") for n in range(3 if deep else 1)]
    model = keras.Sequential([keras.layers.Input((2,)), *parts])
    for part in parts[1 if dropout else 0 :]:
        part.set_weights([np.eye(2), np.zeros(2)])
        part.trainable = part.name != "layer_1"
    rule = keras.optimizers.SGD(0.5) if optimizer == "SGD" else keras.optimizers.Adam(0.1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(rule, loss, run_eagerly=True)  # so few steps are not worth a graph
    return model


def steps_as_keras(
    name: str,
    optimizer: str,
    batches: Sequence[Sequence[int]],
    *,
    on: str,
    idea: str,
    **made: Any,
) -> Property:
    """Return a step: does a training step give the losses and weights that Keras' own give?

    The answer is called as `step(model, optimizer, loss_function, images, labels)`.

    Args:
        name: What it shows, as for `Property`.
        optimizer: As for `network`.
        batches: The labels of each step.
        on: What the network is, for the message.
        idea: As for `Property`.
        made: How the network is made.
    """

    @cache
    def keras_own() -> list[tuple[float, list[Any]]]:
        model, after = network(optimizer, **made), []
        for labels in batches:
            loss = float(model.train_on_batch(_IMAGES, np.array(labels)))
            after.append((loss, model.get_weights()))
        return after

    def test(step: Any) -> str | None:
        mine = network(optimizer, **made)
        for number, labels in enumerate(batches, start=1):
            once = f"step {number} of {optimizer} on {on}"
            shapes: list[Any] = []
            asked = _ordered(mine.loss, shapes)
            loss = step(mine, mine.optimizer, asked, _IMAGES, np.array(labels))
            if not shapes:
                return f"train_step did not call loss_function at {once}"
            wanted, weights = keras_own()[number - 1]
            said = _no_loss(loss, once) or _weights_said(mine, weights, once)
            if said:
                return said
            if not np.isclose(float(loss), wanted, atol=1e-5):
                return f"train_step returned {float(loss):.4f} at {once}, expected {wanted:.4f}"
        return None

    return Property(name, test, idea=idea)


def _ordered(loss: Any, seen: list[Any]) -> Callable[[Any, Any], Any]:
    """Return a loss that notes its calls, and says so if labels and outputs are not as expected."""

    def ordered(labels: Any, outputs: Any) -> Any:
        shapes = tuple(np.shape(labels)), tuple(np.shape(outputs))
        seen.append(shapes)
        if shapes != ((2,), (2, 2)):
            swapped = shapes == ((2, 2), (2,))
            meant = "the labels first, then the outputs" if swapped else "those of the whole batch"
            raise AssertionError(
                f"train_step called loss_function(labels, outputs) with shapes {shapes[0]} and "
                f"{shapes[1]}, expected (2,) and (2, 2): {meant}"
            )
        return loss(labels, outputs)

    return ordered


def _no_loss(loss: Any, once: str) -> str | None:
    if loss is None:
        return f"train_step returned None at {once}. Is the return line missing?"
    if isinstance(loss, float) or (hasattr(loss, "dtype") and np.shape(loss) == ()):
        return None
    return f"train_step returned {described(loss)} at {once}, expected the loss, one number"


def _weights_said(model: Any, weights: list[Any], once: str) -> str | None:
    pairs = zip(model.weights, weights, strict=True)
    if wrong := [pair for pair in pairs if not np.allclose(*pair, atol=1e-4)]:
        names = " and ".join(" ".join(one.path.split("/")[-2:]) for one, _ in wrong)
        one, other = (np.array(each, float).round(4).tolist() for each in wrong[0])
        told = "are wrong: the first is" if len(wrong) > 1 else "is wrong: it is"
        return f"after {once} {names} {told} {one}, expected {other}"
    return None


def epochs_end(
    name: str, losses: Sequence[float], patience: int | None, epochs: int, best: int, *, idea: str
) -> Property:
    """Return a step that drives a callback as `fit` does; the network's weights tell their epoch.

    The answer is called with the patience, or without any. It should end training, and keep the
    best weights.

    Args:
        name: What it shows, as for `Property`.
        losses: The validation loss of each epoch; the training loss falls all the time.
        patience: Bad epochs in a row after which training ends; None: what the stub says.
        epochs: How many epochs it should run.
        best: Whose weights it should keep.
        idea: As for `Property`.
    """

    def test(answer: Any) -> str | None:
        import keras

        # its running statistics are weights that are not trained
        layers = [keras.layers.Input((1,)), keras.layers.BatchNormalization()]
        model = keras.Sequential(layers)
        model.stop_training, ran = False, 0
        callback = answer() if patience is None else answer(patience)
        callback.set_model(model)
        callback.on_train_begin({})
        seen = [float(loss) for loss in losses]
        given = "the patience of the stub" if patience is None else f"patience {patience}"
        said = f"with {given} and validation losses {seen} {answer.__name__}"
        for ran, loss in enumerate(seen, start=1):
            model.set_weights([np.full(each.shape, float(ran)) for each in model.weights])
            callback.on_epoch_begin(ran - 1, {})
            callback.on_epoch_end(ran - 1, {"loss": 1 / ran, "val_loss": loss})
            if model.stop_training:
                break
            if (kept := _epochs_of(model)) != str(ran):
                return f"{said} put the weights of epoch {kept} back after epoch {ran}"
        if ran != epochs:
            return f"{said} ran {ran} epochs, expected {epochs}"
        callback.on_train_end({})
        if (kept := _epochs_of(model)) != str(best):
            return f"{said} kept the weights of epoch {kept}, expected {best}"
        return None

    return Property(name, test, idea=idea)


def _epochs_of(model: Any) -> str:
    """Return of which epoch the weights are; "2 (gamma, beta) and 4 (…)" if not all of one."""
    found: dict[str, list[str]] = {}
    for weight in model.weights:
        found.setdefault(f"{float(weight[0]):.0f}", []).append(weight.name)
    if len(found) == 1:
        return next(iter(found))
    return " and ".join(f"{epoch} ({', '.join(names)})" for epoch, names in found.items())
