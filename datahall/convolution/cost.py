"""What a convolution costs: operations, bytes, the least time on a machine, and how far it sees.

`ConvLayer` counts; `attainable_flop_per_s` and `least_time_s` are the roofline; `separable` is the
cheaper layer; `receptive_fields` follows how much of the image one output number has seen. A
multiply-add counts as two operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from datahall.convolution.core import Padding, output_size, same_padding
from datahall.errors import ShapeError, UnitError
from datahall.units import BYTES_PER_FLOAT32


@dataclass(frozen=True)
class ConvLayer:
    """A convolution layer with a square kernel, and what one pass through it costs.

    Args:
        height: Rows of the input, in elements.
        width: Columns of the input, in elements.
        channels: Numbers at each pixel of the input.
        filters: Numbers at each place of the output.
        kernel: Length of the kernel's side, in elements.
        stride: Step between two places, in elements.
        padding: Zeros on each side, or "valid", or "same".
        groups: Channels are split into so many groups that do not see each other.
        batch: Images in one pass.

    Raises:
        ShapeError: The sizes do not fit together.

    Example:
        >>> layer = ConvLayer(28, 28, channels=1, filters=32, kernel=3)
        >>> layer.out_height, layer.parameters, layer.multiply_adds
        (26, 320, 194688)

    Source:
        Derived here from the definition; checked against Keras' own count of parameters.
    """

    height: int
    width: int
    channels: int
    filters: int
    kernel: int = 3
    stride: int = 1
    padding: Padding = 0
    groups: int = 1
    batch: int = 1

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be, before anything is counted."""
        for name in ("channels", "filters", "groups", "batch"):
            if getattr(self, name) < 1:
                raise ShapeError(
                    f"{name} is {getattr(self, name)}. Expected at least 1. Give a positive {name}."
                )
        if self.channels % self.groups or self.filters % self.groups:
            raise ShapeError(
                f"groups is {self.groups} for {self.channels} channels and {self.filters} filters. "
                "Expected a number that divides both. Change groups or filters."
            )
        self._places(self.height)
        self._places(self.width)

    def _places(self, size: int) -> int:
        """Return the places along one axis."""
        if self.padding == "same":
            size += sum(same_padding(size, self.kernel, stride=self.stride))
            return output_size(size, self.kernel, stride=self.stride)
        length = 0 if self.padding == "valid" else int(self.padding)
        return output_size(size, self.kernel, stride=self.stride, padding=length)

    @property
    def out_height(self) -> int:
        """Rows of the output, in elements."""
        return self._places(self.height)

    @property
    def out_width(self) -> int:
        """Columns of the output, in elements."""
        return self._places(self.width)

    @property
    def products_per_output(self) -> int:
        """Products in one output number: the kernel's cells times the channels that it sees."""
        return self.kernel**2 * self.channels // self.groups

    @property
    def weights(self) -> int:
        """Numbers in the kernels, without bias."""
        return self.products_per_output * self.filters

    @property
    def parameters(self) -> int:
        """Numbers that training changes: the weights, and one bias a filter."""
        return self.weights + self.filters

    @property
    def outputs(self) -> int:
        """Numbers in the output of one pass."""
        return self.batch * self.out_height * self.out_width * self.filters

    @property
    def inputs(self) -> int:
        """Numbers in the input of one pass."""
        return self.batch * self.height * self.width * self.channels

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one pass, bias left out."""
        return self.outputs * self.products_per_output

    @property
    def flop(self) -> int:
        """Floating-point operations of one pass: two a multiply-add."""
        return 2 * self.multiply_adds

    @property
    def bytes_moved(self) -> int:
        """Least traffic in float32 bytes: input and weights read once, output written once."""
        return BYTES_PER_FLOAT32 * (self.inputs + self.weights + self.outputs)

    @property
    def im2col_bytes(self) -> int:
        """Bytes of the matrix of windows that `lowering.im2col` writes, in float32."""
        places = self.batch * self.out_height * self.out_width
        return BYTES_PER_FLOAT32 * places * self.kernel**2 * self.channels

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: operations for each byte moved, in FLOP/B."""
        return self.flop / self.bytes_moved


def separable(layer: ConvLayer) -> tuple[ConvLayer, ConvLayer]:
    """Return the two layers, depthwise and pointwise, that stand in for one.

    The ratio of their multiply-adds to the layer's is `1 / filters + 1 / kernel**2`.

    Raises:
        ShapeError: The layer has groups already.

    Example:
        >>> depthwise, pointwise = separable(ConvLayer(14, 14, 128, 128, padding="same"))
        >>> depthwise.multiply_adds, pointwise.multiply_adds
        (225792, 3211264)

    Source:
        Howard et al. (2017), "MobileNets", arXiv:1704.04861, section 3.1.
    """
    if layer.groups != 1:
        raise ShapeError(f"groups is {layer.groups}. Expected 1. Take the layer before its split.")
    depthwise = replace(layer, filters=layer.channels, groups=layer.channels)
    pointwise = ConvLayer(
        depthwise.out_height, depthwise.out_width, layer.channels, layer.filters,
        kernel=1, batch=layer.batch,
    )  # fmt: skip
    return depthwise, pointwise


def attainable_flop_per_s(intensity: float, flop_per_s: float, bytes_per_s: float) -> float:
    """Return the roofline: the rate that a machine can reach at an arithmetic intensity.

    Args:
        intensity: Operations for each byte moved, in FLOP/B.
        flop_per_s: Peak of arithmetic, in FLOP/s.
        bytes_per_s: Peak of memory traffic, in B/s.

    Returns:
        FLOP/s.

    Raises:
        UnitError: A figure is not positive.

    Example:
        >>> attainable_flop_per_s(2.0, 100e9, 10e9) / 1e9
        20.0
        >>> attainable_flop_per_s(50.0, 100e9, 10e9) / 1e9
        100.0

    Source:
        Williams, Waterman and Patterson (2009), "Roofline", Communications of the ACM 52(4).
    """
    figures = {"intensity": intensity, "flop_per_s": flop_per_s, "bytes_per_s": bytes_per_s}
    for name, value in figures.items():
        if value <= 0:
            raise UnitError(f"{name} is {value}. Expected more than 0. Measure it again.")
    return min(flop_per_s, intensity * bytes_per_s)


def least_time_s(layer: ConvLayer, flop_per_s: float, bytes_per_s: float) -> float:
    """Return the shortest time in which a machine can do one pass, in seconds.

    Args:
        layer: What is done.
        flop_per_s: The machine's peak, in FLOP/s.
        bytes_per_s: Its memory bandwidth, in B/s.

    Example:
        >>> round(least_time_s(ConvLayer(28, 28, 32, 64), 100e9, 10e9) * 1e6)
        249

    Source:
        The roofline, see `attainable_flop_per_s`.
    """
    return layer.flop / attainable_flop_per_s(layer.intensity, flop_per_s, bytes_per_s)


def receptive_fields(layers: Sequence[tuple[int, int]]) -> list[int]:
    """Return, after each layer, how many input elements along one axis one output number has seen.

    Args:
        layers: `(kernel, stride)` of each convolution or pooling layer, from the input on.

    Raises:
        ShapeError: A kernel or stride is below 1.

    Example:
        >>> receptive_fields([(3, 1), (2, 2), (3, 1), (2, 2)])
        [3, 4, 8, 10]

    Source:
        Araujo, Norris and Sim (2019), "Computing receptive fields of convolutional neural
        networks", Distill, equation 2.
    """
    seen, jump, fields = 1, 1, []
    for kernel, stride in layers:
        if kernel < 1 or stride < 1:
            raise ShapeError(
                f"a layer has kernel {kernel} and stride {stride}. Expected at least 1 each. "
                "Write each layer as (kernel, stride)."
            )
        seen += (kernel - 1) * jump  # neighbours in this layer stand `jump` input elements apart
        jump *= stride
        fields.append(seen)
    return fields


def resnet50(*, batch: int = 1) -> list[ConvLayer]:
    """Return the 53 convolutions of ResNet-50 (v1.5) for images of 224 × 224: a known yardstick.

    Example:
        >>> layers = resnet50()
        >>> len(layers), round(sum(layer.multiply_adds for layer in layers) / 1e9, 2)
        (53, 4.09)

    Source:
        He et al. (2016), "Deep residual learning", table 1; version 1.5 has its stride in the
        3 × 3 convolutions.
    """
    layers = [ConvLayer(224, 224, 3, 64, 7, 2, padding=3, batch=batch)]
    side, channels = 56, 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 and width > 64 else 1
            narrow = ConvLayer(side, side, channels, width, 1, batch=batch)
            square = ConvLayer(side, side, width, width, 3, stride, padding=1, batch=batch)
            wide = ConvLayer(square.out_height, square.out_width, width, 4 * width, 1, batch=batch)
            layers += [narrow, square, wide]
            if block == 0:  # the input is brought to the output's shape
                layers.append(ConvLayer(side, side, channels, 4 * width, 1, stride, batch=batch))
            side, channels = square.out_height, 4 * width
    return layers
