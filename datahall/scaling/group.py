"""A group of ranks: real processes that run one function each and talk over sockets.

`run` starts them, waits, and returns what each rank returns. `Group` is for those who want to
watch, or to kill a rank. Nothing is left behind, whatever happens: no process, no port, no file.

The ranks are forked from a starter (`starter`) that holds NumPy and nothing else: a group of four
starts in a quarter of a second. A function may import TensorFlow for itself, in its rank.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cloudpickle

from datahall.errors import CourseError, ParameterError
from datahall.scaling import starter
from datahall.scaling.peers import GoneError

MOST_RANKS = 64
_PATIENCE_S = 10.0  # that the starter gets beyond the group's limit


class GroupError(CourseError, RuntimeError):
    """A rank of a group failed, was killed, or took too long."""


@dataclass(frozen=True)
class Told:
    """What a rank told while it ran, by `peers.tell(value)`."""

    rank: int
    value: Any


@dataclass(frozen=True)
class Outcome:
    """How a rank ended.

    Attributes:
        rank: Which one.
        exit_code: 0 when its function returned, 1 when it raised, −9 when it was killed.
        value: What its function returned; None otherwise.
        error: What it raised, in one line, or why it was killed; empty when it returned.
        words: The last of what it wrote to standard output and error.
        took_s: Seconds from the group's start to its end.
    """

    rank: int
    exit_code: int
    value: Any
    error: str
    words: str
    took_s: float


class Group:
    """Ranks that run `function(peers, *args)`, as a context manager: leaving it ends them all.

    Args:
        ranks: How many processes, 1 to 64.
        function: Called in each with its connections (`Peers`). It travels by cloudpickle: a
            function of a module by its name, one of a notebook by its text.
        args: What it is called with.
        limit_s: Seconds after which the ranks that still run are killed.

    Attributes:
        pids: The process id of each rank.

    Raises:
        ParameterError: The number of ranks or the limit is out of range.
    """

    def __init__(
        self, ranks: int, function: Callable[..., Any], *args: Any, limit_s: float = 60.0
    ) -> None:
        _check(ranks, limit_s)
        self.ranks, self.limit_s = ranks, limit_s
        self.pids: dict[int, int] = {}
        self._ended: dict[int, Outcome] = {}
        self._wanted = {
            "ranks": ranks,
            "limit_s": limit_s,
            "path": list(sys.path),
            "job": cloudpickle.dumps((function, args)),
        }

    def __enter__(self) -> Group:
        environment = dict(os.environ) | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._starter = subprocess.Popen(  # our own module, our own interpreter
            [sys.executable, "-P", "-m", "datahall.scaling.starter"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, start_new_session=True,  # Ctrl-C reaches us; we end the group
        )  # fmt: skip
        try:
            starter.write_message(self._in, self._wanted)
            _, self.pids = starter.read_message(self._out)
        except BaseException as error:
            words = self._close()
            if isinstance(error, (EOFError, OSError)):
                raise GroupError(
                    f"the ranks did not start: {words or error}. {self.ranks} processes were "
                    "expected. See whether this system can fork and has a loopback address."
                ) from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def kill(self, rank: int) -> None:
        """Kill a rank with SIGKILL; one that has ended stays as it is."""
        if rank not in self.pids:
            raise ParameterError(
                f"rank is {rank!r}. One of 0 to {self.ranks - 1} was expected. Choose one of these."
            )
        with contextlib.suppress(BrokenPipeError):  # all have ended
            self._in.write(bytes([rank]))
            self._in.flush()

    def events(self) -> Iterator[Told | Outcome]:
        """Yield what ranks tell, and how they end, as it happens; ends with the last rank."""
        while len(self._ended) < self.ranks:
            try:
                kind, rank, *rest = starter.read_message(self._out)
            except EOFError:
                raise GroupError(
                    "the process that started the ranks has gone, and the ranks with it. It was "
                    "expected to stay until they end. See whether something killed it."
                ) from None
            if kind == "told":
                yield Told(rank, _value(rest[0]))
                continue
            code, value, error, words, took_s = rest
            error = error or (f"killed by signal {-code}" if code < 0 else "")
            kept = _value(value) if value is not None else None
            self._ended[rank] = Outcome(rank, code, kept, error, words, took_s)
            yield self._ended[rank]

    def wait(self) -> list[Outcome]:
        """Return how each rank ended, in order, once all have."""
        for _ in self.events():
            pass
        return [self._ended[rank] for rank in range(self.ranks)]

    @property
    def _in(self) -> Any:
        return self._starter.stdin

    @property
    def _out(self) -> Any:
        return self._starter.stdout

    def _close(self) -> str:
        """End everything; return the starter's last words."""
        with contextlib.suppress(BrokenPipeError):
            self._in.close()
        self._out.close()
        assert self._starter.stderr is not None  # noqa: S101 (it is a pipe)
        try:
            self._starter.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._starter.kill()  # its ranks die with it
            self._starter.wait()
        words = self._starter.stderr.read().decode(errors="replace").strip().splitlines()
        self._starter.stderr.close()
        return words[-1] if words else ""


def run(ranks: int, function: Callable[..., Any], *args: Any, limit_s: float = 60.0) -> list[Any]:
    """Run `function(peers, *args)` in so many processes; return what each rank returns, in order.

    Args:
        ranks: How many processes, 1 to 64.
        function: Called in each with its connections, see `Group`.
        args: What it is called with.
        limit_s: Seconds after which the ranks that still run are killed.

    Raises:
        GroupError: A rank raised an error, was killed or took too long. The message names the first
            one; all others are ended.
        ParameterError: The number of ranks or the limit is out of range.

    Example:
        >>> import operator
        >>> run(3, operator.attrgetter("rank"))
        [0, 1, 2]
    """
    outcomes: list[Outcome] = []
    with Group(ranks, function, *args, limit_s=limit_s) as group:
        for event in group.events():
            if isinstance(event, Told):
                continue
            outcomes.append(event)
            if event.exit_code and not _follows(event):
                raise _failure(event, ranks)
    if failed := next((one for one in outcomes if one.exit_code), None):
        raise _failure(failed, ranks)
    return [one.value for one in sorted(outcomes, key=lambda one: one.rank)]


def _follows(outcome: Outcome) -> bool:
    """Tell whether a rank failed only because another one had ended."""
    return outcome.error.startswith(f"{GoneError.__name__}:")


def _failure(outcome: Outcome, ranks: int) -> GroupError:
    return GroupError(
        f"rank {outcome.rank} of {ranks} failed, and the others have been ended: "
        f"{outcome.error.rstrip('.')}."
    )


def _value(pickled: bytes) -> Any:
    return pickle.loads(pickled)  # noqa: S301 (from a rank of ours)


def _check(ranks: int, limit_s: float) -> None:
    if not isinstance(ranks, int) or isinstance(ranks, bool) or not 1 <= ranks <= MOST_RANKS:
        raise ParameterError(
            f"ranks is {ranks!r}. A whole number from 1 to {MOST_RANKS} was expected. Start fewer "
            "processes."
        )
    if not 0 < limit_s < math.inf:
        raise ParameterError(
            f"limit_s is {limit_s!r}. A number of seconds above 0 was expected. Say how long the "
            "ranks may take."
        )
