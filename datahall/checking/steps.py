"""What a check does with an answer: example, trap, search, property.

A step with arguments is judged by calling the answer and comparing what comes back with the
reference. A property is a test of its own, for answers that are classes, training loops or
callbacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"  # there is one, in every process


UNSET: Any = _Unset()


@dataclass(frozen=True)
class Case:
    """One call: positional and keyword arguments. A search may draw it instead of a tuple."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A call small enough to be worked out by hand.

    Args:
        args: Positional arguments, or a function without arguments that makes them (for what is
            dear to make).
        kwargs: Keyword arguments.
        idea: What to look at when the answer is wrong here and no typical mistake explains it. One
            sentence.
        expected: What must come back; without it the check's reference says so (also when it raises
            an error).
    """

    args: tuple[Any, ...] | Callable[[], tuple[Any, ...]]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    idea: str = field(default="", kw_only=True)
    expected: Any = field(default=UNSET, kw_only=True)

    @property
    def name(self) -> str:
        """What fact sheets call the step."""
        return "an example"

    def case(self) -> Case:
        """Return the call."""
        return Case(self.args() if callable(self.args) else self.args, self.kwargs)


@dataclass(frozen=True)
class Trap:
    """A call on which a known mistake shows, named: "a stride that does not divide"."""

    name: str
    args: tuple[Any, ...] | Callable[[], tuple[Any, ...]]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    idea: str = field(default="", kw_only=True)
    expected: Any = field(default=UNSET, kw_only=True)

    def case(self) -> Case:
        """Return the call."""
        return Case(self.args() if callable(self.args) else self.args, self.kwargs)


@dataclass(frozen=True)
class Search:
    """A search for the smallest call on which the answer differs from the reference.

    Args:
        strategy: A Hypothesis strategy that draws a tuple (positional arguments), a dict (keyword
            arguments) or a `Case`.
        idea: What to look at when it finds one.
        examples: How many calls to try.
    """

    strategy: Any
    idea: str = field(default="", kw_only=True)
    examples: int = field(default=60, kw_only=True)

    @property
    def name(self) -> str:
        """What fact sheets call the step."""
        return "a search for the smallest wrong case"


@dataclass(frozen=True)
class Property:
    """A test of the whole answer.

    Args:
        name: What it shows, completing "the answer …": "leaves its input alone".
        test: Called with the answer; returns None, or one sentence that says what is wrong.
        idea: What to look at when it fails.
        steady: Whether it says the same each time it fails; of real processes any may fail first.
        by_clock: Whether a clock decides. It is tried only where every step before it holds: so a
            wrong value is explained by values alone, whatever the clock says on a busy machine.
    """

    name: str
    test: Callable[[Any], str | None]
    idea: str = field(default="", kw_only=True)
    steady: bool = field(default=True, kw_only=True)
    by_clock: bool = field(default=False, kw_only=True)


Step = Example | Trap | Search | Property


def as_case(drawn: Any) -> Case:
    """Turn what a search drew into a call."""
    if isinstance(drawn, Case):
        return drawn
    if isinstance(drawn, Mapping):
        return Case((), drawn)
    return Case(drawn if isinstance(drawn, tuple) else (drawn,))
