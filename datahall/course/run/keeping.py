"""What is kept of an execution: the executed notebook with our verdict, and its row of results."""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from datahall.course.run import outcome
from datahall.course.run.execute import Execution
from datahall.course.run.prepare import Prepared, dumps
from datahall.course.run.results import RECORD_TYPE, Failure, NotebookRun, Value


@dataclass(frozen=True)
class Writer:
    """Writes one executed notebook, whole or not at all, again and again while it runs."""

    prepared: Prepared
    path: Path

    def __call__(self) -> None:
        """Write what was executed so far.

        Raises:
            OSError: It cannot be written; what was written before stays.
        """
        write(self.path, dumps(self.prepared.notebook))


def write(path: Path, text: str) -> None:
    """Write a file by renaming; nothing half is left where that fails.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def finish(seen: Execution, writer: Writer, started: datetime) -> NotebookRun:
    """Judge an execution, write the executed notebook with the verdict, return what was found.

    Args:
        seen: What the execution saw.
        writer: Writes the notebook.
        started: When it began.
    """
    status, failure = outcome.judge(seen)
    _mark(writer.prepared, seen, status, failure)
    try:
        writer()
    except OSError as error:
        if status == "passed":
            status, failure = "failed", Failure("output", outcome.unwritable(error))
    values, notes = values_of(writer.prepared)
    if seen.order.warm and not seen.warm and seen.why_cold:
        notes.append(f"ran on a cold kernel: {seen.why_cold}")
    meter = seen.meter
    return NotebookRun(
        name="",
        path="",
        title="",
        status=status,
        failure=failure,
        started=started.isoformat(timespec="seconds"),
        seconds=round(seen.seconds, 3),
        cpu_seconds=round(meter.cpu_seconds, 3) if meter else 0.0,
        peak_memory_bytes=meter.peak_memory_bytes if meter else 0,
        cells=seen.cells,
        values=tuple(values),
        notes=tuple(notes),
    )


def _mark(prepared: Prepared, seen: Execution, status: str, failure: Failure | None) -> None:
    """Put our verdict into the notebook; what papermill would say there is not to be trusted."""
    for index, run in seen.runs.items():
        cell = prepared.notebook.cells[index]
        cell.metadata.setdefault("datahall", {})["status"] = run.status
    told = asdict(failure) if failure else None
    prepared.notebook.metadata["datahall"] = {"status": status, "failure": told}


def values_of(prepared: Prepared) -> tuple[list[Value], list[str]]:
    """Collect the records that cells put into their outputs; notes tell of damaged ones."""
    values, notes = [], []
    for cell, (cell_id, _) in zip(prepared.notebook.cells, prepared.positions, strict=True):
        for record in _records(cell):
            try:
                values.append(Value.from_record(record, cell_id))
            except ValueError as error:
                notes.append(f"cell {cell_id}: a damaged result was left out: {error}")
    return values, notes


def _records(cell: NotebookNode) -> list[Any]:
    found: list[Any] = []
    for output in cell.get("outputs", ()):
        record = (output.get("data") or {}).get(RECORD_TYPE)
        if record is not None:
            found += record if isinstance(record, list) else [record]
    return found
