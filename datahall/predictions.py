"""Predictions: the learner guesses, then sees guess, measurement and model side by side.

`guess` asks and returns a `Guess`; `Guess.reveal` shows the answer, which stays locked until the
learner has answered or skipped. Guesses are kept in the user's data folder, so that `history` can
show how the feeling for numbers has changed. Where nobody reads along, the guess is "none" and the
notebook goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import html
import json
import statistics
from collections.abc import Callable
from typing import Any

from datahall import living, reporting, runtime, state, units
from datahall.errors import DataError, ParameterError
from datahall.units import format_quantity

ENTER_S = 0.3  # after the key, the text it ends is on its way
LOCKED = "Locked. Answer the question above, or skip it; the measurement then appears here."


def off_by(guessed: float, measured: float) -> str:
    """Say how far a guess is from the measurement, as a factor where both are positive.

    Example:
        >>> off_by(200, 100), off_by(50, 100), off_by(101, 100)
        ('2.0 times too high', '2.0 times too low', 'within 5 %')
        >>> off_by(50, 1e9)
        'more than 1,000 times too low'
    """
    if guessed > 0 and measured > 0:
        ratio = guessed / measured
        if abs(ratio - 1) <= 0.05:
            return "within 5 %"
        factor = max(ratio, 1 / ratio)
        far = f"{factor:.1f}" if factor < 1000 else "more than 1,000"
        return f"{far} times too {'high' if ratio > 1 else 'low'}"
    return f"off by {guessed - measured:+.3g}"


class Guess:
    """One question to the learner, and what came of it.

    Attributes:
        key: Names the question in the history.
        question: What is asked.
        unit: The unit of the answer.
        value: The guess; None while open, and for good where it was skipped or nobody reads along.
        settled: Whether the question has been answered or skipped.
    """

    def __init__(
        self,
        key: str,
        question: str,
        *,
        unit: str = "",
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        self.key, self.question, self.unit, self.low, self.high = key, question, unit, low, high
        self.value: float | None = None
        self.settled = not runtime.interactive()
        self._waiting: list[Callable[[], None]] = []
        self._kept = False

    def lock_in(self, value: float | None) -> None:
        """Settle the question with a guess, or with None to skip it; it stays settled."""
        if self.settled:
            return
        self.value, self.settled = value, True
        for show in self._waiting:
            show()
        self._waiting.clear()

    def reveal(
        self,
        measured: float,
        *,
        model: float | None = None,
        unit: str | None = None,
        digits: int = 3,
        computed: bool = False,
    ) -> None:
        """Show guess, measurement and model with their ratios, once the question is settled.

        Args:
            measured: What was measured in this run.
            model: What the analytical model says, if there is one.
            unit: The unit shown; the question's own when left out.
            digits: Significant digits.
            computed: Whether `measured` is the value of a formula, which is said.
        """
        shown_unit = self.unit if unit is None else unit

        def rows() -> list[dict[str, str]]:
            rows = _comparison(self.value, measured, model, shown_unit, digits)
            return [_as_computed(row) for row in rows] if computed else rows

        if not runtime.interactive():
            reporting.table(rows())
            return
        shown = living.Place("datahall-reveal")

        def unlock() -> None:
            shown.put(_markup(rows()), "\n".join(" ".join(row.values()) for row in rows()))
            if not self._kept:  # a reveal that is run again is no second guess
                _keep(self, measured, model)
            self._kept = True

        if self.settled:
            unlock()
        else:
            shown.put(html.escape(LOCKED), LOCKED)
            self._waiting.append(unlock)

    def _ipython_display_(self) -> None:
        """Show nothing: the question already stands there."""


def _comparison(
    guessed: float | None, measured: float, model: float | None, unit: str, digits: int
) -> list[dict[str, str]]:
    """Return the rows that set guess and model against the measurement."""

    def row(name: str, value: float | None, against: str) -> dict[str, str]:
        shown = "none" if value is None else format_quantity(value, unit, digits)
        return {"": name, "value": shown, "against the measurement": against}

    rows = [
        row("your guess", guessed, "" if guessed is None else off_by(guessed, measured)),
        row("measured", measured, ""),
    ]
    if model is not None:
        rows.append(row("model", model, off_by(model, measured)))
    return rows


def _as_computed(row: dict[str, str]) -> dict[str, str]:
    """Return a row of the comparison that claims no measurement."""
    words = {"measured": "computed", "against the measurement": "against the computation"}
    first, *others = row.items()
    return {first[0]: words.get(first[1], first[1]), **{words.get(k, k): v for k, v in others}}


def guess(
    key: str, question: str, *, unit: str = "", low: float | None = None, high: float | None = None
) -> Guess:
    """Ask the learner for a number before it is measured.

    Args:
        key: Names the question in the history, for example "01.direct_seconds".
        question: What is asked; one sentence.
        unit: The unit of the answer.
        low: Least value that can be; smaller answers are refused with a word.
        high: Greatest value that can be.

    Returns:
        The guess, to be revealed after the measurement.
    """
    asked = Guess(key, question, unit=unit, low=low, high=high)
    if runtime.interactive():
        _form(asked)
    else:
        print(f"{question} No guess: nobody reads along.")
    return asked


def _form(asked: Guess) -> None:
    import ipywidgets

    question = ipywidgets.HTML(f"<strong>{html.escape(asked.question)}</strong>")
    field, lock, skip = _controls(asked.unit)
    word = ipywidgets.HTML("")
    shown = living.Place("datahall-guess")

    def settle(value: float | None, text: str) -> None:
        if asked.settled:
            return
        asked.lock_in(value)
        for control in (field, lock, skip):
            control.disabled = True
        markup = f"<strong>{html.escape(asked.question)}</strong><br>{html.escape(text)}"
        shown.put(markup, f"{asked.question} {text}")

    def on_lock(_: object) -> None:
        try:
            value = units.read_quantity(field.value, asked.unit, low=asked.low, high=asked.high)
        except ParameterError as error:
            word.value = html.escape(str(error))
            return
        settle(value, f"Locked in: {format_quantity(value, asked.unit)}.")

    _on_enter(field, on_lock)
    lock.on_click(on_lock)
    skip.on_click(lambda _: settle(None, "Skipped."))
    row = ipywidgets.HBox([field, lock, skip], layout=ipywidgets.Layout(flex_flow="row wrap"))
    left = f"<strong>{html.escape(asked.question)}</strong><br><em>Run this cell to answer.</em>"
    shown.put_widget(ipywidgets.VBox([question, row, word]), left, asked.question)


def _on_enter(field: Any, act: Callable[[object], None]) -> None:
    """Call a function when Enter is pressed in a text field, with all that was typed there.

    The browser sends the key first and then the text, if that has changed since it was last sent.
    """
    pressed: list[asyncio.TimerHandle] = []

    def on_message(_: object, content: dict[str, Any], __: object) -> None:
        if content.get("event") == "submit":
            pressed.append(asyncio.get_event_loop().call_later(ENTER_S, act, None))

    def on_text(_: object) -> None:
        while pressed:
            waiting = pressed.pop()
            if not waiting.cancelled() and waiting.when() > asyncio.get_event_loop().time():
                waiting.cancel()
                act(None)

    field.on_msg(on_message)
    field.observe(on_text, names="value")


def _controls(unit: str) -> tuple[Any, Any, Any]:
    """Return the number field and the buttons Lock in and Skip."""
    import ipywidgets

    field = ipywidgets.Text(
        placeholder=units.example_of(unit),
        description=f"Guess ({unit})" if unit else "Guess",
        continuous_update=False,  # sent once, before the click: a value typed fast arrives whole
        style={"description_width": "initial"},
        layout=ipywidgets.Layout(width="24em"),
    )
    lock = ipywidgets.Button(
        description="Lock in",
        button_style="primary",
        tooltip="Keep this guess; it cannot be changed afterwards",
    )
    skip = ipywidgets.Button(description="Skip", tooltip="Show the measurement without a guess")
    return field, lock, skip


def _markup(rows: list[dict[str, str]]) -> str:
    heading = "".join(
        f'<th style="text-align:left;padding-right:1.5em">{html.escape(name)}</th>'
        for name in rows[0]
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="padding-right:1.5em">{html.escape(text)}</td>' for text in row.values()
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>"


def _keep(settled: Guess, measured: float, model: float | None) -> None:
    """Append the guess to the learner's history; failing to costs the history only."""
    line = {
        "key": settled.key,
        "guess": settled.value,
        "measured": measured,
        "model": model,
        "unit": settled.unit,
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    try:
        with (state.folder() / "guesses.jsonl").open("ab+") as file:
            torn = file.tell() and file.seek(-1, 2) is not None and file.read(1) != b"\n"
            file.write(b"\n" * bool(torn) + json.dumps(line).encode() + b"\n")
    except (OSError, DataError) as error:
        print(f"Your guess could not be kept ({error}).")


def _kept() -> list[dict[str, Any]]:
    """Return all guesses kept, oldest first; a damaged line is passed over."""
    try:
        text = (state.data_folder() / "guesses.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    kept = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            kept.append(json.loads(line))
    return [entry for entry in kept if isinstance(entry, dict) and _is_whole(entry)]


def _is_whole(entry: dict[str, Any]) -> bool:
    """Tell whether a line holds what the table shows, each of its type."""
    return (
        isinstance(entry.get("key"), str)
        and isinstance(entry.get("guess"), int | float | None)
        and isinstance(entry.get("measured"), int | float)
        and isinstance(entry.get("unit", ""), str)
    )


def history(prefix: str = "") -> None:
    """Show the guesses kept, and how far they were off at first and lately.

    Args:
        prefix: Only questions whose key begins so, for example "01.".
    """
    kept = (
        [
            entry
            for entry in _kept()
            if str(entry["key"]).startswith(prefix) and isinstance(entry["guess"], (int, float))
        ]
        if runtime.interactive()
        else []
    )
    if not kept:
        print("No guesses kept yet. Answer a prediction in a lecture, then come back.")
        return
    reporting.table(
        [
            {
                "question": str(entry["key"]),
                "guess": format_quantity(entry["guess"], entry.get("unit", "")),
                "measured": format_quantity(entry["measured"], entry.get("unit", "")),
                "off": off_by(entry["guess"], entry["measured"]),
            }
            for entry in kept
        ]
    )
    factors = [
        max(g / m, m / g)
        for g, m in ((entry["guess"], entry["measured"]) for entry in kept)
        if g > 0 and m > 0
    ]
    if len(factors) >= 4:
        half = len(factors) // 2
        print(
            f"Typical factor off: {statistics.median(factors[:half]):.1f} in the first {half}, "
            f"{statistics.median(factors[-half:]):.1f} in the last {half}."
        )
