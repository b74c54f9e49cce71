"""Hypothesis, set up for a course: repeatable, silent, bounded in time, leaving nothing behind."""

from __future__ import annotations

import contextlib
import functools
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

Found = TypeVar("Found")


class _CaseFailsError(Exception):
    """Tells Hypothesis that this case fails, so that it looks for a smaller one."""


class _Enough(BaseException):
    """Ends the search at once; Hypothesis lets it through."""


class UnsteadyError(Exception):
    """The answer gave two results for the same arguments."""


def smallest(
    strategy: Any,
    judge: Callable[[Any], Found | None],
    *,
    examples: int,
    seconds: float,
    stop: Callable[[Found], bool],
) -> Found | None:
    """Return what `judge` says of the smallest drawn case on which it says anything.

    Args:
        strategy: A Hypothesis strategy.
        judge: Returns None for a case that holds, else what is wrong with it.
        examples: How many cases are tried.
        seconds: How long the search may take; the smallest case found until then is used.
        stop: Whether what was found is so dear to repeat that it is not shrunk (a call that did not
            end).

    Raises:
        UnsteadyError: The same case holds at one time and fails at another.
    """
    from hypothesis import HealthCheck, Phase, Verbosity, errors, given, settings

    found: list[Found] = []
    deadline = time.monotonic() + seconds

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def seek(drawn: Any) -> None:
        result = judge(drawn)
        if result is not None:
            found.append(result)
            if stop(result) or time.monotonic() > deadline:
                raise _Enough
            raise _CaseFailsError
        if not found and time.monotonic() > deadline:
            raise _Enough

    with _no_folder(), _same_everywhere(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            seek()
        except (_CaseFailsError, _Enough):
            return found[-1] if found else None
        except errors.Flaky as error:
            raise UnsteadyError from error
    return None


@functools.cache
def begin() -> None:
    """Make a first search, of nothing: Hypothesis walks all of memory at the first of a process.

    That takes most of the time of a verdict; processes that are forked afterwards inherit it.
    """
    from hypothesis import strategies

    smallest(strategies.none(), lambda _: None, examples=1, seconds=1, stop=bool)


@contextlib.contextmanager
def _same_everywhere() -> Iterator[None]:
    """Keep Hypothesis from drawing constants that it reads in whatever modules are loaded.

    It parses our own files for them, which takes time, and a verdict would depend on the process.
    """
    from hypothesis.internal.cache import LRUCache
    from hypothesis.internal.conjecture import providers
    from hypothesis.internal.constants_ast import Constants

    none: Any = Constants()
    fresh: Any = LRUCache(1024)
    with mock.patch.multiple(
        providers, create=True, _get_local_constants=lambda: none, CONSTANTS_CACHE=fresh
    ):
        yield


@contextlib.contextmanager
def _no_folder() -> Iterator[None]:
    """Give Hypothesis a home that cannot be made, so that it writes nothing anywhere."""
    from hypothesis import configuration

    name = "__hypothesis_home_directory"
    before = getattr(configuration, name, None)
    configuration.set_hypothesis_home_dir(Path(os.devnull) / "hypothesis")
    try:
        yield
    finally:
        configuration.set_hypothesis_home_dir(before)
