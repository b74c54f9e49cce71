"""Examines this machine: can it run the course, and if not, what to do.

Read `examine` first. Each finding is ok, a warning (the course runs, but something is slow or
missing) or bad (it does not run). TensorFlow is imported in a child process with a time limit, so
that a broken build cannot take the doctor down.
"""

from __future__ import annotations

from collections.abc import Sequence

from datahall.course.doctor import hardware, software, storage
from datahall.course.doctor.finding import BAD, OK, WARNING, Finding
from datahall.course.doctor.printing import anonymous, show, write_report

__all__ = [
    "BAD",
    "OK",
    "WARNING",
    "Finding",
    "anonymous",
    "can_run",
    "examine",
    "show",
    "write_report",
]


def examine() -> list[Finding]:
    """Look at everything the course needs; takes seconds, most of them for TensorFlow."""
    return [
        hardware.python(),
        hardware.memory(),
        hardware.cores(),
        hardware.instructions(),
        storage.disk(),
        software.packages(),
        software.tensorflow(),
        software.jupyterlab(),
        software.kernel(),
        software.widgets(),
        software.browser(),
        *storage.data(),
        storage.data_folder(),
        storage.results_folder(),
    ]


def can_run(findings: Sequence[Finding]) -> bool:
    """Tell whether nothing is bad."""
    return all(finding.status != BAD for finding in findings)
