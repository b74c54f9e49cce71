"""A notebook file as text: its cells, its kernel, its digest, read without executing anything.

Reading needs the standard library only, so that planning a run costs milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datahall.course.exits import InputError


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook file.

    Attributes:
        number: Position in the file, counted from 1 over all cells.
        id: The cell's id, or `cell-7` where the file has none.
        kind: `code`, `markdown` or `raw`.
        source: Its text.
        tags: Its tags.
    """

    number: int
    id: str
    kind: str
    source: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A notebook file, read.

    Attributes:
        path: The file.
        kernel: Name of its kernel, or None.
        language: Language of its kernel; `python` however the file writes it.
        cells: Its cells.
        text: The file as it was read.
    """

    path: Path
    kernel: str | None
    language: str
    cells: tuple[Cell, ...]
    text: str = field(repr=False, compare=False)

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def code_cells(self) -> tuple[Cell, ...]:
        """The cells that a run executes: code that is not empty."""
        return tuple(cell for cell in self.cells if cell.kind == "code" and cell.source.strip())

    @property
    def digest(self) -> str:
        """SHA-256 of the code alone: prose and outputs may change, this does not."""
        text = "\n\x1e\n".join(cell.source for cell in self.code_cells)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def words(self) -> int:
        """Words of the prose: what a reader reads, without formulas' signs and link addresses."""
        prose = "\n".join(cell.source for cell in self.cells if cell.kind == "markdown")
        prose = re.sub(r"\]\([^)]*\)|<[^>]+>|[|#*_`$\\{}]", " ", prose)
        return len(re.findall(r"\w[\w'’.-]*", prose))

    @property
    def code_lines(self) -> int:
        """Lines of code that are not empty."""
        return sum(
            bool(line.strip()) for cell in self.code_cells for line in cell.source.splitlines()
        )


def read(path: Path) -> Source:
    """Read a notebook file.

    Raises:
        InputError: The file is missing, or is no notebook of format 4.
    """
    text = _load(path)
    raw = _parse(path, text)
    cells = raw.get("cells")
    if raw.get("nbformat") != 4 or not isinstance(cells, list):
        raise InputError(
            f"{path} is not a notebook of format 4 (nbformat is {raw.get('nbformat')!r}). "
            "Open and save it in JupyterLab, or convert it with `jupyter nbconvert --to notebook`."
        )
    metadata = raw.get("metadata") or {}
    kernelspec = metadata.get("kernelspec") or {}
    language = (
        (metadata.get("language_info") or {}).get("name") or kernelspec.get("language") or "python"
    )
    language = str(language)
    if re.fullmatch(r"i?python\d*", language, re.IGNORECASE):  # many public notebooks say python3
        language = "python"
    try:
        read_cells = tuple(_cell(n, cell) for n, cell in enumerate(cells, 1))
        return Source(path, kernelspec.get("name"), language, read_cells, text)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged: a cell lacks {error}. Restore the file, or save it again in "
            "JupyterLab."
        ) from error


def _load(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"{path} does not exist. Check the path; `datahall list` shows the course's notebooks."
        ) from error
    except IsADirectoryError as error:
        raise InputError(
            f"{path} is a folder. Give a notebook file that ends in .ipynb."
        ) from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}). Check its permissions."
        ) from error
    except ValueError as error:
        raise _not_json(path, error) from error


def _not_json(path: Path, error: ValueError) -> InputError:
    return InputError(f"{path} is not a notebook: it is not JSON ({error}). Restore the file.")


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_json(path, ValueError(str(error))) from error
    if not isinstance(raw, dict):
        raise InputError(
            f"{path} is not a notebook: its JSON is a {type(raw).__name__}, not an object. "
            "Restore the file."
        )
    return raw


def _cell(number: int, cell: dict[str, Any]) -> Cell:
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    tags = tuple(cell.get("metadata", {}).get("tags", ()))
    return Cell(number, str(cell.get("id") or f"cell-{number}"), str(cell["cell_type"]), text, tags)
