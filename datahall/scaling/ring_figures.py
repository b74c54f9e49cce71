"""Pictures of all-reduce: the ring step by step, and what ring, tree and star cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from datahall.errors import ParameterError
from datahall.plotting import COLORS, GRID, INK, MUTED, describe, figure
from datahall.scaling import allreduce
from datahall.units import format_quantity

_PALETTE = list(COLORS.values())


def ring(ranks: int, steps: int) -> Figure:
    """Show what each rank holds after some steps of a ring, and what has just moved.

    Args:
        ranks: Rows (ranks) and columns (pieces).
        steps: Steps made, from 0 to 2 (ranks − 1).

    Raises:
        ParameterError: The ring has not so many steps.
    """
    moments = allreduce.trace(ranks)
    if not 0 <= steps < len(moments):
        raise ParameterError(
            f"steps is {steps}. A ring of {ranks} has steps 0 to {len(moments) - 1}. Choose one of "
            "these."
        )
    moment = moments[steps]
    made, axis = figure(6.4, 0.62 * ranks + 0.9)
    for rank in range(ranks):
        for piece in range(ranks):
            _cell(axis, rank, piece, moment.holds[rank][piece], ranks)
    for rank, piece in enumerate(moment.moves):
        _arrow(axis, rank, piece, ranks)
    axis.set_xlim(-0.55, ranks - 0.45)
    axis.set_ylim(ranks - 0.45, -0.75)
    axis.set_xticks(range(ranks), [f"piece {piece}" for piece in range(ranks)])
    axis.set_yticks(range(ranks), [f"rank {rank}" for rank in range(ranks)])
    axis.tick_params(length=0, labelcolor=INK)
    axis.grid(visible=False)
    for side in axis.spines.values():
        side.set_visible(False)
    return describe(made, _told(ranks, steps, moment))


def _cell(axis: Any, rank: int, piece: int, holds: tuple[int, ...], ranks: int) -> None:
    whole = len(holds) == ranks
    face = COLORS["blue"] if whole else "white"
    axis.add_patch(Rectangle((piece - 0.42, rank - 0.3), 0.84, 0.6, facecolor=face, edgecolor=GRID))
    for place, source in enumerate(() if whole else holds):  # a bar for each rank in the sum
        width = 0.8 / ranks
        color = _PALETTE[source % len(_PALETTE)]
        corner = (piece - 0.4 + place * width, rank + 0.16)
        axis.add_patch(Rectangle(corner, width, 0.12, facecolor=color, edgecolor="white"))
    text = "sum" if whole else "+".join(map(str, holds))
    axis.text(piece, rank - 0.05, text, ha="center", va="center", fontsize=9,
              color="white" if whole else INK)  # fmt: skip


def _arrow(axis: Any, rank: int, piece: int, ranks: int) -> None:
    """Draw what rank has sent to the next one; from the last to the first it enters from above."""
    top = -0.72 if rank + 1 == ranks else rank + 0.28
    end = -0.3 if rank + 1 == ranks else rank + 0.7
    axis.annotate(
        "", (piece + 0.3, end), (piece + 0.3, top),
        arrowprops={"arrowstyle": "-|>", "color": COLORS["orange"], "linewidth": 2},
    )  # fmt: skip


def _told(ranks: int, steps: int, moment: allreduce.Moment) -> str:
    whole = sum(len(holds) == ranks for row in moment.holds for holds in row)
    words = f"Ring of {ranks}, step {steps} of {2 * (ranks - 1)}"
    if moment.phase != "start":
        verb = "adds it" if moment.phase == "reduce" else "keeps it"
        moves = ", ".join(
            f"rank {rank} sends piece {piece} to rank {(rank + 1) % ranks}"
            for rank, piece in enumerate(moment.moves)
        )
        words += f" ({moment.phase}): {moves}; whoever receives a piece {verb}"
    return (
        f"{words}. Whole sums: {whole} of {ranks * ranks}. Each rank has sent {steps} pieces of "
        f"1/{ranks} of the array."
    )


def traffic(ranks: Sequence[int]) -> Figure:
    """Show what the busiest rank sends, and the steps, of a star, a tree and a ring."""
    made, (left, right) = figure(7.2, 2.8, ncols=2)
    numbers = np.asarray(ranks)
    rounds = np.ceil(np.log2(numbers))
    lines = {
        "star": (numbers - 1, np.full_like(numbers, 2)),
        "tree": (rounds, 2 * rounds),
        "ring": (2 * (numbers - 1) / numbers, 2 * (numbers - 1)),
    }
    for (name, (sent, steps)), color in zip(lines.items(), _PALETTE, strict=False):
        left.plot(numbers, sent, "o-", color=color, label=name, markersize=4)
        right.plot(numbers, steps, "o-", color=color, label=name, markersize=4)
    for axis, label in ((left, "sent by the busiest rank, in S"), (right, "steps, one by one")):
        axis.set_xscale("log", base=2)
        axis.set_yscale("log", base=2)
        axis.set_xticks(numbers, [str(number) for number in numbers])
        axis.set_xlabel("ranks")
        axis.set_title(label, fontsize=10, color=MUTED)
    left.legend(frameon=False, fontsize=9)
    last = {name: (float(sent[-1]), int(steps[-1])) for name, (sent, steps) in lines.items()}
    words = "; ".join(
        f"{name} {sent:.3g} S in {steps} steps" for name, (sent, steps) in last.items()
    )
    return describe(made, f"At {numbers[-1]} ranks the busiest rank sends, by algorithm: {words}.")


def times(measured_s: Mapping[str, Mapping[int, float]], *, ranks: int) -> Figure:
    """Show the time of all-reduces by the bytes of the array.

    Args:
        measured_s: Seconds by bytes, by algorithm.
        ranks: How many took part.
    """
    made, axis = figure(6.4, 2.8)
    for (name, row), color, marker in zip(measured_s.items(), _PALETTE, "osD^", strict=False):
        axis.loglog(list(row), [1e3 * each for each in row.values()], marker + "-", color=color,
                    label=name, markersize=5)  # fmt: skip
    axis.set_xlabel("bytes of the array")
    axis.set_ylabel("ms")
    axis.legend(frameon=False, fontsize=9)
    words = "; ".join(
        f"{name}: "
        + ", ".join(
            f"{format_quantity(size, 'B')} in {format_quantity(took, 's')}"
            for size, took in row.items()
        )
        for name, row in measured_s.items()
    )
    return describe(made, f"All-reduce of {ranks} ranks. {words}.")
