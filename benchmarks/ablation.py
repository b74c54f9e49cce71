"""What each idea of the fast recipe is worth: a ladder up from claim C03, and an ablation down.

The ladder adds one idea a rung. Rungs of more than a thousand steps are timed over 50 and over 100
steps, and the time of all their steps follows from the difference. The ablation leaves one idea out
a row, all else equal. Accuracies are those of the validation images, the last 10,000 of the
training set; no test image is used. Each row is a process of its own.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

from measuring import Spread, finish, options, record, say, table

from datahall.training.ladder import (
    ABLATION,
    LADDER,
    STEPS_OF_C03,
    Line,
    Rung,
    measure,
    measure_article,
    train,
)

FEW, ARTICLE_STEPS, LONG = 50, 150, 1000
CODE = [f"training/{room}.py" for room in ("recipe", "fast", "race", "ladder", "core")]


def projected(idea: str, found: Line) -> dict[str, Any]:
    """Return what a training of all of C03's steps takes by a line through two short ones."""
    cpu = Spread([found.step_cpu_s * STEPS_OF_C03])
    row = {"train_s": Spread([found.after(STEPS_OF_C03)]), "train_cpu_s": cpu}
    return {"idea": idea, "steps": STEPS_OF_C03, "accuracy": None, **row}


def timed(rung: Rung, seeds: int) -> dict[str, Any]:
    """Run a rung once a seed, after one short training that pays for what is made once."""
    if rung.recipe.steps > LONG:
        return projected(rung.idea, measure([rung], few=FEW)[0])
    (races,) = train([rung], seeds=range(seeds))
    return {
        "idea": rung.idea,
        "steps": rung.recipe.steps,
        "accuracy": Spread(each.end.accuracy for each in races),
        "train_s": Spread(each.end.train_s for each in races),
        "train_cpu_s": Spread(each.end.train_cpu_s for each in races),
    }


def shown(rows: list[dict[str, Any]], *, against: int, ladder: bool) -> str:
    """Return one table; factors are of processor time, which a busy machine disturbs least."""
    base, lines = rows[against], []
    for place, row in enumerate(rows):
        before = rows[place - 1] if ladder and place else base
        factor = row["train_cpu_s"].median / before["train_cpu_s"].median
        lines.append(
            [
                row["idea"],
                str(row["steps"]),
                row["train_s"].show(),
                row["train_cpu_s"].show(),
                f"{1 / factor if ladder else factor:.2f}",
                row["accuracy"].show(scale=100) if row["accuracy"] else "not run to its end",
                _points(row, base),
            ]
        )
    factor = "faster, CPU" if ladder else "slower, CPU"
    name = "idea added" if ladder else "idea left out"
    head = [name, "steps", "training, s", "CPU, s", factor, "validation accuracy, %", "points"]
    return table(head, lines)


def _points(row: dict[str, Any], base: dict[str, Any]) -> str:
    if not row["accuracy"] or not base["accuracy"] or row is base:
        return ""
    means = [statistics.fmean(each["accuracy"].values) for each in (row, base)]
    return f"{100 * (means[0] - means[1]):+.2f}"


def main() -> int:
    """Measure, print, record."""
    parser = options(__doc__, record="docs/claims/ablation.json")
    parser.add_argument("--seeds", type=int, default=3, help="trainings a row (3)")
    parser.add_argument("--only", choices=["ladder", "ablation"], help="measure one table only")
    given = parser.parse_args()
    if given.seeds < 1:
        parser.error("--seeds must be at least 1")
    parts: dict[str, list[dict[str, Any]]] = {}
    if given.only != "ablation":
        say("ladder: C03")
        parts["ladder"] = [
            projected("C03: Keras fit, 5 epochs", measure_article(steps=ARTICLE_STEPS))
        ]
        for rung in LADDER:
            say(f"ladder: {rung.idea}")
            parts["ladder"].append(timed(rung, given.seeds))
    if given.only != "ladder":
        parts["ablation"] = []
        for rung in ABLATION:
            say(f"left out: {rung.idea}")
            parts["ablation"].append(timed(rung, given.seeds))
    text = "\n\n".join(
        shown(rows, against=-1 if name == "ladder" else 0, ladder=name == "ladder")
        for name, rows in parts.items()
    )
    plain = {
        name: [
            {key: each.plain() if isinstance(each, Spread) else each for key, each in row.items()}
            for row in rows
        ]
        for name, rows in parts.items()
    }
    finish(record("ablation", {"seeds": given.seeds, **plain}, code=CODE), text, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
