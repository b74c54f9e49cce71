"""The README's course table and the index of decisions, from the catalogue and what exists."""

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
INDEX_HEAD = """# Decisions

What binds more than one module, one page each; written by `make fix`. The reasons of one lecture
stand in its *limits*.

"""


def row(module: Module, root: Path) -> str:
    """Return one module's line, however many lectures it has; an unwritten module says so."""
    read = [minutes.lecture(notebook, root) for notebook in module.notebooks]
    solve = [minutes.lab(notebook, root) for notebook in module.notebooks]
    lectures, labs = (sum(each is not None for each in kind) for kind in (read, solve))
    title = module.title
    if lectures:
        title = f"[{title}]({module.notebooks[0].files()['lecture']})"
    total = sum(each or 0 for each in (*read, *solve))
    cells = [
        module.label,
        title,
        str(lectures or "planned"),
        str(labs or ""),
        str(total or ""),
        module.result,
    ]
    return f"| {' | '.join(cells)} |"


def index(folder: Path) -> str:
    """Return the index of the decisions: number and title of each page."""
    lines = []
    for page in sorted(folder.glob("[0-9]*.md")):
        number, title = (
            page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").split(" ", 1)
        )
        lines.append(f"- [{number}]({page.name}) {title}")
    return INDEX_HEAD + "\n".join(lines) + "\n"


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
    """Bring the README's table and the decisions' index up to date; return whether one changed."""
    readme, decisions = root / "README.md", root / "docs" / "decisions"
    wanted = {
        readme: with_table(readme.read_text(encoding="utf-8"), root),
        decisions / "README.md": index(decisions),
    }
    changed = {
        path: text
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    for path, text in changed.items():
        write_atomically(path, text)
    return bool(changed)
