"""Which misunderstanding is it? The bank's typical mistakes are tried on what the answer was given.

A mistake is named only if it can be the learner's: it fails where the answer fails, with the same
result, and does as the answer does in every other call that was made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datahall.checking import explaining, showing
from datahall.checking.calling import CallOutcome, call
from datahall.checking.comparing import difference
from datahall.checking.steps import Case, Property

if TYPE_CHECKING:
    from datahall.checking.bank import Wrong
    from datahall.checking.check import Check

_MISTAKE_S = 1.0  # CPU seconds that a typical mistake may take


@dataclass(frozen=True)
class Witness:
    """One thing that was tried on the answer, and what became of it.

    Args:
        what: The call, or the property.
        wanted: What the reference did.
        got: What the answer did.
    """

    what: Case | Property
    wanted: CallOutcome
    got: CallOutcome

    @property
    def has_values(self) -> bool:
        """Whether both came back with a value."""
        return isinstance(self.what, Case) and {self.wanted.kind, self.got.kind} == {"value"}


def tested(step: Property, answer: Any, *, seconds: float, own: str | None = None) -> CallOutcome:
    """Put a property to the test; an `AssertionError`'s first line is what the test says.

    Args:
        step: The property.
        answer: The learner's function.
        seconds: How long it may take.
        own: The file that holds the learner's code; by default the function's.
    """
    outcome = call(step.test, (answer,), {}, seconds=seconds, own=own)
    error = outcome.error
    said = showing.error_text(error).partition("\n")[0] if type(error) is AssertionError else ""
    return CallOutcome("value", said, printed=outcome.printed) if said else outcome


def typical_mistake(
    check: Check,
    failed: Witness,
    others: Sequence[Witness],
    tell: Callable[[], bool],
) -> str:
    """Return what the bank says of the one mistake that explains all that was seen, else "".

    Args:
        check: The check, with its bank.
        failed: What the answer fails.
        others: What else was tried on it.
        tell: Called before each mistake is tried, so that a watcher knows that work goes on; False
            when there is no more time for it.
    """
    calls = [seen for seen in others if isinstance(seen.what, Case)]
    tests = [seen for seen in others if isinstance(seen.what, Property)]
    suspects = []
    for wrong in check.bank.wrong:
        if not tell():
            return ""
        theirs = _outcome(check, wrong.answer, failed.what)
        if not _same(check, failed.got, theirs) or _is_right(check, failed.wanted, theirs):
            continue
        if all(_same(check, seen.got, _outcome(check, wrong.answer, seen.what)) for seen in calls):
            suspects.append(wrong)
    fitting = {
        wrong.says
        for wrong in suspects
        if all(_may_fail(check, wrong, seen, tell) for seen in tests)
    }
    return fitting.pop() if len(fitting) == 1 else ""


def _may_fail(check: Check, wrong: Wrong, seen: Witness, tell: Callable[[], bool]) -> bool:
    """Whether a mistake does in a test as the answer did; a test that lacks time says nothing."""
    if not tell():
        return True
    theirs = _outcome(check, wrong.answer, seen.what)
    if isinstance(seen.what, Property) and not seen.what.steady:
        return theirs.kind == "time" or bool(theirs.value) == bool(seen.got.value)
    return theirs.kind == "time" or _same(check, seen.got, theirs)


def _outcome(check: Check, answer: Any, what: Case | Property) -> CallOutcome:
    seconds = min(check.seconds, _MISTAKE_S)
    if isinstance(what, Property):
        return tested(what, answer, seconds=seconds)
    return call(answer, what.args, what.kwargs, seconds=seconds)


def _is_right(check: Check, wanted: CallOutcome, got: CallOutcome) -> bool:
    return explaining.disagreement(wanted, got, rtol=check.rtol, atol=check.atol) is None


def _same(check: Check, one: CallOutcome, other: CallOutcome) -> bool:
    """Whether two calls ended alike: in the same value, the same error, the same change."""
    if one.kind != other.kind or one.changed != other.changed:
        return False
    if one.error is not None and other.error is not None and one.kind == "raised":
        texts = {showing.error_text(error) for error in (one.error, other.error)}
        return type(one.error) is type(other.error) and len(texts) == 1
    if one.kind != "value":
        return True
    return difference(one.value, other.value, rtol=check.rtol, atol=check.atol) is None
