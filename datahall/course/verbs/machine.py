"""`datahall doctor`, `data verify`, `clean`, `warm`: machine, data, kernels, what runs leave."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from datahall.course.exits import Exit

_data = typer.Typer(help="The data sets that ship with the course.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("doctor")(doctor)
    app.add_typer(_data, name="data")
    app.command("clean")(clean)
    app.command("warm")(warm)


def doctor(
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write a report to share; it names no user and no folder."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Look whether this machine can run the course, and say what to do if not.

    Exit codes: 0 it can (warnings included), 3 it cannot.
    """
    from datahall.course import doctor as examination

    findings = examination.examine()
    if report is not None:
        examination.write_report(findings, report)
    if as_json:
        print(
            json.dumps(
                {"ok": examination.can_run(findings), "findings": [asdict(f) for f in findings]},
                indent=1,
            )
        )
    else:
        examination.show(findings)
        if report is not None:
            print(f"Report: {report}")
    raise typer.Exit(int(Exit.OK if examination.can_run(findings) else Exit.MACHINE))


@_data.callback()
def _group() -> None:
    """The data sets that ship with the course."""


@_data.command("verify")
def verify(
    name: Annotated[str | None, typer.Argument(help="One data set; all if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Check every byte of the data against its digest.

    Exit codes: 0 all is as it should be, 1 a file is missing or changed, 2 no such data set.
    """
    from datahall import datasets

    reports = datasets.verify(name)
    good = all(not report.problem for report in reports)
    if as_json:
        print(json.dumps({"ok": good, "files": [asdict(report) for report in reports]}, indent=1))
    else:
        for report in reports:
            print(
                f"{'BAD' if report.problem else 'ok':4} {report.name}  "
                f"{report.problem or report.where}"
            )
    raise typer.Exit(int(Exit.OK if good else Exit.FAILED))


def clean(
    keep: Annotated[int, typer.Option(min=0, help="How many of the newest runs to keep.")] = 0,
    output_dir: Annotated[
        Path | None, typer.Option(help="Where the runs are; build/ of the checkout if left out.")
    ] = None,
) -> None:
    """Remove the results of runs; nothing else is touched."""
    from datahall.course.run import folder
    from datahall.units import format_quantity

    count, size = folder.clean(output_dir, keep=keep)
    print(
        f"removed {count} {'run' if count == 1 else 'runs'}, "
        f"{format_quantity(size, 'B') if size else '0 B'}"
    )


def warm(
    kinds: Annotated[
        str, typer.Option(help="What to hold, separated by commas: plain, tensorflow.")
    ] = "plain,tensorflow",
) -> None:
    """Hold processes from which kernels are forked, until Ctrl-C: each notebook starts in no time.

    Every run, check and plain Jupyter client of yours that uses the provisioner `datahall-warm`
    finds them. Exit codes: 0 ended by Ctrl-C, 2 no such kind, 3 kernels cannot be forked here.
    """
    from datahall.course.warm import holding

    raise typer.Exit(int(holding.hold(kinds.split(","))))
