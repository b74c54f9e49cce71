"""JupyterLab's view of the course: opening a lab, by whatever link, opens the learner's copy of it.

The server is told to use this class by `datahall lab`. Nothing else of Jupyter changes.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from datahall.course.labs.copies import Desk
from datahall.errors import CourseError


class CourseContents(AsyncLargeFileManager):
    """The files of the checkout, with the learner's copies in the place of the labs."""

    @property
    def _desk(self) -> Desk:
        return Desk(Path(self.root_dir))

    async def get(self, path: str, content: bool = True, *args: Any, **kwargs: Any) -> Any:
        """Return a file; the first time that a lab is opened, its copy is made."""
        if content:
            with contextlib.suppress(CourseError):  # no copy can be made: the lab itself, then
                self._desk.take(self._in_the_checkout(path))
        return await super().get(path, content, *args, **kwargs)  # type: ignore[no-untyped-call]

    def _in_the_checkout(self, path: str) -> Path:
        return Path(super()._get_os_path(path))  # type: ignore[no-untyped-call]

    def _get_os_path(self, path: str) -> str:
        return str(self._desk.shown(self._in_the_checkout(path)))
