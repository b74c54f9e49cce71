"""Two programs on one track: how long until a network is trained, in a process of its own.

`run` starts a fresh Python for a program, so that its import and its threads are its own, and reads
what its clocks said. The programs: `article` (claim C03: Keras `fit`), `fit` (a recipe by Keras
`fit`), `loop` (a recipe by `fast.train`).

Inside the training clock: `fit` or `train`, from its call to its last step, with everything it
compiles. Outside: imports, reading the images, judging accuracy. Inside the cold clock: all that,
from the start of the process, but judging. Both clocks tell wall time and processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from datahall import programs
from datahall.errors import CourseError, ParameterError
from datahall.training.recipe import Conv, Dense, Layer, Pool, Recipe, order

Data = tuple[Any, Any, Any, Any]

PROGRAMS = ("article", "fit", "loop")
VALIDATION = 10_000
"""Images kept from training when a recipe is searched: the last ones of the 60,000."""


@dataclass(frozen=True)
class Lap:
    """The clocks when a network could be judged, and how good it was.

    Attributes:
        accuracy: Share of right answers on the test images, or on the validation images.
        train_s: Training clock, wall time in seconds.
        train_cpu_s: Training clock, processor time of all threads in seconds.
        cold_s: Cold clock, wall time in seconds.
        cold_cpu_s: Cold clock, processor time in seconds.
    """

    accuracy: float
    train_s: float
    train_cpu_s: float
    cold_s: float
    cold_cpu_s: float


@dataclass(frozen=True)
class Race:
    """What one process did: a lap an epoch for `article`, one lap for the other programs."""

    program: str
    seed: int
    import_s: float
    laps: tuple[Lap, ...]

    @property
    def end(self) -> Lap:
        """The last lap: the complete training."""
        return self.laps[-1]

    def first_at(self, accuracy: float) -> Lap | None:
        """Return the first lap that is at least so good, or None: never."""
        return next((lap for lap in self.laps if lap.accuracy >= accuracy), None)


def run(
    program: str,
    *recipes: Recipe,
    seeds: Sequence[int] = (0,),
    epochs: int = 5,
    examples: int | None = None,
    judge: int | None = None,
    threads: int | None = None,
    validation: bool = False,
    limit_s: float = 1800,
) -> list[Race]:
    """Run a program in a fresh process: each recipe with each seed, one after the other.

    Args:
        program: One of `PROGRAMS`.
        recipes: What `fit` and `loop` train; none for `article`.
        seeds: One training each; the cold clock of all but the very first is not a cold one.
        epochs: Epochs of `article`.
        examples: Train on so many images only, the first ones; None takes all.
        judge: Judge with so many images only, the first ones; None takes all.
        threads: Threads of one operation; None leaves TensorFlow's default, every core.
        validation: Train on the first 50,000 images, judge with the other 10,000, and leave the
            test images alone: the way to search.
        limit_s: Seconds after which the process is given up.

    Raises:
        ParameterError: There is no such program, or it lacks its recipe.
        CourseError: The process failed; its last words are in the message.
    """
    if program not in PROGRAMS or (program == "article") == bool(recipes):
        raise ParameterError(
            f"program is {program!r} with {len(recipes)} recipes. Expected one of "
            f"{', '.join(PROGRAMS)}, the last two with a recipe. Take recipe.TO_98."
        )
    asked = {
        "program": program,
        "recipes": [_as_plain(recipe) for recipe in recipes],
        "seeds": list(seeds),
        "epochs": epochs,
        "examples": examples,
        "judge": judge,
        "validation": validation,
        "spawned": time.time(),
    }
    try:
        done = subprocess.run(  # noqa: S603 (our own module, started with our own interpreter)
            programs.command("datahall.training.race", json.dumps(asked)),
            capture_output=True,
            text=True,
            env=_environment(threads),
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CourseError(
            f"the program {program} took longer than {limit_s} s. Expected less. "
            "Ask for fewer epochs or steps, or allow more time."
        ) from error
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["nothing"]
        raise CourseError(
            f"the program {program} ended with exit code {done.returncode}; its last words: "
            f"{words[-1].rstrip('.')}. Exit code 0 was expected. Run `datahall doctor`."
        )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [Race(**{**each, "laps": tuple(Lap(**lap) for lap in each["laps"])}) for each in told]


def _environment(threads: int | None) -> dict[str, str]:
    """Return this process' variables without those that would make the child another program."""
    own = ("PYTHONDONTWRITEBYTECODE", "TF_DETERMINISTIC_OPS", "TF_NUM_INTRAOP_THREADS")
    env = {name: value for name, value in os.environ.items() if name not in own}
    env["TF_CPP_MIN_LOG_LEVEL"] = "3"
    return env | ({"TF_NUM_INTRAOP_THREADS": str(threads)} if threads else {})


def _as_plain(recipe: Recipe) -> dict[str, Any]:
    layers = [[type(layer).__name__, asdict(layer)] for layer in recipe.layers]
    return {**asdict(recipe), "layers": layers}


def _as_recipe(plain: dict[str, Any]) -> Recipe:
    kinds: dict[str, type[Layer]] = {"Conv": Conv, "Pool": Pool, "Dense": Dense}
    layers = tuple(kinds[kind](**facts) for kind, facts in plain["layers"])
    return Recipe(**{**plain, "layers": layers})


class _Clock:
    """Wall and processor time of training, stopped while a network is judged."""

    def __init__(self, spawned: float) -> None:
        self.begun = (time.time() - spawned, time.process_time())
        self.wall = self.cpu = 0.0

    def go(self) -> None:
        self._from = (time.perf_counter(), time.process_time())

    def stop(self) -> None:
        self.wall += time.perf_counter() - self._from[0]
        self.cpu += time.process_time() - self._from[1]

    def lap(self, accuracy: float) -> Lap:
        return Lap(
            accuracy, self.wall, self.cpu, self.begun[0] + self.wall, self.begun[1] + self.cpu
        )


def _loop(asked: dict[str, Any], recipe: Recipe, seed: int, data: Data) -> list[Lap]:
    from datahall.training import fast

    images, labels, judged, truth = data
    clock = _Clock(asked["spawned"])
    clock.go()
    trained = fast.train(images, labels, recipe, seed=seed)
    clock.stop()
    return [clock.lap(trained.accuracy(judged, truth))]


def _article(asked: dict[str, Any], _: Any, seed: int, data: Data) -> list[Lap]:
    import keras

    from datahall.training import core

    keras.utils.set_random_seed(seed)
    images, labels, judged, truth = (
        core.as_floats(data[0]),
        data[1],
        core.as_floats(data[2]),
        data[3],
    )
    model = core.article_cnn()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    laps: list[Lap] = []
    clock = _Clock(asked["spawned"])

    def judge(*_: object) -> None:
        clock.stop()
        laps.append(clock.lap(float(model.evaluate(judged, truth, batch_size=1000, verbose=0)[1])))
        clock.go()

    after = keras.callbacks.LambdaCallback(on_epoch_end=judge)
    clock.go()
    model.fit(images, labels, batch_size=64, epochs=asked["epochs"], callbacks=[after], verbose=0)
    return laps


def _fit(asked: dict[str, Any], recipe: Recipe, seed: int, data: Data) -> list[Lap]:
    import keras
    import numpy as np

    from datahall.training import core, fast

    keras.utils.set_random_seed(seed)
    mixed = "" if recipe.compute == "float32" else "mixed_"
    keras.config.set_dtype_policy(mixed + recipe.compute)
    images, judged = (core.as_floats(fast.cropped(each, recipe.crop)) for each in data[::2])
    places = order(len(images), recipe, seed=seed).ravel()
    wanted = keras.utils.to_categorical(data[1], 10)
    model = fast.as_keras(recipe)
    rate = core.OneCycle(recipe.peak_rate, recipe.steps, warmup=recipe.warmup, floor=0.0)
    adam = keras.optimizers.AdamW(rate, recipe.weight_decay, recipe.beta_1, recipe.beta_2)
    adam.exclude_from_weight_decay(var_names=["bias"])
    loss = keras.losses.CategoricalCrossentropy(True, label_smoothing=recipe.smoothing)
    model.compile(adam, loss)
    clock = _Clock(asked["spawned"])
    clock.go()
    model.fit(images[places], wanted[places], batch_size=recipe.batch, shuffle=False, verbose=0)
    clock.stop()
    found = model.predict(judged, batch_size=1000, verbose=0).argmax(axis=1)
    return [clock.lap(float(np.mean(found == data[3])))]


def _data(validation: bool, examples: int | None, judge: int | None) -> Data:
    """Return images and labels to train on, images and labels to judge with."""
    from datahall import datasets

    mnist = datasets.load("mnist")
    images, labels = mnist.train.images, mnist.train.labels
    if validation:
        kept = len(images) - VALIDATION
        judged, truth = images[kept:], labels[kept:]
        images, labels = images[:kept], labels[:kept]
    else:
        judged, truth = mnist.test.images, mnist.test.labels
    return images[:examples], labels[:examples], judged[:judge], truth[:judge]


def main() -> None:
    """Run what the parent asks for, and tell each race as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m datahall.training.race", description=__doc__)
    parser.add_argument("asked", type=json.loads, help="what `run` asks for, as JSON")
    asked = parser.parse_args().asked
    begin, program = time.perf_counter(), asked["program"]
    if program == "loop":
        from datahall.training import fast

        fast.tensorflow()
    else:
        import keras  # noqa: F401 (the import is what is timed)
    import_s = time.perf_counter() - begin
    trainers: dict[str, Callable[..., list[Lap]]] = {
        "loop": _loop,
        "article": _article,
        "fit": _fit,
    }
    trainer = trainers[program]
    recipes: list[Recipe | None] = [_as_recipe(plain) for plain in asked["recipes"]]
    for recipe in recipes or [None]:
        for seed in asked["seeds"]:
            data = _data(asked["validation"], asked["examples"], asked["judge"])
            laps = trainer(asked, recipe, seed, data)
            race = {"program": program, "seed": seed, "import_s": import_s}
            told = {**race, "laps": [asdict(lap) for lap in laps]}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
