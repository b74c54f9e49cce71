"""The program that starts the ranks of a group, watches them, and ends them all.

`python -m datahall.scaling.starter` reads from its standard input what to run, forks the ranks, and
writes to its standard output what they tell and how they end. When its standard input closes, or
time is up, it kills them: so nothing is left when the process that wanted the group is gone.
NumPy is imported once, here, and shared by the ranks.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import selectors
import signal
import socket
import struct
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from typing import IO, Any

import cloudpickle

from datahall import programs
from datahall.scaling import peers

_FRAME = struct.Struct("<cQ")  # kind and length: what a rank sends to the starter
_LENGTH = struct.Struct("<Q")
_WORDS = 4_000  # the last bytes of a rank's output that are kept
_SPARE_S = 5.0  # after this much more than its limit, a rank ends itself


@dataclass
class Rank:
    """A rank as the starter sees it."""

    pid: int
    line: IO[bytes]
    output: IO[bytes]
    pending: bytes = b""
    value: bytes | None = None
    error: str = ""


def read_message(stream: IO[bytes]) -> Any:
    """Read one length-prefixed pickle.

    Raises:
        EOFError: The stream ends before it.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return pickle.loads(_exactly(stream, length))  # noqa: S301 (our own process, a pipe of ours)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    """Read so many bytes; a pipe gives what it holds, which may be less."""
    parts = bytearray()
    while len(parts) < size:
        part = stream.read(size - len(parts))
        if not part:
            raise EOFError("the other side has closed the pipe")
        parts += part
    return bytes(parts)


def write_message(stream: IO[bytes], message: Any) -> None:
    """Write one length-prefixed pickle."""
    body = pickle.dumps(message)
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


class Starter:
    """Forks ranks and follows them.

    Args:
        wanted: `ranks`, `limit_s`, `path` (of modules) and `job` (function and arguments, pickled).
        out: Where reports go.
    """

    def __init__(self, wanted: dict[str, Any], out: IO[bytes]) -> None:
        self.wanted, self.out, self.begin = wanted, out, time.monotonic()
        self.ranks: dict[int, Rank] = {}

    def run(self) -> None:
        """Start all ranks, follow them to their ends, and leave none."""
        try:
            self._start()
            self._follow()
        finally:
            for one in self.ranks.values():
                _end(one.pid)

    def _start(self) -> None:
        count, here = self.wanted["ranks"], os.getpid()
        listening = [peers.listener() for _ in range(count)]
        ports, token = [one.getsockname()[1] for one in listening], secrets.token_bytes(16)
        for rank in range(count):
            reader, writer = os.pipe()
            output = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the rank)
            pid = os.fork()
            if pid == 0:
                _become(rank, self.wanted, (listening, ports, token), writer, output, here)
            os.close(writer)
            os.setpgid(pid, pid)  # here too: whichever comes first
            self.ranks[rank] = Rank(pid, os.fdopen(reader, "rb", buffering=0), output)
        for one in listening:
            one.close()
        write_message(self.out, ("started", {rank: one.pid for rank, one in self.ranks.items()}))

    def _follow(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ, None)
            for rank, one in self.ranks.items():
                selector.register(one.line, selectors.EVENT_READ, rank)
            while self.ranks:
                left_s = self.begin + self.wanted["limit_s"] - time.monotonic()
                ready = selector.select(left_s) if left_s > 0 else []
                if not ready:
                    self._time_is_up()
                elif not all(self._served(key, selector) for key, _ in ready):
                    return

    def _served(self, key: selectors.SelectorKey, selector: selectors.BaseSelector) -> bool:
        """Deal with whoever has something to say; False when whoever wanted the group is gone."""
        if key.data is None:
            return self._command()
        if not self._hear(key.data):
            selector.unregister(key.fileobj)
            self._bury(key.data)
        return True

    def _command(self) -> bool:
        """Obey a command of whoever wanted the group; False when he is gone."""
        rank = os.read(0, 1)
        if rank and rank[0] in self.ranks:
            os.killpg(self.ranks[rank[0]].pid, signal.SIGKILL)
        return bool(rank)

    def _hear(self, rank: int) -> bool:
        """Take what a rank sends; False when it has closed its pipe."""
        one = self.ranks[rank]
        received = one.line.read(1 << 20)
        one.pending += received or b""
        while len(one.pending) >= _FRAME.size:
            kind, length = _FRAME.unpack_from(one.pending)
            if len(one.pending) < _FRAME.size + length:
                break
            body = one.pending[_FRAME.size : _FRAME.size + length]
            one.pending = one.pending[_FRAME.size + length :]
            if kind == b"t":
                write_message(self.out, ("told", rank, body))
            elif kind == b"r":
                one.value = body
            else:
                one.error = body.decode()
        return bool(received)

    def _bury(self, rank: int) -> None:
        one = self.ranks.pop(rank)
        code = _end(one.pid, wait_s=1.0)
        one.line.close()
        one.output.seek(max(one.output.seek(0, os.SEEK_END) - _WORDS, 0))
        words = one.output.read().decode(errors="replace").strip()
        took_s = time.monotonic() - self.begin
        write_message(self.out, ("ended", rank, code, one.value, one.error, words, took_s))

    def _time_is_up(self) -> None:
        for rank in list(self.ranks):
            limit = self.wanted["limit_s"]
            self.ranks[rank].error = f"still running after {limit:g} s, its time limit"
            os.killpg(self.ranks[rank].pid, signal.SIGKILL)
            self._bury(rank)


def _end(pid: int, *, wait_s: float = 0.0) -> int:
    """End a rank and what it has started; return its exit code, −9 for one that was killed."""
    until = time.monotonic() + wait_s
    while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0 and time.monotonic() < until:
        time.sleep(0.002)  # its pipe closes a moment before it ends
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    if ended[0] == 0:
        ended = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(ended[1])


def _become(
    rank: int,
    wanted: dict[str, Any],
    places: tuple[list[socket.socket], list[int], bytes],
    writer: int,
    output: IO[bytes],
    starter: int,
) -> None:
    """Be a rank, in the child: connect, call the function, send what comes back. Never returns."""
    code = 1
    try:
        _leave_the_starter(output, wanted["limit_s"], starter)
        listening, ports, token = places
        for other, one in enumerate(listening):
            if other != rank:
                one.close()
        sys.path[:] = wanted["path"]
        connected = peers.connect(rank, listening[rank], ports, token, limit_s=wanted["limit_s"])
        connected.tell = lambda value: _frame(writer, b"t", cloudpickle.dumps(value))
        function, arguments = pickle.loads(wanted["job"])  # noqa: S301 (our own pickle)
        value = function(connected, *arguments)
        _frame(writer, b"r", cloudpickle.dumps(value))
        code = 0
    except BaseException as error:  # also SystemExit: it must not reach the starter's code
        traceback.print_exc()
        _frame(writer, b"e", f"{type(error).__name__}: {error}".encode())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _leave_the_starter(output: IO[bytes], limit_s: float, starter: int) -> None:
    os.setpgid(0, 0)
    programs.die_with(starter)
    signal.setitimer(signal.ITIMER_REAL, limit_s + _SPARE_S)  # the last barrier: SIGALRM ends it
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)


def _frame(writer: int, kind: bytes, body: bytes) -> None:
    left = memoryview(_FRAME.pack(kind, len(body)) + body)
    while left:
        left = left[os.write(writer, left) :]


def main() -> None:
    """Run the group that standard input describes."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else writes into the reports
    wanted = read_message(os.fdopen(os.dup(0), "rb", buffering=0))
    Starter(wanted, out).run()


if __name__ == "__main__":
    main()
