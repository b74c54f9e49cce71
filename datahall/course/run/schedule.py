"""Executes the notebooks of a plan, several at once, in the order of their needs."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datahall.course import warm
from datahall.course.run import environment, keeping
from datahall.course.run.cache import PAGE, Cache, Hit, give_back
from datahall.course.run.execute import Order, Stop, execute
from datahall.course.run.folder import RunFolder
from datahall.course.run.kernel import ALIAS, NATIVE
from datahall.course.run.plan import Item
from datahall.course.run.results import Failure, NotebookRun, plain_text
from datahall.course.run.view import View


@dataclass(frozen=True)
class Settings:
    """How a plan is carried out.

    Attributes:
        jobs: Notebooks at once.
        timeout_s: Seconds for each, or None.
        keep_going: Whether others start after one has failed.
        pages: Whether executed notebooks are written as pages too.
        kernel: The kernel for all of them, or None for each one's own.
    """

    jobs: int = 2
    timeout_s: float | None = None
    keep_going: bool = False
    pages: bool = True
    kernel: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return the settings as they stand in the results."""
        return {
            "jobs": self.jobs,
            "timeout_s": self.timeout_s,
            "keep_going": self.keep_going,
        }


class Schedule:
    """Carries out a plan; `interrupt` may be called from a signal handler."""

    def __init__(
        self,
        items: Sequence[Item],
        folder: RunFolder,
        settings: Settings,
        view: View,
        home: Path | None,
        keep: Callable[[Sequence[NotebookRun]], None] = lambda _: None,
        zygotes: Mapping[str, str] | None = None,
        cached: bool = False,
    ) -> None:
        self.items, self.folder, self.settings, self.view = items, folder, settings, view
        self.interrupts, self.zygotes = 0, zygotes or {}
        self._stop, self._keep_results = Stop(), keep
        self._environment = environment.of_kernels(folder.scratch.path, home=home)
        self._environment |= self.zygotes
        self._runs: dict[str, NotebookRun] = {}
        self._by_name = {item.name: item for item in items}
        scratch = folder.scratch.path
        self._cache = Cache(self._environment, scratch, scratch / "home") if cached else None

    @property
    def runs(self) -> tuple[NotebookRun, ...]:
        """One result for each item that is over, in the plan's order."""
        return tuple(self._runs[item.name] for item in self.items if item.name in self._runs)

    def interrupt(self) -> None:
        """Ask for an end: what runs is stopped and kept; asked twice, it is ended at once."""
        self.interrupts += 1
        if self.interrupts == 1:
            self.view.note(
                "interrupted: stopping the kernels, keeping what is finished (once more ends at "
                "once)"
            )
        self._stop("interrupt", at_once=self.interrupts > 1)

    async def run(self) -> None:
        """Execute everything that can be."""
        with self._signals():
            ticking = asyncio.create_task(self._tick())
            try:
                await self._run_all()
            finally:
                ticking.cancel()

    async def _run_all(self) -> None:
        chains, running = chain_seconds(self.items), set[asyncio.Task[None]]()
        waiting = sorted(range(len(self.items)), key=lambda index: -chains[index])
        while waiting or running:
            self._settle(waiting)
            for index in list(waiting):
                met = all(need in self._runs for need in self.items[index].needs)
                if met and len(running) < self.settings.jobs:
                    waiting.remove(index)
                    running.add(asyncio.create_task(self._execute(index)))
            if running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # a fault of ours is not kept quiet

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.view.tick()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn Ctrl-C, a termination request and a closed terminal into an orderly end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        names = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        for name in names:
            loop.add_signal_handler(name, self.interrupt)
        try:
            yield
        finally:
            for name in names:
                loop.remove_signal_handler(name)

    def _settle(self, waiting: list[int]) -> None:
        """Decide which notebooks will not start: interrupted, stopped by a failure, or lacking."""
        failed = [name for name, run in self._runs.items() if run.status == "failed"]
        for index in list(waiting):
            needs = self.items[index].needs
            lacking = [n for n in needs if n in self._runs and self._runs[n].status != "passed"]
            if self.interrupts:
                why = Failure("stopped", "not started: the run was interrupted")
            elif lacking:
                why = Failure("needs", f"not started: it needs {lacking[0]}, which did not pass")
            elif failed and not self.settings.keep_going:
                how = f"not started: {failed[0]} failed (--keep-going runs the others)"
                why = Failure("stopped", how)
            else:
                continue
            waiting.remove(index)
            status = "interrupted" if self.interrupts else "skipped"
            self._keep(index, NotebookRun("", "", "", status=status, failure=why), executed=False)

    async def _execute(self, index: int) -> None:
        """Execute one notebook, or give its earlier run back, and keep what was found."""
        item, started = self.items[index], datetime.now(UTC)
        self.view.started(item.name)
        writer = keeping.Writer(item.prepared, self.folder.work / _output(item.name))
        cache = self._cache if item.entry is not None else None
        try:
            hit = cache.find(item, self._by_name) if cache else None
            if hit is not None:
                self._keep(index, await self._given_back(item, writer, hit))
                return
            order = self._order(index, writer)
            seen = await execute(order, tell=self._teller(item), stop=self._stop)
            run = keeping.finish(seen, writer, started)
        except Exception as error:  # ours, not the notebook's: the others go on
            failure = Failure("runner", f"the runner failed: {type(error).__name__}: {error}")
            run = NotebookRun("", "", "", status="failed", failure=failure)
        if self.settings.pages and run.status in ("passed", "failed"):
            run = await self._with_page(item, run)
        if cache is not None:
            page = self.folder.work / run.html if run.html else None
            cache.keep(item, self._by_name, run, self._observed(index), page)
        self._keep(index, run)

    async def _given_back(self, item: Item, writer: keeping.Writer, hit: Hit) -> NotebookRun:
        """Write the notebook of a hit, today's prose around the outputs of then."""
        same_prose, stored = give_back(item, hit), hit.folder / PAGE
        writer()
        page = f"notebooks/{item.name}.html"
        if not self.settings.pages:
            return replace(hit.run, html=None)
        if same_prose and stored.is_file():
            shutil.copyfile(stored, self.folder.work / page)
            return replace(hit.run, html=page)
        return await self._with_page(item, hit.run)

    def _observed(self, index: int) -> Path:
        return self.folder.scratch.folder("observed") / f"{index}.json"

    def _teller(self, item: Item) -> Callable[[Any, int, int], None]:
        return lambda cell, done, of: self.view.cell(item.name, cell.id, done, of)

    def _order(self, index: int, writer: keeping.Writer) -> Order:
        item, scratch = self.items[index], self.folder.scratch
        own = item.entry is None  # somebody's own notebook finds its files beside it
        kernel = self.settings.kernel or item.source.kernel or NATIVE
        return Order(
            notebook=item.prepared.notebook,
            positions=item.prepared.positions,
            kernel=NATIVE if kernel == ALIAS else kernel,
            folder=item.source.path.parent if own else scratch.folder(f"work-{index}"),
            environment=self._environment | self._own(index),
            log=self.folder.work / "logs" / f"{item.name}.txt",
            timeout_s=self.settings.timeout_s,
            save=writer,
            warm=warm.FOLDER in self._environment,
            connection=scratch.folder("runtime") / f"kernel-{index}.json",
            observed=self._observed(index) if self._cache and not own else None,
        )

    def _own(self, index: int) -> dict[str, str]:
        """Return the variables of one kernel: its marker, and from what it may be forked."""
        kind = {warm.KIND: warm.kind_of(self.items[index].source.path)}
        return kind | environment.marked(self.folder.scratch.id, str(index))

    async def _with_page(self, item: Item, run: NotebookRun) -> NotebookRun:
        """Write the executed notebook as a page; one that cannot be written is only missing."""
        from datahall.course.report import pages

        output, page = self.folder.work / _output(item.name), f"notebooks/{item.name}.html"
        if not output.is_file():
            return run
        try:
            await asyncio.to_thread(pages.write, output, self.folder.work / page)
        except Exception as error:
            return replace(run, notes=(*run.notes, f"no page could be made: {error}"))
        return replace(run, html=page)

    def _keep(self, index: int, run: NotebookRun, *, executed: bool = True) -> None:
        item = self.items[index]
        output = _output(item.name)
        self._runs[item.name] = replace(
            run,
            name=item.name,
            title=item.entry.title if item.entry else plain_text(item.source.stem),
            module=item.entry.module if item.entry else None,
            preset=item.preset,
            parameters=dict(item.parameters or {}),
            code_sha256=item.source.digest,
            output=output if executed and (self.folder.work / output).is_file() else None,
        )
        self.view.finished(self._runs[item.name])
        self._keep_results(self.runs)


def chain_seconds(items: Sequence[Item]) -> list[float]:
    """Return for each notebook the seconds of the longest chain of needs that begins with it.

    Seconds are those of the measured classroom runs, one where none is known. What begins a long
    chain starts first: otherwise its end would be waited for with nothing beside it.

    Args:
        items: The plan; a notebook stands behind its needs.
    """
    after: dict[str, float] = {}
    found = []
    for item in reversed(items):
        seconds = (item.entry.run_s if item.entry else None) or 1.0
        found.append(seconds + after.get(item.name, 0.0))
        for need in item.needs:
            after[need] = max(after.get(need, 0.0), found[-1])
    return found[::-1]


def _output(name: str) -> str:
    return f"notebooks/{name}.ipynb"
