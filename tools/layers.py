"""The layers of the tests: what each runs, what it proves, how long it may take on two cores."""

from __future__ import annotations

from dataclasses import dataclass

PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "--no-header")
TWO = ("-n", "2", "--dist", "worksteal")
NBVAL = (
    *("-p", "datahall.course.notebooks.nbval_plugin"),
    *("--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg"),
    *("--nbval-cell-timeout", "300", "-n", "2", "--dist", "loadscope"),
)

PARTS = ("tests/kernel", "tests/concepts", "tests/checks")  # by marker in two layers


@dataclass(frozen=True)
class Layer:
    """One layer: its commands, each a program of the environment with its arguments."""

    name: str
    proves: str
    ceiling_min: float
    commands: tuple[tuple[str, ...], ...]


TEST = (
    Layer(
        "lint",
        "style, types, structure of the notebooks",
        0.3,
        (
            ("ruff", "check", "."),
            ("ruff", "format", "--check", "."),
            ("mypy",),
            ("python", "-m", "datahall.course.notebooks", "check"),
        ),
    ),
    Layer(
        "unit",
        "doctests, shared kernel, concepts, checks",
        1.1,
        ((*PYTEST, *TWO, "-m", "not slow and not processes", "datahall", *PARTS),),
    ),
    Layer(
        "processes",
        "checks and concepts with kernels, servers and trainings of their own",
        1.5,
        ((*PYTEST, *TWO, "-m", "processes and not slow", *PARTS),),
    ),
    Layer(
        "course",
        "the machinery: strict runs, interrupts, commands",
        1.0,
        ((*PYTEST, *TWO, "--dist", "loadfile", "tests/course"),),  # a file shares its runs
    ),
    Layer(
        "warm",
        "kernels forked from a zygote: like cold ones, gone with their owner",
        1.0,
        ((*PYTEST, *TWO, "--dist", "loadfile", "tests/warm"),),  # a file shares its zygotes
    ),
    Layer(
        "repository",
        "set-up and its failures, lock, rules, links, README",
        1.3,
        ((*PYTEST, *TWO, "tests/repository"),),
    ),
    Layer(
        "notebooks",
        "structure, labs = build(solutions)",
        0.5,
        ((*PYTEST, *TWO, "tests/notebooks", "--ignore=tests/notebooks/test_execution.py"),),
    ),
    Layer(
        "nbval",
        "stored outputs are still true",
        2.3,
        ((*PYTEST, *NBVAL, "notebooks", "solutions"),),
    ),
    Layer(
        "papermill",
        "notebooks run with other parameters",
        2.5,
        ((*PYTEST, "tests/notebooks/test_execution.py"),),  # runs two notebooks at a time itself
    ),
    Layer("browser", "JupyterLab in Chromium", 2.2, ((*PYTEST, "tests/browser"),)),
    Layer("claims", "the ledger is what the runs say", 0.8, (("datahall", "claims", "--check"),)),
)

LONG = (
    Layer(
        "long",
        "fresh clones, kill moments, other presets",
        60.0,
        ((*PYTEST, "-m", "slow", "--timeout=3600", "tests"),),
    ),
)
