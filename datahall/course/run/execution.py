"""Executes one notebook with papermill, watches it, and reports what was found."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import papermill
from jupyter_core.utils import run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from datahall.course.notebooks import sources
from datahall.course.run import processes, verdict
from datahall.course.run.jobs import Job
from datahall.course.run.results import RECORD_TYPE, Failure, NotebookRun, Value
from datahall.course.run.watch import Sender, Watch

if TYPE_CHECKING:
    from datahall.course.run.worker import Orders

START_LIMIT_S = 120  # for a kernel on a machine where many start at once
_NOISE = (
    "without encryption",
    "frozen modules",
    "PYDEVD_DISABLE",
    "-Xfrozen_modules",
    "to python to disable",
)

logging.getLogger("papermill").setLevel(logging.ERROR)


class WatchedClient(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client, whose kernel process is known from its first moment."""

    watch: Watch

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        """Start the kernel and tell the watch."""
        await super().async_start_new_kernel(**kwargs)
        provisioner = self.km.provisioner
        self.watch.kernel_started(
            getattr(provisioner, "process", None), getattr(provisioner, "pid", None)
        )

    start_new_kernel = run_sync(async_start_new_kernel)  # the base class bound its own


class WatchedEngine(NBClientEngine):  # type: ignore[misc]
    """Papermill's engine with our client, whose hooks tell the watch what happens."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, watch: Watch, **_: Any
    ) -> None:
        """Execute; the watch limits the time, so nothing here does."""
        watch.load(nb_man.nb)
        client = WatchedClient(
            nb_man,
            kernel_name=kernel_name,
            timeout=None,
            startup_timeout=START_LIMIT_S,
            on_notebook_start=watch.kernel_ready,
            on_cell_execute=watch.cell_begins,
            on_cell_executed=watch.cell_replied,
        )
        client.watch = watch
        client.execute()


papermill_engines.register("datahall", WatchedEngine)


def execute(job: Job, channel: Sender, orders: Orders) -> None:
    """Execute one notebook and send `finished` with everything that was found."""
    source = sources.read(Path(job.path))
    watch = Watch(job, source, channel)
    orders.watch = watch
    if orders.closed.is_set():
        channel.send("broken", index=job.index, message="it was stopped before it began")
        return
    _open_log(job.log)
    os.environ[processes.MARKER] = job.marker
    started, begin = datetime.now(UTC), time.perf_counter()
    error = _run(job, source, watch)
    seconds = time.perf_counter() - begin
    log = _tidy_log(Path(job.log))
    status, failure = verdict.judge(watch, error, log)
    found = _found(watch, source, status, failure)
    run = replace(found, started=started.isoformat(timespec="seconds"), seconds=round(seconds, 3))
    _save(job, watch, status, failure)
    channel.send("finished", index=job.index, run=asdict(run))
    if job.page and watch.notebook is not None and watch.stopped in (None, "timeout"):
        _write_page(job.output, job.page)
    channel.send("idle", index=job.index)


def _write_page(output: str, page: str) -> None:
    """Write the executed notebook as a page; one that cannot be written is only missing."""
    from datahall.course.report import pages

    try:
        pages.write(Path(output), Path(page))
    except Exception:
        logging.getLogger(__name__).exception("no page of %s", output)


def _run(job: Job, source: sources.Source, watch: Watch) -> BaseException | None:
    """Let papermill execute; return what it raised. No process of the kernel is left."""
    limit = threading.Timer(job.timeout_s or 0, watch.stop, ("timeout", 3.0))
    limit.daemon = True
    if job.timeout_s:
        limit.start()
    error = None
    try:
        papermill.execute_notebook(
            _literal_path(job.path),
            _literal_path(job.output),
            parameters=job.parameters or None,
            engine_name="datahall",
            kernel_name=source.kernel or "python3",
            language=source.language,
            progress_bar=False,
            autosave_cell_every=5,
            cwd=job.folder,
            watch=watch,
        )
    except Exception as raised:
        error = raised
    finally:
        limit.cancel()
        processes.end_marked(job.marker)
        watch.close()
    return error


def _literal_path(path: str) -> str:
    """Papermill reads braces in a path as places for parameters; these are only braces."""
    return path.replace("{", "{{").replace("}", "}}")


def _found(
    watch: Watch, source: sources.Source, status: str, failure: Failure | None
) -> NotebookRun:
    meter = watch.meter
    return NotebookRun(
        name=source.stem,
        path="",
        title="",
        status=status,
        failure=failure,
        cpu_seconds=round(meter.cpu_seconds, 3) if meter else 0.0,
        peak_memory_bytes=meter.peak_memory_bytes if meter else 0,
        code_sha256=source.digest,
        cells=watch.cells,
        values=tuple(_values(watch)),
    )


def _values(watch: Watch) -> list[Value]:
    """Collect the records that cells put into their outputs."""
    found = []
    places = {id(cell): place for cell, place in zip(_cells(watch), watch.places, strict=False)}
    for cell in _cells(watch):
        for output in cell.get("outputs", ()):
            record = output.get("data", {}).get(RECORD_TYPE)
            records = record if isinstance(record, list) else [record]
            found += [
                Value.from_record(r, places[id(cell)][0]) for r in records if isinstance(r, dict)
            ]
    return found


def _cells(watch: Watch) -> list[Any]:
    """The executed cells, without the banners that papermill puts beside an error."""
    cells = watch.notebook.cells if watch.notebook is not None else []
    return [
        cell for cell in cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]


def _save(job: Job, watch: Watch, status: str, failure: Failure | None) -> None:
    """Write the executed notebook with our verdict in it; papermill's own is not to be trusted."""
    if watch.notebook is None:
        return
    runs = {(run.id, run.number): run for run in watch.cells}
    for cell, place in zip(_cells(watch), watch.places, strict=False):
        if place in runs:
            cell.metadata.setdefault("papermill", {})["status"] = runs[place].status
    watch.notebook.cells = _cells(watch)
    watch.notebook.metadata["datahall"] = {
        "status": status,
        "failure": asdict(failure) if failure else None,
    }
    path = Path(job.output)
    temporary = path.with_name(f".{path.name}.part")
    try:
        nbformat.write(watch.notebook, temporary)  # type: ignore[no-untyped-call]
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # what papermill wrote stays


def _open_log(path: str) -> None:
    """Send this process's standard error, and with it its kernels', to a file."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 2)
    os.close(handle)


def _tidy_log(path: Path) -> str:
    """Drop a log's lines that say nothing, or the whole log; return its last lines."""
    try:
        lines = path.read_text(errors="replace").splitlines()
        kept = [line for line in lines if line.strip() and not any(word in line for word in _NOISE)]
        if kept:
            path.write_text("\n".join(kept) + "\n")
        else:
            path.unlink()
    except OSError:
        return ""
    return "\n".join(kept[-20:])
