"""Where a run's results go: a folder named by time, renamed when it is whole.

`build/<id>/` holds `results.json`, `report.html`, `notebooks/` and `logs/`; `build/latest` leads to
the newest. Two runs at once never meet, and a reader never sees half a run.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import time
from datetime import datetime
from pathlib import Path

from datahall.course import catalogue
from datahall.course.exits import MachineError
from datahall.course.run import keeping
from datahall.course.run.scratch import Scratch

DAY_S = 86_400.0
RUN_MARK = ".datahall-run"  # in the folder of a run: `clean` removes nothing without it


class RunFolder:
    """The folder of one run, and its scratch space outside of the results.

    Attributes:
        id: Time and four random letters: `20261122-001136-3fa2`.
        work: Where files are while the run goes on.
        final: Where they are afterwards.
        scratch: Temporary space for kernels: their working folders and state; gone after the run.
    """

    def __init__(self, base: Path | None) -> None:
        self.base = (base if base is not None else default_base()).resolve()
        self.id = f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self.work = self.base / f".{self.id}.part"
        self.final = self.base / self.id
        try:
            (self.work / "notebooks").mkdir(parents=True)
            (self.work / "logs").mkdir()
            for text in (" " * 4096, f"{self.id}\n"):  # is there room for a little?
                (self.work / RUN_MARK).write_text(text)
            self.scratch = Scratch(self.id)
        except OSError as error:
            self._drop_work()
            raise MachineError(
                f"The results cannot be written to {self.base} ({error.strerror}). Choose a "
                "folder that you may write with --output-dir."
            ) from error

    def _drop_work(self) -> None:
        """Remove what could not be begun, as far as it was made here: empty but for our mark."""
        with contextlib.suppress(OSError):
            (self.work / RUN_MARK).unlink()
        for folder in (self.work / "notebooks", self.work / "logs", self.work):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def write(self, name: str, text: str) -> None:
        """Write a file of the results.

        Raises:
            MachineError: It cannot be written.
        """
        try:
            keeping.write(self.work / name, text)
        except OSError as error:
            raise MachineError(
                f"{name} cannot be written to {self.base} ({error.strerror}). Free some space, or "
                "choose another --output-dir; "
                f"what was finished is in {self.work}."
            ) from error

    def publish(self) -> Path:
        """Rename the folder to its final name, lead `latest` to it, and return it."""
        with contextlib.suppress(OSError):
            (self.work / "logs").rmdir()  # only when it is empty
        try:
            self.work.replace(self.final)
            self._lead_latest()
        except OSError as error:
            raise MachineError(
                f"The results cannot be published in {self.base} ({error.strerror}); they are in "
                f"{self.work}."
            ) from error
        return self.final

    def _lead_latest(self) -> None:
        latest, fresh = self.base / "latest", self.base / f".latest-{self.id}"
        if latest.is_dir() and not latest.is_symlink():
            return  # somebody's own folder
        try:
            fresh.symlink_to(self.final.name, target_is_directory=True)
        except (
            OSError,
            NotImplementedError,
        ):  # a system without links: a file that names the folder
            fresh.write_text(self.final.name)
        fresh.replace(latest)

    def drop_scratch(self) -> None:
        """Remove the scratch space, and end what runs in it."""
        self.scratch.close()


def default_base() -> Path:
    """Return `build/` of the checkout, or of the working folder where there is no checkout."""
    try:
        return catalogue.repository_root() / "build"
    except MachineError:
        return Path("build").resolve()


def clean(base: Path | None = None, *, keep: int = 0) -> tuple[int, int]:
    """Remove the folders of runs; return how many, and how many bytes they held.

    Only folders that bear a run's name and hold the mark of that run are removed; a run that
    another process is making now is left alone for a day.

    Args:
        base: Where the runs are; `build/` of the checkout if None.
        keep: How many of the newest finished runs to keep.
    """
    base = base if base is not None else default_base()
    runs = sorted((path for path in base.glob("*") if _is_run(path)), key=lambda path: path.name)
    whole = [path for path in runs if not path.name.endswith(".part")]
    halves = [path for path in runs if path not in whole]
    doomed = whole[: max(0, len(whole) - keep)]
    doomed += [path for path in halves if time.time() - path.stat().st_mtime > DAY_S]
    size = sum(file.stat().st_size for path in doomed for file in path.rglob("*") if file.is_file())
    for path in doomed:
        shutil.rmtree(path, ignore_errors=True)
    latest = base / "latest"
    if latest.is_symlink() and not latest.exists():
        latest.unlink()
    return len(doomed), size


def _is_run(path: Path) -> bool:
    """Tell whether a folder was made by a `RunFolder`: by its name and by the mark inside."""
    name = re.fullmatch(r"\.?(\d{8}-\d{6}-[0-9a-f]{4})(\.part)?", path.name)
    if name is None or path.is_symlink():
        return False
    try:
        mark = (path / RUN_MARK).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return mark.split(maxsplit=1)[:1] == [name[1]]
