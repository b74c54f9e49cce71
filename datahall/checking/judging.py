"""Take an answer through the steps of a check, in the order a person would: smallest case first.

Read `judge` first, then `Trial`. What is said about a failing step stands in `explaining` and
`diagnosing`.
"""

from __future__ import annotations

import dis
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datahall.checking import diagnosing, explaining, showing
from datahall.checking.calling import Outcome, call, source_file
from datahall.checking.searching import UnsteadyError, smallest
from datahall.checking.steps import UNSET, Case, Property, Search, Step, Trap, as_case

if TYPE_CHECKING:
    from datahall.checking.check import Check

Beat = Callable[[dict[str, Any]], None]
_PATIENT = 60.0  # CPU seconds for our own reference, whose first call may load a framework


@dataclass
class Failure:
    """A step that does not hold.

    Args:
        sentence: What was called, what came back, what was expected.
        outcome: What became of the call.
        case: The call; None for a property.
        step: The step.
        rows: Details for the rich form.
        says: The advice, when what happened explains itself.
    """

    sentence: str
    outcome: Outcome
    case: Case | None
    step: Step
    rows: list[tuple[str, str]] = field(default_factory=list)
    says: str = ""

    @property
    def is_dear(self) -> bool:
        """Whether repeating it costs the whole time limit."""
        return self.outcome.kind in ("time", "flood", "memory")


def judge(check: Check, answer: Any, beat: Beat) -> dict[str, Any]:
    """Return state, points, message and details of an answer, as a dict that JSON can hold."""
    if (said := _not_an_answer(check, answer)) is not None:
        return said
    first, passed = None, 0
    for position, step in enumerate(check.steps):
        failure = Trial(check, answer, beat, _points(check, passed)).run(step)
        if failure is None:
            passed += 1
            continue
        if failure.outcome.kind == "unanswered" and position == 0:
            return _found("not attempted", 0.0)
        first = first or failure
        if failure.is_dear:
            break
    if first is None:
        return _found("passed", float(check.points))
    advice = first.says or _advice(check, answer, first, beat) or first.step.idea
    advice = advice if not advice or advice.endswith((".", "?", "!")) else f"{advice}."
    message, rows = f"{first.sentence} {advice}".strip(), [*first.rows, ("look at", advice)]
    return _found("wrong", _points(check, passed), message, rows)


def _found(
    state: str, points: float, message: str = "", rows: list[tuple[str, str]] | None = None
) -> dict[str, Any]:
    details = [list(row) for row in rows or [] if row[1]]
    return {"state": state, "points": points, "message": message, "details": details}


def _points(check: Check, passed: int) -> float:
    """Share the points out over the steps, in halves; all of them only for all steps."""
    return math.floor(2 * check.points * passed / len(check.steps)) / 2


def _advice(check: Check, answer: Any, failure: Failure, beat: Beat) -> str:
    def tell() -> None:
        beat({"call": failure.sentence, "points": 0.0, "seconds": _PATIENT})

    return diagnosing.typical_mistake(
        check, answer, failure.step, failure.case, failure.outcome, tell
    )


def _not_an_answer(check: Check, answer: Any) -> dict[str, Any] | None:
    if answer is None or answer is Ellipsis or is_empty(answer):
        return _found("not attempted", 0.0)
    if callable(answer):
        return None
    name, got = check.function, showing.described(answer)
    message = (
        f"checks.{name} got {got}, expected the function itself. "
        f"Write checks.{name}({name}), with no parentheses after the inner name."
    )
    return _found("wrong", 0.0, message)


def is_empty(answer: Any) -> bool:
    """Tell whether a function's body does nothing: `...`, `pass`, `return None`, a docstring.

    Example:
        >>> def stub(size):
        ...     "Return twice the size."
        >>> is_empty(stub), is_empty(lambda size: 2 * size)
        (True, False)
    """
    if not inspect.isfunction(answer):
        return False
    trivial = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    steps = list(dis.get_instructions(answer))
    loaded = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    return {step.opname for step in steps} <= trivial and set(loaded) <= {None, Ellipsis}


def _named(sentence: str, called: str, name: str) -> str:
    """Put a trap's name at the end of a sentence, or after the call if it ends in parentheses."""
    if sentence.endswith(")."):
        return f"{called} ({name}){sentence.removeprefix(called)}"
    return f"{sentence[:-1]} ({name})."


class Trial:
    """One step, tried on one answer."""

    def __init__(self, check: Check, answer: Any, beat: Beat, points: float) -> None:
        self.check, self.answer, self.beat, self.points = check, answer, beat, points

    def run(self, step: Step) -> Failure | None:
        """Return how the step fails, or None."""
        if isinstance(step, Property):
            return self._property(step)
        if isinstance(step, Search):
            return self._search(step)
        return self._case(step, step.case(), step.expected)

    def _wanted(self, case: Case) -> Outcome:
        name = self.check.function
        self.beat({"call": f"our {name}", "points": self.points, "seconds": _PATIENT})
        wanted = call(self.check.reference, case.args, case.kwargs, seconds=_PATIENT)
        if wanted.kind not in ("value", "raised"):
            raise RuntimeError(f"our {name} ended with {wanted.kind}: {wanted.error}")
        return wanted

    def _call(self, case: Case) -> Outcome:
        called = showing.call(self.check.function, case.args, case.kwargs)
        self.beat({"call": called, "points": self.points})
        return call(self.answer, case.args, case.kwargs, seconds=self.check.seconds)

    def _case(self, step: Step, case: Case, expected: Any = UNSET) -> Failure | None:
        wanted = self._wanted(case) if expected is UNSET else Outcome("value", expected)
        got = self._call(case)
        said = explaining.disagreement(wanted, got, rtol=self.check.rtol, atol=self.check.atol)
        if said is None:
            return None
        called = showing.call(self.check.function, case.args, case.kwargs)
        sentence, says = explaining.explain(called, wanted, got, said, seconds=self.check.seconds)
        if isinstance(step, Trap):
            sentence = _named(sentence, called, step.name)
        rows = [
            ("called", called),
            ("came back", explaining.came_back(got)),
            ("expected", explaining.came_back(wanted)),
            ("difference", said if got.kind == "value" else ""),
            ("this is", "the smallest case found" if isinstance(step, Search) else ""),
            ("it printed", got.printed),
        ]
        return Failure(sentence, got, case, step, rows, says)

    def _search(self, step: Search) -> Failure | None:
        try:
            return smallest(
                step.strategy,
                lambda drawn: self._case(step, as_case(drawn)),
                examples=step.examples,
                seconds=4 * self.check.seconds,
                stop=lambda failure: failure.is_dear,
            )
        except UnsteadyError:
            sentence = f"{self.check.function} gave different results for the same arguments."
            says = "Does it keep something between calls, or draw random numbers?"
            return Failure(sentence, Outcome("value"), None, step, says=says)

    def _property(self, step: Property) -> Failure | None:
        self.beat({"call": self.check.function, "points": self.points})
        outcome = self._tested(step)
        if outcome.kind == "value" and outcome.value is None:
            return None
        rows = [("what should hold", step.name), ("it printed", outcome.printed)]
        if outcome.kind == "value":
            return Failure(f"{str(outcome.value).rstrip('.')}.", outcome, None, step, rows)
        sentence, says = explaining.explain(
            self.check.function, Outcome("value"), outcome, "", seconds=self.check.seconds
        )
        return Failure(sentence, outcome, None, step, rows, says)

    def _tested(self, step: Property) -> Outcome:
        return diagnosing.tested(
            step, self.answer, seconds=self.check.seconds, own=source_file(self.answer)
        )
