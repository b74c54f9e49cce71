"""What a check says: one of three verdicts, the points, and a message that teaches.

A verdict's `text/plain` is the points and nothing else, because nbgrader's grader reads a check
cell's last value as partial credit (a printed sentence would score full marks). Its rich form is
the message.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["not attempted", "wrong", "passed"]
MIME = "application/vnd.datahall.verdict+json"
_WIDTH = 88
LOOK_AT = "look at"  # the row of the details that holds the idea
_COLORS = {  # JupyterLab's own where there are some: they suit its dark theme as well
    "passed": "var(--jp-success-color0, #1b7837)",
    "wrong": "var(--jp-warn-color0, #b35806)",
    "not attempted": "var(--jp-ui-font-color2, #5e5e5e)",
}
_NEXT = {
    "passed": "Next: run the cells below.",
    "wrong": "Next: change the answer and run both cells again; the hints below help.",
    "not attempted": "Next: replace the raise line above, run that cell, then this one.",
}


def number(points: float) -> str:
    """Write points as a person does: `4`, `1.5`."""
    return f"{points:g}"


@dataclass(frozen=True)
class Verdict:
    """What a check found out about an answer.

    Args:
        exercise: The exercise's number, `01.2`.
        title: Its title.
        state: `not attempted`, `wrong` or `passed`.
        points: Points earned.
        of: Points to be had.
        message: One or two sentences for the learner; empty when there is nothing to say.
        details: Rows of (what, value) below the message: the call, what came back, what was
            expected.
        note: A remark that is not about the answer ("not recorded: …").
    """

    exercise: str
    title: str
    state: State
    points: float
    of: float
    message: str = ""
    details: tuple[tuple[str, str], ...] = field(default=())
    note: str = ""

    @property
    def text(self) -> str:
        """What is said after the colon: the state, or for a wrong answer the message."""
        if self.state == "passed":
            return "passed"
        return self.message if self.state == "wrong" else "not attempted yet"

    @property
    def score(self) -> str:
        """The points in words: `1 of 4 points`."""
        return f"{number(self.points)} of {number(self.of)} points"

    def __str__(self) -> str:
        """Return the whole verdict as one line."""
        said = f"Exercise {self.exercise}: {self.text}"
        return f"{said:<{_WIDTH}}   {self.score}"

    def __repr__(self) -> str:
        """Return the points only: this is what nbgrader reads."""
        return repr(float(self.points))

    def _repr_html_(self) -> str:
        color, word = _COLORS[self.state], self.state.capitalize()
        known = dict(self.details)
        idea = known.pop(LOOK_AT, "")
        sentence = self.message.removesuffix(idea).strip()
        lines = [
            f"<b style='color:{color}'>{word}</b> · Exercise {html.escape(self.exercise)}"
            f" · <span style='white-space:nowrap'>{html.escape(self.score)}</span>"
        ]
        if idea:
            lines.append(f"<div style='font-size:115%;margin:.3em 0'>{html.escape(idea)}</div>")
        if sentence and "called" not in known:  # else the table says it
            lines.append(f"<div>{html.escape(sentence)}</div>")
        if known:
            rows = "".join(_row(what, value) for what, value in known.items())
            lines.append(f"<table>{rows}</table>")
        if self.note:
            lines.append(f"<p><small>{html.escape(self.note)}</small></p>")
        lines.append(f"<div><small>{_NEXT[self.state]}</small></div>")
        style = f"border-left:4px solid {color};padding:4px 12px"
        body = "".join(lines)
        return f"<div class='datahall-verdict' role='status' style='{style}'>{body}</div>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        record = {"schema": 1, **asdict(self), "details": [list(row) for row in self.details]}
        return {"text/plain": repr(self), "text/html": self._repr_html_(), MIME: record}


def _row(what: str, value: str) -> str:
    left = "text-align:left;vertical-align:top"
    code = f"<code style='white-space:pre-wrap'>{html.escape(value)}</code>"
    head = f"<th scope='row' style='{left};white-space:nowrap'>{html.escape(what)}</th>"
    return f"<tr>{head}<td style='{left}'>{code}</td></tr>"


class Summary:
    """One line an exercise of a lab, and the total.

    Args:
        lab: The lab's stem.
        rows: The latest verdict of each of its exercises.
    """

    def __init__(self, lab: str, rows: Sequence[Verdict]) -> None:
        self.lab, self.rows = lab, tuple(rows)

    @property
    def total(self) -> str:
        """The points of the lab in words."""
        earned, best = sum(row.points for row in self.rows), sum(row.of for row in self.rows)
        done = sum(row.state == "passed" for row in self.rows)
        score = f"{number(earned)} of {number(best)} points"
        return f"{done} of {len(self.rows)} exercises passed, {score}"

    def __repr__(self) -> str:
        """Return the lines."""
        width = max((len(row.title) for row in self.rows), default=0)
        lines = [
            f"{row.exercise}  {row.title:<{width}}  {row.state:<13}  {row.score}"
            for row in self.rows
        ]
        return "\n".join([*lines, self.total])

    def _repr_html_(self) -> str:
        names = ("exercise", "title", "verdict", "points")
        head = "".join(f"<th scope='col' style='text-align:left'>{name}</th>" for name in names)
        rows = "".join(
            f"<tr><th scope='row'>{html.escape(row.exercise)}</th>"
            + "".join(
                f"<td style='text-align:left'>{html.escape(text)}</td>"
                for text in (row.title, row.state, row.score)
            )
            + "</tr>"
            for row in self.rows
        )
        table = f"<table class='datahall-summary'><tr>{head}</tr>{rows}</table>"
        return f"{table}<p>{html.escape(self.total)}</p>"
