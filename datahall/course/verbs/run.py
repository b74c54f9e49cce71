"""`datahall run`: execute notebooks strictly, in parallel, with results and a report."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from datahall.course.run.plan import Item
    from datahall.course.run.results import Results

TIMEOUT_S = 1800.0


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("run")(run)


def run(
    notebooks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NN|SLUG|STEM|PATH.ipynb]...",
            help="What to execute; every lecture if left out.",
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="smoke (seconds), classroom (the notebook's own defaults) or full.")
    ] = "classroom",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", "-p", metavar="NAME=VALUE", help="A parameter's value; may be repeated."
        ),
    ] = None,
    params_file: Annotated[
        Path | None,
        typer.Option(
            help="A YAML or JSON file of parameters; -p goes before it.", show_default=False
        ),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The kernel for all notebooks; each one's own if left out."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Notebooks at a time.")] = 2,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds for each notebook; 0 for no limit.")
    ] = TIMEOUT_S,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", "-k", help="After a failure, run the others too.")
    ] = False,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where the folder of this run is made; build/ of the checkout if left out."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print results.json instead of a summary.")
    ] = False,
    list_parameters: Annotated[
        bool, typer.Option("--list-parameters", help="Show the parameters, run nothing.")
    ] = False,
) -> None:
    """Execute notebooks and show what they found.

    Writes build/<run>/results.json, report.html and the executed notebooks; build/latest leads to
    the newest run. A notebook passes only if every cell was executed without an error: sys.exit, a
    killed kernel or a misspelt parameter fail it. Exit codes: 0 all passed, 1 one failed, 2 bad
    input, 3 this machine cannot, 130 interrupted.
    """
    from datahall.course.run import parameters, plan

    given: dict[str, Any] = parameters.load(params_file) if params_file else {}
    given |= parameters.split(parameter or [])
    words = notebooks or []
    if list_parameters:
        _print_parameters(plan.make(words, preset=preset, given=given), as_json=as_json)
        return
    from datahall.course.run import runner, view

    results = runner.run(
        words,
        preset=preset,
        parameters=given,
        jobs=jobs,
        timeout_s=timeout or None,
        keep_going=keep_going,
        output_dir=output_dir,
        kernel=kernel,
        view=view.choose(sys.stderr),
    )
    with contextlib.suppress(OSError, ValueError):  # nobody listens any more: the results are there
        print(results.to_json(), end="") if as_json else _print_summary(results)
    raise typer.Exit(int(results.exit_code))


def _print_summary(results: Results) -> None:
    """Print one line for each notebook that did not pass, the counts, and where the report is."""
    from datahall.units import format_duration

    for notebook in results.notebooks:
        if notebook.failure is not None and notebook.status == "failed":
            print(f"{notebook.name}: {notebook.failure.line}")
    counts = ", ".join(f"{count} {status}" for status, count in results.counts().items() if count)
    bounds = results.bounds
    judged = (
        f"; bounds: {bounds.held} held, {bounds.broken} broken, {bounds.not_judged} not judged"
        if results.values
        else ""
    )
    print(f"{counts} in {format_duration(results.run['seconds'])}{judged}")
    folder = results.folder
    if folder is not None:
        print(f"Report: {folder / 'report.html'}")


def _print_parameters(items: tuple[Item, ...], *, as_json: bool) -> None:
    from datahall.course.run import parameters

    found = {
        item.name: [_facts(item, parameter) for parameter in parameters.inspect(item.source)]
        for item in items
    }
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False, default=str))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for name, rows in found.items():
        table = Table(title=name, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for column in ("parameter", "type", "default", "unit and meaning", "presets"):
            table.add_column(column, overflow="fold")
        for row in rows:
            presets = ", ".join(f"{preset} {value!r}" for preset, value in row["presets"].items())
            table.add_row(row["name"], row["type"] or "any", row["default"], row["help"], presets)
        console.print(table if rows else f"{name} takes no parameters.")


def _facts(item: Item, parameter: Any) -> dict[str, Any]:
    presets = item.entry.presets if item.entry else {}
    values = {
        preset: table[parameter.name]
        for preset, table in presets.items()
        if parameter.name in table
    }
    return {
        "name": parameter.name,
        "type": parameter.type,
        "default": parameter.default,
        "help": parameter.help,
        "presets": values,
    }
