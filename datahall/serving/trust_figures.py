"""Pictures of trust: a token and its parts, a race for a file, a chained log, a rotation."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from datahall.errors import ParameterError
from datahall.plotting import COLORS, INK, MUTED, describe, figure
from datahall.serving import forging
from datahall.serving.figures import LETTER, LETTER_PT, LETTERS, arrow, box, canvas

_PARTS = {"header": "sky", "claims": "green", "signature": "orange"}
_RANDOM = ("kid", "jti")  # other ones in every token: not told in words
_TIMES = ("iat", "nbf", "exp")
_WORDS = 84  # letters of a line of claims


def token(text: str, verdict: str, *, shown: str = "") -> Figure:
    """Show a token's three parts, what they say, and what the service says to it.

    Args:
        text: The token.
        verdict: What the service says.
        shown: A sentence on how it came to be shown.
    """
    rows = -(-len(text) // LETTERS)
    header, claims, signature = forging.parts(text)
    told = {"header": _wrapped(header), "claims": _wrapped(claims)}
    lines = sum(len(each) for each in told.values())
    made, axis = canvas(LETTERS * LETTER + 0.2, 0.19 * rows + 0.2 * lines + 0.9)
    at = 0
    for (name, color), part in zip(_PARTS.items(), text.split("."), strict=True):
        _letters(axis, part, at, color)
        at += len(part) + 1
        if name != "signature":
            _letters(axis, ".", at - 1, "")
    top = 0.19 * rows + 0.3
    for name, said in told.items():
        axis.text(0.1, top, name, fontsize=8, color=COLORS[_PARTS[name]], weight="bold")
        for line in said:
            axis.text(0.75, top, line, fontsize=8)
            top += 0.2
    axis.text(0.1, top, "signature", fontsize=8, color=COLORS["orange"], weight="bold")
    axis.text(0.75, top, f"{len(signature)} bytes", fontsize=8)
    axis.text(0.1, top + 0.2, shown, fontsize=8, color=MUTED)
    color = COLORS["green"] if verdict.startswith("accepted") else COLORS["red"]
    axis.text(0.1, top + 0.45, verdict, fontsize=9, color=color, weight="bold")
    return describe(made, f"{_said(text)} {shown} The service says: {verdict}")


def _wrapped(said: dict[str, Any]) -> list[str]:
    """Return what a part says in lines that fit, without what is other in every token."""
    each = [f"{key} {value}" for key, value in said.items() if key not in _RANDOM]
    words = ", ".join(one.replace(" ", "\N{NO-BREAK SPACE}") for one in each)
    return textwrap.wrap(words, _WORDS) or [""]


def _letters(axis: Any, content: str, at: int, color: str) -> None:
    """Write a part from a place on, line after line."""
    done = 0
    while done < len(content):
        row, start = divmod(at + done, LETTERS)
        piece = content[done : done + LETTERS - start]
        left, top = 0.1 + LETTER * start, 0.1 + 0.19 * row
        if color:
            shade = Rectangle(
                (left, top), LETTER * len(piece), 0.17, facecolor=COLORS[color], alpha=0.3
            )
            axis.add_patch(shade)
        axis.text(left, top + 0.14, piece, family="DejaVu Sans Mono", fontsize=LETTER_PT)
        done += len(piece)


def _said(text: str) -> str:
    """Return in words what a token says, without what is other in every token."""
    header, claims, signature = forging.parts(text)
    issued = claims.get("iat", 0)
    each = [
        f"{name} {value - issued:+} s" if name in _TIMES else f"{name} {value}"
        for name, value in claims.items()
        if name not in (*_RANDOM, "iat")
    ]
    return (
        f"A token with alg {header.get('alg')} and {len(signature)} bytes of signature claims: "
        f"{', '.join(each)} (times from its making)."
    )


def race(lanes: Sequence[str], events: Sequence[tuple[str, str]], *, title: str = "") -> Figure:
    """Show who does what, one event after the other.

    Args:
        lanes: Who takes part, from the top.
        events: In order of time: who, and what he does.
        title: What it shows.

    Raises:
        ParameterError: Somebody takes part who has no lane.
    """
    if strangers := {who for who, _ in events} - set(lanes):
        raise ParameterError(
            f"Events of {', '.join(sorted(strangers))} have no lane. Lanes are {', '.join(lanes)}. "
            "Add one for each."
        )
    step = 6.3 / len(events)
    made, axis = canvas(7.4, 0.45 + 0.62 * len(lanes))
    axis.text(0.1, 0.2, title, fontsize=10)
    for row, lane in enumerate(lanes):
        axis.text(0.1, 0.68 + 0.62 * row, lane, fontsize=9, weight="bold", va="center")
        axis.plot([1.0, 7.35], [0.68 + 0.62 * row] * 2, color=MUTED, linewidth=0.6, zorder=0)
    for number, (who, what) in enumerate(events):
        top = 0.46 + 0.62 * lanes.index(who)
        color = COLORS["blue"] if who == lanes[0] else COLORS["red"]
        box(axis, (1.0 + step * number, top, 0.92 * step, 0.44), color=color)
        middle = 1.0 + step * (number + 0.46)
        axis.text(middle, top + 0.22, what, fontsize=7.5, ha="center", va="center")
    order = "; ".join(f"{who}: {' '.join(what.split())}" for who, what in events)
    return describe(made, f"{title + '. ' if title else ''}In order of time: {order}.")


def chain(entries: Sequence[tuple[str, str, str]], first_altered: int | None) -> Figure:
    """Show the lines of a chained log; from the first altered one on, nothing is proven.

    Args:
        entries: For each line: what it says, the hash that it repeats, its own hash.
        first_altered: Number of the first line that does not fit, from 0; None: all fit.
    """
    width = 7.3 / len(entries)
    made, axis = canvas(7.4, 1.45)
    for number, (what, before, own) in enumerate(entries):
        proven = first_altered is None or number < first_altered
        color = COLORS["green"] if proven else COLORS["red"]
        left = 0.08 + width * number
        box(axis, (left, 0.3, width - 0.25, 1.0), color=color)
        axis.text(left, 0.2, f"line {number}", fontsize=8, color=MUTED)
        for row, text in enumerate((what, f"prev {before[:8]}", f"hash {own[:8]}")):
            axis.text(left + 0.08, 0.52 + 0.28 * row, text, fontsize=7.5, color=INK)
        if number + 1 < len(entries):
            arrow(axis, (left + width - 0.25, 0.8), (left + width, 0.8))
    verdict = (
        "all fit"
        if first_altered is None
        else f"line {first_altered} is the first that does not fit"
    )
    said = ", ".join(what for what, _, _ in entries)
    return describe(made, f"A chained log of {len(entries)} lines ({said}): {verdict}.")


def rotation(
    moments: Sequence[tuple[float, str, int]], marks: Sequence[tuple[float, str]]
) -> Figure:
    """Show requests over time by the key that signed their token, and what happened meanwhile.

    Args:
        moments: For each request: seconds, name of the key, status of the reply.
        marks: Seconds and words of what happened.
    """
    made, axis = figure(7.2, 2.2)
    names = list(dict.fromkeys(key for _, key, _ in moments))
    for name in names:
        good = [at for at, key, status in moments if key == name and status == 200]
        bad = [at for at, key, status in moments if key == name and status != 200]
        row = names.index(name)
        axis.plot(good, [row] * len(good), "|", color=COLORS["blue"], markersize=14)
        axis.plot(bad, [row] * len(bad), "x", color=COLORS["red"], markersize=9)
    for at, what in marks:
        axis.axvline(at, color=INK, linewidth=0.8, linestyle="--")
        axis.text(at, len(names) - 0.45, f" {what}", fontsize=8, va="bottom")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(-0.5, len(names) - 0.5)
    axis.set_xlabel("seconds")
    refused = sum(status != 200 for _, _, status in moments)
    each = ", ".join(f"{sum(key == name for _, key, _ in moments)} by {name}" for name in names)
    return describe(made, f"{len(moments)} requests ({each}), {refused} of them refused.")
