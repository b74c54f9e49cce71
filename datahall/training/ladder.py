"""The ideas behind the fast recipe: one at a time from claim C03 up, and one at a time left out.

`LADDER` begins at the program of C03 and adds one idea a rung, down to `TO_98`. `ABLATION` takes
the finished recipe and leaves one idea out a row. A benchmark and a lecture measure both; nothing
here measures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from datahall.training.recipe import ARTICLE, TO_98, Recipe

EPOCHS_OF_C03 = 5
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
    Rung("one cycle: a constant 0.001", replace(TO_98, warmup=0.0, peak_rate=0.001), threads=1),
    Rung("the high rate: a peak of 0.004", replace(TO_98, peak_rate=0.004), threads=1),
    Rung("quick averages: β 0.9, 0.999", replace(TO_98, beta_1=0.9, beta_2=0.999), threads=1),
    Rung("label smoothing", replace(TO_98, smoothing=0.0), threads=1),
    Rung("weight decay", replace(TO_98, weight_decay=0.0), threads=1),
)
"""The recipe to 98.30 %, and what it loses without each of its ideas, all else equal."""
