"""Fact sheets for instructors: one page a module, made from the lectures, the checks and the banks.

`datahall facts NN` prints one, `datahall facts --write` and `make docs` write them all to
`docs/instructors/`. Read `sheet` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datahall import runtime
from datahall.checking import Check, checks_of
from datahall.checking.verdict import number
from datahall.course import catalogue, minutes
from datahall.course.catalogue import Module, Notebook
from datahall.course.exits import Exit, InputError
from datahall.course.notebooks import sources
from datahall.state import write_atomically

FOLDER = Path("docs", "instructors")


def show(which: str | None = None, *, write: bool = False) -> Exit:
    """Print the fact sheets of a module, or of all; or write them.

    Args:
        which: A number, slug or stem; every module that has lectures or checks if None.
        write: Write `docs/instructors/` instead of printing.

    Raises:
        InputError: Nothing has that name, or the module has neither lectures nor checks.
    """
    root = catalogue.repository_root()
    runtime.start()  # some checks need TensorFlow, which would greet
    for path, text in sheets(root, which).items():
        if not write:
            print(text)
        elif not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text:
            write_atomically(root / path, text)
            print(f"wrote {path.as_posix()}")
    return Exit.OK


def sheets(root: Path, which: str | None = None) -> dict[Path, str]:
    """Return the pages by their path in the checkout."""
    course = catalogue.load()
    modules = course.modules if which is None else (course.module(which),)
    chosen = [module for module in modules if _has_lecture(module, root)]
    if not chosen:
        raise InputError(f"Module {modules[0].slug} has no lecture yet. See `datahall list`.")
    return {FOLDER / f"{module.label}_{module.slug}.md": sheet(module, root) for module in chosen}


def sheet(module: Module, root: Path) -> str:
    """Return a module's fact sheet as Markdown."""
    checks = checks_of(module.slug)
    parts = [
        f"# {module.label} {module.title}: facts for instructors",
        "<!-- made by `datahall facts --write` from lectures, checks and banks: do not edit -->",
        f"**At the end:** {module.result}.",
        f"**Needs:** {', '.join(module.needs) or 'nothing before it'}.",
        "## Time",
        "\n".join(_times(module, root)),
        "## Objectives",
        "\n\n".join(_objectives(module, root)),
    ]
    if checks:
        parts += ["## Exercises", "\n".join(_exercises(checks))]
        parts += ["## Common wrong answers", "\n\n".join(_mistakes(checks))]
    return "\n\n".join(parts) + "\n"


def _has_lecture(module: Module, root: Path) -> bool:
    return any((root / notebook.files()["lecture"]).is_file() for notebook in module.notebooks)


def _written(module: Module, root: Path) -> list[Notebook]:
    return [one for one in module.notebooks if (root / one.files()["lecture"]).is_file()]


def _times(module: Module, root: Path) -> Iterator[str]:
    yield "| lecture | title | minutes | lab | minutes |\n| --- | --- | ---: | --- | ---: |"
    for notebook in _written(module, root):
        lab = minutes.lab(notebook, root)
        name = notebook.lab if lab is not None else "–"
        reading = minutes.lecture(notebook, root)
        yield f"| {notebook.stem} | {notebook.title} | {reading} | {name} | {lab or '–'} |"


def _objectives(module: Module, root: Path) -> Iterator[str]:
    for notebook in _written(module, root):
        cells = {cell.id: cell.source for cell in sources.read(_path(notebook, root)).cells}
        text = cells.get("objectives", "").strip()
        if text:
            yield f"### {notebook.title}\n\n{_without_heading(text)}"


def _path(notebook: Notebook, root: Path) -> Path:
    return root / notebook.files()["lecture"]


def _without_heading(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(lines[1:]).strip() if lines[0].startswith("#") else text


def _exercises(checks: list[Check]) -> Iterator[str]:
    yield "| exercise | title | lab | difficulty | minutes | points |"
    yield "| --- | --- | --- | ---: | ---: | ---: |"
    for check in checks:
        numbers = f"{check.difficulty}/5 | {check.minutes} | {number(check.points)}"
        yield f"| {check.exercise} | {check.title} | {check.lab} | {numbers} |"


def _mistakes(checks: list[Check]) -> Iterator[str]:
    yield "What learners get wrong, and what the check says to them: all of it is tested."
    for check in checks:
        rows = [f"### {check.exercise} {check.title}\n"]
        rows += ["| the idea behind it | what the check says |\n| --- | --- |"]
        rows += [f"| {_cell(wrong.idea)} | {_cell(wrong.says)} |" for wrong in check.bank.wrong]
        yield "\n".join(rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
