"""What training holds and sends: bytes of weights, gradients, optimizer and layer outputs.

The arithmetic of ZeRO (FSDP) and of pipelines, and the same counted: `measured` allocates what a
stage of a pipeline holds, in this process, and reads Python's count of it.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datahall.errors import ParameterError
from datahall.scaling import pipeline

WEIGHT_BYTES, GRADIENT_BYTES, OPTIMIZER_BYTES = 2, 2, 12
"""Of a parameter, in mixed precision with Adam: 16-bit weight and gradient; float32 weight and two
moments (Rajbhandari and others, 2020, section 3.1)."""


@dataclass(frozen=True)
class State:
    """Bytes that a device holds of the training state.

    Attributes:
        weights: 16-bit weights.
        gradients: 16-bit gradients.
        optimizer: Float32 weights and the two moments of Adam.
    """

    weights: int
    gradients: int
    optimizer: int

    @property
    def total(self) -> int:
        """All of it, in bytes."""
        return self.weights + self.gradients + self.optimizer


def state(parameters: int, *, stage: int = 0, data: int = 1) -> State:
    """Return what a device holds of a network's training state.

    Args:
        parameters: Of the network, or of its part on this device.
        stage: Of ZeRO: 0 nothing is sharded, 1 the optimizer, 2 gradients too, 3 weights too.
        data: Devices among which it is sharded.

    Raises:
        ParameterError: A number is out of range.

    Example:
        >>> state(7_000_000_000).total / 1e9
        112.0
        >>> [round(state(7_500_000_000, stage=n, data=64).total / 1e9, 1) for n in range(4)]
        [120.0, 31.4, 16.6, 1.9]

    Source:
        Rajbhandari and others (2020), "ZeRO", figure 1: 120, 31.4, 16.6 and 1.9 GB.
    """
    if parameters < 0 or stage not in range(4) or data < 1:
        raise ParameterError(
            f"parameters {parameters!r}, stage {stage!r} and data {data!r} cannot be. At least 0, "
            "0 to 3 and at least 1 were expected. Correct the one that is not."
        )
    piece = -(-parameters // data)  # of the device with the longest piece
    return State(
        WEIGHT_BYTES * (piece if stage >= 3 else parameters),
        GRADIENT_BYTES * (piece if stage >= 2 else parameters),
        OPTIMIZER_BYTES * (piece if stage >= 1 else parameters),
    )


def zero_bytes(
    stage: int, numbers: int, ranks: int, number_bytes: int = 2, microbatches: int = 1
) -> int:
    """Return the bytes that all ranks together send in a training step with ZeRO.

    Stages 0 and 1 scatter and gather once. Stage 2 keeps only a piece of the gradient, so it
    scatters every microbatch. Stage 3 gathers the weights for every forward and backward pass.

    Args:
        stage: 0 to 3.
        numbers: Weights of the network.
        ranks: How many.
        number_bytes: Of a weight, and of a gradient, that is sent.
        microbatches: Passes of each rank in a step.

    Example:
        >>> [zero_bytes(stage, 1000, 4) / 2000 / 3 for stage in range(4)]  # in pieces sent a rank
        [2.0, 2.0, 2.0, 3.0]
        >>> zero_bytes(2, 1000, 4, microbatches=8) / 2000 / 3
        9.0

    Source:
        Rajbhandari and others (2020), "ZeRO", section 7, for one microbatch; the others follow from
        the algorithm and are counted by `zero.train`.
    """
    rounds = {0: 2, 1: 2, 2: microbatches + 1, 3: 3 * microbatches}[stage]
    return rounds * (ranks - 1) * numbers * number_bytes


def device_bytes(
    layers: Sequence[int], stages: int, data: int = 1, zero: int = 0, *,
    outputs: int = 0, microbatches: int = 1,
) -> int:  # fmt: skip
    """Return the bytes of the fullest device of a pipeline that runs 1F1B.

    Args:
        layers: Parameters of each layer; each stage takes equally many layers, in order.
        stages: Of the pipeline; divides the number of layers.
        data: Copies of the pipeline, among which ZeRO shards.
        zero: Stage of ZeRO.
        outputs: Bytes of layer outputs that a layer keeps for one microbatch.
        microbatches: Of one pipeline in a step.

    Example:
        >>> device_bytes([10, 10, 10, 10], 2)  # 20 parameters of 16 bytes
        320
        >>> device_bytes([10, 10, 10, 10], 2, outputs=100, microbatches=8)  # stage 0 keeps two
        720
    """
    per_stage = _per_stage(layers, stages)
    found = []
    for number in range(stages):
        part = layers[number * per_stage : (number + 1) * per_stage]
        kept = min(stages - number, microbatches) * per_stage * outputs
        found.append(state(sum(part), stage=zero, data=data).total + kept)
    return max(found)


def measured(
    layers: Sequence[int], stages: int, data: int = 1, zero: int = 0, *,
    outputs: int = 0, microbatches: int = 1,
) -> int:  # fmt: skip
    """Return what the fullest device of a pipeline holds, by allocating it in this process.

    Each stage in turn makes its arrays, runs its passes in the order of 1F1B (a forward pass makes
    layer outputs, a backward pass frees them), and reads the most that Python had allocated.

    Args:
        layers: As in `device_bytes`, like all others.
        stages: Parts of the pipeline.
        data: Replicas.
        zero: Stage of ZeRO.
        outputs: Bytes of layer outputs that a layer keeps for one microbatch.
        microbatches: Pieces of the batch.
    """
    per_stage = _per_stage(layers, stages)
    most = 0
    for number in range(stages):
        whole = sum(layers[number * per_stage : (number + 1) * per_stage])
        piece = -(-whole // data)
        sizes = [whole if zero < least else piece for least in (3, 2, 1, 1, 1)]
        tracemalloc.start()
        arrays = [np.zeros(size, kind) for size, kind in zip(sizes, "eefff", strict=True)]
        kept = {}
        for kind, microbatch in pipeline.order("1F1B", number, stages, microbatches):
            if kind == "F":
                kept[microbatch] = [np.zeros(outputs, "u1") for _ in range(per_stage)]
            else:
                del kept[microbatch]
        most = max(most, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del arrays
    return most


def choose(
    devices: int, batch: int, layers: int, layer_bytes: float, output_bytes: float, limit: float,
    overhead: float = 0.0,
) -> tuple[int, int] | None:  # fmt: skip
    """Return the pipeline that trains fastest in the memory there is: (stages, microbatches).

    `devices` are pipelines of equal length, each with an equal share of the batch, cut into
    microbatches of equal size, run by 1F1B. A layer takes time 1 for an example, a pass of a stage
    `overhead` besides. A step takes (microbatches + stages − 1) passes of a stage.

    Args:
        devices: All of them.
        batch: Examples in a step.
        layers: Of the network, all alike.
        layer_bytes: What a layer's weights, gradients and optimizer take.
        output_bytes: What a layer keeps of one example until its backward pass.
        limit: Bytes of a device.
        overhead: Time of a pass besides its work.

    Returns:
        Stages and microbatches of the least time; of equals the fewest stages, then the fewest
        microbatches. None if nothing fits.

    Example:
        >>> choose(4, 16, 8, 10.0, 1.0, 100.0)  # all layers fit, with two examples at a time
        (1, 2)
        >>> choose(4, 16, 8, 10.0, 1.0, 60.0)  # half of the layers fit
        (2, 8)
    """
    best: tuple[float, int, int] | None = None
    for stages in (n for n in range(1, devices + 1) if devices % n == layers % n == 0):
        share, uneven = divmod(batch * stages, devices)
        if uneven:
            continue
        per_stage = layers // stages
        for microbatches in (n for n in range(1, share + 1) if share % n == 0):
            examples = share // microbatches
            outputs = min(stages, microbatches) * examples * output_bytes
            took = (microbatches + stages - 1) * (per_stage * examples + overhead)
            if per_stage * (layer_bytes + outputs) <= limit:
                best = min(best or (took, stages, microbatches), (took, stages, microbatches))
    return best and best[1:]


def _per_stage(layers: Sequence[int], stages: int) -> int:
    per_stage, over = divmod(len(layers), stages)
    if over:
        raise ParameterError(
            f"{len(layers)} layers make no {stages} equal stages. A number of stages that divides "
            "the layers was expected. Choose another one."
        )
    return per_stage
