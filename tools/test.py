"""Run the tests layer by layer and print a table of minutes: `python tools/test.py [LAYER …]`.

Without a layer, all of `make test`; `long` is `make test-long`; `--notebooks 06` is what concerns
these notebooks. Every layer runs even where an earlier one failed. Exit codes: 0 all passed, 1
something failed, 2 no such layer or notebook, 130 interrupted. The last line is `N passed, N
failed, N skipped`, summed over the layers. A layer slower than its ceiling is reported, and does
not fail: ceilings are for two quiet cores. The table ends with what sixty notebooks would take.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as Xml
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import layers
from layers import Layer

from datahall import guard
from datahall.course.exits import InputError

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "tests"
BIN = Path(sys.executable).parent
WHOLE = 60  # notebooks of the whole course: lectures, solutions and labs
GOALS = {"make test": (0.0, 40.0), ".ci/run": (6.0, 60.0)}  # set-up before it, most in all; minutes
BECOME_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux: orphans are handed to us
ORPHANS_S = 10.0  # they may take so long to end
ROW = "{:<12}{:>8}{:>8}{:>9}{:>9}{:>9}{:>9}"


@dataclass
class Result:
    """What one layer did."""

    layer: Layer
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)


def environment(home: Path) -> dict[str, str]:
    """Return the variables every layer runs with; kernels of nbval see no `conftest.py`."""
    quiet = {
        "DATAHALL_TEST_HOME": str(home),
        "DATAHALL_HOME": str(home),
        "DATAHALL_HEADLESS": "1",
        "DATAHALL_OFFLINE_GUARD": "1",
        "IPYTHONDIR": str(guard.prepare(home / "ipython")),
        "JUPYTER_PLATFORM_DIRS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    lost = {"PYTHONDONTWRITEBYTECODE", "DATAHALL_STRICT", "DATAHALL_DATA"}
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    kept = {key: value for key, value in os.environ.items() if key not in lost}
    return {**kept, **quiet, "PATH": path}


def run(layer: Layer, variables: dict[str, str]) -> Result:
    """Run the commands of one layer."""
    result, begun, cpu_begun = Result(layer), time.monotonic(), cpu_seconds()
    print(f"\n━━ {layer.name}: {layer.proves}", flush=True)
    for command in layer.commands:
        if command[0] == "pytest":
            run_pytest(command, result, variables)
        else:
            code = call([BIN / command[0], *command[1:]], variables)
            result.passed += code == 0
            result.failed += code != 0
    result.seconds = time.monotonic() - begun
    wait_for_orphans()
    result.cpu_seconds = cpu_seconds() - cpu_begun
    return result


def adopt_orphans() -> None:
    """Have the system hand us what outlives its parent: warm kernels, zygotes, guardians."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(BECOME_SUBREAPER, 1, 0, 0, 0)


def wait_for_orphans(limit_s: float = ORPHANS_S) -> None:
    """Wait for what the programs left: only of those waited for the system tells the time."""
    deadline = time.monotonic() + limit_s
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                time.sleep(0.05)


def call(program: Sequence[str | Path], variables: dict[str, str]) -> int:
    """Run a program to its end; return its exit code.

    Orphans that end meanwhile are waited for at once: a test that asks whether a process has gone
    would find it as long as nobody has.
    """
    with subprocess.Popen(program, cwd=ROOT, env=variables) as running:
        while running.returncode is None:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                time.sleep(0.02)
            elif ended.si_pid == running.pid:
                running.wait()
            else:
                os.waitpid(ended.si_pid, 0)
    return running.returncode


def cpu_seconds() -> float:
    """Return the processor time of all processes that have ended so far, orphans included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_pytest(command: tuple[str, ...], result: Result, variables: dict[str, str]) -> None:
    """Run pytest and add up its report; an exit that the report hides counts as failed."""
    report = REPORTS / f"{result.layer.name}.xml"
    report.unlink(missing_ok=True)
    program = [sys.executable, "-m", *command, f"--junitxml={report}"]
    code = call(program, variables)
    failed_before = result.failed
    if report.exists():
        count(Xml.parse(report), result)  # noqa: S314 - written by our own pytest just now
    if code != 0 and result.failed == failed_before:
        result.failed += 1
        print(f"pytest ended with exit code {code} and names no failed test")


def count(tree: Xml.ElementTree[Xml.Element], result: Result) -> None:
    """Add the cases of one report to the result."""
    for case in tree.iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            result.failed += 1
        elif skip is not None:
            result.skipped += 1
            name = f"{case.get('classname')}::{case.get('name')}"
            result.reasons.append(f"{name}: {skip.get('message')}")
        else:
            result.passed += 1


def summary(results: list[Result], notebooks: int) -> str:
    """Return the table of minutes, what sixty notebooks would take, the skips, the closing line.

    Args:
        results: What the layers did.
        notebooks: How many there are now.
    """
    lines = [
        "",
        ROW.format("layer", "passed", "failed", "skipped", "CPU min", "minutes", "ceiling"),
    ]
    for done in results:
        minutes, ceiling = done.seconds / 60, done.layer.ceiling_min(notebooks)
        slow = "  over its ceiling" if minutes > ceiling else ""
        counts = (done.passed, done.failed, done.skipped)
        times = (f"{done.cpu_seconds / 60:.2f}", f"{minutes:.2f}", f"{ceiling:.1f}")
        lines.append(ROW.format(done.layer.name, *counts, *times) + slow)
    total = [sum(getattr(d, name) for d in results) / 60 for name in ("cpu_seconds", "seconds")]
    ceilings = sum(done.layer.ceiling_min(notebooks) for done in results)
    lines.append(ROW.format("all", "", "", "", *(f"{t:.2f}" for t in total), f"{ceilings:.1f}"))
    if any(done.layer.grows for done in results):
        lines += ["", *extrapolation(results, notebooks)]
    reasons = [reason for done in results for reason in done.reasons]
    lines += ["", *(f"skipped: {reason}" for reason in reasons)] if reasons else [""]
    lines.append(
        f"{sum(d.passed for d in results)} passed, {sum(d.failed for d in results)} failed, "
        f"{sum(d.skipped for d in results)} skipped"
    )
    return "\n".join(lines)


def extrapolation(results: list[Result], notebooks: int) -> list[str]:
    """Return what sixty notebooks would take: layers that grow in proportion, the others as now."""
    fixed = sum(done.seconds for done in results if not done.layer.grows) / 60
    each = sum(done.seconds for done in results if done.layer.grows) / 60 / notebooks
    lines = [f"{notebooks} notebooks now: {fixed:.2f} minutes fixed, {each:.3f} a notebook"]
    missing = [layer.name for layer in layers.TEST if layer not in [d.layer for d in results]]
    if missing:
        return [*lines, f"with {WHOLE}: {fixed + each * WHOLE:.1f}, without {', '.join(missing)}"]
    for name, (before, most) in GOALS.items():
        minutes = before + fixed + each * WHOLE
        verdict = "met" if minutes <= most else "missed"
        added = f", {before:.0f} for the set-up included" if before else ""
        lines.append(f"with {WHOLE}: {name} {minutes:.1f}{added}; at most {most:.0f}: {verdict}")
    return lines


def chosen(arguments: list[str]) -> tuple[Layer, ...]:
    """Return the layers that the command line names.

    Raises:
        InputError: There is no such layer or notebook.
    """
    if "--notebooks" in arguments:
        place = arguments.index("--notebooks")
        if place or len(arguments) == 1:
            raise InputError("--notebooks stands alone, with the notebooks' names behind it.")
        return layers.for_notebooks(arguments[1:])
    known = {layer.name: layer for layer in (*layers.TEST, *layers.LONG)}
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise InputError(
            f"No layer is called {unknown[0]!r}. One of {', '.join(known)} was expected."
        )
    return tuple(known[name] for name in arguments) or layers.TEST


def main(arguments: list[str]) -> int:
    """Run the layers named, or all of them; return the exit code."""
    try:
        wanted = chosen(arguments)
    except InputError as error:
        print(error)
        return 2
    adopt_orphans()
    REPORTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="datahall-test-", ignore_cleanup_errors=True) as home:
        variables = environment(Path(home))
        try:
            results = [run(layer, variables) for layer in wanted]
        except KeyboardInterrupt:
            print("\ninterrupted")
            return 130
    print(summary(results, layers.notebooks()))
    return 1 if any(done.failed for done in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
