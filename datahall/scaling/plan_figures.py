"""The picture of a cluster that is not here: what it holds, and how it scales."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from datahall.plotting import COLORS, describe, figure
from datahall.scaling import planning
from datahall.scaling.planning import DAY_S, DEVICES, MODELS, PUBLISHED, SOURCE, Cut
from datahall.units import GB

TOKENS = 300e9
MEASURED_ON = "A100 80 GB"
_DEGREES = [2**power for power in range(13)]


def cluster(
    model: str, device: str, data: int, tensor: int, stages: int, zero: int, batch: int,
    network_gbit_s: float, price: float,
) -> Figure:  # fmt: skip
    """Show memory and time of a training, and how the work of a device changes with their number.

    Args:
        model: A key of `MODELS`.
        device: A key of `DEVICES`.
        data: Degree of data parallel, as `tensor` and `stages` (of the pipeline).
        tensor: Devices that share each layer.
        stages: Of the pipeline.
        zero: Stage of ZeRO.
        batch: Sequences in a step.
        network_gbit_s: Of each device's network card.
        price: Of a device for an hour, in the reader's currency.
    """
    shape, sheet, cut = MODELS[model], DEVICES[device], Cut(data, tensor, stages, zero)
    told: dict[str, Any] = {
        "batch": batch,
        "share": planning.fitted(),
        "card": network_gbit_s * 1e9 / 8,
    }
    plan = planning.plan(shape, sheet, cut, **told)
    days = plan.step_s * TOKENS / (batch * planning.SEQUENCE) / DAY_S
    cost = days * 24 * cut.devices * price
    made, (left, right) = figure(7.4, 3.0, ncols=2)
    left.barh(list(plan.parts_s), list(plan.parts_s.values()), color=COLORS["blue"])
    left.invert_yaxis()
    left.set_xlabel("s of a step")
    left.set_title(f"{plan.memory_bytes / GB:.4g} of {sheet.memory_bytes / GB:g} GB, "
                   f"{days:.4g} days, cost {cost:.4g}", fontsize=9)  # fmt: skip
    curve = [planning.plan(shape, sheet, replace(cut, data=n), **told) for n in _DEGREES]
    numbers = [replace(cut, data=n).devices for n in _DEGREES]
    right.plot(numbers, [each.tflop_per_s for each in curve], "--", color=COLORS["blue"])
    right.plot([cut.devices], [plan.tflop_per_s], "D", color=COLORS["red"])
    rows = PUBLISHED if device == MEASURED_ON else ()
    right.plot([row.devices for row in rows], [row.tflop_per_s for row in rows], "o",
               color=COLORS["orange"])  # fmt: skip
    right.set_xscale("log", base=2)
    right.set_ylim(0)
    right.set_xlabel("devices")
    right.set_title("TFLOP/s of a device: model dashed, measured dots", fontsize=9)
    parts = ", ".join(f"{name} {took:.3g} s" for name, took in plan.parts_s.items())
    return describe(
        made,
        f"{model} on {cut.devices} × {device}: {plan.memory_bytes / GB:.4g} GB of "
        f"{sheet.memory_bytes / GB:g} GB ({'fits' if plan.fits else 'does not fit'}); a step takes "
        f"{plan.step_s:.4g} s ({parts}); 300 billion tokens take {days:.4g} days and cost "
        f"{cost:.4g} at {price:g} a device and hour. What binds: {plan.binds}. "
        f"{_standing(shape, device, cut)}",
    )


def _standing(shape: planning.Published, device: str, cut: Cut) -> str:
    """Say where the model was measured, and where it is extrapolated."""
    same = shape.devices == cut.devices and (shape.tensor, shape.stages) == (cut.tensor, cut.stages)
    if device == MEASURED_ON and same:
        return f"Measured here by others: {shape.tflop_per_s:g} TFLOP/s a device ({SOURCE})."
    if device == MEASURED_ON and cut.devices in range(32, 3073):
        return f"Interpolated: the dots are measured by others, on 32 to 3,072 A100 ({SOURCE})."
    return f"Extrapolated: all of this was measured on 32 to 3,072 A100 only ({SOURCE})."
