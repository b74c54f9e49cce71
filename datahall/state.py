"""Where Datahall keeps what it makes: the user's data folder, and how a file gets there whole.

Nothing is ever written into the repository by a notebook. One function, `data_folder`, knows the
place. A file appears by renaming, so a reader sees the old one or the new one and never a half.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_data_path

from datahall.errors import DataError


def data_folder() -> Path:
    """Return the user's data folder: `DATAHALL_HOME`, else the system's usual place."""
    home = os.environ.get("DATAHALL_HOME")
    return Path(home).expanduser() if home else user_data_path("datahall", appauthor=False)


def folder(*names: str) -> Path:
    """Return a folder inside the user's data folder, made if it is missing.

    Raises:
        DataError: It cannot be made.
    """
    path = data_folder().joinpath(*names)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"The folder {path} cannot be made ({error.strerror or error}). Datahall keeps results "
            "there. "
            "Set DATAHALL_HOME to a folder that you may write."
        ) from error
    return path


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold a folder against other processes that ask the same; the system lets go of it at an end.

    Args:
        place: A folder that is there.

    Raises:
        OSError: It is not, or may not be read.
    """
    import fcntl  # not on Windows, where nobody asks

    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_atomically(path: Path, content: bytes | str) -> Path:
    """Write a file so that nobody ever sees half of it: to a temporary name, synced, then renamed.

    Args:
        path: The file to make or replace.
        content: Bytes, or text that is written as UTF-8.

    Raises:
        DataError: The file cannot be written; the old one, if any, is unharmed.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mode = 0o666 & ~_umask()
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise DataError(
            f"{path} cannot be written ({error.strerror or error}). Free some space or choose "
            "another folder "
            "(DATAHALL_HOME, or --output-dir); what stood there before is unharmed."
        ) from error
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
