"""TensorFlow's own parameter server: `ParameterServerStrategy` with a `ClusterCoordinator`.

`train` is a target of the launcher. The roles say who does what: `ps` holds the weights, `worker`s
compute, the `chief` gives out steps and waits. A job of a chief alone has the others as servers
inside its own process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from datahall.scaling import parallel
from datahall.scaling.cluster import Cluster, me
from datahall.scaling.worker import tell

THREADS = 8  # of a server: one that waits for another must not hold the last of them
LOOK_S = 0.02  # between two looks of the chief at the number of updates


def train(
    *,
    updates: int,
    images: int,
    batch: int = 64,
    rate: float = 0.1,
    hidden: int = 64,
    seed: int = 0,
    inside: int = 2,
) -> dict[str, Any]:
    """Train the dense network of `parallel` asynchronously; the target of the launcher.

    Args:
        updates: Steps that the chief gives out.
        images: Training examples: the first ones of MNIST.
        batch: Examples of a step.
        rate: Learning rate.
        hidden: Units of the hidden layer.
        seed: First weights and order of the data.
        inside: Workers of a chief that is alone, in its own process.

    Returns:
        Of the chief: `staleness` (of each step), `updates` (that the server counted), `weights`
        (four lists), `took_s` (from the first step to the last).
    """
    import tensorflow as tf

    task = me()
    if task.role != "chief":
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver(rpc_layer="grpc")
        serve(resolver.cluster_spec(), task.role, task.index).join()  # until the launcher ends it
    plan = parallel.Plan(updates, batch, rate=rate, hidden=hidden, seed=seed)
    coordinator, _kept = coordinator_of(inside)
    strategy = coordinator.strategy
    with strategy.scope():
        model = keras_network(plan)
        version = tf.Variable(
            0, dtype=tf.int64, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
        )
    step = make_step(model, version, rate)
    pixels, labels = parallel.digits(images)
    order = np.random.default_rng(seed).permutation(images)
    begin, came = time.monotonic(), []
    for number in range(updates):
        mine = order[np.arange(number * batch, (number + 1) * batch) % images]
        came.append(coordinator.schedule(step, args=(pixels[mine], labels[mine].astype(np.int64))))
    while not coordinator.done():
        tell(f"step {int(version.numpy())}")
        time.sleep(LOOK_S)
    coordinator.join()
    took_s = time.monotonic() - begin
    return {
        "staleness": [int(each.fetch()) for each in came],
        "updates": int(version.numpy()),
        "weights": [weight.tolist() for weight in model.get_weights()],
        "took_s": took_s,
    }


def make_step(model: Any, version: Any, rate: float) -> Callable[..., Any]:
    """Return one step of one worker: read the weights, compute, change them where they stand.

    Args:
        model: A Keras network whose weights stand on the server.
        version: Counts the updates; stands there too.
        rate: Learning rate.

    Returns:
        A function (images, labels) -> updates by others between reading and writing.
    """
    import tensorflow as tf

    loss_of = tf.nn.sparse_softmax_cross_entropy_with_logits

    def step(images: Any, labels: Any) -> Any:
        pulled = version.read_value()
        with tf.control_dependencies([pulled]), tf.GradientTape() as tape:
            loss = tf.reduce_mean(loss_of(labels, model(images, training=True)))
        weights = [weight.value for weight in model.trainable_variables]
        gradients = tape.gradient(loss, weights)
        pairs = zip(weights, gradients, strict=True)
        pushed = [weight.assign_sub(rate * gradient) for weight, gradient in pairs]
        with tf.control_dependencies(pushed):
            return version.assign_add(1, read_value=True) - 1 - pulled

    compiled: Callable[..., Any] = tf.function(step)
    return compiled


def keras_network(plan: parallel.Plan) -> Any:
    """Return the dense network of `parallel` in Keras, with the same first weights."""
    import keras

    first = parallel.first_network(plan)
    model = keras.Sequential(
        [keras.Input((784,)), keras.layers.Dense(plan.hidden, "relu"), keras.layers.Dense(10)]
    )
    model.set_weights([array.astype(np.float32) for array in first.arrays])
    return model


def coordinator_of(inside: int) -> tuple[Any, list[Any]]:
    """Return the coordinator of this job, and the servers that it has to keep alive.

    Args:
        inside: Workers in this process, if the job has no others.
    """
    import tensorflow as tf

    resolver, held = tf.distribute.cluster_resolver.TFConfigClusterResolver(rpc_layer="grpc"), []
    if not resolver.cluster_spec().as_dict().get("ps"):
        here = Cluster.here({"worker": inside, "ps": 1, "chief": 1})
        spec = tf.train.ClusterSpec({role: list(all_of) for role, all_of in here.addresses.items()})
        held = [serve(spec, each.role, each.index) for each in here.tasks() if each.role != "chief"]
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(spec, rpc_layer="grpc")
    strategy = tf.distribute.ParameterServerStrategy(resolver)
    return tf.distribute.coordinator.ClusterCoordinator(strategy), held


def serve(spec: Any, role: str, index: int) -> Any:
    """Start the TensorFlow server of a worker or of a parameter server in this process.

    Args:
        spec: The addresses of the job, a `tf.train.ClusterSpec`.
        role: `worker` or `ps`.
        index: Its number among those of its role.
    """
    import tensorflow as tf

    config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=THREADS)
    options = {"job_name": role, "task_index": index, "protocol": "grpc", "config": config}
    return tf.distribute.Server(spec, **options, start=True)
