"""The engine's work: papermill's bookkeeping around our execution, and our verdict above it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from papermill.engines import Engine
from papermill.exceptions import PapermillException

from datahall.course.run import verdict
from datahall.course.run.alone import execute_alone
from datahall.course.run.prepare import Prepared
from datahall.course.run.results import CellRun, Failure


class StrictError(PapermillException):  # type: ignore[misc]
    """A notebook did not pass, though papermill alone would not have noticed."""


class StrictEngine(Engine):  # type: ignore[misc]
    """Executes a notebook with our core; it passes only if every cell ran without an error."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        execution_timeout: float | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> None:
        """Execute, tell papermill's progress bar and metadata what happens, judge.

        Args:
            nb_man: Papermill's manager of the notebook, which saves it.
            kernel_name: The kernel.
            execution_timeout: Seconds for one cell, papermill's option.
            timeout: The same, nbclient's name.

        Raises:
            StrictError: The notebook did not pass, and no cell shows it.
        """
        cells = nb_man.nb.cells
        places = [(str(cell.get("id") or f"cell-{n}"), n) for n, cell in enumerate(cells, 1)]
        index_of = {place: index for index, place in enumerate(places)}
        begun: list[int] = []

        def tell(cell: CellRun, *_: int) -> None:
            index = index_of[cell.id, cell.number]
            _finish(nb_man, begun, index)
            nb_man.cell_start(cells[index], index)
            begun.append(index)

        seen = execute_alone(
            Prepared(nb_man.nb, tuple(places)),
            kernel=kernel_name,
            folder=Path.cwd(),  # papermill has gone there
            cell_timeout_s=execution_timeout or timeout,
            save=nb_man.save,
            tell=tell,
        )
        status, failure = verdict.judge(seen)
        _finish(nb_man, begun, len(cells) if status == "passed" or not begun else begun[-1] + 1)
        state = {"passed": nb_man.COMPLETED, "failed": nb_man.FAILED}
        for index, run in seen.runs.items():
            cells[index].metadata["papermill"]["status"] = state.get(run.status, nb_man.PENDING)
            cells[index].metadata["papermill"]["exception"] = run.status == "failed"
        nb_man.nb.metadata["papermill"]["exception"] = True if failure else None
        if failure is not None and not _papermill_sees(cells):
            nb_man.save()
            raise StrictError(_message(failure))


def _finish(nb_man: Any, begun: list[int], before: int) -> None:
    """Let papermill count the cells before one as done."""
    first = begun[-1] if begun else 0
    for index in range(first, before):
        nb_man.cell_complete(nb_man.nb.cells[index], index)


def _papermill_sees(cells: list[Any]) -> bool:
    """Tell whether papermill will raise by itself: an error stands in an output, no polite exit."""
    return any(
        output.output_type == "error"
        and not (output.ename == "SystemExit" and output.evalue in ("", "0"))
        for cell in cells
        for output in cell.get("outputs", [])
    )


def _message(failure: Failure) -> str:
    return f"{failure.line}\n{failure.traceback}".rstrip()
