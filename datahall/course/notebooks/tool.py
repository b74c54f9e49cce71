"""Authors' tool for notebook files: `python -m datahall.course.notebooks fix|check|execute PATH…`.

`fix` brings notebooks into their normal form, `check` says what the structure rules have against
them, `execute` runs them in place in a fresh kernel and normalises. A path may be a file, a folder,
or the start of a lecture's name (`06`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from datahall import runtime
from datahall.course.exits import InputError, exit_for
from datahall.course.notebooks import sources
from datahall.course.notebooks.normalise import FOLDERS, fix, kind_of, normalise, text_of
from datahall.course.run import outcome
from datahall.course.run.alone import execute_alone
from datahall.course.run.prepare import prepare
from datahall.errors import CourseError
from datahall.state import write_atomically

TIMEOUT_S = 1800.0  # for one notebook


def notebooks_in(paths: Iterable[str | Path], root: Path | None = None) -> list[Path]:
    """Return the notebook files meant by files, folders or starts of names.

    Args:
        paths: a file, a folder, or the start of a name: `01` means the module's lectures and
            solutions.
        root: Where names are looked up; the current folder by default.

    Raises:
        InputError: Nothing is found for one of them.
    """
    found: list[Path] = []
    for given in map(Path, paths):
        if given.is_dir():
            matches = sorted(
                p for p in given.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts
            )
        elif given.exists():
            matches = [given]
        else:
            base, pattern = root or Path.cwd(), f"{given.stem}*.ipynb"
            matches = sorted(base.glob(f"notebooks/{pattern}")) + sorted(
                base.glob(f"solutions/{pattern}")
            )
            if not matches:
                raise InputError(
                    f"No notebook is meant by {str(given)!r}. "
                    "A file, a folder, or the start of a name such as 01 was expected."
                )
        found += [path for path in matches if path not in found]
    return found


def execute(path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
    """Run a notebook in place in a fresh kernel, offline and without a reader, then normalise it.

    The kernel works in an empty folder with an empty data folder: a stored output never depends on
    an earlier run. The file is replaced only if every cell ran.

    Raises:
        CourseError: A cell failed, or took longer than `timeout_s`; says which.
    """
    kind = kind_of(path)
    if kind == "lab":
        raise InputError(
            f"{path} is a lab, and labs carry no outputs. Execute its solution, then build the lab."
        )
    prepared = prepare(sources.read(path))
    seen = execute_alone(prepared, offline=True, timeout_s=timeout_s, cold=True)
    status, failure = outcome.judge(seen)
    if status != "passed":
        reason = failure.line if failure else status
        trace = f"\n{failure.traceback}" if failure and failure.traceback else ""
        raise CourseError(f"{path}, {reason}{trace}\nThe file is as it was.")
    write_atomically(path, text_of(normalise(prepared.notebook, kind)))


def _fix(paths: list[Path]) -> int:
    changed = [path for path in paths if fix(path)]
    for path in changed:
        print(f"normalised {path}")
    print(f"{len(paths)} notebooks, {len(changed)} changed")
    return 0


def _check(paths: list[Path]) -> int:
    from datahall.course.notebooks.structure import problems, warnings

    failures = 0
    for path in paths:
        for message in warnings(path):
            print(f"{path}: hint: {message}")
        found = problems(path)
        failures += len(found)
        for message in found:
            print(f"{path}: {message}")
    print(f"{len(paths)} notebooks, {failures} problems")
    return 1 if failures else 0


def _execute(paths: list[Path]) -> int:
    for path in paths:
        if kind_of(path) != "lab":
            execute(path)
            print(f"executed {path}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return its exit code: 0 done, 1 problems or a failed cell, 2 bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m datahall.course.notebooks", description=(__doc__ or "").partition("\n\n")[2]
    )
    verbs = {"fix": _fix, "check": _check, "execute": _execute}
    parser.add_argument("verb", choices=verbs)
    parser.add_argument("paths", nargs="*", help="files, folders or starts of names; default: all")
    given = parser.parse_args(arguments)
    runtime.start()  # a concept's checks may import TensorFlow: quietly
    try:
        default = [folder for folder in FOLDERS if Path(folder).is_dir()]
        return verbs[given.verb](notebooks_in(given.paths or default))
    except CourseError as error:
        print(error, file=sys.stderr)
        return int(exit_for(error))


if __name__ == "__main__":
    sys.exit(main())
