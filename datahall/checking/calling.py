"""Call a learner's answer so that nothing it does stops the notebook: all becomes an `CallOutcome`.

A timer ends what runs too long, prints are captured and cut, `input` and `sys.exit` are caught,
arguments are copied and compared afterwards, and the state of the process (seeds, NumPy's error
state, folder, output) is put back. A timer can't end a loop inside a C function;
`datahall.checking.child` can, where a process can be forked.
"""

from __future__ import annotations

import builtins
import contextlib
import copy
import functools
import inspect
import io
import os
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from datahall.checking.comparing import difference
from datahall.checking.halting import Halt, Kind
from datahall.checking.timing import Timer

PRINT_LIMIT = 100_000  # characters; more is a flood
PRINT_KEPT = 400


@dataclass
class CallOutcome:
    """What became of one call.

    Args:
        kind: `value`, or what happened instead.
        value: What came back.
        error: The exception, if one was raised.
        where: The line of the learner's code that raised it: `line 3: total += image[i]`.
        printed: The beginning of what was printed.
        arguments: The arguments after the call, by position or keyword.
        changed: Those of them that were changed in place, by position or keyword.
        names: What the function itself calls its arguments.
    """

    kind: Kind
    value: Any = None
    error: BaseException | None = None
    where: str = ""
    printed: str = ""
    arguments: Mapping[int | str, Any] | None = None
    changed: tuple[int | str, ...] = ()
    names: Mapping[int | str, str] | None = None


class _Capture(io.TextIOBase):
    def __init__(self) -> None:
        self.kept, self.length = "", 0

    def write(self, text: str, /) -> int:
        self.length += len(text)
        if len(self.kept) < PRINT_KEPT:
            self.kept += text[: PRINT_KEPT - len(self.kept)]
        if self.length > PRINT_LIMIT:
            raise Halt("flood")
        return len(text)


def call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    seconds: float = 5.0,
    own: str | None = None,
) -> CallOutcome:
    """Call a function with copies of its arguments, report what became of it; only Ctrl-C gets out.

    Args:
        function: The learner's answer, or anything else that is called.
        args: Positional arguments; copied.
        kwargs: Keyword arguments; copied.
        seconds: CPU seconds after which the call is ended (three times as many real ones).
        own: The file that holds the learner's code; by default the function's.
    """
    given_args, given_kwargs = tuple(_copied(list(args))), _copied(dict(kwargs))
    capture = _Capture()
    with warnings.catch_warnings(record=True) as warned, _redirected(capture):
        warnings.simplefilter("default")
        outcome = _attempt(function, given_args, given_kwargs, seconds)
    own = own or source_file(function)
    if outcome.error is not None:
        outcome.where = _where(outcome.error, own)
        if outcome.kind == "unanswered" and not _raised_in(outcome.error, own):
            outcome.kind = "raised"
    told = [  # a library's own warnings are no concern of the learner
        f"{warning.category.__name__}: {warning.message}"
        for warning in warned
        if own in (None, warning.filename)
    ]
    outcome.printed = "\n".join([*([capture.kept] if capture.kept else []), *told])[:PRINT_KEPT]
    before: dict[int | str, Any] = dict(enumerate(args)) | dict(kwargs)
    outcome.names = dict(enumerate(_names(function))) | {name: name for name in kwargs}
    outcome.arguments = dict(enumerate(given_args)) | given_kwargs
    outcome.changed = tuple(
        key for key in before if _was_changed(before[key], outcome.arguments[key])
    )
    return outcome


def _attempt(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float
) -> CallOutcome:
    timer = Timer(seconds)
    try:
        try:
            timer.start()
            return CallOutcome("value", function(*args, **kwargs))
        finally:
            timer.stop()
    except Halt as halt:
        timer.stop()  # it may have rung while it was being stopped
        return CallOutcome(halt.kind, error=halt)
    except NotImplementedError as error:
        return CallOutcome("unanswered", error=error)
    except RecursionError as error:
        return CallOutcome("recursion", error=error)
    except MemoryError as error:
        return CallOutcome("memory", error=error)
    except SystemExit as error:
        return CallOutcome("exit", error=error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a learner's code raises is an answer to report
        return CallOutcome("raised", error=error)


@contextlib.contextmanager
def _redirected(capture: _Capture) -> Iterator[None]:
    def no_input(*_: object) -> NoReturn:
        raise Halt("input")

    ask = builtins.input
    builtins.input = no_input
    try:
        with contextlib.redirect_stdout(capture), contextlib.redirect_stderr(capture):
            yield
    finally:
        builtins.input = ask


@contextlib.contextmanager
def kept_state() -> Iterator[None]:
    """Put back seeds, NumPy's error state, folder, recursion limit and environment afterwards."""
    seeds, numpy_seeds, errors = random.getstate(), np.random.get_state(), np.geterr()
    folder, depth, environment = _folder(), sys.getrecursionlimit(), dict(os.environ)
    try:
        random.seed(0)
        np.random.seed(0)  # the generator that answers use without asking
        yield
    finally:
        random.setstate(seeds)
        np.random.set_state(numpy_seeds)
        np.seterr(**errors)
        with contextlib.suppress(OSError):  # the answer may have deleted it
            os.chdir(folder or ".")
        sys.setrecursionlimit(depth)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)


def _folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # somebody has deleted it
        return None


def source_file(answer: Any) -> str | None:
    """Return the file (or notebook cell) that holds an answer's code, None if it has none."""
    if isinstance(answer, functools.partial):
        return source_file(answer.func)
    code = getattr(inspect.unwrap(answer) if callable(answer) else answer, "__code__", None)
    if code is None:
        holder = answer if isinstance(answer, type) else type(answer)
        code = next(
            (value.__code__ for value in vars(holder).values() if hasattr(value, "__code__")), None
        )
    return code.co_filename if code is not None else None


def _raised_in(error: BaseException, own: str | None) -> bool:
    return own is None or traceback.extract_tb(error.__traceback__)[-1].filename == own


def _where(error: BaseException, own: str | None) -> str:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == own and frame.lineno:
            return f"line {frame.lineno}: {frame.line}" if frame.line else f"line {frame.lineno}"
    return ""


def _names(function: Any) -> list[str]:
    """Return what a function calls its arguments by position; what `*args` holds has no name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in named]


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # generators, models, locks: shared then, and not compared
        return value


def _was_changed(before: Any, after: Any) -> bool:
    if before is after or not isinstance(before, (np.ndarray, list, dict, set)):
        return False
    try:
        return difference(before, after, rtol=0, atol=0) is not None
    except Exception:  # elements that cannot be compared
        return False
