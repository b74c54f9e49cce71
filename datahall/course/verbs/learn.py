"""`datahall lab`, `datahall update`, `datahall check`: what a learner types."""

from __future__ import annotations

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("lab")(lab)
    app.command("update")(update)
    app.command("check")(check)


def lab(
    notebook: Annotated[
        str | None,
        typer.Argument(metavar="[NN|SLUG|STEM]", help="What to open; the course if left out."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make a numbered new copy of the lab.")
    ] = False,
    reset: Annotated[
        str | None,
        typer.Option(metavar="EXERCISE", help="Reset one exercise (01.2); the old answer is kept."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port of JupyterLab; 0 for any that is free."),
    ] = 0,
    author: Annotated[
        bool, typer.Option("--author", help="Open the checkout itself, to change the course.")
    ] = False,
) -> None:
    """Open JupyterLab on the home page, or on a module; what you open is your own copy in work/."""
    from datahall.course.labs import lab as labs

    options = {"fresh": fresh, "browser": browser, "author": author}
    raise typer.Exit(int(labs.open_lab(notebook, reset=reset, port=port, **options)))


def update(
    which: Annotated[
        str | None,
        typer.Argument(metavar="[NN|SLUG|STEM]", help="Whose copies; all if left out."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
) -> None:
    """Put newer versions of the course into your copies; cells that you changed or made stay.

    Exit codes: 0 all is well, 2 bad input. What a copy was before lies in work/.datahall/before.
    """
    from datahall.course.labs import updating

    raise typer.Exit(int(updating.update(which, dry_run=dry_run)))


def check(
    which: Annotated[
        str | None,
        typer.Argument(metavar="[NN|SLUG|STEM|FILE]", help="Whose exercises; all if left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show where you are: exercises passed, wrong and open, the next step, the minutes left.

    Exit codes: 0 every exercise is passed, 1 one is wrong or open, 2 bad input.
    """
    from datahall.course.labs import progress

    raise typer.Exit(int(progress.show(which, as_json=as_json)))
