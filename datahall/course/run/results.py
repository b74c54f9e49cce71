"""What a run found, as plain data: the schema of `results.json`, version 1.

Read `Results` first. Everything here is a frozen dataclass of plain values, written with `to_dict`
and read with `load`. pydantic checks what is read, not what is made: a path may be no UTF-8.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from datahall.course.exits import Exit, InputError

SCHEMA = 1
RECORD_TYPE = "application/vnd.datahall.result+json"
STATUSES = ("passed", "failed", "skipped", "interrupted")
FAILURES = (
    "error",
    "exit",
    "kernel-died",
    "kernel-start",
    "timeout",
    "unfinished",
    "output",
    "runner",
    "needs",
    "stopped",
)

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Failure:
    """Why a notebook did not pass.

    Attributes:
        kind: One of `FAILURES`.
        message: One line: what happened.
        cell_id: The cell in which it happened, or None outside of any.
        cell_number: Its position in the notebook file, from 1.
        traceback: The error in full, without colours.
    """

    kind: str
    message: str
    cell_id: str | None = None
    cell_number: int | None = None
    traceback: str = ""

    @property
    def line(self) -> str:
        """One line that says which cell and why."""
        return (
            f"cell {self.cell_id} ({self.cell_number}): {self.message}"
            if self.cell_id
            else self.message
        )


@dataclass(frozen=True)
class CellRun:
    """One code cell of a run: `passed`, `failed` or `not run`, and its seconds."""

    id: str
    number: int
    status: str
    seconds: float


@dataclass(frozen=True)
class Value:
    """A value that a notebook reported, with its bound if it states one."""

    name: str
    value: int | float | str | bool | None = None
    unit: str = ""
    claim: str | None = None
    bound: dict[str, Any] | None = None
    holds: bool | None = None
    given: str = ""
    cell_id: str = ""

    @classmethod
    def from_record(cls, record: Any, cell_id: str) -> Value:
        """Take the known fields out of a record that a cell's output carries.

        Raises:
            ValueError: It is no record as `report` and `expect` write it; says what is wrong.
        """
        if not isinstance(record, dict) or not isinstance(record.get("name"), str):
            raise ValueError(f"a record with a name was expected, not {str(record)[:80]}")
        texts = {name: plain_text(text) for name, text in record.items() if isinstance(text, str)}
        return _read(cls, record | texts | {"cell_id": cell_id})


@dataclass(frozen=True)
class Bounds:
    """How many stated bounds held, were broken, and were not judged under these parameters."""

    held: int = 0
    broken: int = 0
    not_judged: int = 0

    @classmethod
    def of(cls, values: Iterable[Value]) -> Bounds:
        """Count the bounds among values."""
        judged = [value.holds for value in values if value.bound is not None]
        return cls(judged.count(True), judged.count(False), judged.count(None))


@dataclass(frozen=True)
class NotebookRun:
    """One notebook, executed.

    Attributes:
        name: Its name in this run; the stem, with a number when two files share it.
        path: Where it was read, relative to the checkout where possible.
        title: Its title in the course, or its stem.
        module: Slug of its module, or None for a notebook outside the course.
        preset: The preset that gave its parameters, or None.
        parameters: The values given to it; what is not named kept its default.
        status: One of `STATUSES`.
        failure: Why it did not pass, or None.
        started: UTC, ISO 8601; "" when it was not started.
        seconds: Wall time from kernel start to kernel end.
        cpu_seconds: User and system time of the kernel and its children.
        peak_memory_bytes: Greatest resident memory of the kernel and its children together.
        code_sha256: Digest of its code cells.
        cells: Its code cells.
        values: What it reported.
        output: The executed notebook, relative to the results file, or None.
        html: The same as a page, or None.
        notes: What a reader should know besides: a damaged record, a kernel that had to start cold.
        cached: Whether nothing was executed: an earlier run of the same is given back.
    """

    name: str
    path: str
    title: str
    module: str | None = None
    preset: str | None = None
    parameters: dict[str, Any] | None = None
    status: str = "skipped"
    failure: Failure | None = None
    started: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    code_sha256: str = ""
    cells: tuple[CellRun, ...] = ()
    values: tuple[Value, ...] = ()
    output: str | None = None
    html: str | None = None
    notes: tuple[str, ...] = ()
    cached: bool = False

    @property
    def bounds(self) -> Bounds:
        """Its bounds, counted."""
        return Bounds.of(self.values)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> NotebookRun:
        """Read it back from plain data.

        Raises:
            ValueError: A field is missing or of another type.
        """
        return _read(cls, raw)


@dataclass(frozen=True)
class Results:
    """A whole run.

    Attributes:
        run: `id`, `started`, `seconds`, `preset`, `jobs`, `timeout_s`, `keep_going`, `interrupted`,
            `course_version`.
        machine: The facts that a measured value depends on; no name of a user or host.
        versions: Python's and the libraries' versions.
        code_sha256: Digest of the package's own code.
        data_sha256: Digest of each data set of the course, by name.
        notebooks: The notebooks in the order of the course.
        folder: Where it was read from or written to; not part of the file.
    """

    run: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    code_sha256: str
    data_sha256: dict[str, str]
    notebooks: tuple[NotebookRun, ...]
    folder: Path | None = None

    @property
    def exit_code(self) -> Exit:
        """What a command that made this run returns."""
        if self.run.get("interrupted"):
            return Exit.INTERRUPTED
        if any(run.failure and run.failure.kind == "output" for run in self.notebooks):
            return Exit.MACHINE
        return Exit.OK if all(run.status == "passed" for run in self.notebooks) else Exit.FAILED

    @property
    def ok(self) -> bool:
        """Whether every notebook passed."""
        return self.exit_code == Exit.OK

    @property
    def values(self) -> tuple[Value, ...]:
        """Every value reported, in order."""
        return tuple(value for run in self.notebooks for value in run.values)

    @property
    def bounds(self) -> Bounds:
        """All bounds, counted."""
        return Bounds.of(self.values)

    def counts(self) -> dict[str, int]:
        """Return how many notebooks have each status."""
        return {status: sum(run.status == status for run in self.notebooks) for status in STATUSES}

    def __getitem__(self, name: str) -> NotebookRun:
        """Return the run of the notebook with that name.

        Raises:
            InputError: It was not part of this run.
        """
        for run in self.notebooks:
            if run.name == name:
                return run
        raise InputError(
            f"{name!r} is not in these results. They hold: "
            f"{', '.join(run.name for run in self.notebooks)}."
        )

    def to_dict(self) -> Any:
        """Return plain data for `results.json`."""
        notebooks = [{**asdict(run), "bounds": asdict(run.bounds)} for run in self.notebooks]
        return plain(
            {
                "schema": SCHEMA,
                "status": "passed"
                if self.ok
                else "interrupted"
                if self.run.get("interrupted")
                else "failed",
                "exit_code": int(self.exit_code),
                "run": self.run,
                "counts": self.counts(),
                "bounds": asdict(self.bounds),
                "machine": self.machine,
                "versions": self.versions,
                "code_sha256": self.code_sha256,
                "data_sha256": self.data_sha256,
                "notebooks": notebooks,
            }
        )

    def to_json(self) -> str:
        """Return the text of `results.json`."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def load(path: Path) -> Results:
    """Read a results file.

    Args:
        path: `results.json`, or the folder that holds it, such as `build/latest`.

    Raises:
        InputError: It is missing, damaged, or of another schema.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        if raw["schema"] != SCHEMA:
            raise InputError(
                f"{file} has schema {raw['schema']!r}; this version reads {SCHEMA}. Run `datahall "
                "run` again."
            )
        return replace(_read(Results, raw), folder=file.parent)
    except FileNotFoundError as error:
        raise InputError(f"{file} does not exist. Run `datahall run` first.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{file} is not a results file ({error}). Run `datahall run` again."
        ) from error


def _read(kind: type[Kind], raw: Any) -> Kind:
    """Return plain data as a dataclass; unknown fields are left out, nothing is converted."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ValueError(f"{field!r}: {first['msg']}, not {str(first['input'])[:80]}") from error


def plain(value: Any) -> Any:
    """Return what JSON can hold: text for what is not finite, lists for tuples and sets.

    Example:
        >>> plain({"rate": float("inf"), "shape": (2, 3)})
        {'rate': 'inf', 'shape': [2, 3]}
    """
    if isinstance(value, dict):
        return {plain_text(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    if isinstance(value, bool | int | float | None):
        return value
    return plain_text(str(value))


def plain_text(text: str) -> str:
    r"""Return text that UTF-8 can hold: bytes of a file name that were no text are shown as such.

    Example:
        >>> plain_text("caf\udce9.ipynb")
        'caf\\udce9.ipynb'
    """
    return text.encode("utf-8", "backslashreplace").decode()
