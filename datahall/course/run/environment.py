"""The environment of a kernel: one function for every way of running a notebook."""

from __future__ import annotations

import os
from pathlib import Path

from datahall import guard
from datahall.course.run.processes import MARKER

# Without bytecode TensorFlow's import costs twice the CPU time; a kernel without a reader belongs
# to no session of JupyterLab and chooses its own drawing backend; a wrong answer must not stop a
# lab; and the marker of an outer run is not this one's.
UNSET = (
    "PYTHONDONTWRITEBYTECODE",
    "JPY_SESSION_NAME",
    "JPY_PARENT_PID",
    "MPLBACKEND",
    "DATAHALL_STRICT",
    MARKER,
)


def of_kernels(scratch: Path, *, home: Path | None = None, offline: bool = False) -> dict[str, str]:
    """Return the environment of a run's kernels: no reader, and all they leave is in scratch.

    Args:
        scratch: The run's temporary folder.
        home: Their data folder (`DATAHALL_HOME`); a fresh one in the scratch folder if None.
        offline: Whether they refuse every socket to another machine.
    """
    temporary, state = scratch / "tmp", home or scratch / "home"
    for folder in (temporary, state):
        folder.mkdir(parents=True, exist_ok=True)
    made = {
        "DATAHALL_HEADLESS": "1",
        "DATAHALL_HOME": str(state),
        "IPYTHONDIR": str(guard.prepare(scratch / "ipython")),
        "JUPYTER_PREFER_ENV_PATH": "1",  # not a kernel of the same name in the user's home
        "TMPDIR": str(temporary),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    }
    if offline:
        made["DATAHALL_OFFLINE_GUARD"] = "1"
    return {name: value for name, value in os.environ.items() if name not in UNSET} | made


def marked(run: str, name: str) -> dict[str, str]:
    """Return the variable by which the processes of one kernel of a run are known."""
    return {MARKER: f"{run}/{name}"}
