"""The engine's work: papermill's bookkeeping around our execution, and our verdict above it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine
from papermill.exceptions import PapermillException
from papermill.log import logger

from datahall.course.run import outcome
from datahall.course.run.alone import execute_alone
from datahall.course.run.execute import INJECTED
from datahall.course.run.prepare import Prepared, tags_of
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
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        **_: Any,
    ) -> None:
        """Execute, tell papermill's progress bar and metadata what happens, judge.

        Args:
            nb_man: Papermill's manager of the notebook, which saves it.
            kernel_name: The kernel.
            execution_timeout: Seconds for one cell, papermill's option.
            timeout: The same, nbclient's name.
            log_output: Whether outputs go to papermill's log too.
            stdout_file: Where standard output goes too, or None.
            stderr_file: The same for standard error.

        Raises:
            StrictError: The notebook did not pass, and no cell shows it.
        """
        cells = nb_man.nb.cells
        places, number = [], 0  # a cell of parameters that papermill added has no number of its own
        for cell in cells:
            number += INJECTED not in tags_of(cell)
            places.append((str(cell.get("id") or f"cell-{number}"), max(number, 1)))
        index_of = {place: index for index, place in enumerate(places)}
        begun: list[int] = []
        log = SimpleNamespace(
            log=logger, log_output=log_output, stdout_file=stdout_file, stderr_file=stderr_file
        )

        def tell(cell: CellRun, *_: int) -> None:
            index = index_of[cell.id, cell.number]
            _finish(nb_man, begun, index, log)
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
        status, failure = outcome.judge(seen)
        end = len(cells) if status == "passed" or not begun else begun[-1] + 1
        _finish(nb_man, begun, end, log)
        state = {"passed": nb_man.COMPLETED, "failed": nb_man.FAILED}
        for index, run in seen.runs.items():
            cells[index].metadata["papermill"]["status"] = state.get(run.status, nb_man.PENDING)
            cells[index].metadata["papermill"]["exception"] = run.status == "failed"
        nb_man.nb.metadata["papermill"]["exception"] = True if failure else None
        late = failure is not None and failure.kind == "timeout"  # the cell shows only its end
        if failure is not None and (late or not _papermill_sees(cells)):
            nb_man.save()
            raise StrictError(_message(failure))


def _finish(nb_man: Any, begun: list[int], before: int, log: SimpleNamespace) -> None:
    """Let papermill count the cells before one as done, and log what they put out."""
    first = begun[-1] if begun else 0
    for index in range(first, before):
        for output in nb_man.nb.cells[index].get("outputs", ()):
            PapermillNotebookClient.log_output_message(log, output)
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
