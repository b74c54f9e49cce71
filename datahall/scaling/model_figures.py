"""Pictures of the model of scaling: against published runs, and carried to many devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from datahall.errors import ParameterError
from datahall.plotting import COLORS, GRID, INK, describe, figure
from datahall.scaling import core
from datahall.scaling.published import HALF, Run
from datahall.units import BYTES_PER_FLOAT32, format_duration

IMAGENET, EPOCHS = 1_281_167, 90
DEVICES = [2**power for power in range(15)]


@dataclass(frozen=True)
class Workload:
    """A network to train, and how fast one device does it.

    Attributes:
        parameters: Numbers of its gradient.
        rate: Images a second of one device.
        batch: Images of one device in a step.
    """

    parameters: int
    rate: float
    batch: int


NETWORKS = {
    "ResNet-50 (P100)": Workload(25_557_032, 219, 64),
    "Inception V3 (P100)": Workload(23_834_568, 142, 64),
    "VGG-16 (P100)": Workload(138_357_544, 154, 64),
}
"""Rates of one P100: TensorFlow benchmarks (2017)."""

TIMES = {"ring": core.ring_s, "tree": core.pipelined_tree_s}


def step_of(
    network: Workload, devices: int, link: core.Link, algorithm: str, *, hidden: float = 0.0
) -> float:
    """Return the modelled seconds of a step on so many devices, one a network card.

    Args:
        network: What is trained.
        devices: How many.
        link: Between two of them.
        algorithm: A key of `TIMES`.
        hidden: Share of the all-reduce that the backward pass hides, 0 to 1.
    """
    reduce_s = TIMES[algorithm](BYTES_PER_FLOAT32 * network.parameters, devices, link)
    return core.step_s(network.batch / network.rate, reduce_s, hidden=hidden)


def brackets(runs: Sequence[Run]) -> Figure:
    """Show the model's bracket and the measured efficiency of each published run."""
    made, axis = figure(7.2, 0.8 + 0.36 * len(runs))
    words = []
    for row, run in enumerate(runs):
        low, high = run.bracket
        axis.plot([low, high], [row, row], color=GRID, linewidth=8, solid_capstyle="butt")
        color = COLORS["blue"] if run.residual == 0 else COLORS["red"]
        axis.plot(run.measured, row, "o" if run.residual == 0 else "D", color=color, markersize=7)
        where = "inside" if run.residual == 0 else f"{abs(run.residual):.3f} outside"
        words.append(f"{run.name} {run.measured:.3f} in {low:.3f} to {high:.3f}: {where}")
    axis.set_yticks(range(len(runs)), [run.name for run in runs])
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.set_ylim(len(runs) - 0.5, -0.5)
    axis.set_xlim(0.5, 1.0)
    axis.set_xlabel("efficiency: measured (marker) and the model's bracket (bar)")
    return describe(made, "; ".join(words) + ".")


def scaling(
    network: str, gbit_per_s: float, latency_us: float, algorithm: str, devices: int, price: float
) -> Figure:
    """Show the time of a step and the efficiency by devices, and what a training costs.

    Args:
        network: One of `NETWORKS`.
        gbit_per_s: Bandwidth of each device's network.
        latency_us: Of one message.
        algorithm: "ring" or "tree" (pipelined).
        devices: The number to read off.
        price: Of one device for an hour, in any currency.

    Raises:
        ParameterError: There is no such network or algorithm.
    """
    if network not in NETWORKS or algorithm not in TIMES:
        raise ParameterError(
            f"network {network!r} with {algorithm!r} is not in the model. One of {list(NETWORKS)} "
            f"and of {list(TIMES)} was expected. Choose from these."
        )
    one, link = NETWORKS[network], core.Link(latency_us * 1e-6, gbit_per_s * 1e9 / 8)
    compute_s = one.batch / one.rate
    made, (left, right) = figure(7.2, 2.8, ncols=2)
    ends = {
        hidden: np.array([step_of(one, n, link, algorithm, hidden=hidden) for n in DEVICES])
        for hidden in (0.0, HALF)
    }
    left.fill_between(DEVICES, ends[HALF], ends[0.0], color=COLORS["sky"], alpha=0.5)
    left.axhline(compute_s, color=INK, linewidth=1)
    left.set_ylabel("s a step")
    worst_s = step_of(one, devices, link, algorithm, hidden=0.0)
    hours = EPOCHS * IMAGENET / (one.batch * devices) * worst_s / 3600
    left.set_title(f"{EPOCHS} epochs cost up to {devices * price * hours:,.0f}", fontsize=9)
    left.set_ylim(0, None)
    low, high = compute_s / ends[0.0], compute_s / ends[HALF]
    right.fill_between(DEVICES, low, high, color=COLORS["sky"], alpha=0.5)
    right.set_ylim(0, 1.02)
    right.set_ylabel("efficiency")
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.axvline(devices, color=COLORS["orange"])
        axis.set_xlabel("devices")
    return describe(made, _told(network, algorithm, devices, one, link, price))


def _told(
    name: str, algorithm: str, devices: int, one: Workload, link: core.Link, price: float
) -> str:
    worst, best = (step_of(one, devices, link, algorithm, hidden=hidden) for hidden in (0.0, HALF))
    compute_s = one.batch / one.rate
    steps = EPOCHS * IMAGENET / (one.batch * devices)
    cost = [devices * price * steps * step / 3600 for step in (best, worst)]
    return (
        f"{name}, {devices} devices, {algorithm}, {8e-9 * link.bytes_per_s:g} Gbit/s: a step "
        f"takes {best:.3g} to {worst:.3g} s, of which {compute_s:.3g} s compute; efficiency "
        f"{compute_s / worst:.2f} to {compute_s / best:.2f}. {EPOCHS} epochs of ImageNet: "
        f"{format_duration(steps * best)} to {format_duration(steps * worst)}, {cost[0]:,.0f} to "
        f"{cost[1]:,.0f} at a price of {price:g} an hour. Batch {one.batch * devices:,}."
    )


def predictions(rows: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Show predicted against measured times; on the line they are equal.

    Args:
        rows: Predicted and measured seconds, by what was measured.
    """
    made, axis = figure(5.2, 3.0)
    words, every = [], []
    for (name, (predicted, measured)), color, marker in zip(
        rows.items(), COLORS.values(), "osD^vPX*", strict=False
    ):
        axis.loglog(predicted, measured, marker, color=color, label=name, markersize=5)
        errors = [abs(p / m - 1) for p, m in zip(predicted, measured, strict=True)]
        words.append(f"{name}: median error {np.median(errors):.0%}")
        every += [*predicted, *measured]
    ends = [min(every) / 1.5, max(every) * 1.5]
    axis.plot(ends, ends, color=INK, linewidth=1)
    axis.set_xlabel("predicted, s")
    axis.set_ylabel("measured, s")
    axis.legend(frameon=False, fontsize=9)
    return describe(made, "; ".join(words) + ".")
