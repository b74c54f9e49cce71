"""JupyterLab's view of the course: the learner's folder, which fills as things are opened.

The server is told to use this class by `datahall lab`; its root is the learner's folder. Nothing
that is saved, renamed or deleted there can reach the checkout. A notebook that a link names and the
learner does not have yet is copied; the home page is written anew; documents and data sheets are
shown as the checkout has them, and cannot be changed.
"""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError
from traitlets import Unicode

from datahall.course.labs import home
from datahall.course.labs.copies import Desk
from datahall.errors import CourseError

SHOWN = ("docs", "datasets")  # of the checkout, as they are


class CourseContents(AsyncLargeFileManager):
    """The learner's folder, with the course's documents beside their own copies."""

    checkout = Unicode(help="Folder of the course").tag(config=True)

    @property
    def _desk(self) -> Desk:
        return Desk(Path(self.checkout), Path(self.root_dir))

    @cached_property
    def _course(self) -> AsyncLargeFileManager:
        return AsyncLargeFileManager(parent=self.parent, root_dir=self.checkout)

    async def get(self, path: str, content: bool = True, *args: Any, **kwargs: Any) -> Any:
        """Return a file; a notebook of the course that is not there yet is copied first."""
        if _is_shown(path):
            model = await self._course.get(path, content, *args, **kwargs)  # type: ignore[no-untyped-call]
            return model | {"writable": False}
        with contextlib.suppress(CourseError, OSError):  # it cannot be made: then it is not there
            if path.strip("/") == home.NAME:
                home.write(self._desk)
            else:
                self._desk.take(path.strip("/"))
        return await super().get(path, content, *args, **kwargs)  # type: ignore[no-untyped-call]

    async def save(self, model: Any, path: str = "") -> Any:
        """Write a file of the learner's."""
        _refuse(path)
        return await super().save(model, path)  # type: ignore[no-untyped-call]

    async def delete_file(self, path: str) -> Any:
        """Move a file of the learner's to the system's trash."""
        _refuse(path)
        return await super().delete_file(path)  # type: ignore[no-untyped-call]

    async def rename_file(self, old_path: str, new_path: str) -> Any:
        """Rename a file of the learner's; no file that is there is replaced."""
        _refuse(old_path)
        _refuse(new_path)
        return await super().rename_file(old_path, new_path)  # type: ignore[no-untyped-call]

    async def is_hidden(self, path: str) -> bool:
        """Tell whether a file or folder is not to be seen."""
        if _is_shown(path):
            return bool(await self._course.is_hidden(path))  # type: ignore[no-untyped-call]
        return bool(await super().is_hidden(path))  # type: ignore[no-untyped-call]

    async def file_exists(self, path: str) -> bool:
        """Tell whether there is such a file."""
        if _is_shown(path):
            return bool(await self._course.file_exists(path))
        return bool(await super().file_exists(path))

    async def dir_exists(self, path: str) -> bool:
        """Tell whether there is such a folder."""
        if _is_shown(path):
            return bool(await self._course.dir_exists(path))  # type: ignore[no-untyped-call]
        return bool(await super().dir_exists(path))  # type: ignore[no-untyped-call]


def _is_shown(path: str) -> bool:
    return path.strip("/").partition("/")[0] in SHOWN


def _refuse(path: str) -> None:
    if _is_shown(path):
        raise HTTPError(403, f"{path} belongs to the course, and stays as it is. Save a copy.")
