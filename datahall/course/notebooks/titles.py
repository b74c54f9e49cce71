"""The first line of a notebook: its number in its module, then its name."""

from __future__ import annotations

import re
from pathlib import Path

from datahall import state
from datahall.course.notebooks.normalise import read, text_of

_NUMBER = re.compile(r"^# (?:Lab\b[\d. ]*:? *|\d+(?:\.\d+)*\.? +)?")


def renumber(path: Path, heading: str) -> bool:
    """Let the title of a notebook begin with its number; return whether the file changed.

    Args:
        path: The notebook.
        heading: How the title begins: `# 1.3 `.
    """
    notebook = read(path)
    title = notebook.cells[0]
    renamed = _NUMBER.sub(heading, title.source, count=1)
    if renamed == title.source:
        return False
    title.source = renamed
    state.write_atomically(path, text_of(notebook))
    return True
