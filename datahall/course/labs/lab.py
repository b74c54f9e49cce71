"""`datahall lab`: JupyterLab on the course, with labs as the learner's copies.

Read `prepare` (what is opened), then `command` (how JupyterLab is started).
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from datahall import state
from datahall.course import catalogue, warm
from datahall.course.exits import Exit, InputError, MachineError
from datahall.course.labs.copies import Desk


def open_lab(
    notebook: str | None = None,
    *,
    fresh: bool = False,
    reset: str | None = None,
    browser: bool = True,
    port: int = 0,
) -> Exit:
    """Open JupyterLab in the place of this process.

    Args:
        notebook: A number, slug, stem or path; the course's folder if None.
        fresh: Make a numbered new copy of the lab, and open it.
        reset: An exercise (`01.2`) that is put back as it was; the old answer is kept.
        browser: Whether a browser is opened.
        port: The server's port; 0 for the first free one.

    Raises:
        InputError: No such notebook, lab or exercise.
        MachineError: JupyterLab is missing, or no copy can be written.
    """
    root = catalogue.repository_root()
    desk = Desk(root)
    target = prepare(desk, notebook, fresh=fresh, reset=reset)
    if importlib.util.find_spec("jupyterlab") is None:
        raise MachineError("JupyterLab is not installed. Run `make setup`.")
    print(f"your copies of the labs: {desk.work}", flush=True)
    line = command(desk, target, browser=browser, port=port)
    with warm.zygotes(across_exec=True) as held:  # they end with the server
        environment = surroundings(desk) | held
        if os.name == "nt":  # there, exec returns to the shell at once
            import subprocess

            failed = subprocess.call(line, env=environment, cwd=root)  # noqa: S603 (our own words)
            return Exit.FAILED if failed else Exit.OK
        os.chdir(root)
        os.execve(line[0], line, environment)  # noqa: S606 (no shell is wanted)


def prepare(desk: Desk, notebook: str | None, *, fresh: bool, reset: str | None) -> Path:
    """Make the copies that are asked for and return what JupyterLab shall open.

    A module or lecture opens the lecture, whose link leads to the lab; a lab's stem opens the lab,
    as `fresh` and `reset` do.

    Args:
        desk: The learner's folder.
        notebook: What was asked for, as `Catalogue.find` takes it; None for nothing.
        fresh: Whether a new copy is wanted.
        reset: The exercise that is put back, `01.2`, or None.
    """
    if reset is not None:
        lab = _lab_of_exercise(desk, reset, notebook)
        return _told(desk, lab, desk.reset(lab, reset), f"exercise {reset} is as it was")
    if notebook is None:
        if fresh:
            raise InputError("--fresh needs the lab to copy. Write, for example, datahall lab 01.")
        return desk.root
    chosen = catalogue.load().find(notebook)[0]
    stem = Path(notebook).stem
    if fresh or stem == chosen.lab:
        if chosen.lab is None:
            raise InputError(f"{chosen.stem} has no lab. Run `datahall list` to see which have.")
        copy = desk.fresh(chosen.lab) if fresh else desk.open(chosen.lab)
        return _told(desk, chosen.lab, copy, "a new copy" if fresh else "your copy")
    folder = "solutions" if stem == chosen.solution else "notebooks"
    return desk.root / folder / f"{stem if stem == chosen.solution else chosen.stem}.ipynb"


def command(desk: Desk, target: Path, *, browser: bool, port: int) -> list[str]:
    """Return the command line that starts JupyterLab on a file or folder.

    The server's root is the checkout, so a copy outside of it is opened by its lab's name.

    Args:
        desk: The learner's folder.
        target: What JupyterLab shows first.
        browser: Whether a browser is opened.
        port: Of the server; 0 for any free one.
    """
    line = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={desk.root}"]
    line += ["--ServerApp.contents_manager_class=datahall.course.labs.contents.CourseContents"]
    line += [f"--AsyncFileCheckpoints.checkpoint_dir={state.folder('checkpoints')}"]
    if not desk.work.is_relative_to(desk.root):
        line.append("--ContentsManager.allow_hidden=True")  # data folders start with a dot
    if target != desk.root:
        line.append(f"--LabApp.default_url=/lab/tree/{_url_path(desk, target)}")
    if port:
        line.append(f"--ServerApp.port={port}")
    if not browser:
        line.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        line.append("--allow-root")  # the machine of a workshop or a container
    return line


def surroundings(desk: Desk) -> dict[str, str]:
    """Return the server's environment: where the copies are, no news, kernels with bytecode.

    Kernels are warm where they can be: also Python 3, which the course's notebooks name.
    """
    ours = str(Path(__file__).with_name("jupyter"))
    environment = os.environ | {
        "DATAHALL_WORK": str(desk.work),
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "datahall-warm",
    }
    for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH"):  # settings; the kernel "Datahall (warm)"
        before = os.environ.get(name)
        environment[name] = f"{ours}{os.pathsep}{before}" if before else ours
    for name in ("PYTHONDONTWRITEBYTECODE", "DATAHALL_HEADLESS", "DATAHALL_STRICT"):
        environment.pop(name, None)
    return environment


def _url_path(desk: Desk, target: Path) -> str:
    if target.is_relative_to(desk.root):
        return target.relative_to(desk.root).as_posix()
    copied = desk.original(target)
    return copied.relative_to(desk.root).as_posix()  # `Desk.shown` gives the copy for it


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


def _told(desk: Desk, lab: str, copy: Path, what: str) -> Path:
    print(f"{what}: {copy}", flush=True)
    if desk.is_outdated(copy, lab):
        print(f"{lab} has changed since; --fresh makes a new copy and keeps this one", flush=True)
    return copy
