"""The process that speaks to Ray: `python -m datahall.scaling.ray_driver ORDER`.

`on_ray` starts it. It starts a cluster of Ray on the loopback address, or joins one, and has Ray
Train run `work` in every worker. `neighbours` tells each worker who it is, as the launcher does: in
`TF_CONFIG`. So the target's function cannot tell who started it. Ray is imported inside functions:
it is an extra.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datahall import runtime, state
from datahall.scaling import launcher, on_ray, worker
from datahall.scaling.cluster import LOOPBACK, Cluster, me
from datahall.units import MIB

STORE_BYTES = 80 * MIB
"""Ray's store of objects. Ours are small; less than 75 MiB it refuses."""
ATTEMPTS = 3  # Ray gives its own processes 15 s to start, which a busy machine exceeds


def neighbours() -> Any:
    """Return what sets `TF_CONFIG` in every worker of Ray Train, and nothing else.

    Ray's own `TensorflowConfig` sets `TF_USE_LEGACY_KERAS` too, which asks for Keras 2, and
    importing it imports TensorFlow in two more processes.
    """
    from ray.train.backend import Backend, BackendConfig

    class Introduce(Backend):  # type: ignore[misc]
        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            del backend_config
            cluster = Cluster.of(worker_group.execute(address))
            for rank, task in enumerate(cluster.tasks()):
                worker_group.execute_single(rank, introduce, cluster.config(task))

    class Neighbours(BackendConfig):  # type: ignore[misc]
        @property
        def backend_cls(self) -> type:
            return Introduce

    return Neighbours()


def introduce(config: str) -> None:
    """Tell this worker who is there, and which of them it is."""
    os.environ["TF_CONFIG"] = config


def address() -> str:
    """Return this host's address in Ray's cluster, with a port that nobody uses now."""
    import ray

    with socket.socket() as one:
        one.bind(("", 0))
        return f"{ray.util.get_node_ip_address()}:{one.getsockname()[1]}"


def note(folder: str) -> Any:
    """Return what writes down, in a file of the job's folder, what Ray says of lost workers."""
    from ray.train import UserCallback

    class Note(UserCallback):  # type: ignore[misc]
        def after_exception(self, run_context: Any, worker_exceptions: Any) -> None:
            del run_context
            said = {rank: short(str(error)) for rank, error in worker_exceptions.items()}
            with (Path(folder) / on_ray.LOSSES).open("a", encoding="utf-8") as file:
                file.write(json.dumps(said) + "\n")

    return Note()


def short(text: str) -> str:
    r"""Return the line of an error's text that says most, without its full stop.

    Example:
        >>> short("RayActorError: gone.\n  Collective ops is aborted by: reset\n  see the log")
        'Collective ops is aborted by: reset'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["nothing"]
    line = next((line for line in lines if "aborted" in line), lines[0])
    return line.partition(" Some common causes")[0][:300].rstrip(".")


def work(order: Mapping[str, Any]) -> None:
    """Do in a worker of Ray what `datahall.scaling.worker` does in a process of the launcher.

    Args:
        order: What `on_ray.RayJob.start` has written.
    """
    task, folder = me(), Path(order["folder"])
    os.environ |= {launcher.FOLDER: str(folder), "TMPDIR": str(folder / "tmp")}
    tempfile.tempdir = None  # TMPDIR is read afresh
    name = folder / f"worker-{task.index}"
    name.with_suffix(".json").unlink(missing_ok=True)  # of an attempt that was lost
    with (
        name.with_suffix(".log").open("a", encoding="utf-8", buffering=1) as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        worker.tell(f"pid {os.getpid()}")
        runtime.start(seed=order["arguments"].get("seed", 0))
        came = worker.function_of(order["target"])(**order["arguments"])
        state.write_atomically(name.with_suffix(".json"), json.dumps(came))


def connect(order: Mapping[str, Any]) -> None:
    """Join the cluster that the order names, or start one here that ends with this process.

    Args:
        order: What `on_ray.RayJob.start` has written.
    """
    import ray

    if order["address"]:
        ray.init(address=order["address"], log_to_driver=False)
        return
    for attempt in range(ATTEMPTS):
        try:
            ray.init(
                num_cpus=order["workers"],
                object_store_memory=STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                _node_ip_address=LOOPBACK,
                _temp_dir=str(Path(order["folder"]) / f"ray{attempt}"),
                _plasma_directory=order["folder"],
            )
            return
        except Exception as error:
            if attempt + 1 == ATTEMPTS or "timed out" not in str(error):
                raise
            ray.shutdown()


def main() -> None:
    """Connect, have the workers work, and shut down what was started."""
    order = json.loads(sys.argv[1])
    connect(order)
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    try:
        gpus = ray.cluster_resources().get("GPU", 0) >= order["workers"]  # one for each worker
        DataParallelTrainer(
            work,
            train_loop_config=order,
            backend_config=neighbours(),
            scaling_config=ScalingConfig(num_workers=order["workers"], use_gpu=gpus),
            run_config=RunConfig(
                name="train",
                storage_path=order["folder"],
                failure_config=FailureConfig(max_failures=order["restarts"]),
                callbacks=[note(order["folder"])],
            ),
        ).fit()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
