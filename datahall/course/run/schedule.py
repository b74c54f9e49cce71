"""Gives notebooks to workers in the order of their needs, and keeps what comes back."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datahall.course.run import pool, processes
from datahall.course.run.folder import RunFolder
from datahall.course.run.jobs import Job
from datahall.course.run.plan import Item
from datahall.course.run.pool import Worker
from datahall.course.run.results import Failure, NotebookRun
from datahall.course.run.view import View

OVERTIME_S = 30.0  # a worker that does not come back so long after its notebook's limit is ended
STOP_LIMIT_S = 10.0  # the same after an interrupt


@dataclass(frozen=True)
class Settings:
    """How a plan is carried out: notebooks at once, seconds for each, on after a failure or not."""

    jobs: int = 2
    timeout_s: float | None = None
    keep_going: bool = False
    pages: bool = True


class Schedule:
    """Carries out a plan; `interrupt` may be called from a signal handler."""

    def __init__(
        self,
        items: Sequence[Item],
        folder: RunFolder,
        settings: Settings,
        view: View,
        home: Path | None,
    ) -> None:
        self.items, self.folder, self.settings, self.view = items, folder, settings, view
        self.interrupts = 0
        self._events: queue.Queue[pool.Event] = queue.Queue()
        self._environment = pool.environment(folder, home=home)
        self._workers: list[Worker] = []
        self._started_workers = 0
        self._waiting = list(range(len(items)))
        self._deadlines: dict[int, float] = {}
        self._runs: dict[str, NotebookRun] = {}

    def interrupt(self) -> None:
        """Ask for an end: what runs is stopped and kept; asked twice, it is ended at once."""
        self.interrupts += 1

    def run(self) -> tuple[NotebookRun, ...]:
        """Execute everything that can be; return one result for each item, in the plan's order."""
        told = 0
        try:
            while self._waiting or self._running():
                if self.interrupts > told:
                    told = self.interrupts
                    self._stop_all()
                self._settle()
                self._assign()
                self._take_event()
                self._end_overdue()
                self.view.tick()
        finally:
            self._close()
        return tuple(self._with_page(self._runs[item.name]) for item in self.items)

    def _with_page(self, run: NotebookRun) -> NotebookRun:
        page = _page(run.name)
        return replace(run, html=page) if (self.folder.work / page).is_file() else run

    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.job is not None]

    def _settle(self) -> None:
        """Decide which notebooks will not start: interrupted, stopped by a failure, or lacking."""
        failed = [name for name, run in self._runs.items() if run.status == "failed"]
        for index in list(self._waiting):
            item = self.items[index]
            lacking = [
                need
                for need in item.needs
                if need in self._runs and self._runs[need].status != "passed"
            ]
            if self.interrupts:
                self._skip(index, "stopped", "not started: the run was interrupted", "interrupted")
            elif lacking:
                self._skip(
                    index, "needs", f"not started: it needs {lacking[0]}, which did not pass"
                )
            elif failed and not self.settings.keep_going:
                self._skip(
                    index,
                    "stopped",
                    f"not started: {failed[0]} failed (--keep-going runs the others)",
                )

    def _skip(self, index: int, kind: str, message: str, status: str = "skipped") -> None:
        self._waiting.remove(index)
        run = NotebookRun(
            "",
            "",
            "",
            status=status,
            failure=Failure(kind, message),
            code_sha256=self.items[index].source.digest,
        )
        self._keep(index, run, executed=False)

    def _assign(self) -> None:
        """Give notebooks whose needs are met to free workers; start workers while more may."""
        for index in list(self._waiting):
            if any(need not in self._runs for need in self.items[index].needs):
                continue
            worker = next((w for w in self._workers if w.job is None), None)
            if worker is None and len(self._workers) < self.settings.jobs:
                self._started_workers += 1
                worker = Worker(self._started_workers, self._environment, self.folder, self._events)
                self._workers.append(worker)
            if worker is None:
                return
            self._waiting.remove(index)
            worker.give(self._job(index))
            if self.settings.timeout_s:
                self._deadlines[index] = time.monotonic() + self.settings.timeout_s + OVERTIME_S
            self.view.started(self.items[index].name)

    def _job(self, index: int) -> Job:
        item = self.items[index]
        own = (
            item.entry is None
        )  # somebody's own notebook finds its files beside it; the course's need none
        return Job(
            index,
            str(item.source.path),
            str(self.folder.work / "notebooks" / f"{item.name}.ipynb"),
            str(item.source.path.parent if own else self.folder.scratch_folder(f"work-{index}")),
            str(self.folder.work / "logs" / f"{item.name}.txt"),
            f"{self.folder.id}/{index}",
            dict(item.parameters or {}),
            self.settings.timeout_s,
            str(self.folder.work / _page(item.name)) if self.settings.pages else None,
        )

    def _take_event(self) -> None:
        try:
            worker, event = self._events.get(timeout=0.1)
        except queue.Empty:
            return
        kind, index = event["event"], event.get("index")
        if kind == "cell" and index is not None:
            self.view.cell(self.items[index].name, event["id"], event["done"], event["of"])
        elif kind == "finished" and index is not None:
            self._keep(index, NotebookRun.from_dict(event["run"]))
        elif kind == "idle":
            worker.job = None
            self._deadlines.pop(event["index"], None)
        elif kind == "broken" and index is not None:
            self._lose(worker, f"the worker failed: {event['message']}", event.get("traceback", ""))
            worker.job = None
        elif kind == "gone" and worker in self._workers:
            self._bury(worker)

    def _bury(self, worker: Worker) -> None:
        """Take leave of a worker that ended by itself, in the midst of a notebook or not."""
        self._workers.remove(worker)
        code = worker.process.wait()
        if worker.job is not None:
            how = f"the process that ran it ended (exit code {code})"
            self._lose(worker, how, worker.last_words())
        worker.close()

    def _lose(self, worker: Worker, message: str, text: str) -> None:
        """Keep what is left of a notebook whose worker is lost."""
        assert worker.job is not None  # noqa: S101 (asked by the callers)
        processes.end_marked(worker.job.marker)
        index = worker.job.index
        if self.items[index].name in self._runs:
            return
        overdue = self._deadlines.pop(index, float("inf")) <= time.monotonic()
        status, kind = (
            ("interrupted", "stopped")
            if self.interrupts
            else ("failed", "timeout" if overdue else "worker-died")
        )
        failure = Failure(
            kind,
            message if kind == "worker-died" else "stopped, and ended by force",
            traceback=text,
        )
        self._keep(
            index,
            NotebookRun(
                "",
                "",
                "",
                status=status,
                failure=failure,
                code_sha256=self.items[index].source.digest,
            ),
        )

    def _keep(self, index: int, run: NotebookRun, *, executed: bool = True) -> None:
        item = self.items[index]
        output = f"notebooks/{item.name}.ipynb"
        run = replace(
            run,
            name=item.name,
            title=item.entry.title if item.entry else item.source.stem,
            module=item.entry.module if item.entry else None,
            preset=item.preset,
            parameters=dict(item.parameters or {}),
            output=output if executed and (self.folder.work / output).is_file() else None,
        )
        self._runs[item.name] = run
        self.view.finished(run)

    def _end_overdue(self) -> None:
        """End workers that do not come back."""
        now = time.monotonic()
        for worker in self._running():
            assert worker.job is not None  # noqa: S101 (it is running)
            if self._deadlines.get(worker.job.index, now + 1) <= now:
                worker.kill()

    def _stop_all(self) -> None:
        """Stop what runs; the second time, end it."""
        if self.interrupts == 1:
            self.view.note(
                "interrupted: stopping the kernels, keeping what is finished (once more ends at "
                "once)"
            )
        for worker in self._running():
            assert worker.job is not None  # noqa: S101 (it is running)
            if self.interrupts > 1:
                worker.kill()
                continue
            worker.stop("interrupt")
            self._deadlines[worker.job.index] = time.monotonic() + STOP_LIMIT_S

    def _close(self) -> None:
        for worker in self._workers:
            if worker.job is not None:
                worker.kill()
            worker.close()
        processes.end_marked(self.folder.id)


def _page(name: str) -> str:
    return f"notebooks/{name}.html"


def describe(settings: Settings) -> dict[str, Any]:
    """Return the settings as they stand in the results."""
    return {
        "jobs": settings.jobs,
        "timeout_s": settings.timeout_s,
        "keep_going": settings.keep_going,
    }
