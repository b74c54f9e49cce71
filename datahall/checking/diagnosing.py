"""Which misunderstanding is it? The bank's typical mistakes are tried on the case that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from datahall.checking.calling import Outcome, call
from datahall.checking.comparing import difference
from datahall.checking.steps import Case, Property, Search, Step

if TYPE_CHECKING:
    from datahall.checking.check import Check

_PATIENCE_S = 1.0  # CPU seconds that a typical mistake may take


def tested(step: Property, answer: Any, *, seconds: float, own: str | None = None) -> Outcome:
    """Put a property to the test; an `AssertionError`'s first line is what the test says."""
    outcome = call(step.test, (answer,), {}, seconds=seconds, own=own)
    error = outcome.error
    said = str(error).partition("\n")[0] if isinstance(error, AssertionError) else ""
    return Outcome("value", said, printed=outcome.printed) if said else outcome


def typical_mistake(
    check: Check,
    answer: Any,
    step: Step,
    case: Case | None,
    seen: Outcome,
    tell: Callable[[], None] = lambda: None,
) -> str:
    """Return what the bank says of the mistake that gives the same outcome, "" if none does.

    If several do, the one that agrees with the answer on most of the other steps is taken.

    Args:
        check: The check, with its bank.
        answer: The learner's answer.
        step: The step that failed.
        case: The call that failed; None for a property.
        seen: What became of it.
        tell: Called before each mistake is tried, so that a watcher knows that work goes on.
    """
    suspects = []
    for wrong in check.bank.wrong:
        tell()
        if _same(check, seen, _outcome(check, wrong.answer, step, case)):
            suspects.append(wrong)
    if len(suspects) < 2:
        return suspects[0].says if suspects else ""
    others = [other for other in check.steps if other is not step and not isinstance(other, Search)]
    witnessed = [(other, _outcome(check, answer, other)) for other in others]
    scores = []
    for wrong in suspects:
        tell()
        pairs = [(outcome, _outcome(check, wrong.answer, other)) for other, outcome in witnessed]
        scores.append(sum(_same(check, mine, theirs) for mine, theirs in pairs))
    return suspects[scores.index(max(scores))].says


def _outcome(check: Check, answer: Any, step: Step, case: Case | None = None) -> Outcome:
    seconds = min(check.seconds, _PATIENCE_S)
    if isinstance(step, Property):
        return tested(step, answer, seconds=seconds)
    if case is None:
        if isinstance(step, Search):
            return Outcome("unanswered")
        case = step.case()
    return call(answer, case.args, case.kwargs, seconds=seconds)


def _same(check: Check, one: Outcome, other: Outcome) -> bool:
    """Whether two calls ended alike: in the same value, the same kind of error, the same change."""
    if one.kind != other.kind or one.changed != other.changed:
        return False
    if one.kind == "raised":
        return type(one.error) is type(other.error)
    if one.kind != "value":
        return True
    return difference(one.value, other.value, rtol=check.rtol, atol=check.atol) is None
