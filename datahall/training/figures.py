"""Pictures of data, learning and results; each describes itself in words computed from its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from datahall import plotting
from datahall.training import metrics
from datahall.training.reading import Reading, mosaic

_BLUE, _ORANGE = plotting.COLORS["blue"], plotting.COLORS["orange"]


def sheet(images: NDArray[np.uint8], titles: Sequence[str], *, columns: int = 8) -> Figure:
    """Draw digits side by side, each with a title.

    Args:
        images: (batch, height, width), uint8.
        titles: One for each image.
        columns: Images side by side.
    """
    rows = -(-len(images) // columns)
    fig, axes = plotting.figure(6.4, 0.98 * rows, nrows=rows, ncols=columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        axis.set_title(title, fontsize=9, loc="center", pad=2)
    return plotting.describe(fig, f"{len(images)} digits, from the top left: {'; '.join(titles)}.")


def learning_curves(history: Mapping[str, Sequence[float]]) -> Figure:
    """Draw loss and accuracy after each epoch, for training and validation.

    Args:
        history: `loss`, `val_loss`, `accuracy`, `val_accuracy`, one value an epoch (the form of
            Keras' `History.history`).
    """
    fig, axes = plotting.figure(6.4, 2.6, ncols=2)
    epochs = np.arange(1, len(history["loss"]) + 1)
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        axis.plot(epochs, history[name], "o-", color=_BLUE, label="training")
        axis.plot(epochs, history[f"val_{name}"], "s--", color=_ORANGE, label="validation")
        axis.set_xlabel("epoch")
        axis.set_title(name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].legend()
    first, last = history["val_loss"][0], history["val_loss"][-1]
    return plotting.describe(
        fig,
        f"In {len(epochs)} epochs the validation loss goes from {first:.3f} to {last:.3f} and the "
        f"validation accuracy to {history['val_accuracy'][-1]:.4f}; the training accuracy of the "
        f"last epoch is {history['accuracy'][-1]:.4f}.",
    )


def running_loss(losses: Sequence[float], *, total: int) -> Figure:
    """Draw the loss of each step so far, with its running mean: the live picture.

    Args:
        losses: One value a step.
        total: Steps of the whole training: the length of the axis.
    """
    fig, axis = plotting.figure(6.4, 2.2)
    steps = np.arange(1, len(losses) + 1)
    axis.plot(steps, losses, color=plotting.COLORS["sky"], linewidth=0.8)
    window = min(len(losses), 50)
    mean = np.convolve(losses, np.full(window, 1 / window), mode="valid")
    axis.plot(steps[window - 1 :], mean, color=_BLUE)
    axis.set(xlabel="step", ylabel="loss", xlim=(0, total), yscale="log")
    return plotting.describe(
        fig,
        f"Step {len(losses)} of {total}: mean loss of the last {window} steps {mean[-1]:.3f}.",
    )


def confusion(matrix: NDArray[np.int64]) -> Figure:
    """Draw a confusion matrix; the diagonal is left out of the colours, or nothing else is seen.

    Args:
        matrix: (classes, classes), rows true, columns predicted.
    """
    fig, axis = plotting.figure(4.6, 4.2)
    wrong = matrix - np.diag(np.diag(matrix))
    axis.imshow(wrong, cmap="Blues", vmin=0, vmax=max(1, wrong.max()))
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            dark = row != column and count > 0.6 * wrong.max()
            axis.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else plotting.MUTED if row == column else plotting.INK,
            )
    names = range(len(matrix))
    axis.set(xticks=names, yticks=names, xlabel="predicted", ylabel="true")
    true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    return plotting.describe(
        fig,
        f"{matrix.sum()} images, {wrong.sum()} of them read wrongly. The most frequent mistake: "
        f"a {true} read as {predicted}, {wrong.max()} times.",
    )


def roc(curves: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> Figure:
    """Draw ROC curves on a logarithmic axis of false alarms, where good classifiers differ.

    Args:
        curves: By name: false positive rate and true positive rate, both (thresholds,).
    """
    fig, axis = plotting.figure(6.4, 2.8)
    words = []
    for name, (false_rate, true_rate) in curves.items():
        area = metrics.area_under_curve(false_rate, true_rate)
        axis.step(false_rate, true_rate, where="post", label=f"{name} (area {area:.4f})")
        words.append(f"{name}: area {area:.4f}")
    rates = np.logspace(-4, 0, 100)
    axis.plot(rates, rates, ":", color=plotting.MUTED, label="guessing (area 0.5)")
    axis.set(xscale="log", xlim=(1e-4, 1), ylim=(0, 1.02))
    axis.set(xlabel="false positive rate", ylabel="true positive rate")
    axis.legend(loc="center")
    return plotting.describe(fig, f"ROC curves. {'; '.join(words)}; guessing: area 0.5.")


def spread(accuracies: Sequence[float], *, trials: int) -> Figure:
    """Draw the test accuracy of several seeds, each with its Wilson interval.

    Args:
        accuracies: One for each seed, 0 … 1.
        trials: Test images.
    """
    fig, axis = plotting.figure(6.4, 1.1 + 0.28 * len(accuracies))
    for place, value in enumerate(accuracies):
        low, high = metrics.wilson_interval(round(value * trials), trials)
        axis.plot([low, high], [place, place], color=plotting.MUTED, linewidth=3, alpha=0.5)
        axis.plot(value, place, "o", color=_BLUE)
    axis.set(
        xlabel="test accuracy, with 95 % interval", yticks=range(len(accuracies)), ylabel="seed"
    )
    axis.margins(y=0.2)
    width = np.mean(
        [np.ptp(metrics.wilson_interval(round(a * trials), trials)) for a in accuracies]
    )
    return plotting.describe(
        fig,
        f"{len(accuracies)} seeds reach test accuracies from {min(accuracies):.4f} to "
        f"{max(accuracies):.4f}. One test of {trials} images leaves an interval {width:.4f} wide.",
    )


def reading(seen: Reading) -> Figure:
    """Draw what a network makes of one image: the image, its feature maps, the probabilities.

    Args:
        seen: From a `Reader`.
    """
    return ReadingPicture(seen).show(seen)


class ReadingPicture:
    """The figure of `reading`, kept: only its contents change, so a new drawing shows at once.

    Args:
        seen: The first reading; later ones have the same layers.
    """

    def __init__(self, seen: Reading) -> None:
        """Lay the figure out, once: that is what takes the time."""
        shares = [1.0, *[1.0 if len(maps) < 32 else 1.9 for maps in seen.maps.values()], 0.9]
        self.figure, axes = plotting.figure(7.6, 1.9, ncols=len(shares), width_ratios=shares)
        self._image = axes[0].imshow(seen.image, cmap="gray_r", vmin=0, vmax=255)
        axes[0].set_title("image")
        self._maps = {}
        for axis, (name, maps) in zip(axes[1:], seen.maps.items(), strict=False):
            self._maps[name] = axis.imshow(_tiles(maps), cmap="viridis", vmin=0, vmax=1)
            axis.set_title(f"{name}: {len(maps)} maps")
        for axis in axes[:-1]:
            axis.axis("off")
        places = range(len(seen.probabilities))
        self._bars = axes[-1].barh(places, seen.probabilities)
        axes[-1].set(xlim=(0, 1), yticks=places, title="probability")
        axes[-1].tick_params(axis="y", labelsize=7)
        axes[-1].invert_yaxis()
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")

    def show(self, seen: Reading) -> Figure:
        """Put another reading into the figure, and return it with its new description."""
        self._image.set_data(seen.image)
        for name, maps in seen.maps.items():
            self._maps[name].set_data(_tiles(maps))
        best = int(seen.probabilities.argmax())
        for digit, bar in enumerate(self._bars):
            bar.set_width(float(seen.probabilities[digit]))
            bar.set_color(_ORANGE if digit == best else _BLUE)
        return plotting.describe(self.figure, _words(seen))


def _tiles(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    columns = 4 if len(maps) < 32 else 8
    return mosaic(maps, columns if len(maps) % columns == 0 else 1)


def _words(seen: Reading) -> str:
    order = np.argsort(-seen.probabilities)
    first, second = (f"{digit} ({seen.probabilities[digit]:.2f})" for digit in order[:2])
    then = f", then {second}" if seen.probabilities[order[1]] >= 0.005 else " and nothing else"
    active = [
        f"{int((maps.max(axis=(1, 2)) > 0).sum())} of {len(maps)} maps of {name}"
        for name, maps in seen.maps.items()
    ]
    if not seen.image.any():
        return f"The image is empty, and still the network says {first}: it knows no 'none'."
    return (
        f"The network reads {first}{then}. {int((seen.image > 0).sum())} pixels carry "
        f"ink; active are {' and '.join(active)}."
    )
