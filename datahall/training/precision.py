"""Mixed precision: how fast a training step is in each number format, and what it keeps in memory.

Reading order: `compare` (steps timed in turn), `kept_bytes` (what a step keeps for its way back).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from datahall.errors import ParameterError
from datahall.training import core

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Build networks under a Keras dtype policy, and put the old one back.

    Args:
        name: One of `POLICIES`.

    Raises:
        ParameterError: There is no such policy here.
    """
    if name not in POLICIES:
        raise ParameterError(
            f"the policy is {name!r}. One of {', '.join(POLICIES)} was expected. Check the name."
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def compare(
    names: Sequence[str] = POLICIES, *, batch: int = 128, rounds: int = 5
) -> dict[str, float]:
    """Time one training step of the network of claim C03 under each policy.

    The policies take turns, so that a busy moment of the machine does not hit one of them alone.

    Args:
        names: Policies.
        batch: Images a step.
        rounds: Timed steps a policy.

    Returns:
        By policy: the least time of a step, in seconds.
    """
    generator = np.random.default_rng(0)
    images = generator.random((batch, *core.SHAPE), dtype=np.float32)
    labels = generator.integers(0, core.CLASSES, batch)
    models = {name: _compiled(name) for name in names}
    least = dict.fromkeys(names, float("inf"))
    for round_ in range(rounds + 1):
        for name, model in models.items():
            begin = time.perf_counter()
            model.train_on_batch(images, labels)
            if round_:  # the first one compiles
                least[name] = min(least[name], time.perf_counter() - begin)
    return least


def kept_bytes(name: str, *, batch: int = 128) -> dict[str, int]:
    """Return the bytes of a network's layer outputs and of its weights, from the arrays themselves.

    A training step keeps the outputs of all layers until the gradients have used them.

    Args:
        name: A policy.
        batch: Images a step.

    Returns:
        `activations` and `weights`, in bytes.
    """
    model = _compiled(name)
    values = keras.ops.zeros((batch, *core.SHAPE))
    activations = 0
    for layer in model.layers:
        values = layer(values)
        activations += np.asarray(values).nbytes
    weights = sum(np.asarray(weight).nbytes for weight in model.get_weights())
    return {"activations": activations, "weights": weights}


def _compiled(name: str) -> keras.Model:
    with policy(name):
        keras.utils.set_random_seed(0)
        model = core.article_cnn()
        model.compile("adam", "sparse_categorical_crossentropy")
    return model
