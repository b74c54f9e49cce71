"""The layers of the tests: what each runs, what it proves, how long it may take on two cores.

`TEST` is `make test`, `LONG` is `make test-long`, `for_notebooks` is `make test NB=06`. A layer
that grows with the course has its ceiling a notebook.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datahall.course import catalogue

ROOT = Path(__file__).resolve().parent.parent

PYTEST = ("pytest", "-q", "-p", "no:cacheprovider", "--no-header")
TWO = ("-n", "2", "--dist", "worksteal")
NBVAL = (
    *("-p", "datahall.course.notebooks.nbval_plugin"),
    *("--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg"),
    *("--nbval-cell-timeout", "300", "-n", "2", "--dist", "loadscope"),
)

EXECUTION = "tests/notebooks/test_execution.py"
PARTS = ("tests/kernel", "tests/concepts", "tests/checks")  # by marker in two layers


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: What it is called: `python tools/test.py NAME`.
        proves: What is true when it passes.
        minutes: Its ceiling on two quiet cores; of a layer that grows, for one notebook.
        commands: Each a program of the environment with its arguments.
        grows: Whether it takes longer with every notebook.
    """

    name: str
    proves: str
    minutes: float
    commands: tuple[tuple[str, ...], ...]
    grows: bool = False

    def ceiling_min(self, notebooks: int) -> float:
        """Return the ceiling for so many notebooks: lectures, solutions and labs together."""
        return self.minutes * notebooks if self.grows else self.minutes


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
        1.0,
        ((*PYTEST, *TWO, "-m", "not slow and not processes", "datahall", *PARTS),),
    ),
    Layer(
        "processes",
        "checks and concepts with kernels, servers and trainings of their own",
        0.16,
        ((*PYTEST, *TWO, "-m", "processes and not slow", *PARTS),),
        grows=True,  # each concept and lab brings its own
    ),
    Layer(
        "serving",
        "the service: gateway, tokens, limits, attacks over real sockets, certain ends",
        1.4,
        # A file shares its services; most wait for sockets and time limits.
        ((*PYTEST, *TWO, "--dist", "loadfile", "tests/serving"),),
    ),
    Layer(
        "course",
        "the machinery: strict runs, interrupts, commands, the papermill engine",
        3.0,
        # A file shares its runs. Many wait for a time limit: a third worker uses that time.
        ((*PYTEST, "-n", "3", "--dist", "loadfile", "tests/course"),),
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
        0.03,
        ((*PYTEST, *TWO, "tests/notebooks", "--ignore=tests/notebooks/test_execution.py"),),
        grows=True,
    ),
    Layer(
        "nbval",
        "stored outputs are still true",
        0.13,
        ((*PYTEST, *NBVAL, "notebooks", "solutions"),),
        grows=True,
    ),
    Layer(
        "papermill",
        "notebooks run with other parameters",
        0.13,
        ((*PYTEST, EXECUTION),),  # runs two notebooks at a time itself
        grows=True,
    ),
    Layer("browser", "JupyterLab in Chromium", 2.6, ((*PYTEST, *TWO, "tests/browser"),)),
    Layer(
        "claims",
        "the ledger is what the runs say",
        0.04,
        (("datahall", "claims", "--check"),),
        grows=True,  # it runs the lectures of the cheap claims
    ),
)

LONG = (
    Layer(
        "long",
        "fresh clones, kill moments, other presets",
        60.0,
        ((*PYTEST, "-m", "slow", "--timeout=3600", "tests"),),
    ),
)


def notebooks(root: Path = ROOT) -> int:
    """Return how many notebooks the course has: lectures, solutions and labs."""
    return sum(
        len(list((root / name).glob("*.ipynb"))) for name in ("notebooks", "solutions", "labs")
    )


def for_notebooks(words: Sequence[str]) -> tuple[Layer, ...]:
    """Return the layers that concern some notebooks only, each with what it is in `TEST`.

    Args:
        words: Numbers, slugs or stems, as `datahall run` takes them.

    Raises:
        InputError: Nothing has such a name.
    """
    course = catalogue.load()
    rows = list({row.stem: row for word in words for row in course.find(word)}.values())
    modules = list({row.module: course.module(row.module) for row in rows}.values())
    files = [name for row in rows for name in row.files().values() if (ROOT / name).is_file()]
    labs = [row.lab for row in rows if row.lab]
    outputs = [name for name in files if not name.startswith("labs/")]
    check = ("python", "-m", "datahall.course.notebooks", "check", *files)
    builds = [("datahall", "labs", "build", "--check", lab) for lab in labs]
    return (
        Layer(
            "structure", "the rules of notebooks, labs = build(solutions)", 0.3, (check, *builds)
        ),
        Layer("concept", "its doctests, tests and checks", 1.0, _of_concepts(modules, labs)),
        Layer("nbval", _proves("nbval"), 1.0, ((*PYTEST, *NBVAL, *outputs),)),
        Layer("papermill", _proves("papermill"), 1.0, ((*PYTEST, EXECUTION, "-k", _any(files)),)),
    )


def _of_concepts(
    modules: Sequence[catalogue.Module], labs: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Return the commands that test the packages of modules and judge with their checks."""
    found = [f"datahall/{module.slug}" for module in modules]
    found += [f"tests/{module.slug}" for module in modules]  # serving has a layer of its own
    for module in modules:
        found += [
            str(p.relative_to(ROOT)) for p in ROOT.glob(f"tests/concepts/test_{module.slug}*")
        ]
    tests = (*PYTEST, *TWO, *(path for path in found if (ROOT / path).exists()))
    if not any(list((ROOT / "datahall" / module.slug).glob("*bank.py")) for module in modules):
        return (tests,)
    wanted = " or ".join(
        [*(f"[{module.label}." for module in modules), *(f"[{lab}]" for lab in labs)]
    )
    checks = ("tests/checks/test_banks.py", "tests/checks/test_nbgrader.py")
    return (tests, (*PYTEST, *TWO, *checks, "-k", wanted))


def _any(files: Sequence[str]) -> str:
    """Return the expression that chooses the tests of notebooks."""
    return " or ".join(f"[{Path(name).stem}]" for name in files)


def _proves(name: str) -> str:
    return next(layer.proves for layer in TEST if layer.name == name)
