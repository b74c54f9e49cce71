"""`datahall lab`, `datahall check`: what a learner types."""

from __future__ import annotations

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("lab")(lab)
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
    port: Annotated[int, typer.Option(help="Port of JupyterLab; 0 for any that is free.")] = 0,
) -> None:
    """Open JupyterLab, on a module if one is named; its labs are opened as your copies in work/."""
    from datahall.course.labs import lab as labs

    raise typer.Exit(
        int(labs.open_lab(notebook, fresh=fresh, reset=reset, browser=browser, port=port))
    )


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
