"""Pictures of a convolution: the sum being made, small matrices in numbers, filtered digits.

`sliding` shows one place and its sum (the kernel explorer redraws a `Sliding`), `matrices` writes
small arrays out in full, `places` shows where a kernel can stand, `filtered` what kernels find.
`cost_figures` draws what a layer costs. Every function returns a described Figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from datahall.convolution import core
from datahall.convolution.core import Array
from datahall.errors import ShapeError
from datahall.plotting import COLORS, GRID, MUTED, describe, figure

# Below zero blue, above zero orange, zero white: told apart without colour vision, also in grey.
SIGNED = LinearSegmentedColormap.from_list(
    "signed", [(0.0, COLORS["blue"]), (0.5, "#ffffff"), (1.0, COLORS["orange"])]
)


class Sliding:
    """One figure of a kernel on an image, redrawn in place: image, products, output.

    A widget keeps one and calls `draw` at each move: axes, texts and their layout are made once,
    which makes a redraw several times faster than a new figure.
    """

    def __init__(self) -> None:
        self.figure, axes = figure(7.6, 2.8, ncols=3)
        self.figure.set_layout_engine(None)
        self.figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.9, wspace=0.06)
        self.axes = dict(zip(("input", "products", "output"), axes, strict=True))
        for axis in axes:
            axis.set_axis_off()
            axis.set_anchor("NW")
        self.titles = {
            name: axis.text(0, 1.02, "", transform=axis.transAxes, fontsize=10)
            for name, axis in self.axes.items()
        }
        self.images: dict[str, Any] = {}
        self.frames: dict[str, Rectangle] = {}
        self.texts: list[Any] = []
        self.seen: tuple[Any, ...] = ()

    def draw(
        self,
        image: Array,
        kernel: Array,
        *,
        row: int,
        column: int,
        stride: int = 1,
        padding: int = 0,
    ) -> Figure:
        """Draw the place `(row, column)` of the output; a place beyond the last is moved to it.

        Args:
            image: `(height, width)`, 0 to 255.
            kernel: `(kernel_h, kernel_w)`.
            row: Row of the output.
            column: Column of the output.
            stride: Step between two places, in elements.
            padding: Zeros on each side, in elements.
        """
        out = core.correlate(image, kernel, stride=stride, padding=padding)
        padded = np.pad(image, padding).astype(int)
        row, column = min(row, out.shape[0] - 1), min(column, out.shape[1] - 1)
        top, left = row * stride, column * stride
        window = padded[top : top + kernel.shape[0], left : left + kernel.shape[1]]
        self._picture("input", padded, "gray_r", (0, 255))
        self._picture("output", out, SIGNED, _symmetric(out))
        self._frame("image", "input", (padding, padding), image.shape, MUTED, 1.0)
        self._frame("window", "input", (left, top), kernel.shape, COLORS["red"], 2.5)
        self._frame("border", "output", (0, 0), out.shape, MUTED, 1.0)
        self._frame("place", "output", (column, row), (1, 1), COLORS["red"], 2.5)
        self._products(window, kernel)
        total = out[row, column]
        self.titles["input"].set_text(f"input {_size(image)}, padding {padding}")
        self.titles["products"].set_text(f"pixel × weight: sum {_short(total)}")
        self.titles["output"].set_text(f"output {_size(out)}, stride {stride}")
        bottom, right = top + kernel.shape[0] - 1, left + kernel.shape[1] - 1
        return describe(
            self.figure,
            f"Output row {row}, column {column} of {_size(out)}: the kernel covers rows {top} to "
            f"{bottom} and columns {left} to {right} of the padded input. "
            f"Sum: {_sum_in_words(window, kernel)} = {_short(total)}. "
            f"The whole output goes from {_short(out.min())} to {_short(out.max())}.",
        )

    def _picture(self, name: str, values: Array, colors: Any, limits: tuple[float, float]) -> None:
        height, width = values.shape
        if name not in self.images:
            self.images[name] = self.axes[name].imshow(values, cmap=colors, interpolation="nearest")
        shown = self.images[name]
        shown.set_data(values)
        shown.set_clim(*limits)
        shown.set_extent((-0.5, width - 0.5, height - 0.5, -0.5))
        edge = width / 60  # room for the frame's line
        self.axes[name].set_xlim(-0.5 - edge, width - 0.5 + edge)
        self.axes[name].set_ylim(height - 0.5 + edge, -0.5 - edge)

    def _frame(
        self,
        key: str,
        name: str,
        corner: tuple[int, int],
        shape: tuple[int, ...],
        color: str,
        line: float,
    ) -> None:
        if key not in self.frames:
            self.frames[key] = Rectangle((0, 0), 1, 1, fill=False, edgecolor=color, linewidth=line)
            self.axes[name].add_patch(self.frames[key])
        x, y = corner
        self.frames[key].set_bounds(x - 0.5, y - 0.5, shape[1], shape[0])

    def _products(self, window: Array, kernel: Array) -> None:
        products = window * kernel
        self._picture("products", products, SIGNED, _symmetric(products, 1.8))
        self._frame("across", "products", (0, 1), (1, kernel.shape[1]), GRID, 1.0)
        self._frame("down", "products", (1, 0), (kernel.shape[0], 1), GRID, 1.0)
        self._frame("around", "products", (0, 0), kernel.shape, MUTED, 1.0)
        if len(self.texts) != products.size:
            for text in self.texts:
                text.remove()
            self.texts = [
                self.axes["products"].text(x, y, "", ha="center", va="center", fontsize=10)
                for y, x in np.ndindex(products.shape)
            ]
        for text, pixel, weight, product in zip(
            self.texts, window.flat, kernel.flat, products.flat, strict=True
        ):
            text.set_text(f"{_short(pixel)} × {_short(weight)}\n= {_short(product)}")


def sliding(
    image: Array, kernel: Array, *, row: int, column: int, stride: int = 1, padding: int = 0
) -> Figure:
    """Show a kernel at one place of an image, the products there, and the whole output.

    Args:
        image: (height, width).
        kernel: (kernel_h, kernel_w).
        row: Of the place, counted from 0 in the output.
        column: The same.
        stride: Step between two places, in elements.
        padding: Zeros on each side, in elements.
    """
    made = Sliding()
    return made.draw(image, kernel, row=row, column=column, stride=stride, padding=padding)


def _short(value: float) -> str:
    """Write a number in full to two places, smaller ones to two digits; with a true minus sign."""
    number = float(value)
    if 0 < abs(number) < 0.01:
        return f"{number:.2g}".replace("-", "−")
    text = f"{round(number, 2) + 0.0:.2f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def _size(plane: Array) -> str:
    return f"{plane.shape[0]} × {plane.shape[1]}"


def _symmetric(values: Array, room: float = 1.0) -> tuple[float, float]:
    """Return limits around zero; more room makes colours paler, for numbers on top."""
    limit = room * float(np.abs(values).max()) or 1.0
    return -limit, limit


def _sum_in_words(window: Array, kernel: Array) -> str:
    """Write the products that are not zero by their weight, in reading order."""
    terms = [
        f"{_short(pixel)} × {_short(weight)}"
        if weight >= 0
        else f"{_short(pixel)} × ({_short(weight)})"
        for pixel, weight in zip(window.flat, kernel.flat, strict=True)
        if weight != 0
    ]
    return " + ".join(terms) or "no weight other than zero"


def matrices(
    planes: Mapping[str, Array],
    *,
    marks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    width: float = 7.6,
    height: float = 2.4,
) -> Figure:
    """Write small matrices side by side, number by number, coloured by sign and size.

    Args:
        planes: Up to four arrays `(height, width)` by title; at most 12 numbers a side.
        marks: Cells `(row, column)` to frame, by title.
        width: Width of the figure, in inches.
        height: Height of the figure, in inches.

    Raises:
        ShapeError: An array is not a small plane.
    """
    for title, plane in planes.items():
        if plane.ndim != 2 or max(plane.shape) > 12:
            raise ShapeError(
                f"{title!r} has shape {plane.shape}. Expected a plane of at most 12 × 12. Cut it."
            )
    rows = max(plane.shape[0] for plane in planes.values())
    ratios = [plane.shape[1] for plane in planes.values()]
    made, axes = figure(width, height, ncols=len(planes), width_ratios=ratios, squeeze=False)
    words = []
    for axis, (title, plane) in zip(axes[0], planes.items(), strict=True):
        low, high = _symmetric(plane, 1.8)
        axis.imshow(plane, cmap=SIGNED, vmin=low, vmax=high)
        for y, x in np.ndindex(plane.shape):
            number = _short(float(plane[y, x]))
            axis.text(x, y, number, ha="center", va="center", fontsize=9 if rows < 8 else 8)
        _outline(axis, (0, 0), plane.shape, MUTED, 1)
        for cell in (marks or {}).get(title, ()):
            _outline(axis, cell, (1, 1), COLORS["red"], 2)
        axis.set_title(title)
        axis.set_ylim(rows - 0.4, -0.6)  # the same cells in every matrix
        axis.set_axis_off()
        axis.set_anchor("N")
        words.append(
            f"{title}: {_size(plane)}, from {_short(plane.min())} to {_short(plane.max())}, "
            f"sum {_short(plane.sum())}"
        )
    return describe(made, "; ".join(words) + ".")


def _outline(
    axis: Any, cell: tuple[int, int], shape: tuple[int, ...], color: str, line: float
) -> None:
    """Frame `shape` cells from `(row, column)` on."""
    row, column = cell
    axis.add_patch(
        Rectangle((column - 0.5, row - 0.5), shape[1], shape[0], fill=False,
                  edgecolor=color, linewidth=line, clip_on=False)
    )  # fmt: skip


def places(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Figure:
    """Show along one axis where a kernel can stand: a line of elements, and one row a place.

    Args:
        size: Input length along the axis, in elements.
        kernel: Kernel length along the axis, in elements.
        stride: Step between two places, in elements.
        padding: Zeros on each side, in elements.
        dilation: Distance between two numbers of the kernel, in elements.
    """
    count = core.output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
    made, axis = figure(6.4, min(3.6, 0.75 + 0.28 * (count + 1)))
    for element in range(-padding, size + padding):
        inside = 0 <= element < size
        axis.add_patch(
            Rectangle((element - 0.45, -0.4), 0.9, 0.8, facecolor=GRID if inside else "#ffffff",
                      edgecolor=MUTED, linestyle="-" if inside else ":")
        )  # fmt: skip
        axis.text(element, 0, str(element) if inside else "0", ha="center", va="center", fontsize=9)
    for place in range(count):
        for cell in range(kernel):
            at = place * stride - padding + cell * dilation
            axis.add_patch(Rectangle((at - 0.45, -place - 1.4), 0.9, 0.8, facecolor=COLORS["sky"]))
        axis.text(size + padding + 0.1, -place - 1, f"place {place}", va="center", fontsize=9)
    axis.set_xlim(-padding - 0.6, size + padding + 2.4)
    axis.set_ylim(-count - 0.6, 0.6)
    axis.set_axis_off()
    seen = {p * stride - padding + c * dilation for p in range(count) for c in range(kernel)}
    unseen = sum(element not in seen for element in range(size))
    return describe(
        made,
        f"A kernel of {kernel} on {size} elements with stride {stride}, padding {padding}, "
        f"dilation {dilation} stands at {count} places; elements never under it: {unseen}.",
    )


def filtered(image: Array, kernels: Mapping[str, Array], *, padding: int = 1) -> Figure:
    """Show an image and what each kernel makes of it.

    Args:
        image: (height, width).
        kernels: (kernel_h, kernel_w) by name.
        padding: Zeros on each side, in elements.
    """
    made, axes = figure(7.6, 1.9, ncols=len(kernels) + 1)
    axes[0].imshow(image, cmap="gray_r")
    axes[0].set_title("input")
    words = []
    for axis, (name, kernel) in zip(axes[1:], kernels.items(), strict=True):
        out = core.correlate(image, kernel, padding=padding)
        low, high = _symmetric(out)
        axis.imshow(out, cmap=SIGNED, vmin=low, vmax=high)
        axis.set_title(name)
        row, column = np.unravel_index(np.abs(out).argmax(), out.shape)
        words.append(
            f"{name} answers from {_short(out.min())} to {_short(out.max())}, most strongly at row "
            f"{row}, column {column}"
        )
    for axis in axes:
        _outline(axis, (0, 0), image.shape, MUTED, 1)
        axis.set_axis_off()
    return describe(made, f"An image of {_size(image)}. " + "; ".join(words) + ".")


def step_errors(steps: Sequence[float], errors: Mapping[str, Sequence[float]]) -> Figure:
    """Show the error of a numerical gradient against its step, for some precisions or methods."""
    made, axis = figure(6.4, 2.8)
    words = []
    for marker, (name, values) in zip("os^D", errors.items(), strict=False):
        axis.loglog(steps, values, marker=marker, markersize=5, label=name)
        best = int(np.argmin(values))
        words.append(f"{name}: least error {values[best]:.0e} at step {steps[best]:.0e}")
    axis.set_xlabel("step")
    axis.set_ylabel("largest error")
    axis.grid(visible=True)
    axis.legend()
    return describe(made, "Error of the numerical gradient. " + "; ".join(words) + ".")
