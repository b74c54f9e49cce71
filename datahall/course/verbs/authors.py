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
    """Build labs from solutions."""
    from datahall.course import catalogue, labs

    changed = labs.build_all(catalogue.repository_root(), which, write=not check)
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
    from datahall.course import facts as sheets

    raise typer.Exit(int(sheets.show(which, write=write)))


def claims(
    results: Annotated[
        Path | None,
        typer.Option(help="A results.json, or the folder that holds it; build/latest if left out."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if the ledger is out of date.")
    ] = False,
) -> None:
    """Write docs/claims.md, the ledger of claims, from the values that runs reported."""
    from datahall.course import claims as ledger

    raise typer.Exit(int(ledger.show(results, check=check)))
