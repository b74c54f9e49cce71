#!/usr/bin/env python3
"""Make the course's environment from the locks: `python3 tools/setup.py`, or `make setup`.

Needs nothing but Python's standard library, and reads on every Python from 3.6, so that an
unsuitable one is told what is wanted. A stamp, written last and by rename, says what the
environment was made from: an environment without one is half-made and is built afresh, one with
the stamp wanted is left alone, one made from an older lock is brought up to date. Extras, each with
a lock of its own, stay until they are dropped: `--extras jax ray`, `--extras none`.

Exit codes: 0 ready; 2 wrong arguments; 10 no suitable Python; 11 no venv module; 12 no disk space;
13 no network; 14 folder cannot be written; 15 the installer failed; 130 interrupted.
"""

import argparse
import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from interpreter import SetupError, find_python, require_venv_module

SPACE_MB = {"cpu": 4500, "gpu": 14000}  # environment, bytecode and the wheels while they unpack
LOCKS = {"cpu": "requirements.lock", "gpu": "requirements-gpu.lock"}
EXTRAS = {name: "requirements-%s.lock" % name for name in ("jax", "ray", "runtimes")}
STAMP, LOG, LOCK = "datahall-setup.json", "datahall-setup.log", "datahall-setup.lock"
PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"
# These settings of the caller would send packages elsewhere or lose the compiled files.
UNWANTED = ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PIP_USER", "PIP_TARGET")
NETWORK = re.compile(
    r"Max retries exceeded|NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout"
    r"|Connection refused|Network is unreachable|name resolution|ProxyError|Connection broken"
)
FULL = re.compile(r"No space left on device|Errno 28\b")


# --- what is there, what is wanted ----------------------------------------------------------


def digest(path):
    """Return the SHA-256 of a file, or say that the checkout lacks it."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SetupError(
            2, "cannot read %s (%s). Is this a whole checkout?" % (path, error.strerror)
        ) from error


def read_stamp(venv):
    """Return what the environment was made from; empty where it is missing or half-made."""
    try:
        stamp = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and (venv / PYTHON).exists() else {}


def write_stamp(venv, stamp):
    """Publish the stamp by rename: from here on the environment is trusted."""
    part = venv / (STAMP + ".part")
    with part.open("w") as file:
        json.dump(stamp, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    part.replace(venv / STAMP)


def wanted(project, venv, accelerator, extras, version):
    """Return the stamp of an environment that is up to date."""
    return {
        "extras": {name: digest(project / EXTRAS[name]) for name in sorted(extras)},
        "lock": digest(project / LOCKS[accelerator]),
        "pyproject": digest(project / "pyproject.toml"),
        "python": "%d.%d" % version,
        "accelerator": accelerator,
        "venv": str(venv),
        "project": str(project),
    }


def no_space(venv, what="it filled up during the installation"):
    """Return the error for a full disk."""
    return SetupError(
        12,
        "no space left on the disk of %s: %s. Make room, or put the environment elsewhere: "
        "DATAHALL_VENV=/some/where make run" % (venv, what),
    )


def require_room(venv, needed_mb):
    """Refuse to begin what the disk cannot hold."""
    free_mb = shutil.disk_usage(str(venv)).free // 10**6
    if free_mb < needed_mb:
        raise no_space(venv, "%d MB are free, %d MB are needed" % (free_mb, needed_mb))


def require_own(venv):
    """Refuse a folder that holds files and was not begun by a set-up: it would be emptied."""
    names = sorted(path.name for path in venv.iterdir()) if venv.is_dir() else []
    if names and not {STAMP, LOG, LOCK}.intersection(names):
        hint = (
            "Nothing was touched. Put the environment elsewhere: DATAHALL_VENV=/some/where make run"
        )
        what = "%s holds files that no set-up of the course made (%s). %s"
        raise SetupError(14, what % (venv, ", ".join(names[:3]), hint))


def clear(venv):
    """Empty the folder of the environment; the lock, held by us, and the log stay."""
    for path in (path for path in venv.iterdir() if path.name not in (LOCK, LOG)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(str(path))
        else:
            path.unlink()


@contextlib.contextmanager
def locked(venv):
    """Hold the environment's lock, waiting for another set-up to end; yields the open file."""
    try:
        venv.mkdir(parents=True, exist_ok=True)
        handle = (venv / LOCK).open("a")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise no_space(venv, "nothing can be written") from error
        hint = "Put the environment where you may write: DATAHALL_VENV=/some/where make run"
        raise SetupError(14, "cannot write %s (%s). %s" % (venv, error.strerror, hint)) from error
    with handle:
        try:
            import fcntl
        except ImportError:  # Windows: one set-up at a time is the user's care
            yield handle
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("another set-up is at work on %s; waiting for it" % venv, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle


# --- doing it -------------------------------------------------------------------------------


class Step:
    """One step shown while it runs: live on a terminal, every 15 seconds elsewhere."""

    def __init__(self, title):
        self.title, self.note, self.begun = title, "", time.time()
        self.live, self.done = sys.stdout.isatty(), threading.Event()
        self.clock = threading.Thread(target=self.tick)
        self.clock.daemon = True

    def show(self, end="\n"):
        """Print the step, what it is at, and the seconds since it began."""
        seconds = time.time() - self.begun
        line = "  %-24s %-22s %4d s" % (self.title, self.note, seconds)
        print(("\r" if self.live else "") + line, end=end, flush=True)

    def tick(self):
        """Show the step again and again until it is done."""
        while not self.done.wait(0.5 if self.live else 15):
            self.show(end="" if self.live else "\n")

    def __enter__(self):
        self.clock.start()
        return self

    def __exit__(self, kind, error, trace):
        self.done.set()
        self.clock.join()
        self.show()


class Installer:
    """Runs the programs of the set-up, their output in the log, and explains their failures."""

    def __init__(self, venv, lock):
        self.venv, self.lock, self.log = venv, lock, venv / LOG
        scratch = venv / "tmp"  # on the disk whose room was looked at
        scratch.mkdir(exist_ok=True)
        self.variables = {key: value for key, value in os.environ.items() if key not in UNWANTED}
        self.variables.update(TMPDIR=str(scratch), TEMP=str(scratch))

    def run(self, step, *command, accept=(0,)):
        """Run one program and show on the step how far it is."""
        # The program inherits the lock: where the set-up is killed and the program lives on, the
        # next set-up waits for it instead of working beside it.
        options = {"pass_fds": [self.lock.fileno()]} if os.name == "posix" else {}
        with self.log.open("a", errors="replace") as log:
            process = subprocess.Popen(
                command,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **options,
            )
            with process:
                lines = list(self.follow(step, process.stdout, log))
        if process.returncode not in accept:
            raise self.explain(lines, process.returncode)

    def follow(self, step, output, log):
        """Yield the lines of a program, each logged, and note on the step how far it is."""
        fetched = 0
        for raw in output:
            line = raw.decode(errors="replace")
            log.write(line)
            log.flush()
            if line.startswith(("Collecting ", "Processing ")):
                fetched += 1
                step.note = "%d packages fetched" % fetched
            elif fetched and line.startswith("Installing collected"):
                step.note = "%d packages unpacking" % fetched
            yield line

    def explain(self, lines, code):
        """Return the error that the output of a failed program shows."""
        output = "".join(lines)
        if FULL.search(output):
            return no_space(self.venv)
        if NETWORK.search(output):
            return SetupError(
                13,
                "no network: the package index cannot be reached. The first set-up needs it once; "
                "connect and repeat, or point pip to a mirror (PIP_INDEX_URL) or to a folder of "
                "wheels (PIP_NO_INDEX=1 PIP_FIND_LINKS=/folder). Details: %s" % self.log,
            )
        if code < 0:
            return SetupError(15, "the installer was killed (signal %d). Repeat it." % -code)
        errors = [line.strip() for line in lines if re.search(r"(?i)error: ", line)]
        errors.append("exit code %d" % code)
        return SetupError(15, "the installer failed: %s. Details: %s" % (errors[0], self.log))


def site_packages(venv):
    """Return the folder of the installed packages."""
    found = list(venv.glob("lib/python3.*/site-packages"))
    return found[0] if found else venv / "Lib" / "site-packages"


def leftovers(venv, locks, pyproject):
    """Return the installed packages that no lock names: an update takes them out."""

    def plain(name):
        return re.sub(r"[-_.]+", "-", name).lower()

    text = "\n".join(lock.read_text() for lock in locks)
    kept = re.findall(r"(?m)^([\w.-]+)==", text)
    kept += re.findall(r'(?m)^name = "(.+)"', pyproject.read_text())
    installed = {plain(path.name.split("-")[0]) for path in site_packages(venv).glob("*.dist-info")}
    return sorted(installed - {plain(name) for name in kept} - {"pip"})


def build(python, want, have, installer):
    """Make the environment, or bring it up to date, as the stamps `want` and `have` say."""
    venv, project = Path(want["venv"]), Path(want["project"])
    inner, files = str(venv / PYTHON), [LOCKS[want["accelerator"]]]
    files += [EXTRAS[name] for name in want["extras"]]
    pip = (inner, "-m", "pip", "--no-input", "--disable-pip-version-check")
    if have:
        (venv / STAMP).unlink()
    else:
        with Step("new environment") as step:
            options = ("--without-pip", "--prompt", "datahall", str(venv))
            installer.run(step, python, "-m", "venv", *options)
            # Run by itself: inside venv its output, such as a full disk, would be lost.
            installer.run(step, inner, "-m", "ensurepip", "--default-pip")
    if any(have.get(key) != want[key] for key in ("lock", "extras")):
        with Step("packages of the lock") as step:
            # The locks name every package, so pip need not look for what a package needs.
            options = ["--require-hashes", "--no-deps", "--no-compile"]
            locks = [project / file for file in files]
            options += [word for lock in locks for word in ("-r", str(lock))]
            installer.run(step, *pip, "install", *options)
            extra = leftovers(venv, locks, project / "pyproject.toml")
            if extra:
                installer.run(step, *pip, "uninstall", "-y", *extra)
    with Step("the course itself") as step:
        options = ("--no-deps", "--no-build-isolation", "--no-index", "--editable", str(project))
        installer.run(step, *pip, "install", *options)
    with Step("compiled bytecode") as step:
        # Some packages carry files for other Pythons, which do not compile: not our matter.
        options = ("-q", "-j", "0", "-x", "/pip/", str(site_packages(venv)))
        installer.run(step, inner, "-m", "compileall", *options, accept=(0, 1))
    shutil.rmtree(str(venv / "tmp"), ignore_errors=True)
    write_stamp(venv, want)


def arguments():
    """Read the command line."""
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Make the course's environment from the lock.")
    parser.add_argument("--project", default=here, type=Path, help="the checkout (default: this)")
    parser.add_argument("--venv", default=os.environ.get("DATAHALL_VENV") or None)
    parser.add_argument("--accelerator", choices=sorted(LOCKS), help="default: as it is, else cpu")
    parser.add_argument(
        "--extras", nargs="+", choices=[*EXTRAS, "none"], help="add these; none: drop all"
    )
    parser.add_argument("--needs-mb", type=int, help="disk space to ask for before beginning")
    return parser.parse_args()


def setup(options):
    """Leave a current environment behind."""
    project = options.project.resolve()
    venv = Path(os.path.abspath(options.venv or str(project / ".venv")))  # noqa: PTH100 - keeps links
    python, version = find_python()
    have = read_stamp(venv)
    accelerator = options.accelerator or have.get("accelerator") or "cpu"
    extras = set(options.extras or ()) | set(have.get("extras", {})) & set(EXTRAS)
    extras = set() if "none" in extras else extras
    want = wanted(project, venv, accelerator, extras, version)
    if have == want:
        return
    require_venv_module(python, version)
    require_own(venv)
    begun = time.time()
    with locked(venv) as lock:
        have = read_stamp(venv)  # another set-up may have done the work while we waited
        if have == want:
            return
        if any(have.get(key) != want[key] for key in ("python", "accelerator", "venv", "project")):
            have = {}  # such a change cannot be made in place: both TensorFlow builds would meet
        try:
            if not have:
                clear(venv)
                needed_mb = SPACE_MB[accelerator] if options.needs_mb is None else options.needs_mb
                require_room(venv, needed_mb)
            kind = " + ".join([accelerator, *want["extras"]])
            print("environment %s: Python %s, %s" % (venv, want["python"], kind), flush=True)
            build(python, want, have, Installer(venv, lock))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise no_space(venv) from error
    print("environment ready after %d s" % (time.time() - begun), flush=True)


def main():
    """Run the set-up; return its exit code."""
    try:
        setup(arguments())
    except SetupError as error:
        print("set-up: %s" % error, file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("\nset-up: interrupted. make setup begins again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
