"""`datahall serve`: a model behind a gateway, in the foreground, until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from datahall.serving.call_lines import Handed
    from datahall.serving.deployment import Deployment

KEY_S, CERTIFICATE_S = 24 * 3600.0, 10 * 24 * 3600.0  # how old they get
LOOK_S = 1.0


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("serve")(serve)


def serve(
    models: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL_DIR]",
            help="Model repository, NAME/VERSION/…; left out: the course's own model.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Which model of the repository.")] = "mnist_cnn",
    replicas: Annotated[int, typer.Option(min=1, max=64, help="Processes that infer.")] = 1,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the loopback; 0: a free one.")
    ] = 0,
    mtls: Annotated[bool, typer.Option("--mtls", help="A client must show a certificate.")] = False,
    tls12: Annotated[bool, typer.Option("--tls-1.2", help="Speak TLS 1.2 too.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep authority and audit log here; else the user's data folder."),
    ] = None,
    publish: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="First sign this .tflite as the next version."),
    ] = None,
    switch: Annotated[
        int | None, typer.Option(metavar="VERSION", help="Only change the version, and end.")
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Only go back one version, and end.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Try what is secure and what is not, print it, and end.")
    ] = False,
) -> None:
    """Serve a model over TLS with tokens, limits and a log; prints how to call it.

    A service that runs notices within a second that another version is current (--switch,
    --rollback, --publish by another command) and loads it once its signature holds. Exit codes: 0
    ended by SIGTERM, or --check found nothing insecure; 1 the model is not to be trusted, or the
    check found something; 2 bad input; 3 no HAProxy or no free port; 130 interrupted.
    """
    from datahall.course.exits import Exit

    place = _authority(folder)
    if models is not None:
        _prepare(models, name, place, publish)
        if switch is not None or rollback:
            print(f"version {_switched(models, name, switch)} of {name} is current")
            return
    elif publish is not None or switch is not None or rollback:
        _refuse("--publish, --switch and --rollback need a MODEL_DIR. None was given. Give one.")
    plan = {"name": name, "replicas": replicas, "port": port, "mtls": mtls, "folder": place}
    service = _started(models, oldest_tls="1.2" if tls12 else "1.3", **plan)
    try:
        if check:
            raise typer.Exit(int(Exit.OK if _checked(service) else Exit.FAILED))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(Exit.OK)))
        _watch(service)
    finally:
        service.stop()
        print("stopped: no process, port or socket is left", file=sys.stderr)


def _authority(folder: Path | None) -> Path:
    from datahall import state

    place = folder or state.folder("serving")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.chmod(0o700)
    return place


def _prepare(models: Path, name: str, place: Path, publish: Path | None) -> None:
    """See that there is such a model; publish the next version first where it is asked for."""
    from datahall.serving import authority, repository

    if publish is not None:
        if not publish.is_file():
            _refuse(f"{publish} is no file. A .tflite was expected. Give its path.")
        folder = place / "authority"
        signer = (authority.open if (folder / "root.pem").exists() else authority.create)(folder)
        version = max(repository.versions(models, name), default=0) + 1
        repository.publish(publish.read_bytes(), models, name, version, signer)
        print(f"version {version} of {name} is signed and current")
    if not (models / name).is_dir():
        _refuse(
            f"{models} holds no model {name}. A folder with {name}/VERSION/ was expected. Publish "
            "one: datahall serve MODEL_DIR --publish FILE.tflite."
        )


def _switched(models: Path, name: str, version: int | None) -> int:
    from datahall.serving import repository

    if version is None:
        now = repository.current(models, name)
        before = [one for one in repository.versions(models, name) if one < now]
        if not before:
            _refuse(f"version {now} is the first one. An older one was expected. Use --switch.")
        version = before[-1]
    repository.switch(models, name, version)
    return version


def _started(models: Path | None, **plan: Any) -> Deployment:
    from datahall import artifact
    from datahall.course.exits import MachineError
    from datahall.serving import course_model
    from datahall.serving.deployment import serve as deploy
    from datahall.serving.gateway import GatewayError

    if models is None and not artifact.exists(kind=course_model.KIND):
        _say("no lecture 06 was run here: a network is trained and converted once", ends=True)
    try:
        return deploy(models, **plan).start()
    except GatewayError as error:
        raise MachineError(str(error)) from error


def _checked(service: Deployment) -> bool:
    from datahall.serving import selfcheck

    found = selfcheck.examine(service)
    print("\n".join(map(str, found)))
    return selfcheck.is_secure(found)


def _watch(service: Deployment) -> None:
    """Show how it is, renew what grows old, and load another version when one is current."""
    from datahall.serving.call_lines import Handed

    handed = Handed.of(service)
    _tell(service, handed)
    began, last = time.monotonic(), ""
    key_at, certificate_at, version = began, began, _current(service)
    while True:
        handed.renew()
        now = time.monotonic()
        if now > key_at + KEY_S:
            service.rotate_key()
            key_at = now
        if now > certificate_at + CERTIFICATE_S:
            service.rotate_certificate()
            certificate_at = now
        if (wanted := _current(service)) != version:
            version = wanted
            served = ", ".join(sorted(set(service.reload().values())))
            _say(f"version {wanted} is current; served: {served}", ends=True)
        last = _show(service, last)
        time.sleep(LOOK_S)


def _current(service: Deployment) -> int:
    from datahall.serving import repository

    return repository.current(service.models, service.plan.name)


def _tell(service: Deployment, handed: Handed) -> None:
    print(f"{service.plan.name} is served at {service.address}")
    print(f"root certificate, token (renewed) and an example request: {handed.folder}")
    print(f"audit log: {service.audit_files()[0].parent}")
    print("health needs no token: /v2/health/ready; everything else does")
    for kind, words in {
        "curl": handed.curl(),
        "Python": handed.python(),
        "tritonclient": handed.triton(),
    }.items():
        print(f"\n# {kind}\n{words.rstrip()}")
    print(flush=True)


def _show(service: Deployment, last: str) -> str:
    """Show the state in a line that stays in its place on a terminal; elsewhere, if it changed."""
    replicas = service.status()
    ready = sum(one.ready for one in replicas)
    restarts = sum(one.restarts for one in replicas)
    versions = ", ".join(sorted(set(service.versions().values()))) or "none"
    line = f"{ready} of {len(replicas)} replicas ready, version {versions}, {restarts} restarts"
    if sys.stderr.isatty():
        _say(f"{line}, {service.answered()} requests decided", ends=False)
    elif line != last:
        _say(line, ends=True)
    return line


def _say(line: str, *, ends: bool) -> None:
    lead = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{lead}{line}", end="\n" if ends else "", file=sys.stderr, flush=True)


def _refuse(words: str) -> NoReturn:
    from datahall.course.exits import InputError

    raise InputError(words)
