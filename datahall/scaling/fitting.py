"""The worker program of the official tutorial, `model.fit` under a strategy, as Keras 3 has it."""

from __future__ import annotations

from typing import Any

from datahall.scaling.cluster import me
from datahall.scaling.machines import SIZE, strategy_of
from datahall.scaling.worker import tell


def fit(*, seed: int = 0) -> dict[str, Any]:
    """Call `model.fit` inside a strategy's scope, and tell what came of it; a launcher's target.

    Returns:
        `error`: its class and first line; empty if it trained.
    """
    import keras

    from datahall import datasets
    from datahall.training import core

    with strategy_of(me()).scope():
        keras.utils.set_random_seed(seed)
        model = core.prepare(core.dense_network(8), 4)
    data = datasets.load("mnist").train
    images, labels = core.as_floats(data.images[:SIZE]), data.labels[:SIZE]
    try:
        model.fit(images[:256], labels[:256], batch_size=64, verbose=0)
    except (ValueError, RuntimeError, TypeError) as error:
        words = str(error).strip().splitlines()[0]
        tell(words)
        return {"error": f"{type(error).__name__}: {words}"}
    return {"error": ""}
