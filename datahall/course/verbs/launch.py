"""`datahall launch`: a training as several processes, here or on several machines."""

from __future__ import annotations

import contextlib
import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer


class Backend(StrEnum):
    """What starts and watches the workers of a job."""

    PROCESSES = "processes"
    RAY = "ray"


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("launch")(launch)


def launch(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:FUNCTION", help="What every process runs.")
    ],
    argument: Annotated[
        list[str] | None,
        typer.Option("--argument", "-a", metavar="NAME=VALUE", help="One of its arguments."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes on this machine.")] = 2,
    hosts: Annotated[
        str,
        typer.Option(
            envvar="DATAHALL_HOSTS", help="Instead: every worker's address, host:port,host:port."
        ),
    ] = "",
    rank: Annotated[
        int | None,
        typer.Option(envvar="DATAHALL_RANK", help="Which of the hosts this is; starts its worker."),
    ] = None,
    backend: Annotated[
        Backend, typer.Option(help="What starts and watches the workers; ray needs the extra ray.")
    ] = Backend.PROCESSES,
    address: Annotated[
        str,
        typer.Option(help="With ray: a cluster that runs, host:port; else one is started here."),
    ] = "",
    folder: Annotated[
        str, typer.Option(help="With ray: where the job's own folder is made; every host sees it.")
    ] = "",
    restarts: Annotated[int, typer.Option(min=0, help="How often it may start again.")] = 0,
    limit: Annotated[float, typer.Option(help="Seconds after which everything is ended.")] = 3600,
) -> None:
    """Run a function in several processes; prints what each returns, as JSON.

    Each process reads from TF_CONFIG which one it is. On several machines, give the same command on
    each, with its own --rank; with --backend ray give it once, and Ray places the workers. Exit
    codes: 0 all finished, 1 one was lost or the time was over, 2 bad input, 130 interrupted.
    """
    from datahall.scaling import launcher, worker

    worker.function_of(target)  # a wrong name is told before anything starts
    given = dict(_pair(text) for text in argument or [])
    options: dict[str, Any] = {"limit_s": limit, "restarts": restarts, "on_loss": _tell}
    if backend is Backend.RAY:
        from datahall.scaling import on_ray

        _refuse(Backend.RAY, hosts=hosts, rank=rank)
        options |= {"workers": workers, "address": address, "folder": folder}
        done = on_ray.supervise(target, given, **options)
    else:
        _refuse(Backend.PROCESSES, address=address, folder=folder)
        options["roles"] = {"worker": workers}
        if hosts or rank is not None:
            options |= {"hosts": tuple(hosts.split(",")) if hosts else (), "rank": rank}
        done = launcher.supervise(target, given, **options)
    print(json.dumps({str(task): came for task, came in done.results.items()}, indent=1))


def _tell(words: str) -> None:
    print(f"datahall: {words}", file=sys.stderr)


def _refuse(backend: Backend, **given: object) -> None:
    """Refuse options of the other backend, which would be ignored."""
    from datahall.errors import ParameterError

    if names := [name for name, value in given.items() if value not in ("", None)]:
        other = Backend.RAY if backend is Backend.PROCESSES else Backend.PROCESSES
        raise ParameterError(
            f"--{names[0]} was given with --backend {backend}. It belongs to {other}. Leave it "
            f"out, or write --backend {other}."
        )


def _pair(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; the value as JSON where it is, else as text."""
    from datahall.errors import ParameterError

    name, separator, value = text.partition("=")
    if not separator or not name.isidentifier():
        raise ParameterError(
            f"argument {text!r} is not NAME=VALUE. A name and a value were expected. Write for "
            "example -a steps=20."
        )
    with contextlib.suppress(ValueError):
        return name, json.loads(value)
    return name, value
