"""How long a reader needs: words and code at a stated pace, plus the measured run.

A reader reads 150 words of prose a minute and 12 lines of code a minute, and waits for the
classroom run (`measured.json`, measured by `make docs`). A lab adds the minutes that its
exercises state ("about 10 minutes").
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from datahall import state
from datahall.course.catalogue import Notebook
from datahall.course.notebooks import sources

WORDS_PER_MINUTE = 150
CODE_LINES_PER_MINUTE = 12
TOLERANCE_MIN = 3
_STATED = re.compile(r"([Aa]bout )(\d+)( minutes)")


def reading(words: int, code_lines: int, run_s: float = 0.0) -> int:
    """Return whole minutes for reading and running a lecture, rounded up.

    Args:
        words: Of the prose.
        code_lines: In all its cells.
        run_s: Measured seconds of a run.

    Example:
        >>> reading(words=1500, code_lines=120, run_s=30)
        21
    """
    return math.ceil(words / WORDS_PER_MINUTE + code_lines / CODE_LINES_PER_MINUTE + run_s / 60)


def lecture(notebook: Notebook, root: Path) -> int | None:
    """Return the minutes of a lecture, or None if it does not exist."""
    path = root / notebook.files()["lecture"]
    if not path.is_file():
        return None
    source = sources.read(path)
    return reading(source.words, source.code_lines, notebook.run_s or 0.0)


def lab(notebook: Notebook, root: Path) -> int | None:
    """Return the minutes that a lab's exercises state, or None if there is no lab."""
    name = notebook.files().get("lab")
    if name is None or not (root / name).is_file():
        return None
    prose = "\n".join(
        cell.source for cell in sources.read(root / name).cells if cell.kind == "markdown"
    )
    return sum(
        int(minutes) for minutes in re.findall(r"difficulty \d/5 · about (\d+) minutes", prose)
    )


def stated(title: str) -> int | None:
    """Return the minutes that a lecture's title cell states, or None if it states none.

    Example:
        >>> stated("About 23 minutes · needs nothing before it")
        23
    """
    found = _STATED.search(title)
    return int(found[2]) if found else None


def restate(path: Path, minutes: int) -> bool:
    """Write the measured minutes into a lecture's title cell; return whether the file changed.

    A few minutes of difference are the machine's mood and the reader's: they change nothing.
    """
    import nbformat  # dear; `datahall list` has no need of it

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    title = notebook.cells[0]
    said = stated(title.source)
    if said is None or abs(said - minutes) <= TOLERANCE_MIN:
        return False
    title.source = _STATED.sub(rf"\g<1>{minutes}\g<3>", title.source, count=1)
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    state.write_atomically(path, text + "\n")
    return True
