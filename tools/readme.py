"""The README's course table, made from `datahall/course.toml` and what exists of each module."""

from __future__ import annotations

from pathlib import Path

from datahall.course import catalogue, minutes
from datahall.course.catalogue import Module
from datahall.state import write_atomically

BEGIN = "<!-- course table: made by `make fix` from datahall/course.toml -->"
END = "<!-- end of course table -->"
HEAD = (
    "| | Module | Lectures | Labs | Minutes | You end with |\n| --- | --- | --- | --- | --- | --- |"
)


def row(module: Module, root: Path) -> str:
    """Return one module's line; a module that nobody has written yet says so."""
    lectures, labs, total = [], [], 0
    for notebook in module.notebooks:
        read, solve = minutes.lecture(notebook, root), minutes.lab(notebook, root)
        files = notebook.files()
        if read is not None:
            lectures.append(f"[{notebook.title}]({files['lecture']})")
            total += read
        if solve is not None:
            labs.append(f"[{len(labs) + 1}]({files['lab']})")
            total += solve
    cells = [
        module.label,
        module.title,
        "<br>".join(lectures) or "planned",
        " ".join(labs),
        str(total or ""),
        module.result,
    ]
    return f"| {' | '.join(cells)} |"


def table(root: Path) -> str:
    """Return the whole table."""
    return "\n".join([HEAD, *(row(module, root) for module in catalogue.load().modules)])


def with_table(text: str, root: Path) -> str:
    """Return the README's text with the table of today between its two marks.

    Raises:
        ValueError: A mark is missing.
    """
    if BEGIN not in text or END not in text:
        raise ValueError(f"README.md lacks {BEGIN!r} or {END!r}. Put both back, one a line.")
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{table(root)}\n{END}{rest.split(END, 1)[1]}"


def fix(root: Path) -> bool:
    """Bring the README's table up to date; return whether it changed."""
    path = root / "README.md"
    text = path.read_text(encoding="utf-8")
    fixed = with_table(text, root)
    if fixed != text:
        write_atomically(path, fixed)
    return fixed != text
