"""A training in a process of its own, to be killed for real.

`python -m datahall.training.crash CHECKPOINT --steps N …` trains the travelling network and writes
a checkpoint now and then; `run` starts that program, may kill it with SIGKILL, and tells what came
of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datahall import programs
from datahall.errors import CourseError

PROGRAM = "datahall.training.crash"
SIZE = 6_000
"""Training examples of this experiment: the first ones of MNIST."""


@dataclass(frozen=True)
class ProcessEnd:
    """How a training process ended.

    Attributes:
        exit_code: 0 after a complete training; −9 when the kernel killed it (SIGKILL).
        start: The step it began with.
        step: The last step it told of.
        digest: SHA-256 of the weights; empty unless it was complete.
    """

    exit_code: int
    start: int
    step: int
    digest: str


def uninterrupted(*, steps: int, batch: int = 64, seed: int = 0) -> str:
    """Train in this process, without any checkpoint, and return the digest of the weights.

    Args:
        steps: Steps of the whole training.
        batch: Examples a step.
        seed: First weights and order of the data.
    """
    from datahall.training import core, loop

    model, images, labels = _subject(steps, seed)
    loop.train(model, images, labels, steps=steps, batch=batch, seed=seed)
    return core.digest(model)


def run(
    checkpoint: Path,
    *,
    steps: int,
    every: int,
    batch: int = 64,
    seed: int = 0,
    kill_after: int | None = None,
    limit_s: float = 300,
) -> ProcessEnd:
    """Train in a child process, and kill it with SIGKILL once it has told of a certain step.

    Args:
        checkpoint: The file that it writes, and resumes from if it is there.
        steps: Steps of the whole training.
        every: Steps between two checkpoints.
        batch: Examples a step.
        seed: First weights and order of the data.
        kill_after: The step after which it is killed; None lets it finish.
        limit_s: Seconds after which it is given up.

    Returns:
        How it ended.

    Raises:
        CourseError: It failed by itself; its last words are in the message.
    """
    options = {"steps": steps, "every": every, "batch": batch, "seed": seed}
    words = [str(checkpoint), *(f"--{name}={value}" for name, value in options.items())]
    start, step, digest = 0, 0, ""
    child = subprocess.Popen(  # noqa: S603 (our own module, started with our own interpreter)
        programs.command(PROGRAM, *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    with child, _Deadline(child, limit_s):
        assert child.stdout is not None and child.stderr is not None  # noqa: S101 (both are pipes)
        for line in child.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "start":
                start = step = int(rest)
            elif word == "step":
                step = int(rest)
            elif word == "digest":
                digest = rest
            if kill_after is not None and step >= kill_after:
                child.kill()  # SIGKILL: no handler runs, nothing is saved
        said = child.stderr.read().strip().splitlines()
    if child.returncode not in (0, -9) or (child.returncode == -9 and kill_after is None):
        last = said[-1].rstrip(".") if said else "nothing"
        raise CourseError(
            f"the training process ended with exit code {child.returncode} at step {step}; its "
            f"last words: {last}. Exit code 0 was expected. Run -m {PROGRAM} by hand."
        )
    return ProcessEnd(child.returncode, start, step, digest)


class _Deadline:
    """Kill a child that takes longer than it may."""

    def __init__(self, child: subprocess.Popen[str], limit_s: float) -> None:
        import threading

        self._timer = threading.Timer(limit_s, child.kill)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _subject(steps: int, seed: int) -> tuple[Any, Any, Any]:
    """Return the network, the images and the labels of this experiment."""
    import keras

    from datahall import datasets
    from datahall.training import core

    keras.utils.set_random_seed(seed)
    model = core.prepare(core.travelling_network(), steps)
    train = datasets.load("mnist").train
    return model, core.as_floats(train.images[:SIZE]), train.labels[:SIZE]


def main() -> None:
    """Train, checkpoint, and tell of each step on standard output."""
    parser = argparse.ArgumentParser(prog="python -m datahall.training.crash", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--steps", type=int, required=True, help="steps of the whole training")
    parser.add_argument("--every", type=int, default=50, help="steps between two checkpoints")
    parser.add_argument("--batch", type=int, default=64, help="examples a step")
    parser.add_argument("--seed", type=int, default=0, help="first weights and order of the data")
    given = parser.parse_args()
    for unused in ("sklearn", "pandas"):  # Keras imports them if it can, in a third of its time
        sys.modules[unused] = None  # type: ignore[assignment]  # documented: stops that import

    from datahall import runtime

    runtime.start(seed=given.seed)
    from datahall.training import checkpoint, core

    model, images, labels = _subject(given.steps, given.seed)
    begin = checkpoint.load(given.checkpoint, model) if given.checkpoint.exists() else 0
    print(f"start {begin}", flush=True)
    course = checkpoint.train(
        model,
        images,
        labels,
        path=given.checkpoint,
        steps=given.steps,
        every=given.every,
        batch=given.batch,
        seed=given.seed,
        after_step=lambda step, _: print(f"step {step}", flush=True),
    )
    if course.interrupted:
        print(f"interrupted {course.step}", flush=True)
        sys.exit(130)
    print(f"digest {core.digest(model)}", flush=True)


if __name__ == "__main__":
    main()
