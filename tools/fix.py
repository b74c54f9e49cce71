"""Bring everything that is made from something else up to date: `make fix` and `make docs`.

`make fix` formats, normalises the notebooks, builds the labs and writes the generated tables; where
nothing is out of date it changes nothing. `make docs` first executes the course with the notebooks'
own defaults, notes the measured seconds in `course.toml` and measures the claims.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import readme

from datahall.course import catalogue, minutes
from datahall.state import write_atomically

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CATALOGUE = ROOT / "datahall" / "course.toml"
FIX = (
    ("ruff", "check", "--quiet", "--fix", "."),
    ("ruff", "format", "--quiet", "."),
    ("datahall", "labs", "build"),  # first: points come from the solutions' headings
    ("python", "-m", "datahall.course.notebooks", "fix"),
    ("datahall", "facts", "--write"),
)
# One notebook at a time: its seconds are what one reader waits.
RUN = ("datahall", "run", "--preset", "classroom", "--jobs", "1", "--keep-going")


def call(command: tuple[str, ...]) -> bool:
    """Run one program of the environment; return whether it succeeded."""
    code = subprocess.call([BIN / command[0], *command[1:]], cwd=ROOT)
    if code:
        print(f"{' '.join(command)} ended with exit code {code}", file=sys.stderr)
    return code == 0


def with_seconds(text: str, stem: str, seconds: float) -> str:
    """Return the catalogue's text with a notebook's measured seconds, its comments kept."""
    stem_line = f'stem = "{stem}"\n'
    before, found, after = text.partition(stem_line)
    if not found:
        return text
    table, mark, rest = after.partition("\n[")
    old = re.search(r"(?m)^run_s = (\d+)$", table)
    # A tenth more or less is the machine's mood, not a change of the lecture.
    if old and abs(int(old[1]) - seconds) <= max(2, 0.1 * int(old[1])):
        return text
    table = re.sub(r"(?m)^run_s = .*\n", "", table)
    return f"{before}{stem_line}run_s = {round(seconds)}\n{table}{mark}{rest}"


def note_seconds(results: Path) -> None:
    """Write the seconds of a run into the catalogue."""
    text = CATALOGUE.read_text(encoding="utf-8")
    for notebook in json.loads(results.read_text(encoding="utf-8"))["notebooks"]:
        if notebook["status"] == "passed":
            text = with_seconds(text, Path(notebook["path"]).stem, notebook["seconds"])
    write_atomically(CATALOGUE, text)


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
    restate_minutes()
    done += [call(command) for command in FIX]
    if readme.fix(ROOT):
        print("README.md: the course table is new")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
