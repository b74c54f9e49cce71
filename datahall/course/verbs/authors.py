"""`datahall labs build`, `facts`, `claims`: what an author or an instructor types."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datahall.course.exits import Exit

_labs = typer.Typer(help="Labs and the solutions that they are made from.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(_labs, name="labs")
    app.command("facts")(facts)
    app.command("claims")(claims)


@_labs.callback()
def _group() -> None:
    """Labs and the solutions that they are made from."""


@_labs.command("build")
def build(
    which: Annotated[
        str, typer.Argument(metavar="[NN|STEM]", help="Which labs; all if left out.")
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if a lab is out of date.")
    ] = False,
) -> None:
    """Build labs, and datahall/exercises.json, from solutions."""
    from datahall.course import catalogue
    from datahall.course.labs import build as labs

    root = catalogue.repository_root()
    changed = labs.write_facts(root, write=not check)  # first: the labs' points come from there
    changed += labs.build_all(root, which, write=not check)
    for path in changed:
        print(f"{'out of date' if check else 'built'}  {path.parent.name}/{path.name}")
    if not changed:
        print("every lab is up to date")
    raise typer.Exit(int(Exit.FAILED if check and changed else Exit.OK))


def facts(
    which: Annotated[
        str | None, typer.Argument(metavar="[NN|SLUG]", help="Which module; all if left out.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write docs/instructors/ instead of printing.")
    ] = False,
) -> None:
    """Show a module's fact sheet for instructors: objectives, minutes, common wrong answers."""
    from datahall.course.labs.fact_sheets import show

    raise typer.Exit(int(show(which, write=write)))


def claims(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Such as C03; all if left out.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run what is missing or stale, or the ids named.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing; measure cheap claims; exit 1 if one fails."),
    ] = False,
    long: Annotated[
        bool, typer.Option("--long", help="With --check: measure the long claims too.")
    ] = False,
    taken_from: Annotated[
        Path | None,
        typer.Option("--from", metavar="PATH", help="Take records from this results.json."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show the ledger of claims: claimed, measured, verdict; renew it, or check it."""
    from datahall.course.claims.command import command

    code = command(
        words or [],
        measure=measure,
        check=check,
        long=long,
        taken_from=taken_from,
        as_json=as_json,
    )
    raise typer.Exit(int(code))
