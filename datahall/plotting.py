"""Pictures: one style, a description for every figure, and the frame that every widget stands in.

A figure is made by `figure`, drawn by a concept's `figures.py`, and given a description *computed
from its data* by `describe`. As the last value of a cell it shows the picture and, below it, the
description, for readers who cannot see it. `Panel` puts such a figure beside controls and redraws
it in place.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from functools import cache
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from datahall import living
from datahall.errors import CourseError, ParameterError

DPI = 80

# Okabe and Ito (2008), "Color universal design": told apart by readers with any colour vision; the
# first three also by lightness alone. Lines that need more than three differ in dash as well.
COLORS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
}
INK, MUTED, GRID, PAPER = "#1f2933", "#5b6770", "#d9dee3", "#ffffff"
_WORDS = "max-width:44em;margin:0;opacity:.8"  # of a description: read as prose, wrapped by words

_STYLE: dict[str, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 2,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "image.cmap": "gray_r",
    "axes.prop_cycle": cycler(color=list(COLORS.values())[:6]),
}


def figure(width: float = 6.4, height: float = 3.2, **subplots: Any) -> tuple[Figure, Any]:
    """Make a figure in the style of the course; it belongs to no window and needs no closing.

    Args:
        width: Width in inches; 80 pixels each.
        height: Height in inches.
        **subplots: Passed to `Figure.subplots` (`nrows`, `ncols`, `width_ratios`, …).

    Returns:
        The figure, and its axes as `Figure.subplots` gives them.
    """
    _set_style()
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    axes = made.subplots(**subplots)
    return made, axes


@cache
def _set_style() -> None:
    """Set the style for the whole process, once: Matplotlib reads much of it when it draws."""
    matplotlib.rcParams.update(_STYLE)  # type: ignore[arg-type]


def describe(made: Figure, text: str) -> Figure:
    """Attach a description in words, computed from the data drawn, to a figure; return the figure.

    Raises:
        ParameterError: The description is empty.
    """
    words = " ".join(text.split())
    if not words:
        raise ParameterError(
            "The description is empty. A sentence with the numbers that the figure shows was "
            "expected. Write one."
        )
    made.datahall_description = words  # type: ignore[attr-defined]
    return made


def description(made: Figure) -> str:
    """Return a figure's description.

    Raises:
        CourseError: It has none.
    """
    text = getattr(made, "datahall_description", "")
    if not text:
        raise CourseError(
            "This figure has no description. Every figure needs one for readers who cannot see it. "
            "Call plotting.describe(figure, text)."
        )
    return str(text)


def png(made: Figure) -> bytes:
    """Return the figure as PNG bytes, without a date or version in it."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def register() -> None:
    """Let IPython show a described figure as picture and text."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        shell.display_formatter.ipython_display_formatter.for_type(Figure, _display)


def _display(made: Figure) -> None:
    from IPython.display import display

    text = getattr(made, "datahall_description", "")
    picture = base64.b64encode(png(made)).decode()
    data = {"image/png": picture, "text/plain": text or repr(made)}
    display(data, raw=True, metadata={"image/png": {"alt": text}} if text else {})  # type: ignore[no-untyped-call]
    if text:
        words = f'<p class="datahall-description" style="{_WORDS}">{html.escape(text)}</p>'
        display({"text/plain": text, "text/html": words}, raw=True)  # type: ignore[no-untyped-call]


class Panel:
    """A figure beside the controls that choose its arguments: the frame of every widget.

    The drawing function is pure and tested on its own; the panel only passes it the controls'
    values, shows the picture it returns in place, and writes the figure's description beside it.
    Every control works by keyboard.

    Args:
        draw: Called with the controls' values by name; returns a described Figure.
        title: Names the panel for the reader and for screen readers.
        **controls: ipywidgets with a `value`, by argument name. They need a `description` each.

    Attributes:
        draws: How many times the figure has been drawn.
        controls: The controls by name.
        text: The description that stands beside the picture now.
    """

    def __init__(self, draw: Callable[..., Figure], *, title: str = "", **controls: Any) -> None:
        import ipywidgets

        self.draw = draw
        self.controls = controls
        self.draws = 0
        self._initial = {name: control.value for name, control in controls.items()}
        self._picture = ipywidgets.Image(
            format="png",
            layout=ipywidgets.Layout(
                max_width="100%", object_fit="contain", align_self="flex-start"
            ),
        )
        self._picture.add_class("datahall-picture")
        self._words = ipywidgets.HTML()
        self._words.add_class("datahall-text")
        self._quiet = False
        for control in controls.values():
            if hasattr(control, "style") and hasattr(control.style, "description_width"):
                control.style.description_width = "8.5em"
            control.observe(self._changed, names="value")
        self.reset_button = ipywidgets.Button(
            description="Reset", tooltip="Back to the first setting", icon="undo"
        )
        self.reset_button.on_click(lambda _: self.reset())
        self.box = self._laid_out(title)
        self._redraw()

    def _laid_out(self, title: str) -> Any:
        """Return controls on the left and the picture on the right, or below where it is narrow."""
        import ipywidgets

        heading = [ipywidgets.HTML(f"<strong>{html.escape(title)}</strong>")] if title else []
        left = ipywidgets.VBox(
            [*heading, *self.controls.values(), self.reset_button],
            layout=ipywidgets.Layout(flex="0 0 auto", min_width="21em"),
        )
        right = ipywidgets.VBox(
            [self._picture, self._words],
            layout=ipywidgets.Layout(flex="1 1 24em", min_width="20em"),
        )
        box = ipywidgets.Box(
            [left, right],
            layout=ipywidgets.Layout(
                display="flex",
                flex_flow="row wrap",
                align_items="flex-start",
                grid_gap="0.5em 1.5em",
            ),
        )
        return box

    @property
    def values(self) -> dict[str, Any]:
        """The controls' values by name."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def text(self) -> str:
        """The words beside the picture."""
        return html.unescape(str(self._words.value))

    def reset(self) -> None:
        """Put every control back to its first value, and draw once."""
        self._quiet = True
        try:
            for name, value in self._initial.items():
                self.controls[name].value = value
        finally:
            self._quiet = False
        self._redraw()

    def _changed(self, _: object) -> None:
        if not self._quiet:
            self._redraw()

    def _redraw(self) -> None:
        try:
            made = self.draw(**self.values)
            picture, words = png(made), description(made)
        except CourseError as error:  # a setting that cannot be is part of what a learner may try
            self._words.value = f"<em>{html.escape(str(error))}</em>"
            self._words.add_class("datahall-refused")
        else:
            self._words.remove_class("datahall-refused")
            self._picture.value, self._words.value = picture, html.escape(words)
            self._picture.alt_text = words
        self.draws += 1

    def _ipython_display_(self) -> None:
        left = living.picture(
            base64.b64encode(self._picture.value).decode(),
            self.text,
            to_do="This figure can be moved in JupyterLab: run its cell.",
        )
        living.Place("datahall-panel").put_widget(self.box, left, self.text)

    def __repr__(self) -> str:
        return f"Panel({', '.join(self.controls)})"
