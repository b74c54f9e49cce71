"""The ideas behind the fast recipe: one at a time from claim C03 up, and one at a time left out.

`LADDER` begins at the program of C03 and adds one idea a rung, down to `TO_98`. `ABLATION` takes
the finished recipe and leaves one idea out a row. `train` runs them. `measure` and
`measure_article` find the time of a step, and of what comes before the first one, from two short
trainings: a `Line`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from datahall.errors import ParameterError
from datahall.training import race
from datahall.training.recipe import ARTICLE, TO_98, Recipe, operations

STEPS_OF_C03 = 5 * 938
"""Five epochs of 60,000 images in batches of 64."""


@dataclass(frozen=True)
class Rung:
    """One program to time.

    Attributes:
        idea: What is new on this rung, or left out in this row.
        recipe: What is trained.
        threads: Threads of one operation; None is TensorFlow's default, every core.
        program: As `race.run` knows it.
    """

    idea: str
    recipe: Recipe
    threads: int | None = None
    program: str = "loop"


_C03 = Recipe(
    steps=STEPS_OF_C03,
    layers=ARTICLE,
    crop=0,
    batch=64,
    peak_rate=0.001,
    warmup=0.0,
    beta_1=0.9,
    beta_2=0.999,
    weight_decay=0.0,
    smoothing=0.0,
    compute="float32",
    halves=1,
)
_SCHEDULED = replace(TO_98, layers=ARTICLE, crop=0, compute="float32", halves=1)
_SMALL = replace(TO_98, crop=0, compute="float32", halves=1)

LADDER = (
    Rung("C03 in one compiled loop", _C03),
    Rung("one cycle, smoothing, batch 128: 260 steps do", _SCHEDULED),
    Rung("a strided, smaller network", _SMALL),
    Rung("two pixels less at each border", replace(_SMALL, crop=2)),
    Rung("bfloat16", replace(TO_98, halves=1)),
    Rung("two halves side by side", TO_98, threads=1),
)
"""From C03's network and optimizer to the recipe. Each rung keeps what came before."""

ABLATION = (
    Rung("nothing left out", TO_98, threads=1),
    Rung("the compiled loop: Keras fit", TO_98, program="fit"),
    Rung("bfloat16: float32", replace(TO_98, compute="float32"), threads=1),
    Rung("side by side: two threads an operation", replace(TO_98, halves=1)),
    Rung("the crop: 28 × 28 pixels", replace(TO_98, crop=0), threads=1),
    Rung("the small network: that of C03", replace(TO_98, layers=ARTICLE), threads=1),
    Rung("one cycle: a constant 0.014", replace(TO_98, warmup=0.0), threads=1),
    Rung("the high rate: a peak of 0.004", replace(TO_98, peak_rate=0.004), threads=1),
    Rung("quick averages: β 0.9, 0.999", replace(TO_98, beta_1=0.9, beta_2=0.999), threads=1),
    Rung("label smoothing", replace(TO_98, smoothing=0.0), threads=1),
    Rung("weight decay", replace(TO_98, weight_decay=0.0), threads=1),
)
"""The recipe to 98.30 %, and what it loses without each of its ideas, all else equal."""


def train(
    rungs: Sequence[Rung], *, seeds: Sequence[int] = (0,), share: float = 1.0
) -> list[list[race.Race]]:
    """Train every rung with every seed, judged with the validation images.

    Rungs of the same program and threads share a process, which first takes two steps untimed.

    Args:
        rungs: What to train.
        seeds: One training a rung each.
        share: Share of each recipe's steps that is taken; at least one step is.

    Returns:
        For each rung its races, one a seed.
    """
    found: dict[int, list[race.Race]] = {}
    for program, threads in {(rung.program, rung.threads) for rung in rungs}:
        places = [
            place
            for place, rung in enumerate(rungs)
            if (rung.program, rung.threads) == (program, threads)
        ]
        whole = [rungs[place].recipe for place in places]
        recipes = [replace(each, steps=max(1, round(share * each.steps))) for each in whole]
        races = race.run(
            program,
            replace(recipes[0], steps=2),
            *recipes,
            seeds=seeds,
            threads=threads,
            validation=True,
        )
        for number, place in enumerate(places, start=1):
            found[place] = races[number * len(seeds) : (number + 1) * len(seeds)]
    return [found[place] for place in range(len(rungs))]


@dataclass(frozen=True)
class Line:
    """Training time as a straight line: what comes before the first step, and each step.

    Attributes:
        setup_s: Seconds of wall time that do not grow with the steps.
        step_s: Seconds of wall time a step.
        step_cpu_s: Seconds of processor time a step, all threads together.
    """

    setup_s: float
    step_s: float
    step_cpu_s: float

    def after(self, steps: int) -> float:
        """Return the seconds of wall time of a training.

        Example:
            >>> Line(0.2, 0.001, 0.002).after(300)
            0.5
        """
        return self.setup_s + steps * self.step_s


def line(few: int, short: race.Lap, many: int, long: race.Lap) -> Line:
    """Draw the line through two trainings of `few` and of `many` steps.

    Args:
        few: Steps of the shorter training.
        short: How long it took.
        many: Steps of the longer one.
        long: How long that took.

    Raises:
        ParameterError: The second training is not the longer one.
    """
    if not 0 < few < many:
        raise ParameterError(
            f"few is {few}, many is {many}. Expected 0 < few < many. Take 10 and 60."
        )
    step_s = (long.train_s - short.train_s) / (many - few)
    step_cpu_s = (long.train_cpu_s - short.train_cpu_s) / (many - few)
    return Line(max(long.train_s - many * step_s, 0.0), step_s, step_cpu_s)


def measure(rungs: Sequence[Rung], *, few: int = 10, repeat: int = 2) -> list[Line]:
    """Time rungs of the compiled loop, each over few and over many steps, least time of all.

    Many are 50 steps more where a step takes more than a billion operations, else 250 more. Rungs
    with the same number of threads share a process; the first two steps there are not timed.

    Args:
        rungs: What to time; `program` must be `loop`.
        few: Steps of the short training.
        repeat: How often each is trained.
    """
    lines: dict[int, Line] = {}
    for threads in {rung.threads for rung in rungs}:
        places = [place for place, rung in enumerate(rungs) if rung.threads == threads]
        counts = [few + (50 if operations(rungs[place].recipe) > 1e9 else 250) for place in places]
        recipes = [
            replace(rungs[place].recipe, steps=steps)
            for place, many in zip(places, counts, strict=True)
            for steps in (2, few, many)
        ]
        seeds = range(repeat)
        races = race.run("loop", *recipes, seeds=seeds, threads=threads, judge=100)
        ends = [
            _least([each.end for each in races[start : start + repeat]])
            for start in range(0, len(races), repeat)
        ]
        for number, (place, many) in enumerate(zip(places, counts, strict=True)):
            lines[place] = line(few, ends[3 * number + 1], many, ends[3 * number + 2])
    return [lines[place] for place in range(len(rungs))]


def _least(laps: Sequence[race.Lap]) -> race.Lap:
    """Return the least of each clock: the run disturbed least."""
    clocks = ("train_s", "train_cpu_s", "cold_s", "cold_cpu_s")
    return race.Lap(
        laps[0].accuracy, *(min(getattr(lap, clock) for lap in laps) for clock in clocks)
    )


def measure_article(*, steps: int = 50) -> Line:
    """Time Keras `fit` of claim C03 over two short epochs of so many steps."""
    (both,) = race.run("article", epochs=2, examples=64 * steps, judge=100)
    return line(steps, both.laps[0], 2 * steps, both.laps[1])
