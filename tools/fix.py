"""Bring everything that is made from something else up to date: `make fix` and `make docs`.

`make fix` formats, normalises the notebooks, builds the labs and writes the generated tables; where
nothing is out of date it changes nothing. `make docs` first executes the course with the notebooks'
own defaults, notes the measured seconds in `measured.json` and measures the claims.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import readme

from datahall.course import catalogue, minutes
from datahall.course.notebooks import titles
from datahall.state import write_atomically

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
MEASURED = ROOT / "datahall" / catalogue.MEASURED
FIX = (
    ("ruff", "check", "--quiet", "--fix", "."),
    ("ruff", "format", "--quiet", "."),
    ("datahall", "labs", "build"),  # first: points come from the solutions' headings
    ("python", "-m", "datahall.course.notebooks", "fix"),
    ("datahall", "facts", "--write"),
)
# One notebook at a time: its seconds are what one reader waits.
RUN = ("datahall", "run", "--preset", "classroom", "--jobs", "1", "--keep-going", "--no-cache")


def call(command: tuple[str, ...]) -> bool:
    """Run one program of the environment; return whether it succeeded."""
    code = subprocess.call([BIN / command[0], *command[1:]], cwd=ROOT)
    if code:
        print(f"{' '.join(command)} ended with exit code {code}", file=sys.stderr)
    return code == 0


def note_seconds(results: Path) -> None:
    """Write the seconds of a run into `measured.json`; a tenth more or less changes nothing."""
    seconds = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    for notebook in json.loads(results.read_text(encoding="utf-8"))["notebooks"]:
        stem, new = Path(notebook["path"]).stem, notebook["seconds"]
        old = seconds.get(stem)
        if notebook["status"] == "passed" and not (
            old is not None and abs(old - new) <= max(2, 0.1 * old)
        ):
            seconds[stem] = round(new)
    write_atomically(MEASURED, json.dumps(dict(sorted(seconds.items())), indent=1) + "\n")


def renumber_titles() -> None:
    """Let each title begin with its number in its module; labs are built from solutions."""
    course = catalogue.load()
    for row in course.notebooks:
        for kind in ("lecture", "solution"):
            path = ROOT / row.files().get(kind, "")
            if path.is_file() and titles.renumber(path, course.heading(row, kind)):
                print(f"{path.name}: {course.heading(row, kind).strip()}")


def restate_minutes() -> None:
    """Write the minutes that follow from text and measured run into the lectures' title cells."""
    for notebook in catalogue.load().notebooks:
        path = ROOT / notebook.files()["lecture"]
        length = minutes.lecture(notebook, ROOT)
        if length is not None and minutes.restate(path, length):
            print(f"{path.name}: about {length} minutes")


def main(arguments: list[str]) -> int:
    """Run every step, also after one that failed; return 0 if all succeeded."""
    done = []
    if arguments == ["--from-runs"]:
        done.append(call(RUN))
        note_seconds(ROOT / "build" / "latest" / "results.json")
        done.append(call(("datahall", "claims", "--measure")))
    renumber_titles()
    restate_minutes()
    done += [call(command) for command in FIX]
    if readme.fix(ROOT):
        print("README.md or docs/decisions/README.md: a table is new")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
