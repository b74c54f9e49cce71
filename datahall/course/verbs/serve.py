"""`datahall serve`: a model behind a gateway, in the foreground, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from datahall.serving.call_lines import Handed
    from datahall.serving.deployment import Deployment
    from datahall.serving.target import ReplicaStatus

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

    if switch is not None and rollback:
        _refuse("--switch and --rollback were given. One of them was expected. Leave one out.")
    if models is None and (publish is not None or switch is not None or rollback):
        _refuse("--publish, --switch and --rollback need a MODEL_DIR. None was given. Give one.")
    plan = {"name": name, "replicas": replicas, "port": port, "mtls": mtls}
    with _files():
        place = _kept(folder)
        if models is not None:
            _prepare(models, name, place, publish)
        if models is not None and (switch is not None or rollback):
            print(f"version {_switched(models, name, switch)} of {name} is current")
            return
    _end_on_signals()
    with _running(models, folder=place, oldest_tls="1.2" if tls12 else "1.3", **plan) as service:
        if check:
            raise typer.Exit(int(Exit.OK if _checked(service) else Exit.FAILED))
        _watch(service)


@contextlib.contextmanager
def _files() -> Iterator[None]:
    """Say of a file that cannot be used which one it is, and why."""
    from datahall.course.exits import MachineError
    from datahall.errors import CourseError

    try:
        yield
    except (BrokenPipeError, CourseError):  # said already
        raise
    except OSError as error:
        raise MachineError(
            f"{str(error.filename or 'a file')[:200]} cannot be used ({error.strerror or error}). "
            "A path that you may read, and a folder that you may write and that has room, were "
            "expected. Choose another one, or free some space."
        ) from error


def _kept(folder: Path | None) -> Path:
    """Return the folder that stays. One of the user's keeps its mode; what is made is for him."""
    from datahall import state

    place = folder or state.data_folder() / "serving"
    if folder is None:
        state.folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def _prepare(models: Path, name: str, place: Path, publish: Path | None) -> None:
    """See that there is such a model; publish the next version first where it is asked for."""
    from datahall import state
    from datahall.serving import authority, repository

    folder = repository.place(models, name, 1).parent  # no other names
    if publish is not None:
        if not publish.is_file():
            _refuse(f"{publish} is no file. A .tflite was expected. Give its path.")
        content = publish.read_bytes()
        _see_that_it_fits(content, publish)
        signer = authority.kept(place / "authority")
        folder.mkdir(parents=True, exist_ok=True)
        with state.alone(folder):  # another command may publish the next one too
            version = max(repository.versions(models, name), default=0) + 1
            repository.publish(content, models, name, version, signer)
        print(f"version {version} of {name} is signed and current")
    if not folder.is_dir():
        _refuse(
            f"{models} holds no model {name}. A folder with {name}/VERSION/ was expected. Publish "
            "one: datahall serve MODEL_DIR --publish FILE.tflite."
        )


def _see_that_it_fits(content: bytes, path: Path) -> None:
    """Refuse a file that no replica would serve, before it is signed and made the current one."""
    from datahall.serving import repository, signing
    from datahall.serving.model import ServedModel
    from datahall.serving.protocol import RefusedError

    card = repository.card_of(content, "new", 1)
    files = {signing.MODEL_FILE: content}
    try:
        ServedModel(signing.Verified(files, signing.sha256(content), "", 1, card))
    except RefusedError as error:
        raise _input_error(
            f"{path} is no network that this service serves. A .tflite was expected that takes "
            "images (n, 28, 28, 1) and gives 10 scores for each. Nothing was published."
        ) from error


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


def _end_on_signals() -> None:
    """End in order, once: a second Ctrl-C must not end what clears up."""
    from datahall.course.exits import Exit

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    ours = [one for one in wanted if signal.getsignal(one) is not signal.SIG_IGN]  # nohup

    def end(number: int, _: object) -> None:
        for one in ours:
            signal.signal(one, lambda *_: None)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(int(Exit.OK if number == signal.SIGTERM else Exit.INTERRUPTED))

    for one in ours:
        signal.signal(one, end)


@contextlib.contextmanager
def _running(models: Path | None, **plan: Any) -> Iterator[Deployment]:
    from datahall import artifact
    from datahall.course.exits import MachineError
    from datahall.serving import course_model
    from datahall.serving.deployment import serve as deploy
    from datahall.serving.gateway import GatewayError

    if models is None and not artifact.exists(kind=course_model.KIND):
        _say("no lecture 06 was run here: a network is trained and converted once", ends=True)
    try:
        with _files():
            service = deploy(models, **plan).start()
    except GatewayError as error:
        raise MachineError(str(error)) from error
    try:
        yield service
    finally:
        service.stop()
        with contextlib.suppress(OSError):  # a terminal that was closed
            _say("stopped: no process, port or socket is left", ends=True)


def _checked(service: Deployment) -> bool:
    from datahall.serving import selfcheck

    found = selfcheck.examine(service)
    print("\n".join(map(str, found)))
    return selfcheck.is_secure(found)


def _watch(service: Deployment) -> NoReturn:
    """Show how it is, renew what grows old, and load another version when one is current."""
    from datahall.serving.call_lines import Handed

    handed = Handed.of(service)
    _tell(service, handed)
    # By the clock on the wall: a laptop that slept wakes up with old tokens and keys.
    aged = {"key": time.time(), "certificate": time.time()}
    version, last = _current(service), ""
    while True:
        with _going_on("token"):
            handed.renew()
        with _going_on("key"):
            if _is_old(aged, "key", KEY_S):
                service.rotate_key()
        with _going_on("certificate"):
            if _is_old(aged, "certificate", CERTIFICATE_S):
                service.rotate_certificate()
        wanted = _current(service)
        if wanted not in (version, None):
            with _going_on("model"):
                served = ", ".join(sorted(set(service.reload().values())))
                _say(f"version {wanted} is current; served: {served}", ends=True)
        version = wanted or version
        with _going_on("state"):
            last = _show(service, last)
        time.sleep(LOOK_S)


_troubles: dict[str, str] = {}  # what was told, by what it was about


@contextlib.contextmanager
def _going_on(about: str) -> Iterator[None]:
    """Let a running service outlive what fails in a round: it is told once, and tried again."""
    from datahall.errors import CourseError

    try:
        yield
    except BrokenPipeError:
        raise
    except (CourseError, OSError) as error:
        if _troubles.get(about) != str(error):
            _say(f"{about}: {error} The service goes on as before.", ends=True)
        _troubles[about] = str(error)
    else:
        _troubles.pop(about, None)


def _is_old(aged: dict[str, float], what: str, most_s: float) -> bool:
    """Tell whether something is older than that, or from the future; it counts as new then."""
    now = time.time()
    if 0 <= now - aged[what] <= most_s:
        return False
    aged[what] = now
    return True


def _current(service: Deployment) -> int | None:
    """Return which version should be served; None if nothing says it just now."""
    from datahall.serving import repository

    found = None
    with _going_on("version"):
        found = repository.current(service.models, service.plan.name)
    return found


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
    line += "".join(f"; {words}" for words in _log_troubles(service, replicas))
    if sys.stderr.isatty():
        _say(f"{line}, {service.answered()} requests decided", ends=False)
    elif line != last:
        _say(line, ends=True)
    return line


def _log_troubles(service: Deployment, replicas: list[ReplicaStatus]) -> list[str]:
    """Return what keeps decisions from being logged."""
    said = {one.words for one in replicas if one.words.startswith("no answer")}
    if len(service.audit_files()) <= len(replicas):
        said.add("the log was deleted: what is decided from now on is lost at the end")
    return sorted((said | {service.problem}) - {""})


def _say(line: str, *, ends: bool) -> None:
    lead = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{lead}{line}", end="\n" if ends else "", file=sys.stderr, flush=True)


def _refuse(words: str) -> NoReturn:
    raise _input_error(words)


def _input_error(words: str) -> Exception:
    from datahall.course.exits import InputError

    return InputError(words)
