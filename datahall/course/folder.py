"""Where a run's results go: a folder named by time, renamed when it is whole.

`build/<id>/` holds `results.json`, `report.html`, `notebooks/` and `logs/`; `build/latest` leads to
the newest. Two runs at once never meet, and a reader never sees half a run.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import tempfile
import time
from datetime import datetime
from pathlib import Path

from datahall.course import catalogue
from datahall.course.exits import MachineError


class RunFolder:
    """The folder of one run, and its scratch space outside of the results.

    Attributes:
        id: Time and four random letters: `20261122-001136-3fa2`.
        work: Where files are while the run goes on.
        final: Where they are afterwards.
        scratch: Temporary folder for kernels: their working folders and state; gone after the run.
    """

    def __init__(self, base: Path | None) -> None:
        self.base = (base if base is not None else default_base()).resolve()
        self.id = f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self.work = self.base / f".{self.id}.part"
        self.final = self.base / self.id
        try:
            (self.work / "notebooks").mkdir(parents=True)
            (self.work / "logs").mkdir()
            (self.work / ".writable").write_bytes(b"0" * 4096)
            (self.work / ".writable").unlink()
            self.scratch = Path(tempfile.mkdtemp(prefix="datahall-run-"))
        except OSError as error:
            shutil.rmtree(self.work, ignore_errors=True)
            raise MachineError(
                f"The results cannot be written to {self.base} ({error.strerror}). Choose a "
                "folder that you may write with --output-dir."
            ) from error

    def scratch_folder(self, name: str) -> Path:
        """Return a folder in the scratch space."""
        path = self.scratch / name
        path.mkdir(exist_ok=True)
        return path

    def write(self, name: str, text: str) -> None:
        """Write a file of the results.

        Raises:
            MachineError: It cannot be written.
        """
        try:
            (self.work / name).write_text(text, encoding="utf-8")
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
        """Remove the scratch space."""
        shutil.rmtree(self.scratch, ignore_errors=True)


def default_base() -> Path:
    """Return `build/` of the checkout, or of the working folder where there is no checkout."""
    try:
        return catalogue.repository_root() / "build"
    except MachineError:
        return Path("build").resolve()


def clean(base: Path | None = None, *, keep: int = 0) -> tuple[int, int]:
    """Remove the folders of runs; return how many, and how many bytes they held.

    A run that another process is making now is left alone for a day.

    Args:
        base: Where the runs are; `build/` of the checkout if None.
        keep: How many of the newest finished runs to keep.
    """
    base = base if base is not None else default_base()
    name = re.compile(r"(\.?)\d{8}-\d{6}-[0-9a-f]{4}(\.part)?")
    runs = sorted(
        (path for path in base.glob("*") if name.fullmatch(path.name) and path.is_dir()),
        key=lambda path: path.name,
    )
    whole = [path for path in runs if not path.name.endswith(".part")]
    day_s = 86_400.0
    halves = [
        path
        for path in runs
        if path.name.endswith(".part") and time.time() - path.stat().st_mtime > day_s
    ]
    doomed = whole[: len(whole) - keep] + halves
    size = sum(file.stat().st_size for path in doomed for file in path.rglob("*") if file.is_file())
    for path in doomed:
        shutil.rmtree(path, ignore_errors=True)
    latest = base / "latest"
    if latest.is_symlink() and not latest.exists():
        latest.unlink()
    return len(doomed), size
