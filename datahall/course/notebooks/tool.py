"""Authors' tool for notebook files: `python -m datahall.course.notebooks fix|check|execute PATH…`.

`fix` brings notebooks into their normal form, `check` says what the structure rules have against
them, `execute` runs them in place in a fresh kernel and normalises. A path may be a file, a folder,
or the start of a lecture's name (`06`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from datahall import guard, runtime
from datahall.course.exits import InputError, exit_for
from datahall.course.notebooks.normalise import FOLDERS, fix, kind_of, normalise, read, text_of
from datahall.errors import CourseError
from datahall.state import write_atomically

TIMEOUT_S = 600  # for one cell
HEADLESS = {"DATAHALL_HEADLESS": "1", "DATAHALL_OFFLINE_GUARD": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
# Without bytecode TensorFlow's import costs twice the CPU time; learners' kernels choose their own
# drawing backend; and in strict mode a wrong answer would stop the notebook.
UNSET = ("PYTHONDONTWRITEBYTECODE", "MPLBACKEND", "DATAHALL_STRICT")


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


def execute(path: Path, *, timeout_s: int = TIMEOUT_S) -> None:
    """Run a notebook in place in a fresh kernel, offline and without a reader, then normalise it.

    The kernel works in an empty folder with an empty data folder: a stored output never depends on
    an earlier run. The file is replaced only if every cell ran.

    Raises:
        CourseError: A cell failed, or took longer than `timeout_s`; says which.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    nb, kind = read(path), kind_of(path)
    if kind == "lab":
        raise InputError(
            f"{path} is a lab, and labs carry no outputs. Execute its solution, then build the lab."
        )
    with tempfile.TemporaryDirectory(prefix="datahall-") as folder:
        work = Path(folder, "work")
        work.mkdir()
        where = {"metadata": {"path": str(work)}}
        client = NotebookClient(nb, timeout=timeout_s, kernel_name="python3", resources=where)
        try:
            client.execute(env=kernel_environment(Path(folder)))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            cell = next((cell.id for cell in nb.cells if _failed(cell)), "?")
            reason = str(error).strip()
            raise CourseError(f"{path}, cell {cell}: {reason}\nThe file is as it was.") from error
    write_atomically(path, text_of(normalise(nb, kind)))


def kernel_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a kernel whose outputs are stored or compared.

    Args:
        folder: A temporary folder; the data folder and IPython's folder are made in it.
    """
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    places = {"DATAHALL_HOME": folder / "home", "IPYTHONDIR": guard.prepare(folder / "ipython")}
    return kept | HEADLESS | {name: str(path) for name, path in places.items()}


def _failed(cell: dict[str, object]) -> bool:
    outputs = cell.get("outputs")
    return isinstance(outputs, list) and any(output.output_type == "error" for output in outputs)


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
