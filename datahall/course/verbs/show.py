"""`datahall list`: the modules, what they need, how long they take, what exists of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from datahall.course import catalogue
from datahall.course.catalogue import Module
from datahall.course.exits import MachineError


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("list")(show)


def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the modules: number, title, minutes, needs, result, and what of them exists."""
    course = catalogue.load()
    try:
        root: Path | None = catalogue.repository_root()
    except MachineError:
        root = None
    rows = [_facts(module, root) for module in course.modules]
    if as_json:
        print(
            json.dumps(
                {"title": course.title, "version": course.version, "modules": rows},
                indent=1,
                ensure_ascii=False,
            )
        )
    else:
        _print_table(course.title, rows)


def _facts(module: Module, root: Path | None) -> dict[str, Any]:
    """Return one module as plain data."""
    from datahall.course import minutes

    notebooks = []
    for notebook in module.notebooks:
        reading = minutes.lecture(notebook, root) if root else None
        lab = minutes.lab(notebook, root) if root else None
        facts = {
            "stem": notebook.stem,
            "title": notebook.title,
            "lab": notebook.lab,
            "needs": list(notebook.needs),
        }
        notebooks.append(facts | {"minutes": reading, "lab_minutes": lab, "run_s": notebook.run_s})
    exists = (
        {kind: {"exists": have, "of": of} for kind, (have, of) in module.exists(root).items()}
        if root
        else None
    )
    return {
        "number": module.number,
        "slug": module.slug,
        "title": module.title,
        "minutes": _total(notebooks, "minutes"),
        "lab_minutes": _total(notebooks, "lab_minutes"),
        "needs": list(module.needs),
        "result": module.result,
        "exists": exists,
        "notebooks": notebooks,
    }


def _total(notebooks: list[dict[str, Any]], name: str) -> int | None:
    known = [notebook[name] for notebook in notebooks if notebook[name] is not None]
    return sum(known) if known else None


def _print_table(title: str, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("", style="bold")
    table.add_column("module", ratio=1)
    table.add_column("minutes", justify="right")
    table.add_column("needs", style="dim")
    table.add_column("exists", style="dim", max_width=24)
    for row in rows:
        name = f"{row['title']}\n[dim]{row['result']}[/]"
        needs = "\n".join(row["needs"])
        table.add_row(f"{row['number']:02d}", name, _minutes(row), needs, _existing(row["exists"]))
    Console(highlight=False).print(table)


def _minutes(row: dict[str, Any]) -> str:
    """Say the minutes of the lectures, and of the labs on a second line."""
    lecture, lab = row["minutes"], row["lab_minutes"]
    return "\n".join([str(lecture) if lecture else "", f"lab {lab}" if lab else ""]).rstrip()


def _existing(exists: dict[str, dict[str, int]] | None) -> str:
    """Say what exists: `2 of 3 lectures, package`."""
    if exists is None:
        return "not in a checkout"
    parts = []
    for kind, count in exists.items():
        have, of = count["exists"], count["of"]
        if have:
            plural = "s" if of > 1 else ""
            parts.append(
                kind
                if of == 1 or kind in ("package", "tests")
                else f"{have} of {of} {kind}{plural}"
            )
    return ", ".join(parts) or "planned"
