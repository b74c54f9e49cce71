"""Our ring all-reduce of two ranks beside a bare socket stream and TensorFlow's collective.

The limit is two processes that send each other the bytes of the all-reduce at the same time and do
nothing with them: S bytes each way for two ranks. TensorFlow's collective is the ring of
`MultiWorkerMirroredStrategy` over gRPC on the loopback address. All are measured in turns in one
run, the least of many repeats counts, and what is reported are ratios.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from time import perf_counter
from typing import Any

import numpy as np
from measuring import finish, options, record, say, table

from datahall.scaling import clocking, group
from datahall.scaling.peers import Peers
from datahall.units import BYTES_PER_FLOAT32, KIB, MIB

SIZES = (16 * KIB, MIB, 16 * MIB)
GOAL = 0.75  # of the bare stream, at 16 MiB
COLLECTIVE = "TensorFlow's collective"


def collective(peers: Peers, sizes: list[int], repeat: int) -> dict[int, list[float]]:
    """Return the seconds of each run of TensorFlow's all-reduce on this rank."""
    os.environ["TF_CONFIG"] = json.dumps(_cluster(peers))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    ring = tf.distribute.experimental.CommunicationImplementation.RING
    strategy = tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=tf.distribute.experimental.CommunicationOptions(implementation=ring)
    )
    took: dict[int, list[float]] = {}
    for size in sizes:
        array = tf.fill([size // BYTES_PER_FLOAT32], float(peers.rank + 1))
        values = strategy.experimental_distribute_values_from_function(lambda _, array=array: array)

        @tf.function
        def reduce(values: Any) -> Any:
            def replica(one: Any) -> Any:
                return tf.distribute.get_replica_context().all_reduce("sum", tf.identity(one))

            return strategy.run(replica, args=(values,))

        assert float(strategy.experimental_local_results(reduce(values))[0][-1]) == 3.0
        took[size] = []
        for _ in range(repeat):
            peers.barrier()
            begin = perf_counter()
            strategy.experimental_local_results(reduce(values))[0].numpy()
            took[size].append(perf_counter() - begin)
    return took


def _cluster(peers: Peers) -> dict[str, Any]:
    """Agree on a free port for each rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = np.array([free.getsockname()[1]])
    ports = {peers.rank: int(port[0])}
    for other in range(peers.ranks):
        if other != peers.rank:
            came = np.zeros_like(port)
            peers.exchange(other, port, other, came)
            ports[other] = int(came[0])
    workers = [f"127.0.0.1:{ports[rank]}" for rank in range(peers.ranks)]
    return {"cluster": {"worker": workers}, "task": {"type": "worker", "index": peers.rank}}


def measure(repeat: int, *, tensorflow: bool) -> dict[str, dict[int, float]]:
    """Measure all in turns; return the least seconds by size, by name."""
    names = [clocking.BARE, "ring", "tree"]
    least: dict[str, dict[int, float]] = {name: {} for name in names}
    for turn in range(5):
        say(f"turn {turn + 1} of 5")
        for name in names:
            took = clocking.least_s(2, name, SIZES, repeat=repeat)
            least[name] = {n: min(took[n], least[name].get(n, took[n])) for n in SIZES}
    if tensorflow:
        say(COLLECTIVE)
        runs = group.run(2, collective, list(SIZES), 5 * repeat, limit_s=300)
        least[COLLECTIVE] = {
            n: min(map(max, zip(*[rank[n] for rank in runs], strict=True))) for n in SIZES
        }
    return least


def main() -> int:
    """Measure, print, record; exit 1 if the ring misses its goal."""
    parser = options(__doc__, record="build/allreduce.json")
    parser.add_argument("--repeat", type=int, default=20, help="repeats of each in a turn (20)")
    parser.add_argument("--no-tensorflow", action="store_true", help="leave the collective out")
    given = parser.parse_args()
    if given.repeat < 1:
        parser.error("--repeat must be at least 1")
    least = measure(given.repeat, tensorflow=not given.no_tensorflow)
    bare = least[clocking.BARE]
    rows = [
        [name, *(f"{1e3 * took[n]:.3g} ms, {bare[n] / took[n]:.2f}" for n in SIZES)]
        for name, took in least.items()
    ]
    head = ["two ranks", *(f"{n // KIB:,} KiB" for n in SIZES)]
    share = bare[SIZES[-1]] / least["ring"][SIZES[-1]]
    text = table(head, rows) + (
        "\n\nLeast time, and the bare stream's time divided by it."
        f"\nThe ring reaches {share:.2f} of the bare stream at 16 MiB; the goal is {GOAL}."
    )
    values = {name: {str(n): took for n, took in row.items()} for name, row in least.items()}
    code = [f"scaling/{name}.py" for name in ("peers", "allreduce", "clocking")]
    finish(record("allreduce", {"least_s": values, "share": share}, code=code), text, given)
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
