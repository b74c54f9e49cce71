"""Are the data whole, and may results be written where they go."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from datahall import state
from datahall.course.doctor.finding import BAD, OK, WARNING, Finding
from datahall.errors import CourseError
from datahall.units import GB, format_quantity


def disk() -> Finding:
    """Look at the space where the data folder is."""
    folder = _existing(state.data_folder())
    free = shutil.disk_usage(folder).free
    found = f"{format_quantity(free, 'B')} free where the data folder is"
    if free < 0.3 * GB:
        return Finding(
            "Disk",
            BAD,
            found,
            "About 300 MB are needed. Free some space, or set DATAHALL_HOME to another disk.",
        )
    return Finding(
        "Disk", WARNING if free < GB else OK, found, "Free some space soon." if free < GB else ""
    )


def data() -> list[Finding]:
    """Check every byte of the data sets."""
    from datahall import datasets

    findings = []
    for name in datasets.names():
        try:
            problems = [report.problem for report in datasets.verify(name) if report.problem]
        except CourseError as error:
            problems = [str(error)]
        if problems:
            findings.append(
                Finding(
                    f"Data {name}",
                    BAD,
                    f"{len(problems)} files are not as they should be",
                    problems[0],
                )
            )
        else:
            findings.append(Finding(f"Data {name}", OK, "every file has its digest"))
    return findings


def data_folder() -> Finding:
    """Look whether the user's data folder can be written."""
    return _writable(
        "Data folder", state.data_folder(), "Set DATAHALL_HOME to a folder that you may write.", BAD
    )


def results_folder() -> Finding:
    """Look whether results can be written to their usual place."""
    from datahall.course.run import folder

    return _writable(
        "Results folder", folder.default_base(), "Use `datahall run --output-dir FOLDER`.", WARNING
    )


def _writable(what: str, path: Path, advice: str, status: str) -> Finding:
    folder = _existing(path)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        return Finding(what, status, f"{path} cannot be written ({error.strerror})", advice)
    return Finding(what, OK, f"{path} can be written")


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
