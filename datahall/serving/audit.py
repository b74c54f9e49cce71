"""The audit log: who asked what, when, of which model, and what was decided, a line each.

A line is JSON, and holds the hash of the line before it: who changes, drops or adds a line breaks
every link behind it. Replicas write a file each. `first_altered` finds the first broken line.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from datahall.errors import DataError
from datahall.serving.defences import ALL, Defence, Defences

START = "0" * 64
_TAIL = re.compile(rb',"hash":"([0-9a-f]{64})"\}$')
_LONGEST = 1024  # letters of one value that a caller chose; a token has about 450


class AuditLog:
    """A log file that is only ever added to.

    Args:
        path: The file; made with mode 0600. What is there already is continued.
        key: Key of the chain; without one, who can write the file can forge a whole new chain.
        defences: Without `LOG_CHAIN` lines have no hash, without `LOG_ESCAPING` values are written
            as they come.

    Raises:
        DataError: The file cannot be opened.
    """

    def __init__(self, path: Path, key: bytes | None = None, *, defences: Defences = ALL) -> None:
        self._key, self._path = key, path
        self._chained = Defence.LOG_CHAIN in defences
        self._escaped = Defence.LOG_ESCAPING in defences
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            raise DataError(
                f"The log {path} cannot be opened ({error.strerror}). A plain file in a folder "
                "that may be written was expected. Choose another path."
            ) from error
        self.next, self.last = 0, START
        torn = self._resume()
        if torn:  # a crash in the middle of a line; that line was never promised to anybody
            self.write(what="recover", verdict="allowed", reason="torn_line", size=torn)

    def write(self, **said: Any) -> None:
        """Add a line; time, number and links are added to what is said.

        Args:
            said: The fields: `who`, `what`, `model`, `digest`, `verdict`, `reason`, `status`, …

        Raises:
            DataError: There is no room. The file then ends with the line before, whole.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"time": now, "seq": self.next, **said}
        if self._chained:
            entry["prev"] = self.last
        body = orjson.dumps(_cut(entry)) if self._escaped else _unescaped(entry)
        last = _link(body, self._key) if self._chained else self.last
        if self._chained:
            body = b'%b,"hash":"%b"}' % (body[:-1], last.encode())
        self._add(body + b"\n")
        self.next, self.last = self.next + 1, last

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _add(self, line: bytes) -> None:
        """Write a line, or nothing of it: a full disk takes the first bytes, and tells so later."""
        try:
            done = os.write(self._file, line)
            if done < len(line):
                os.ftruncate(self._file, os.fstat(self._file).st_size - done)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise DataError(
                f"The log {self._path} cannot be written ({error.strerror or error}). Room for a "
                "line was expected. Free some space; what is in the log stays whole."
            ) from error

    def _resume(self) -> int:
        """Continue where the file ends; returns how many bytes of a torn line were cut off."""
        size = os.fstat(self._file).st_size
        content = os.pread(self._file, size, 0)
        whole = content.rfind(b"\n") + 1
        if whole < size:
            os.ftruncate(self._file, whole)
        lines = content[:whole].splitlines()
        self.next = len(lines)
        found = _TAIL.search(lines[-1]) if lines else None
        if found:
            self.last = found[1].decode()
        return size - whole


def first_altered(
    lines: Sequence[str | bytes], *, key: bytes | None = None, last: str | None = None
) -> int | None:
    """Return the index of the first line that is not what was written there; None if all are.

    A log without a chain has no line that is known to be right: the answer is 0.

    Args:
        lines: The lines of one file, in order.
        key: Key of the chain, where it has one.
        last: Hash of the last line, as it is known from elsewhere: only so lines that are cut off
            at the end are missed.

    Example:
        >>> body = b'{"seq":0,"prev":"%b"}' % START.encode()
        >>> line = b'%b,"hash":"%b"}' % (body[:-1], _link(body, None).encode())
        >>> first_altered([line]), first_altered([line.replace(b"seq", b"sec")])
        (None, 0)
    """
    before = START
    for index, given in enumerate(lines):
        line = given.encode() if isinstance(given, str) else given
        found = _linked(line.rstrip(b"\n"), index, before, key)
        if found is None:
            return index
        before = found
    return len(lines) if last is not None and last != before else None


def _linked(line: bytes, index: int, before: str, key: bytes | None) -> str | None:
    """Return the hash of a line that is right, or None."""
    tail = _TAIL.search(line)
    if tail is None:
        return None
    body = line[: tail.start()] + b"}"
    said = tail[1].decode()
    if not hmac.compare_digest(said, _link(body, key)):
        return None
    try:
        entry = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    right = entry.get("prev") == before and entry.get("seq") == index
    return said if right else None


def _link(body: bytes, key: bytes | None) -> str:
    if key is None:
        return hashlib.sha256(body).hexdigest()
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def _cut(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value[:_LONGEST] if type(value) is str else value for name, value in entry.items()
    }


def _unescaped(entry: Mapping[str, Any]) -> bytes:
    """Return what a log by string formatting is: a value may end its line and begin another."""
    parts = (
        f'"{name}":"{value}"'
        if isinstance(value, str)
        else f'"{name}":{orjson.dumps(value).decode()}'
        for name, value in entry.items()
    )
    return ("{" + ",".join(parts) + "}").encode(errors="replace")
