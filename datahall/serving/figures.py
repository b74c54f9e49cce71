"""Pictures of the service: the way of a request, its bytes, what each step costs, what it stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from datahall.plotting import COLORS, GRID, INK, MUTED, PAPER, describe, figure
from datahall.serving import anatomy
from datahall.serving.defences import PLACES, Defence, Defences

PART_COLORS = {
    anatomy.LINE: "orange",
    anatomy.HEADERS: "sky",
    anatomy.TEXT: "green",
    anatomy.RAW: "purple",
}
LETTER, LETTER_PT = 5 / 80, 8  # width of a letter in inches: five pixels of 80; its size
LETTERS, LINES = 100, 9  # of the page of bytes
_OFF = "#b8c0c7"
_PLACE_NAMES = {"gateway": "gateway: HAProxy", "app": "app: FastAPI", "model": "model: LiteRT"}


def canvas(width: float, height: float) -> tuple[Figure, Any]:
    """Return an empty figure without axes' lines; a unit is an inch, the top is 0.

    Args:
        width: In inches.
        height: In inches.
    """
    made, axis = figure(width, height)
    made.set_layout_engine(None)
    axis.set_position((0, 0, 1, 1))
    axis.set_xlim(0, width)
    axis.set_ylim(height, 0)
    axis.axis("off")
    return made, axis


def box(
    axis: Any, place: tuple[float, float, float, float], *, color: str, face: str = PAPER
) -> None:
    """Draw a box with round corners.

    Args:
        axis: Of a `canvas`.
        place: Left, top, width and height, in inches.
        color: Of its line.
        face: Of its inside.
    """
    left, top, width, height = place
    style = "round,pad=0,rounding_size=0.06"
    patch = FancyBboxPatch(
        (left, top), width, height, boxstyle=style, edgecolor=color, facecolor=face, linewidth=1.5
    )
    axis.add_patch(patch)


def arrow(axis: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow.

    Args:
        axis: Of a `canvas`.
        start: Where it begins, in inches.
        end: Where it points.
    """
    look = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=look)


def way(defences: Defences) -> Figure:
    """Show the way of a request, and which defences stand where; those that are off are grey.

    Args:
        defences: Those that are on.
    """
    rows = -(-sum(one.place == "gateway" for one in Defence) // 2)
    made, axis = canvas(7.8, 0.95 + 0.17 * rows)
    lefts = {"gateway": 1.0, "app": 3.85, "model": 6.55}
    widths = dict(zip(PLACES, (2.45, 2.3, 1.15), strict=True))
    axis.text(0.1, 0.62, "client", fontsize=10, va="center")
    arrow(axis, (0.62, 0.62), (1.0, 0.62))
    arrow(axis, (3.45, 0.62), (3.85, 0.62))
    arrow(axis, (6.15, 0.62), (6.55, 0.62))
    axis.text(0.78, 0.45, "TLS" if Defence.TLS in defences else "HTTP", fontsize=7, ha="center")
    axis.text(3.65, 0.38, "Unix\nsocket", fontsize=7, ha="center", va="center")
    axis.text(6.35, 0.38, "array", fontsize=7, ha="center", va="center")
    told = []
    for place in PLACES:
        standing = [one for one in Defence if one.place == place]
        height = 0.55 + 0.17 * rows
        box(axis, (lefts[place], 0.2, widths[place], height), color=COLORS["blue"])
        axis.text(lefts[place] + 0.1, 0.4, _PLACE_NAMES[place], fontsize=9, weight="bold")
        _names(axis, standing, defences, left=lefts[place] + 0.1, rows=rows)
        on = [one for one in standing if one in defences]
        told.append(f"{place} {len(on)} of {len(standing)}")
    return describe(
        made,
        "A request goes from the client to the gateway, over a Unix socket to the app, and as an "
        f"array to the model. Defences that are on: {', '.join(told)}.",
    )


def _names(
    axis: Any, standing: Sequence[Defence], defences: Defences, *, left: float, rows: int
) -> None:
    for number, one in enumerate(standing):
        column, row = divmod(number, rows)
        name = one.value.replace("_", " ")
        color = INK if one in defences else _OFF
        axis.text(left + 1.2 * column, 0.66 + 0.17 * row, name, fontsize=7, color=color)


def strips(messages: Mapping[str, bytes]) -> Figure:
    """Show of what parts requests consist, in bytes.

    Args:
        messages: Whole requests, by what they are called.
    """
    made, axis = figure(7.2, 0.9 + 0.5 * len(messages))
    told = []
    for row, (name, message) in enumerate(messages.items()):
        start = 0
        found = anatomy.parts(message)
        for part, content in found.items():
            color = COLORS[PART_COLORS[part]]
            axis.barh(row, len(content), left=start, color=color, edgecolor=PAPER, height=0.6)
            start += len(content)
        sizes = ", ".join(f"{part} {len(content):,}" for part, content in found.items())
        told.append(f"{name}: {len(message):,} B ({sizes})")
    for part, color in PART_COLORS.items():
        axis.barh(0, 0, color=COLORS[color], label=part)
    axis.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.45, 1.0))
    axis.set_yticks(range(len(messages)), list(messages))
    axis.invert_yaxis()
    axis.set_xlabel("bytes")
    return describe(made, f"Parts of requests. {'. '.join(told)}.")


def page_of_bytes(message: bytes) -> Figure:
    """Show the first bytes of a request as letters, coloured by part, and what is said to it.

    Args:
        message: A whole request.
    """
    made, axis = canvas(LETTERS * LETTER + 0.2, 0.19 * (LINES + 3))
    said, found = anatomy.verdict(message), anatomy.parts(message)
    at = 0
    for part, content in found.items():
        for start, row, shown in _runs(at, content):
            left, top = 0.1 + LETTER * start, 0.1 + 0.19 * row
            face = COLORS[PART_COLORS[part]]
            axis.add_patch(
                Rectangle((left, top), LETTER * len(shown), 0.17, facecolor=face, alpha=0.3)
            )
            axis.text(left, top + 0.14, shown, family="DejaVu Sans Mono", fontsize=LETTER_PT)
        at += len(content)
    left_out = max(0, len(message) - LETTERS * LINES)
    more = f"… and {left_out:,} bytes more" if left_out else "all of it"
    top = 0.19 * (LINES + 1.2)
    axis.text(0.1, top, more, fontsize=8, color=MUTED)
    color = COLORS["green"] if said.startswith("accepted") else COLORS["red"]
    axis.text(0.1, top + 0.22, said, fontsize=9, color=color, weight="bold")
    sizes = ", ".join(f"{part} {len(content):,} B" for part, content in found.items())
    return describe(made, f"A request of {len(message):,} B: {sizes}. The service says: {said}")


def _runs(at: int, content: bytes) -> list[tuple[int, int, str]]:
    """Return the pieces of a part: the letter where each begins, its line, and what is shown."""
    shown = "".join(
        chr(each) if 32 <= each < 127 else {13: "←", 10: "↓"}.get(each, "·") for each in content
    )
    pieces, done = [], 0
    while done < len(shown):
        row, start = divmod(at + done, LETTERS)
        if row >= LINES:
            break
        piece = shown[done : done + LETTERS - start]
        pieces.append((start, row, piece))
        done += len(piece)
    return pieces


def costs(rows: Sequence[tuple[str, float]]) -> Figure:
    """Show what a request costs as one thing after the other is added.

    Args:
        rows: Names and processor time in µs, each with all that the one before has.
    """
    made, axis = figure(7.0, 0.9 + 0.36 * len(rows))
    before = 0.0
    for row, (_, total) in enumerate(rows):
        kept = min(before, total)
        axis.barh(row, kept, color=GRID)
        axis.barh(row, total - kept, left=kept, color=COLORS["blue"])
        axis.text(total, row, f" {total:.0f}", va="center", fontsize=9)
        before = total
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.12 * max(total for _, total in rows))
    axis.set_xlabel("processor time of a request, µs (all processes)")
    told = ", ".join(f"{name} {total:.0f}" for name, total in rows)
    return describe(made, f"Processor time of a request in µs, step by step: {told}.")


def harms(found: Mapping[str, Mapping[str, bool]]) -> Figure:
    """Show which attacks succeed on which service: a column an attack, a row a service.

    Args:
        found: For each attack, by the name of a service, whether it succeeds there.
    """
    services = list(next(iter(found.values())))
    made, axis = figure(7.6, 1.5 + 0.3 * len(services))
    for column, verdicts in enumerate(found.values()):
        for row, name in enumerate(services):
            mark, color = ("X", "red") if verdicts[name] else (".", "green")
            axis.plot(column, row, mark, color=COLORS[color], markersize=7)
    axis.set_yticks(range(len(services)), services)
    names = [attack.replace("_", " ") for attack in found]
    axis.set_xticks(range(len(found)), names, rotation=90, fontsize=7)
    axis.set_ylim(len(services) - 0.5, -0.5)
    axis.set_xlim(-0.6, len(found) - 0.4)
    axis.tick_params(length=0)
    told = ", ".join(
        f"{name} {sum(each[name] for each in found.values())} of {len(found)}" for name in services
    )
    return describe(made, f"Attacks that succeed (crosses): {told}.")
