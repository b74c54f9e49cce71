"""How much faster is the fast recipe than the program of claim C03, on this machine, in this run?

Both programs run in fresh processes on compiled bytecode, one after the other, in turns.
Inside the training clock: `fit` or `train` from its call to its last step, with all that it
compiles; for the recipe also cropping, first weights and tracing. Outside: imports, reading the
images, judging accuracy. Inside the cold clock: everything from the start of the process, but
judging. Test images are only used to judge; the recipe was searched on a validation split.

Ratio A: the complete 5 epochs of C03 over the recipe's time to the accuracy.
Ratio B: C03 up to its own first epoch end at that accuracy, or never, over the same time.
A ratio counts when at least nine of ten seeds, and at least five, reach the accuracy.

Goals: A at least 40 (98.30 %) and 15 (99.00 %) in training, 10 from a cold process.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from measuring import Spread, finish, options, record, say, table

from datahall import runtime
from datahall.training import fast, race
from datahall.training.recipe import TO_98, TO_99, Recipe, operations

TARGETS = {"98.30 %": (0.983, TO_98, 40), "99.00 %": (0.990, TO_99, 15)}
COLD_GOAL = 10
CLOCKS = ("train_s", "train_cpu_s", "cold_s", "cold_cpu_s")
CODE = [f"training/{room}.py" for room in ("recipe", "fast", "race", "core")]
Races = dict[str, list[race.Race]]


def measure(seeds: int, article_runs: int, epochs: int, threads: int) -> Races:
    """Run both programs in turns: C03, a share of the seeds of each recipe, C03 again."""
    say("warming up: bytecode, files")
    race.run("loop", Recipe(steps=1), threads=threads)
    race.run("article", epochs=0)
    races: Races = {"article": [], **{name: [] for name in TARGETS}}
    for turn in range(article_runs):
        say(f"C03, run {turn + 1} of {article_runs}: {epochs} epochs")
        races["article"] += race.run("article", seeds=[turn], epochs=epochs)
        say("   " + ", ".join(f"{lap.accuracy:.2%} at {lap.train_s:.1f} s" for lap in _laps(races)))
        for seed in range(turn, seeds, article_runs):
            for name, (_, recipe, _) in TARGETS.items():
                races[name] += race.run("loop", recipe, seeds=[seed], threads=threads)
                end = races[name][-1].end
                say(f"{name}, seed {seed}: {end.accuracy:.2%} in {end.train_s:.2f} s")
    return races


def _laps(races: Races) -> tuple[race.Lap, ...]:
    return races["article"][-1].laps


def ratios(races: Races, name: str) -> dict[str, Any]:
    """Return one recipe's times, accuracies and ratios on every clock."""
    accuracy, recipe, goal = TARGETS[name]
    ends = [each.end for each in races[name]]
    whole = [each.end for each in races["article"]]
    firsts = [each.first_at(accuracy) for each in races["article"]]
    crossed = [lap for lap in firsts if lap is not None]
    reached = sum(end.accuracy >= accuracy for end in ends)
    values: dict[str, Any] = {
        "goal_a": goal,
        "steps": recipe.steps,
        "seeds": len(ends),
        "seeds_that_reach": reached,
        "counts": len(ends) >= 5 and reached >= 0.9 * len(ends),
        "accuracy": Spread(end.accuracy for end in ends),
        "article_never": len(firsts) - len(crossed),
    }
    for clock in CLOCKS:
        own = Spread(getattr(end, clock) for end in ends)
        values[clock] = own
        values[f"ratio_a_{clock}"] = Spread(getattr(lap, clock) for lap in whole).over(own)
        values[f"ratio_b_{clock}"] = (
            Spread(getattr(lap, clock) for lap in crossed).over(own) if crossed else None
        )
    return values


def floor(recipe: Recipe, peak: float) -> dict[str, float]:
    """Return the seconds that a recipe's operations take at the measured peak."""
    work = operations(recipe) * recipe.steps
    return {"operations": work, "peak_flop_per_s": peak, "floor_s": work / peak}


def show(races: Races, found: dict[str, dict[str, Any]]) -> str:
    """Return the two tables: the times, then the ratios."""
    whole = [each.end for each in races["article"]]
    times = [
        [
            "C03, 5 epochs" if len(_laps(races)) == 5 else f"C03, {len(_laps(races))} epochs",
            Spread(lap.accuracy for lap in whole).show(scale=100),
            f"{len(whole)} runs",
            *(Spread(getattr(lap, clock) for lap in whole).show(1) for clock in CLOCKS),
        ]
    ]
    for name, values in found.items():
        reached = f"{values['seeds_that_reach']} of {values['seeds']}"
        own = [values[clock].show() for clock in CLOCKS]
        times.append([f"to {name}", values["accuracy"].show(scale=100), reached, *own])
    head = ["program", "test accuracy, %", "reach it", "training, s", "CPU, s", "cold, s", "CPU, s"]
    rows = []
    for name, values in found.items():
        for letter in "ab":
            shown = [values[f"ratio_{letter}_{clock}"] for clock in CLOCKS]
            cells = [each.show(1) if each else "never" for each in shown]
            never = values["article_never"] if letter == "b" else 0
            note = f"C03 never: {never} of {len(whole)}" if never else ""
            rows.append([f"{letter.upper()}, {name}", *cells, note or _judged(values, letter)])
    text = [table(head, times), "", table(["ratio", *head[3:], "counts"], rows), ""]
    for name, values in found.items():
        limit, took = values["floor_s"], values["train_s"].median
        work, peak = values["operations"] / 1e9, values["peak_flop_per_s"] / 1e9
        text.append(
            f"{name}: {work:.0f} GFLOP at {peak:.0f} GFLOP/s, the best bfloat16 product here, are "
            f"{limit:.2f} s: {limit / took:.0%} of the time taken."
        )
    return "\n".join(text)


def _judged(values: dict[str, Any], letter: str) -> str:
    if not values["counts"]:
        return "no: too few seeds"
    return f"yes; goal {values['goal_a']}, cold {COLD_GOAL}" if letter == "a" else "yes"


def met(values: dict[str, Any]) -> bool:
    """Tell whether a recipe counts and reaches both goals on the wall clock."""
    training, cold = values["ratio_a_train_s"].median, values["ratio_a_cold_s"].median
    return bool(values["counts"] and training >= values["goal_a"] and cold >= COLD_GOAL)


def main() -> int:
    """Measure, print, record; return 1 if --check is given and a goal is missed."""
    parser = options(__doc__, record="docs/claims/training_speed.json")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each recipe (5)")
    parser.add_argument("--article-runs", type=int, default=2, help="runs of C03 (2)")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of C03 (5)")
    parser.add_argument("--threads", type=int, default=1, help="threads an operation, recipe (1)")
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    given = parser.parse_args()
    if min(given.seeds, given.article_runs, given.epochs, given.threads) < 1:
        parser.error("all counts must be at least 1")
    begin = time.perf_counter()
    races = measure(given.seeds, given.article_runs, given.epochs, given.threads)
    runtime.start(deterministic=False)
    peak = fast.peak_flop_per_s("bfloat16")
    found = {
        name: ratios(races, name) | floor(recipe, peak) for name, (_, recipe, _) in TARGETS.items()
    }
    goals = {name: met(values) for name, values in found.items()}
    plain = {
        "goals_met": goals,
        "minutes": (time.perf_counter() - begin) / 60,
        "targets": {name: _plain(values) for name, values in found.items()},
        "races": {name: [_plain(vars(each)) for each in some] for name, some in races.items()},
    }
    finish(record("training_speed", plain, code=CODE), show(races, found), given)
    say(f"{plain['minutes']:.1f} minutes; goals met: {goals}")
    return int(given.check and not all(goals.values()))


def _plain(value: Any) -> Any:
    if isinstance(value, Spread):
        return value.plain()
    if isinstance(value, race.Lap):
        return vars(value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    sys.exit(main())
