"""Checkpoints: what a training must write down so that a crash costs minutes and changes nothing.

Reading order: `save` and `load` (weights, optimizer and step in one file, whole or not at all),
`train` (a loop that resumes), `KeepOnInterrupt` (the same care for `model.fit`).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from datahall import state
from datahall.errors import DataError, ParameterError, ShapeError
from datahall.training import loop


def save(path: Path, model: keras.Model, *, step: int) -> Path:
    """Write all that the next step depends on: weights, optimizer, random generators, step.

    The order of the data is not in the file: `loop.batch_indices` computes it from the step.

    Args:
        path: The file; it is replaced by renaming, so a reader sees the old or the new one, whole.
        model: A compiled network.
        step: Steps done.

    Returns:
        The path.

    Raises:
        DataError: The file cannot be written; the old one stays.
    """
    arrays = {f"{place:03d}": np.asarray(value) for place, value in enumerate(_variables(model))}
    buffer = io.BytesIO()
    np.savez(buffer, step=np.int64(step), **arrays)  # type: ignore[arg-type]
    return state.write_atomically(path, buffer.getvalue())


def load(path: Path, model: keras.Model) -> int:
    """Put a checkpoint back into a network that is built and compiled as the saved one was.

    Args:
        path: A file written by `save`.
        model: The network that receives the values.

    Returns:
        The number of steps done when it was written.

    Raises:
        DataError: The file is missing or damaged.
        ShapeError: It belongs to another network or another optimizer.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            step = int(file["step"])
            names = sorted(set(file.files) - {"step"}, key=int)  # 1000 stands after 999
            values = [file[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"the checkpoint {path} cannot be read ({error}). A whole file written by "
            "checkpoint.save was expected. Delete it to begin at step 0, or give an older one."
        ) from error
    variables = _variables(model)
    ours, theirs = [tuple(v.shape) for v in variables], [v.shape for v in values]
    if ours != theirs:
        raise ShapeError(
            f"the checkpoint holds {len(theirs)} arrays, {_first_difference(ours, theirs)}. "
            f"The network {model.name!r} and its optimizer have {len(ours)}. "
            "Build and compile the network as it was when the checkpoint was written."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return step


def train(
    model: keras.Model,
    images: NDArray[np.float32],
    labels: NDArray[Any],
    *,
    path: Path,
    steps: int,
    every: int,
    batch: int = 128,
    seed: int = 0,
    after_step: Callable[[int, float], None] | None = None,
) -> loop.History:
    """Train with a checkpoint every few steps; if the file exists, go on where it ends.

    The last checkpoint is written at the end too, and when Interrupt is pressed.

    Args:
        model: A compiled network.
        images: (examples, height, width, channels), float32, 0 … 1.
        labels: (examples,), integers.
        path: The checkpoint.
        steps: Steps of the whole training.
        every: Steps between two checkpoints.
        batch: Examples a step.
        seed: Order of the data.
        after_step: Called with the number of steps done and the step's loss.

    Returns:
        What this run did; `start` tells where it took up the work.

    Raises:
        ParameterError: `every` is not positive.
        DataError: The checkpoint is damaged or cannot be written.
    """
    if every < 1:
        raise ParameterError(f"every is {every}. Expected at least 1 step. Try 50.")

    def keep(step: int, loss: float) -> None:
        if step % every == 0:
            save(path, model, step=step)
        if after_step is not None:
            after_step(step, loss)

    start = load(path, model) if path.exists() else 0
    course = loop.train(
        model, images, labels, steps=steps, batch=batch, seed=seed, start=start, after_step=keep
    )
    if course.step % every or course.interrupted:
        save(path, model, step=course.step)
    return course


class KeepOnInterrupt(keras.callbacks.Callback):  # type: ignore[misc]
    """Let Interrupt end `model.fit` between two steps, with a checkpoint written.

    Without it a KeyboardInterrupt leaves `fit` in the middle of a step and History is lost.

    Args:
        path: The checkpoint, written at the end of each epoch and on Interrupt.

    Attributes:
        interrupted: Whether Interrupt was pressed.
    """

    def __init__(self, path: Path) -> None:
        """Remember the path."""
        super().__init__()
        self.path, self.interrupted = path, False
        self._interrupt: loop.DeferredInterrupt | None = None
        self._step = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Take over the signal."""
        self._step, self.interrupted = 0, False
        self._interrupt = loop.DeferredInterrupt().__enter__()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop after this step if somebody asked."""
        self._step += 1
        if self._interrupt is not None and self._interrupt.requested and not self.interrupted:
            self.interrupted = self.model.stop_training = True
            save(self.path, self.model, step=self._step)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the epoch."""
        if not self.interrupted:
            save(self.path, self.model, step=self._step)

    def on_train_end(self, logs: Any = None) -> None:
        """Give the signal back."""
        self.close()

    def close(self) -> None:
        """Give the signal back; called by `fit` at its end, and by hand if `fit` has failed."""
        if self._interrupt is not None:
            self._interrupt.__exit__()
            self._interrupt = None


def _variables(model: keras.Model) -> list[Any]:
    if getattr(model, "optimizer", None) is None:
        raise ParameterError(
            f"the network {model.name!r} has no optimizer. A compiled network was expected. "
            "Call core.prepare(model, steps) or model.compile first."
        )
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _first_difference(ours: list[tuple[int, ...]], theirs: list[tuple[int, ...]]) -> str:
    for place, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine != other:
            return f"number {place} of shape {other} where the network has {mine}"
    return "the first of them alike"
