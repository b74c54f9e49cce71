"""One training on several machines: `MultiWorkerMirroredStrategy`, its loop, and its checkpoint.

`train` is what each process runs; it is a target of the launcher. `make_step` is the idea: every
worker's share of the gradient, summed over all. `plain` is the same training in one process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError
from datahall.scaling.cluster import Task, me
from datahall.scaling.worker import scratch, tell

SIZE = 6_000
"""Training examples of these runs: the first ones of MNIST."""


def share(places: NDArray[Any], task: Task) -> NDArray[Any]:
    """Return one worker's part of a batch: every `count`-th example.

    Args:
        places: (batch,), the examples of the whole batch.
        task: The worker.

    Returns:
        (batch / count,).

    Raises:
        ParameterError: The batch cannot be shared out equally.

    Example:
        >>> share(np.arange(6), Task("worker", 1, 2))
        array([1, 3, 5])
    """
    if len(places) % task.count:
        raise ParameterError(
            f"a batch of {len(places)} cannot be shared out among {task.count} workers. A multiple "
            "was expected. Choose another batch."
        )
    return places[task.index :: task.count]


def make_step(strategy: Any, model: Any, loss_of: Any, batch: int) -> Callable[..., Any]:
    """Return one step of all workers: local gradients, summed over the workers, one update.

    Args:
        strategy: A `tf.distribute` strategy, whose scope the model was built in.
        model: A network with its optimizer.
        loss_of: (labels, logits) -> the loss of each example.
        batch: Examples of the whole batch, over all workers.

    Returns:
        A function (images, labels of this worker) -> the loss of the whole batch.
    """
    import tensorflow as tf

    def replica(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(loss_of(labels, model(images, training=True))) / batch
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def step(images: Any, labels: Any) -> Any:
        losses = strategy.run(replica, args=(images, labels))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    compiled: Callable[..., Any] = tf.function(step, reduce_retracing=True)
    return compiled


def strategy_of(task: Task, *, heartbeat_s: float = 3.0) -> Any:
    """Return the strategy of this process: over all workers if there are some, else its own device.

    TensorFlow's workers send heartbeats to worker 0. Missing ones end the job after about ten
    seconds; here the limit is shorter. There is no public name for it in TensorFlow 2.21.

    Args:
        task: Who this process is.
        heartbeat_s: Seconds without a heartbeat after which a worker counts as lost.
    """
    import tensorflow as tf
    from tensorflow.python.eager import context

    if task.count == 1:
        return tf.distribute.get_strategy()
    ours = context.context()
    ours.configure_coordination_service = partial(
        ours.configure_coordination_service, heartbeat_timeout_in_ms=int(1e3 * heartbeat_s)
    )
    return tf.distribute.MultiWorkerMirroredStrategy()


def write_time_s(model: Any, *, repeat: int = 5) -> float:
    """Return the least time that writing a checkpoint takes here, in seconds.

    Args:
        model: A compiled network.
        repeat: How many are written.
    """
    from datahall import runtime
    from datahall.training import checkpoint

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.npz"
        write = partial(checkpoint.save, path, model, step=0)
        return runtime.measure(write, repeat=repeat).best_s


def train(
    *, steps: int, batch: int = 64, seed: int = 0, every: int = 5, folder: str | None = None
) -> dict[str, Any]:
    """Train the travelling network with all workers of this job; the target of the launcher.

    Args:
        steps: Steps of the whole training.
        batch: Examples of a step, over all workers.
        seed: First weights and order of the data.
        every: Steps between two checkpoints; 0: none is written.
        folder: Where the checkpoint stands, seen by every worker; left out: the job's own folder.

    Returns:
        `start` (first step of this run), `losses` (one a step), `digest` (of the weights),
        `total` (sum of all weights).
    """
    import keras

    from datahall import datasets
    from datahall.training import checkpoint, core, loop

    task = me()
    strategy = strategy_of(task)
    with strategy.scope():
        keras.utils.set_random_seed(seed)
        model = core.prepare(core.travelling_network(), steps)
        model.optimizer.build(model.trainable_variables)
    data = datasets.load("mnist").train
    images, labels = core.as_floats(data.images[:SIZE]), data.labels[:SIZE]
    path = (scratch() if folder is None else Path(folder)) / "checkpoint.npz"
    start = checkpoint.load(path, model) if every and path.exists() else 0
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
    step, losses = make_step(strategy, model, loss_of, batch), []
    tell(f"step {start}")
    for number in range(start, steps):
        mine = share(loop.batch_indices(number, examples=SIZE, batch=batch, seed=seed), task)
        losses.append(float(step(images[mine], labels[mine].astype(np.int32))))
        if every and task.index == 0 and (number + 1) % every == 0:
            checkpoint.save(path, model, step=number + 1)
        tell(f"step {number + 1}")
    total = float(sum(np.sum(weight, dtype=np.float64) for weight in model.get_weights()))
    return {"start": start, "losses": losses, "digest": core.digest(model), "total": total}
