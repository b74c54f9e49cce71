"""The files of the data sets: where each is looked for, unpacked once, checked, and then trusted.

Where a set is looked for, in this order: the folder named by `DATAHALL_DATA`, the repository's
`datasets/`, the user's data folder.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tomllib
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from datahall import state
from datahall.errors import DataError, ParameterError

_PACKAGE = Path(__file__).resolve().parents[1]
_MANIFEST = _PACKAGE / "datasets.toml"
_REPOSITORY = _PACKAGE.parent / "datasets"


@dataclass(frozen=True)
class FileReport:
    """What `verify` found out about one file; `problem` is empty, or says how to mend it."""

    name: str
    where: str
    problem: str


@cache
def _manifest() -> dict[str, Any]:
    return tomllib.loads(_MANIFEST.read_text())


def names() -> list[str]:
    """Return the names of the data sets that ship with the course.

    Example:
        >>> "mnist" in names()
        True
    """
    return list(_manifest())


def _facts(name: str) -> dict[str, Any]:
    if name not in _manifest():
        raise ParameterError(
            f"There is no data set {name!r}. One of {', '.join(names())} was expected. Check the "
            "spelling."
        )
    facts: dict[str, Any] = _manifest()[name]
    return facts


def digest(name: str) -> str:
    """Return one SHA-256 that stands for all files of a data set.

    Raises:
        ParameterError: There is no such data set.
    """
    files = _facts(name)["files"]
    return hashlib.sha256(
        "".join(f"{file} {files[file]['sha256']}\n" for file in sorted(files)).encode()
    ).hexdigest()


def _places(name: str) -> list[Path]:
    """Return the folders where a set is looked for, in order."""
    named = os.environ.get("DATAHALL_DATA")
    return [
        *([Path(named).expanduser() / name] if named else []),
        _REPOSITORY / name,
        state.data_folder() / "datasets" / name,
    ]


def _source(name: str, file: str) -> Path:
    """Return the first place's file, compressed or not.

    Raises:
        DataError: No place has it; the message names them all.
    """
    ending = _facts(name).get("compressed")
    for place in _places(name):
        candidates = [place / f"{file}.{ending}", place / file] if ending else [place / file]
        if ending and place == _places(name)[-1]:
            candidates.pop()  # the plain file there was unpacked from a source: it is none itself
        for candidate in candidates:
            if candidate.is_file():
                return candidate
    looked = ", ".join(str(place) for place in _places(name))
    raise DataError(
        f"The file {file} of the data set {name} is missing. It was looked for in {looked} "
        "(DATAHALL_DATA, the repository, your data folder). "
        f"In a clone, `git checkout -- datasets/{name}` brings it back; else set DATAHALL_DATA to "
        f"a folder that holds {name}/."
    )


def _mend(path: Path, name: str) -> str:
    if path.is_relative_to(_REPOSITORY):
        return (
            f"`git checkout -- datasets/{name}/{path.name}` brings the right one back, "
            f"`python datasets/{name}/make.py` makes it anew."
        )
    return f"Delete it, or put the right file there; the repository's datasets/{name} has it."


def _content(path: Path, name: str, file: str) -> bytes:
    """Read, decompress and check one source file.

    Raises:
        DataError: It cannot be read, is cut short, or is not what the manifest says.
    """
    facts = _facts(name)["files"][file]
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path} is damaged or cut short ({error}). A complete gzip file was expected. "
            f"{_mend(path, name)}"
        ) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}). A readable file was expected. "
            "Check its permissions."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != facts["sha256"]:
        raise DataError(
            f"{path} is not the file of the data set {name}: {len(content):,} bytes with SHA-256 "
            f"{found[:12]}…, "
            f"expected {facts['size_bytes']:,} bytes with {facts['sha256'][:12]}…. "
            f"{_mend(path, name)}"
        )
    return content


def path(name: str, file: str) -> Path:
    """Return the uncompressed file of a data set on disk; unpack and check it if need be.

    Args:
        name: The data set.
        file: The file's name in the manifest, without `.gz`.

    Raises:
        DataError: The source is missing or damaged, or the user's data folder cannot be written.
    """
    facts = _facts(name)["files"].get(file)
    if facts is None:
        raise ParameterError(
            f"The data set {name} has no file {file!r}. One of {', '.join(_facts(name)['files'])} "
            "was expected."
        )
    unpacked = state.data_folder() / "datasets" / name / file
    stamp = unpacked.with_name(f".{file}.verified")
    if _stamp(unpacked, facts["sha256"]) == _read(stamp):
        return unpacked
    if not (_stamp(unpacked, "") and _sha256(unpacked) == facts["sha256"]):
        state.write_atomically(unpacked, _content(_source(name, file), name, file))
    state.write_atomically(stamp, _stamp(unpacked, facts["sha256"]) or "")
    return unpacked


def _stamp(file: Path, sha256: str) -> str | None:
    """Return what must stay the same for a checked file to be trusted unread."""
    try:
        found = file.stat()
    except OSError:
        return None
    return json.dumps([found.st_size, found.st_mtime_ns, found.st_ino, sha256])


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def verify(name: str | None = None) -> list[FileReport]:
    """Check every byte of the files that ship, and of those unpacked from them.

    Args:
        name: One data set; all when left out.

    Returns:
        One report a file, with the problem and the command that mends it where there is one.
    """
    reports = []
    for each in [name] if name else names():
        for file, facts in _facts(each)["files"].items():
            try:
                source = _source(each, file)
                _content(source, each, file)
                reports.append(FileReport(f"{each}/{source.name}", str(source.parent), ""))
            except DataError as error:
                reports.append(FileReport(f"{each}/{file}", "", str(error)))
            unpacked = state.data_folder() / "datasets" / each / file
            if unpacked.is_file():
                good = _sha256(unpacked) == facts["sha256"]
                problem = (
                    ""
                    if good
                    else f"{unpacked} has been changed. Delete it: the next load unpacks it anew."
                )
                reports.append(
                    FileReport(f"{each}/{file} (unpacked)", str(unpacked.parent), problem)
                )
    return reports
