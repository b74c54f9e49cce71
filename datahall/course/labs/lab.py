"""`datahall lab`: JupyterLab in the learner's folder, with the course's home page.

Read `prepare` (what is opened), then `command` (how JupyterLab is started).
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket
import sys
from pathlib import Path

from datahall import state
from datahall.course import catalogue, warm
from datahall.course.exits import Exit, InputError, MachineError
from datahall.course.labs import home
from datahall.course.labs.copies import Desk

MOST_LOG_BYTES = 1_000_000


def open_lab(
    notebook: str | None = None,
    *,
    fresh: bool = False,
    reset: str | None = None,
    browser: bool = True,
    port: int = 0,
    author: bool = False,
) -> Exit:
    """Open JupyterLab in the place of this process.

    Args:
        notebook: A number, slug, stem or path; the home page if None.
        fresh: Make a numbered new copy of the lab, and open it.
        reset: An exercise (`01.2`) that is put back as it was; the old answer is kept.
        browser: Whether a browser is opened.
        port: The server's port; 0 for the first free one.
        author: Open the checkout itself instead of the learner's copies.

    Raises:
        InputError: No such notebook, lab or exercise.
        MachineError: JupyterLab is missing, or no copy can be written.
    """
    root = catalogue.repository_root()
    desk = Desk(root)
    if importlib.util.find_spec("jupyterlab") is None:
        raise MachineError("JupyterLab is not installed. Run `make setup`.")
    if author:
        folder, target = root, _file_of(desk, notebook)
    else:
        desk.settle()
        folder, target = desk.work, prepare(desk, notebook, fresh=fresh, reset=reset)
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_urlsafe(24)
    port = _free_port(port)
    line = command(desk, target, browser=browser, port=port, author=author)
    log = state.folder("logs") / "jupyterlab.log"
    print(f"JupyterLab: http://127.0.0.1:{port}{_page(folder, target)}?token={token}", flush=True)
    print(f"your folder: {folder}; the server's log: {log}; Ctrl-C ends it", flush=True)
    with warm.zygotes(across_exec=True) as held:  # they end with the server
        environment = surroundings(desk, author=author) | held | {"JUPYTER_TOKEN": token}
        if os.name == "nt":  # there, exec returns to the shell at once
            import subprocess

            failed = subprocess.call(line, env=environment, cwd=folder)  # noqa: S603 (our own words)
            return Exit.FAILED if failed else Exit.OK
        os.chdir(folder)
        _write_to(log)
        os.execve(line[0], line, environment)  # noqa: S606 (no shell is wanted)


def prepare(desk: Desk, notebook: str | None, *, fresh: bool, reset: str | None) -> Path:
    """Make the copies that are asked for and return what JupyterLab opens.

    A module or lecture opens the lecture, whose link leads to the lab; a lab's stem opens the lab,
    as `fresh` and `reset` do.

    Args:
        desk: The learner's folder.
        notebook: What was asked for, as `Catalogue.find` takes it; None for the home page.
        fresh: Whether a new copy is wanted.
        reset: The exercise that is put back, `01.2`, or None.
    """
    if reset is not None:
        lab = _lab_of_exercise(desk, reset, notebook)
        return _told(desk, desk.reset(lab, reset), f"exercise {reset} is as it was")
    if notebook is None:
        if fresh:
            raise InputError("--fresh needs the lab to copy. Write, for example, datahall lab 01.")
        _say_of_updates(desk)
        try:
            desk.work.mkdir(parents=True, exist_ok=True)
            home.write(desk)
        except OSError as error:
            raise MachineError(
                f"{desk.work} cannot be written ({error.strerror or error}). Set DATAHALL_WORK to "
                "a folder that you may write."
            ) from error
        return desk.work / home.NAME
    chosen = catalogue.load().find(notebook)[0]
    stem = Path(notebook).stem
    if fresh:
        if chosen.lab is None:
            raise InputError(f"{chosen.stem} has no lab. Run `datahall list` to see which have.")
        older = desk.current(chosen.lab)
        stays = "stays as it is, and `datahall check` counts the best"
        what = f"a new copy ({older.name} {stays})" if older else "a new copy"
        return _told(desk, desk.fresh(chosen.lab), what)
    if stem == chosen.lab:
        return _told(desk, desk.open(chosen.lab), "your copy")
    if stem == chosen.solution:
        return _told(desk, desk.open(stem, "solutions"), "your copy")
    return _told(desk, desk.open(chosen.stem, "notebooks"), "your copy")


def command(
    desk: Desk, target: Path, *, browser: bool, port: int, author: bool = False
) -> list[str]:
    """Return the command line that starts JupyterLab on a file.

    Args:
        desk: The learner's folder, which is the server's root.
        target: What JupyterLab shows first, in that folder.
        browser: Whether a browser is opened.
        port: Of the server.
        author: Whether the checkout is the root, to be changed.
    """
    folder = desk.root if author else desk.work
    line = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}"]
    if not author:
        contents = "datahall.course.labs.contents.CourseContents"
        line.append(f"--ServerApp.contents_manager_class={contents}")
        line.append(f"--CourseContents.checkout={desk.root}")
    line += [f"--AsyncFileCheckpoints.checkpoint_dir={state.folder('checkpoints')}"]
    line.append(f"--LabApp.default_url={_page(folder, target)}")
    line += [f"--ServerApp.port={port}", "--ServerApp.answer_yes=True"]
    if not browser:
        line.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        line.append("--allow-root")  # the machine of a workshop or a container
    return line


def surroundings(desk: Desk, *, author: bool = False) -> dict[str, str]:
    """Return the server's environment: where the copies are, no news, kernels with bytecode.

    Kernels are warm where they can be: also Python 3, which the course's notebooks name. `datahall`
    is found by the terminals that JupyterLab opens.

    Args:
        desk: The learner's folder.
        author: Whether the controls that instructors need are there.
    """
    settings = ("jupyter",) if author else ("jupyter_learner", "jupyter")
    ours = os.pathsep.join(str(Path(__file__).with_name(name)) for name in settings)
    environment = os.environ | {
        "DATAHALL_WORK": str(desk.work),
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "datahall-warm",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH"):  # settings; the kernel "Datahall (warm)"
        before = os.environ.get(name)
        environment[name] = f"{ours}{os.pathsep}{before}" if before else ours
    for name in ("PYTHONDONTWRITEBYTECODE", "DATAHALL_HEADLESS", "DATAHALL_STRICT"):
        environment.pop(name, None)
    return environment


def _file_of(desk: Desk, notebook: str | None) -> Path:
    """Return the file of the checkout that a word means, for its author."""
    if notebook is None:
        return desk.root
    row = catalogue.load().find(notebook)[0]
    stem = Path(notebook).stem
    kind: catalogue.Kind = "solution" if stem in (row.lab, row.solution) else "lecture"
    return desk.root / row.files()[kind]


def _page(folder: Path, target: Path) -> str:
    """Return the path of the page that shows a file; of the bare JupyterLab for the folder."""
    return "/lab" if target == folder else f"/lab/tree/{target.relative_to(folder).as_posix()}"


def _free_port(wanted: int) -> int:
    """Return the port, if it can be had: JupyterLab would take another one than what is printed."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", wanted))
            return int(probe.getsockname()[1])
    except (OSError, OverflowError) as error:
        raise MachineError(
            f"Port {wanted} cannot be had ({getattr(error, 'strerror', None) or error}). A free "
            "port was expected. Choose another one, or leave --port out."
        ) from error


def _write_to(log: Path) -> None:
    """Let this process, and what it becomes, write to a log file instead of the terminal.

    Two servers may write there at once: each adds its lines. A file that has grown large begins
    anew.
    """
    if log.exists() and log.stat().st_size > MOST_LOG_BYTES:
        log.unlink(missing_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)


def _say_of_updates(desk: Desk) -> None:
    if old := desk.outdated():
        names = ", ".join(path.stem for path in old[:3]) + (" …" if len(old) > 3 else "")
        print(f"newer versions exist of {names}: see `datahall update --dry-run`", flush=True)


def _lab_of_exercise(desk: Desk, exercise: str, notebook: str | None) -> str:
    word = notebook or exercise.partition(".")[0]
    labs = [found.lab for found in catalogue.load().find(word) if found.lab]
    having = [lab for lab in labs if (desk.root / "labs" / f"{lab}.ipynb").is_file()]
    if not having:
        raise InputError(f"Nothing called {word!r} has a lab. Run `datahall list` to see which do.")
    name = f'"id": "exercise-{exercise.replace(".", "-")}"'
    for lab in having:
        if name in (desk.root / "labs" / f"{lab}.ipynb").read_text(encoding="utf-8"):
            return lab
    return having[0]  # Desk.reset says which exercises there are


def _told(desk: Desk, copy: Path, what: str) -> Path:
    print(f"{what}: {copy}", flush=True)
    if desk.is_outdated(copy):
        print("the course has a newer version: see `datahall update --dry-run`", flush=True)
    return copy
