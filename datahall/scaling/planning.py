"""Pick a cluster: what training a language model takes on devices that are not here.

Nothing in this room was measured on this machine. The table holds published trainings and data
sheets; one number, the share of its peak that a device reaches in its matrix products, is fitted to
every second published training, and the model is tested on the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from datahall.errors import ParameterError
from datahall.scaling import memory
from datahall.scaling.core import Link, ring_s
from datahall.scaling.pipeline import bubble

SEQUENCE, VOCABULARY, PER_NODE = 2048, 51_200, 8
SOURCE = "Narayanan and others (2021), table 1"
DAY_S = 86_400


@dataclass(frozen=True)
class Device:
    """A device by its data sheet: bytes, dense 16-bit FLOP/s, B/s to its node in one direction."""

    memory_bytes: float
    flop_per_s: float
    inside_bytes_per_s: float


DEVICES = {  # NVIDIA's data sheets of V100 SXM2 (2020), A100 SXM (2021), H100 SXM (2023)
    "V100 32 GB": Device(32e9, 125e12, 150e9),
    "A100 80 GB": Device(80e9, 312e12, 300e9),
    "H100 80 GB": Device(80e9, 989e12, 450e9),
}


@dataclass(frozen=True)
class Published:
    """A training of GPT on A100s: billions of parameters, shape, cut, batch, TFLOP/s a device."""

    billions: float
    hidden: int
    layers: int
    tensor: int
    stages: int
    devices: int
    batch: int
    tflop_per_s: float


# Entered without the paper at hand: its abstract confirms the last row alone.
PUBLISHED = (  # SOURCE; NVLink in a node, eight 200 Gbit/s cards a node; recomputation
    Published(1.7, 2304, 24, 1, 1, 32, 512, 137),
    Published(3.6, 3072, 30, 2, 1, 64, 512, 138),
    Published(7.5, 4096, 36, 4, 1, 128, 512, 142),
    Published(18.4, 6144, 40, 8, 1, 256, 1024, 135),
    Published(39.1, 8192, 48, 8, 2, 512, 1536, 138),
    Published(76.1, 10240, 60, 8, 4, 1024, 1792, 140),
    Published(145.6, 12288, 80, 8, 8, 1536, 2304, 148),
    Published(310.1, 16384, 96, 8, 16, 1920, 2160, 155),
    Published(529.6, 20480, 105, 8, 35, 2520, 2520, 163),
    Published(1008.0, 25600, 128, 8, 64, 3072, 3072, 163),
)
MODELS = {f"GPT {each.billions:g} B": each for each in PUBLISHED}


@dataclass(frozen=True)
class Cut:
    """How a training is split: degrees of data, tensor and pipeline parallel, and ZeRO's stage."""

    data: int
    tensor: int = 1
    stages: int = 1
    zero: int = 0

    @property
    def devices(self) -> int:
        """All of them."""
        return self.data * self.tensor * self.stages


@dataclass(frozen=True)
class Estimate:
    """What a training takes.

    Attributes:
        memory_bytes: Of the fullest device; ZeRO's pieces, and layer outputs with recomputation.
        parts_s: Seconds of a step by what takes them: compute, tensor, bubble, data.
        tflop_per_s: Of each device.
        fits: Whether the memory is enough.
    """

    memory_bytes: float
    parts_s: dict[str, float]
    tflop_per_s: float
    fits: bool

    @property
    def step_s(self) -> float:
        """Seconds of a step."""
        return sum(self.parts_s.values())

    @property
    def binds(self) -> str:
        """What limits it: memory if it does not fit, else what takes the most time."""
        return "memory" if not self.fits else max(self.parts_s, key=self.parts_s.__getitem__)


def flop(model: Published, batch: int) -> float:
    """Return the operations of a step, recomputation included (equation 3 of the source).

    Example:
        >>> round(flop(PUBLISHED[-1], 3072) / 1e18)  # of the largest model
        51
    """
    size = 96 * batch * SEQUENCE * model.layers * model.hidden**2
    return size * (
        1 + SEQUENCE / (6 * model.hidden) + VOCABULARY / (16 * model.layers * model.hidden)
    )


def plan(
    model: Published, device: Device, cut: Cut, *, batch: int, share: float, card: float = 25e9
) -> Estimate:
    """Work out a training: 1F1B with one sequence a microbatch, nothing hidden behind computation.

    Args:
        model: Its shape.
        device: Its data sheet.
        cut: How it is split.
        batch: Sequences in a step; each pipeline gets `batch / data`, at least one.
        share: Of its peak that a device reaches in matrix products, above 0, at most 1.
        card: Bytes a second of a device's network card.

    Raises:
        ParameterError: The share is none.
    """
    if not 0 < share <= 1:
        raise ParameterError(f"share is {share!r}. Above 0 and at most 1 was expected. Correct it.")
    pieces = max(1, batch // cut.data)
    compute = flop(model, batch) / cut.devices / (device.flop_per_s * share)
    inside, between = Link(0, device.inside_bytes_per_s), Link(0, card)
    output = 2 * SEQUENCE * model.hidden
    link = inside if cut.tensor <= PER_NODE else between
    tensor = 6 * model.layers / cut.stages * pieces * ring_s(output, cut.tensor, link)
    own = round(model.billions * 1e9 / (cut.tensor * cut.stages))
    idle = bubble(cut.stages, pieces)
    rounds = memory.zero_bytes(cut.zero, own, 2, 2, pieces) / memory.zero_bytes(0, own, 2, 2, 1)
    parts = {
        "compute": compute,
        "tensor": tensor,
        "bubble": (compute + tensor) * idle / (1 - idle),
        "data": rounds * ring_s(2 * own, cut.data, between),
    }
    kept = min(cut.stages, pieces) * model.layers / cut.stages * output
    held = memory.state(own, stage=cut.zero, data=cut.data).total + kept
    reached = flop(model, batch) / cut.devices / sum(parts.values()) / 1e12
    return Estimate(held, parts, reached, held <= device.memory_bytes)


def predicted(row: Published, share: float) -> float:
    """Return the TFLOP/s of each device in a published training, by the model."""
    cut = Cut(row.devices // (row.tensor * row.stages), row.tensor, row.stages)
    return plan(row, DEVICES["A100 80 GB"], cut, batch=row.batch, share=share).tflop_per_s


def fitted() -> float:
    """Return the share of the peak that explains every second published training best."""
    shares = [each / 1000 for each in range(300, 901)]
    rows = PUBLISHED[::2]

    def missed(share: float) -> float:
        return sum((predicted(row, share) / row.tflop_per_s - 1) ** 2 for row in rows)

    return min(shares, key=missed)
