"""What moves in the training lectures: the loss while it falls, and a pad to draw a digit on.

Reading order: `LiveLoss` (a Keras callback that shows the loss of the running training),
`DrawingPad` (pixels by mouse, finger or keyboard), `explore_drawing` (the pad beside a network).
"""

from __future__ import annotations

import itertools
import pathlib
import time
from typing import Any

import anywidget
import ipywidgets
import keras
import numpy as np
import traitlets
from matplotlib.figure import Figure
from numpy.typing import NDArray

from datahall import plotting, runtime
from datahall.training import core, figures, reading

SIZE = core.SHAPE[0]


class LiveLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Show the loss of every step while `fit` runs and a person reads along; leave nothing behind.

    Args:
        total: Steps of the whole training.
        every_s: Seconds between two pictures.

    Attributes:
        losses: The loss of each step.
    """

    def __init__(self, total: int, *, every_s: float = 0.7) -> None:
        """Wait for the first step."""
        super().__init__()
        self.total, self.every_s = total, every_s
        self.losses: list[float] = []
        self._handle: Any = None
        self._drawn = 0.0
        self._sum = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin a new mean: Keras tells the mean loss of the epoch so far."""
        self._sum = 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Note the loss of this step, and draw now and then."""
        sum_so_far = float((logs or {}).get("loss", 0.0)) * (batch + 1)
        self.losses.append(max(sum_so_far - self._sum, 1e-6))
        self._sum = sum_so_far
        if runtime.interactive() and time.monotonic() - self._drawn > self.every_s:
            self._show(figures.running_loss(self.losses, total=self.total))

    def on_train_end(self, logs: Any = None) -> None:
        """Take the picture away; the lecture's own figure follows."""
        if self._handle is not None:
            self._handle.update({"text/plain": "", "text/html": ""}, raw=True)
            self._handle = None

    def _show(self, figure: Figure) -> None:
        from IPython.display import display

        data = {"image/png": plotting.png(figure), "text/plain": plotting.description(figure)}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(data, raw=True)
        self._drawn = time.monotonic()


class DrawingPad(anywidget.AnyWidget):
    """A grid of pixels to draw on, by mouse, finger or keyboard; its script ships with the course.

    Arrow keys move the cursor, space puts the pen down or lifts it, Delete clears. Two buttons
    clear the pad and load the next test digit.

    Args:
        digits: Images that the button loads in turn, (batch, height, width), uint8.

    Attributes:
        value: The pixels row by row, bytes, 0 = paper and 255 = ink.
    """

    _esm = pathlib.Path(__file__).with_name("drawing_pad.js")
    # What comes from the browser is a memory view, which the trait alone would refuse in silence.
    value = traitlets.Bytes(bytes(SIZE * SIZE)).tag(
        sync=True, from_json=lambda pixels, _: bytes(pixels)
    )
    size = traitlets.Int(SIZE).tag(sync=True)
    description = traitlets.Unicode("Drawing pad").tag(sync=True)

    def __init__(self, digits: NDArray[np.uint8], **traits: Any) -> None:
        """Show the first of the digits."""
        super().__init__(value=digits[0].tobytes(), **traits)
        self._digits = itertools.cycle([*digits[1:], digits[0]])
        self.on_msg(self._asked)

    @property
    def image(self) -> NDArray[np.uint8]:
        """The drawing, (height, width), uint8."""
        return to_image(self.value)

    def load_next(self) -> None:
        """Put the next test digit on the pad."""
        self.value = next(self._digits).tobytes()

    def _asked(self, _: object, content: dict[str, Any], __: object) -> None:
        if content.get("action") == "load":
            self.load_next()


def to_image(pixels: bytes) -> NDArray[np.uint8]:
    """Return a pad's bytes as an image, (height, width), uint8."""
    return np.frombuffer(pixels, np.uint8).reshape(SIZE, SIZE)


def explore_drawing(model: keras.Model, digits: NDArray[np.uint8]) -> plotting.Panel:
    """Draw a digit and watch feature maps and probabilities follow.

    Args:
        model: A network of 28 × 28 images with logits out.
        digits: Test digits that can be loaded, (batch, height, width), uint8.

    Returns:
        The widget; its first picture shows the first of the digits.
    """
    reader = reading.Reader(model)
    picture = figures.ReadingPicture(reader(digits[0]))

    def draw(drawing: bytes, centred: bool) -> Figure:
        image = to_image(drawing)
        return picture.show(reader(reading.centre(image) if centred else image))

    return plotting.Panel(
        draw,
        title="Draw a digit",
        drawing=DrawingPad(digits, description="Draw a digit"),
        centred=ipywidgets.Checkbox(True, description="centre it as MNIST does", indent=False),
    )
