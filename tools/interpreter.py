"""Which Python the environment is made with; reads on every Python from 3.6, as `setup.py` does."""

import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)


class SetupError(Exception):
    """The set-up cannot go on: the exit code, and one line that says why and what to do."""

    def __init__(self, code, line):
        Exception.__init__(self, line)
        self.code = code


def is_suitable(version):
    """Return whether the course runs on a Python of this (major, minor)."""
    return OLDEST <= tuple(version[:2]) <= NEWEST


def version_of(python):
    """Return (major, minor) of an interpreter, or None where it does not start."""
    code = "import sys; print(sys.version_info[0], sys.version_info[1])"
    try:
        answer = subprocess.check_output([python, "-c", code], stderr=subprocess.DEVNULL)
        return tuple(int(part) for part in answer.split())
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def find_python(running=None):
    """Return (path, version) of this interpreter if the course runs on it, else of another one."""
    running = tuple(running or sys.version_info)[:2]
    if is_suitable(running):
        return getattr(sys, "_base_executable", None) or sys.executable, running
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        path = shutil.which("python3.%d" % minor)
        if path and version_of(path) == (3, minor):
            return path, (3, minor)
    raise SetupError(
        10,
        "Python %d.%d cannot run the course. It needs Python %d.%d to %d.%d. Install one (Debian, "
        "Ubuntu: apt install python3 python3-venv) or name one: make setup PYTHON=/path/to/python3"
        % (running + OLDEST + NEWEST),
    )


def require_venv_module(python, version):
    """Refuse an interpreter from which a distribution has split venv off."""
    if subprocess.call([python, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL):
        what = "Python %d.%d has no venv module. Install it (Debian, Ubuntu: apt install "
        raise SetupError(11, (what + "python%d.%d-venv) and repeat.") % (version + version))
