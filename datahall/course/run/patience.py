"""Execute a learner's notebook to its end: a cell that hangs is interrupted, once."""

from __future__ import annotations

from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from nbformat import NotebookNode


class PatientClient(NotebookClient):
    """nbclient's client; a cell that is too late is interrupted, and the next cells go on.

    nbclient would interrupt a cell that ignores it again and again, for ever.

    Attributes:
        begun: The id of the cell that was begun last.
    """

    def __init__(self, notebook: NotebookNode, **settings: Any) -> None:
        super().__init__(
            notebook, interrupt_on_timeout=True, on_cell_execute=self._note, **settings
        )
        self.begun, self._late = "", ""

    def _note(self, cell: NotebookNode, cell_index: int) -> None:
        self.begun = str(cell.get("id", f"cell-{cell_index + 1}"))

    async def _async_handle_timeout(
        self, timeout: int, cell: NotebookNode | None = None
    ) -> dict[str, Any] | None:
        if self._late == self.begun and cell is not None:
            raise CellTimeoutError.error_from_timeout_and_cell("not interrupted", timeout, cell)
        self._late = self.begun
        return await super()._async_handle_timeout(timeout, cell)
