"""What running the course costs in processor time, and what papermill and nbmake take for the same.

Every lecture of the course, smoke presets, nothing skipped, each way in one go with a data folder
of its own. Counted are user and system seconds of the command and of all that comes from it,
kernels, zygotes and guardians too, until the last of them has ended. The ways:

papermill    its command, notebook by notebook in the course's order, the same parameters
nbmake       pytest --nbmake -n 2 on copies that hold the same parameters, needs before who needs
datahall     datahall run --preset smoke, as a user calls it, without its cache
no pages     the same through the Python API, pages=False
again        datahall run --preset smoke with its cache, when nothing has changed; over the first

The cells' own time is what the warm kernels used, less what an empty one uses. An empty notebook
costs papermill a call, a lone one of ours a cold kernel; a further one in a run is forked.

nbmake is no part of the course. To have it measured: .venv/bin/python -m pip install nbmake

Goals: datahall at most 0.60 of papermill; a further empty notebook at most 0.3 s; again under 3 %.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from measuring import finish, options, record, say, table

from datahall.course.run import plan
from datahall.course.run.plan import Item

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PRESET = "smoke"
SHARE_GOAL, EMPTY_GOAL_S, AGAIN_GOAL = 0.60, 0.3, 0.03
FEW, MANY = 2, 12  # empty notebooks in a run; what a further one costs is the difference
LIMIT_S, LEFT_S = 3600, 60
BECOME_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of Linux: orphans are handed to us
CODE = [
    *(f"course/run/{room}.py" for room in ("runner", "schedule", "execute", "kernel")),
    *(f"course/warm/{room}.py" for room in ("provisioner", "starting", "zygote", "becoming")),
]
NO_PAGES = """
import inspect, sys
from pathlib import Path
from datahall.course.run import runner
known = inspect.signature(runner.run).parameters
off = {name: False for name in ("cache", "cached") if name in known}
results = runner.run(preset=sys.argv[1], pages=False, output_dir=Path(sys.argv[2]), **off)
sys.exit(int(results.exit_code))
"""


@dataclass
class Cost:
    """What some commands took together.

    Attributes:
        cpu_s: User and system time of all processes.
        wall_s: From the start of the first command to the end of the last process.
    """

    cpu_s: float = 0.0
    wall_s: float = 0.0


class Place:
    """A folder for one way of running: its data, what it writes, what it says.

    Args:
        path: The folder; it is made.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.out, self.cost = path, path / "out", Cost()
        for folder in (self.out, path / "home", path / "runtime"):
            folder.mkdir(parents=True, mode=0o700)
        kept = {n: v for n, v in os.environ.items() if not n.startswith("DATAHALL_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        own = {"DATAHALL_HOME": str(path / "home"), "XDG_RUNTIME_DIR": str(path / "runtime")}
        self.environment = kept | own  # a `datahall warm` of the user's does not help

    def run(self, *command: object) -> Cost:
        """Run a command in the checkout, wait for all that came from it, add up what it took.

        Raises:
            SystemExit: It failed; its last lines are shown.
        """
        begin, log = time.perf_counter(), self.path / "log.txt"
        with log.open("ab") as said:
            started = subprocess.Popen(  # noqa: S603 (programs of this environment)
                [str(word) for word in command],
                cwd=ROOT,
                env=self.environment,
                stdout=said,
                stderr=said,
            )
        codes, cpu_s = wait_for_all(started.pid)
        started.returncode = codes[started.pid]
        if started.returncode:
            lines = log.read_text(errors="replace").splitlines()[-30:]
            raise SystemExit("\n".join([*lines, f"failed: {' '.join(map(str, command))}"]))
        took = Cost(cpu_s, time.perf_counter() - begin)
        self.cost = Cost(self.cost.cpu_s + took.cpu_s, self.cost.wall_s + took.wall_s)
        return took


def wait_for_all(first: int) -> tuple[dict[int, int], float]:
    """Wait for a process and for every orphan it leaves; return exit codes and processor time.

    The system adds a process's time to that of whoever waits for it; orphans come to us.
    """
    codes: dict[int, int] = {}
    cpu_s, deadline = 0.0, time.monotonic() + LIMIT_S
    while True:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return codes, cpu_s
        if pid:
            codes[pid] = os.waitstatus_to_exitcode(status)
            cpu_s += used.ru_utime + used.ru_stime
            if pid == first:
                deadline = time.monotonic() + LEFT_S
        elif time.monotonic() > deadline:
            what = f"was still running after {LEFT_S} s" if first in codes else "took too long"
            raise SystemExit(f"a process of the command {what}; its time cannot be counted")
        else:
            time.sleep(0.02)


def adopt_orphans() -> None:
    """Have the system hand us every descendant whose parent has ended."""
    if sys.platform != "linux":
        raise SystemExit("The time of all processes can be counted on Linux only.")
    if ctypes.CDLL(None, use_errno=True).prctl(BECOME_SUBREAPER, 1, 0, 0, 0):
        raise SystemExit(f"prctl: {os.strerror(ctypes.get_errno())}")


def with_papermill(items: Sequence[Item], place: Place) -> Cost:
    """Run papermill's command for each notebook."""
    for item in items:
        values = [f"{word}" for pair in item.parameters.items() for word in ("-p", *pair)]
        output = place.out / f"{item.name}.ipynb"
        took = place.run(BIN / "papermill", item.source.path, output, "--no-progress-bar", *values)
        say(f"   {item.name}: {took.cpu_s:.1f} CPU s")
    assert len(list(place.out.glob("*.ipynb"))) == len(items)
    return place.cost


def with_nbmake(items: Sequence[Item], place: Place) -> Cost:
    """Run pytest --nbmake on copies, in as many calls as there are notebooks that wait."""
    for item in items:
        nbformat.write(item.prepared.notebook, place.out / f"{item.name}.ipynb")
    for wave in waves(items):
        files = [place.out / f"{name}.ipynb" for name in wave]
        alone = ("-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={place.out}")
        place.run(BIN / "pytest", "--nbmake", "--nbmake-timeout=1800", "-n", 2, *alone, *files)
    return place.cost


def waves(items: Sequence[Item]) -> Iterable[list[str]]:
    """Give the names of those that can run at once, until all have."""
    done: set[str] = set()
    while len(done) < len(items):
        ready = [i.name for i in items if i.name not in done and set(i.needs) <= done]
        assert ready, "needs go round in a circle"
        yield ready
        done.update(ready)


def with_datahall(place: Place, *more: object) -> Cost:
    """Run `datahall run`."""
    before = place.cost.cpu_s, place.cost.wall_s
    place.run(BIN / "datahall", "run", "--output-dir", place.out, *more)
    return Cost(place.cost.cpu_s - before[0], place.cost.wall_s - before[1])


def kernels_s(place: Place, count: int) -> float:
    """Return what the kernels of a run used; assert that all notebooks of it passed."""
    results = json.loads((place.out / "latest" / "results.json").read_text())
    assert [run["status"] for run in results["notebooks"]] == ["passed"] * count
    return sum(float(run["cpu_seconds"]) for run in results["notebooks"])


def empty(folder: Path, count: int) -> list[Path]:
    """Write notebooks that have one cell, which does nothing."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("pass", id="nothing")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    paths = [folder / f"empty-{number}.ipynb" for number in range(count)]
    for path in paths:
        nbformat.write(notebook, path)
    return paths


def measure_empty(folder: Path, off: list[str]) -> dict[str, float]:
    """Return what a notebook costs that does nothing, by papermill, alone and among others."""
    say("an empty notebook: papermill, alone, in runs of " + f"{FEW} and {MANY}")
    papermill, alone, few, many = (
        Place(folder / name) for name in ("papermill", "alone", "few", "many")
    )
    paths = empty(folder, MANY)
    papermill.run(BIN / "papermill", paths[0], papermill.out / "0.ipynb", "--no-progress-bar")
    with_datahall(alone, *off, paths[0])
    with_datahall(few, *off, *paths[:FEW])
    with_datahall(many, *off, *paths)
    return {
        "papermill": papermill.cost.cpu_s,
        "alone_cold": alone.cost.cpu_s,
        "further_warm": (many.cost.cpu_s - few.cost.cpu_s) / (MANY - FEW),
        "kernel_warm": kernels_s(many, MANY) / MANY,
    }


def options_of_run() -> str:
    """Return the help of `datahall run`."""
    command = [str(BIN / "datahall"), "run", "--help"]
    plain = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=plain)  # noqa: S603
    return done.stdout


def measure(folder: Path) -> dict[str, Any]:
    """Run every way once and return what each took."""
    items = plan.make((), preset=PRESET)
    cached = "--no-cache" in options_of_run()
    off = ["--no-cache"] if cached else []
    smoke = ["--preset", PRESET]
    costs: dict[str, Cost] = {}

    def done(name: str, cost: Cost) -> None:
        costs[name] = cost
        say(f"{name}: {cost.cpu_s:.1f} CPU s in {cost.wall_s:.0f} s")

    say(f"{len(items)} lectures; datahall run")
    run = Place(folder / "datahall")
    done("datahall", with_datahall(run, *smoke, *off))
    kernels = kernels_s(run, len(items))
    bare = Place(folder / "no_pages")
    done("no pages", bare.run(sys.executable, "-c", NO_PAGES, PRESET, bare.out))
    nothing = measure_empty(folder / "empty", off)
    say("papermill, notebook by notebook")
    done("papermill", with_papermill(items, Place(folder / "papermill")))
    if importlib.util.find_spec("nbmake"):
        done("nbmake", with_nbmake(items, Place(folder / "nbmake")))
    if cached:
        kept = Place(folder / "cached")
        done("first", with_datahall(kept, *smoke))
        done("again", with_datahall(kept, *smoke))
    return {
        "lectures": len(items),
        "costs": {name: vars(cost) for name, cost in costs.items()},
        "cells_cpu_s": kernels - len(items) * nothing["kernel_warm"],
        "empty_cpu_s": nothing,
    }


def judge(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each goal: what was measured, its limit, whether it is met; None if not measured."""
    cpu = {name: cost["cpu_s"] for name, cost in found["costs"].items()}
    again = cpu["again"] / cpu["first"] if "again" in cpu else None
    goals = {
        "datahall over papermill": (cpu["datahall"] / cpu["papermill"], SHARE_GOAL),
        "a further empty notebook, CPU s": (found["empty_cpu_s"]["further_warm"], EMPTY_GOAL_S),
        "again over the first": (again, AGAIN_GOAL),
    }
    return {
        name: {"value": value, "at_most": limit, "met": None if value is None else value <= limit}
        for name, (value, limit) in goals.items()
    }


def show(found: dict[str, Any], goals: dict[str, dict[str, Any]]) -> str:
    """Return the tables: the ways, an empty notebook, the goals."""
    count, cells, base = found["lectures"], found["cells_cpu_s"], found["costs"]["papermill"]
    rows = [
        [
            name,
            f"{cost['cpu_s']:.1f}",
            f"{cost['wall_s']:.0f}",
            f"{cost['cpu_s'] / base['cpu_s']:.2f}",
            f"{(cost['cpu_s'] - cells) / count:.2f}" if name != "again" else "",
        ]
        for name, cost in found["costs"].items()
    ]
    head = [f"{count} lectures", "CPU s", "wall s", "of papermill", "beyond cells, CPU s each"]
    nothing = found["empty_cpu_s"]
    empty_rows = [
        ["papermill", f"{nothing['papermill']:.2f}"],
        ["datahall run, alone, cold", f"{nothing['alone_cold']:.2f}"],
        ["datahall run, one more in a run, warm", f"{nothing['further_warm']:.2f}"],
        ["of that, its kernel", f"{nothing['kernel_warm']:.2f}"],
    ]
    words = {True: "met", False: "missed", None: "not measured"}
    goal_rows = [
        [
            name,
            "" if goal["value"] is None else f"{goal['value']:.3f}",
            f"{goal['at_most']:.2f}",
            words[goal["met"]],
        ]
        for name, goal in goals.items()
    ]
    lines = [table(head, rows), f"\nThe cells' own: {cells:.1f} CPU s.", ""]
    lines += [table(["an empty notebook", "CPU s"], empty_rows), ""]
    lines += [table(["goal", "measured", "at most", ""], goal_rows)]
    if "nbmake" not in found["costs"]:
        lines.append("\nnbmake is not installed: .venv/bin/python -m pip install nbmake")
    if "again" not in found["costs"]:
        lines.append("\n`datahall run` has no --no-cache: there is no cache whose gain could show.")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, record; return 1 if --check is given and a goal is missed."""
    parser = options(__doc__, record="docs/claims/batch.json")
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    given = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="datahall-batch-") as folder:
        found = measure(Path(folder))
    goals = judge(found)
    finish(record("batch", found | {"goals": goals}, code=CODE), show(found, goals), given)
    return int(given.check and any(goal["met"] is False for goal in goals.values()))


if __name__ == "__main__":
    sys.exit(main())
