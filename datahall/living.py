"""Widgets that leave something behind: when their kernel has gone, the page still says what was.

A widget lives as long as its kernel. Reopened the next day, JupyterLab says "Error displaying
widget: model not found" in its place. So a widget is shown with a second output, plain HTML, that
the page hides while the widget lives; a report or a viewer without kernels shows that one as well.
Read `show` first, then `Place`.
"""

from __future__ import annotations

import html
from typing import Any

ALIVE, LEFT = "datahall-live", "datahall-left"
# JupyterLab puts all outputs of a cell into one area; a lost widget is a node that holds text only.
# The picture of a live one holds nothing either: nothing is hidden where a widget lives.
_STYLE = (
    f"<style>.jp-OutputArea:has(.{ALIVE}) .{LEFT}{{display:none}}"
    f".jp-OutputArea:has(.{LEFT}):not(:has(.{ALIVE})) .jupyter-widgets:not(:has(*))"
    "{display:none}</style>"
)


class Place:
    """A place among a cell's outputs; what it shows can be replaced by HTML that stays.

    Args:
        name: CSS class of what stands there.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._handle: Any = None

    def put(self, markup: str, words: str) -> None:
        """Show HTML, which is saved with the notebook.

        Args:
            markup: The HTML.
            words: The same for who sees text only.
        """
        inside = f'<div class="{self.name} {ALIVE}">{markup}</div>'
        self._show({"text/html": inside, "text/plain": words})

    def put_widget(self, box: Any, left: str, words: str) -> None:
        """Show a widget, and what stands in its place when its kernel has gone.

        Args:
            box: The widget.
            left: HTML that stays.
            words: The same for who sees text only.
        """
        from IPython.display import display

        box.add_class(self.name)
        box.add_class(ALIVE)
        self._show({**box._repr_mimebundle_(), "text/plain": ""})
        data = {"text/html": f'{_STYLE}<div class="{LEFT}">{left}</div>', "text/plain": words}
        display(data, raw=True)  # type: ignore[no-untyped-call]

    def _show(self, data: dict[str, Any]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(data, raw=True)


def picture(png: str, words: str, *, to_do: str) -> str:
    """Return HTML of a picture, its description, and what brings it to life.

    Args:
        png: The picture, base64.
        words: Its description, which is its alternative text as well.
        to_do: What the reader may do.
    """
    said = html.escape(words)
    return (
        f'<img src="data:image/png;base64,{png}" alt="{said}" style="max-width:100%">'
        f"<p>{said}</p><p><em>{html.escape(to_do)}</em></p>"
    )
