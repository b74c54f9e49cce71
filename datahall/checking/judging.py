"""Take an answer through the steps of a check, and say what is wrong with it in the learner's terms."""

from __future__ import annotations

import dis
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datahall.checking import showing
from datahall.checking.calling import Outcome, call, source_file
from datahall.checking.comparing import difference
from datahall.checking.searching import Unsteady, smallest
from datahall.checking.steps import UNSET, Case, Example, Property, Search, Step, Trap, as_case

if TYPE_CHECKING:
    from datahall.checking.check import Check

Beat = Callable[[dict[str, Any]], None]


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
    """Return state, points, message and details of an answer as a dict that JSON can hold."""
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
        return _found("passed", check.points)
    advice = first.says or _diagnosis(check, answer, first) or first.step.idea
    return _found("wrong", _points(check, passed), f"{first.sentence} {advice}".strip(), [*first.rows, ("look at", advice)])


def _found(state: str, points: float, message: str = "", rows: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    return {"state": state, "points": points, "message": message, "details": [list(row) for row in rows or [] if row[1]]}


def _points(check: Check, passed: int) -> float:
    """Share the points out over the steps, in halves; all of them only for all steps."""
    return math.floor(2 * check.points * passed / len(check.steps)) / 2


def _not_an_answer(check: Check, answer: Any) -> dict[str, Any] | None:
    if answer is None or answer is Ellipsis or is_empty(answer):
        return _found("not attempted", 0.0)
    if not callable(answer):
        return _found(
            "wrong", 0.0,
            f"checks.{check.function} got {showing.described(answer)}, expected the function itself: write "
            f"checks.{check.function}({check.function}), with no parentheses after the inner name.",
        )
    return None


def is_empty(answer: Any) -> bool:
    """Tell whether a function's body does nothing: `...`, `pass`, `return None` or only a docstring."""
    if not inspect.isfunction(answer):
        return False
    trivial = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    steps = list(dis.get_instructions(answer))
    loaded = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    return {step.opname for step in steps} <= trivial and all(value is None or value is Ellipsis for value in loaded)


class Trial:
    """One step, tried on one answer."""

    def __init__(self, check: Check, answer: Any, beat: Beat, points: float) -> None:
        """Keep what every call needs."""
        self.check, self.answer, self.beat, self.points = check, answer, beat, points

    def run(self, step: Step) -> Failure | None:
        """Return how the step fails, or None."""
        if isinstance(step, Property):
            return self._property(step)
        if isinstance(step, Search):
            return self._search(step)
        return self._case(step, step.case(), step.expected)

    def _call(self, case: Case) -> Outcome:
        self.beat({"call": showing.call(self.check.function, case.args, case.kwargs), "points": self.points})
        return call(self.answer, case.args, case.kwargs, seconds=self.check.seconds)

    def _case(self, step: Step, case: Case, expected: Any = UNSET) -> Failure | None:
        wanted = Outcome("value", expected) if expected is not UNSET else call(self.check.reference, case.args, case.kwargs, seconds=60)
        got = self._call(case)
        said = disagreement(wanted, got, self.check)
        if said is None:
            return None
        called = showing.call(self.check.function, case.args, case.kwargs)
        sentence, says = _explain(called, wanted, got, said, self.check)
        if isinstance(step, Trap):
            sentence = f"{sentence[:-1]} ({step.name})."
        rows = [("called", called), ("came back", _came_back(got)), ("expected", _came_back(wanted)), ("difference", said)]
        if isinstance(step, Search):
            rows.append(("this is", "the smallest case found"))
        return Failure(sentence, got, case, step, [*rows, ("it printed", got.printed)], says)

    def _search(self, step: Search) -> Failure | None:
        try:
            return smallest(
                step.strategy, lambda drawn: self._case(step, as_case(drawn)), examples=step.examples,
                seconds=2 * self.check.seconds, stop=lambda failure: failure.is_dear,
            )
        except Unsteady:
            sentence = f"{self.check.function} gave different results for the same arguments."
            return Failure(sentence, Outcome("value"), None, step, says="Does it keep something between calls, or draw random numbers?")

    def _property(self, step: Property) -> Failure | None:
        self.beat({"call": self.check.function, "points": self.points})
        outcome = call(step.test, (self.answer,), {}, seconds=self.check.seconds)
        said = outcome.value
        if outcome.kind == "value" and said is None:
            return None
        if outcome.kind == "raised" and isinstance(outcome.error, AssertionError) and str(outcome.error):
            said, outcome = str(outcome.error), Outcome("value", str(outcome.error), printed=outcome.printed)
        if outcome.kind == "value":
            sentence = f"{str(said).rstrip('.')}."
            return Failure(sentence, outcome, None, step, [("what should hold", step.name), ("it printed", outcome.printed)])
        if outcome.error is not None and (own := source_file(self.answer)) is not None:
            outcome.where = _line_in(outcome.error, own) or outcome.where
        sentence, says = _explain(self.check.function, Outcome("value"), outcome, "", self.check)
        return Failure(sentence, outcome, None, step, [("what should hold", step.name), ("it printed", outcome.printed)], says)


def disagreement(wanted: Outcome, got: Outcome, check: Check) -> str | None:
    """Return how an outcome differs from the wanted one, or None."""
    if wanted.kind == "raised":
        return None if got.kind == "raised" and _fits(got.error, wanted.error) else "an error was expected"
    if got.kind != "value":
        return got.kind
    said = difference(wanted.value, got.value, rtol=check.rtol, atol=check.atol)
    if said is not None:
        return said
    for name in wanted.changed:
        if said := difference((wanted.arguments or {})[name], (got.arguments or {}).get(name), rtol=check.rtol, atol=check.atol):
            return f"in {name} afterwards: {said}"
    extra = [name for name in got.changed if name not in wanted.changed]
    return f"{extra[0]} was changed in place" if extra else None


def _fits(got: BaseException | None, wanted: BaseException | None) -> bool:
    """Whether an error is the wanted one, or the built-in error that the wanted one stands for."""
    built_in = [kind for kind in type(wanted).__mro__ if kind.__module__ == "builtins" and kind not in (Exception, BaseException, object)]
    return isinstance(got, (type(wanted), *built_in[:1]))


def _came_back(outcome: Outcome) -> str:
    if outcome.kind == "value":
        return showing.described(outcome.value)
    error = outcome.error
    return f"{type(error).__name__}: {error}" if outcome.kind == "raised" else outcome.kind


def _explain(called: str, wanted: Outcome, got: Outcome, said: str, check: Check) -> tuple[str, str]:
    """Return what happened in one sentence, and the advice that follows from it ("" if none does)."""
    where = f", in {got.where.rstrip()}" if got.where else ""
    if got.kind == "raised":
        text = f"{called} raised {type(got.error).__name__}: {showing.cut(str(got.error), 160).rstrip('.')}{where}."
        return text, ""
    if got.kind != "value":
        return _EXPLAINED[got.kind][0].format(called=called, seconds=f"{check.seconds:g}", where=where), _EXPLAINED[got.kind][1]
    if wanted.kind == "raised":
        return f"{called} returned {showing.described(got.value)}, expected it to raise {type(wanted.error).__name__}.", ""
    if extra := [name for name in got.changed if name not in wanted.changed and "changed in place" in said]:
        return f"{called} changed its argument {extra[0]} in place.", f"Work on a copy: {extra[0]}.copy()."
    expected, came = showing.described(wanted.value), showing.described(got.value)
    if got.value is None:
        return f"{called} returned None, expected {expected}.", "Is the return line missing?"
    simple = said == f"it is {showing.shown(got.value)} instead of {showing.shown(wanted.value)}"
    return f"{called} returned {came}, expected {expected}{'' if simple else f': {said}'}.", ""


_EXPLAINED = {
    "unanswered": ("{called} raised NotImplementedError{where}.", "This case is not written yet."),
    "time": ("{called} did not end within {seconds} s{where}.", "Is there a loop whose condition never becomes false?"),
    "exit": ("{called} called exit{where}.", "Return the result instead of ending the program."),
    "input": ("{called} asked for input{where}.", "Everything it needs comes in by its arguments."),
    "flood": ("{called} printed more than 100,000 characters{where}.", "Take the print out of the loop."),
    "memory": ("{called} asked for more memory than there is{where}.", "How large is the array that it makes, in elements?"),
    "recursion": ("{called} called itself without end{where}.", "Which case should stop the recursion?"),
}


def _line_in(error: BaseException, file: str) -> str:
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"line {frames[-1].lineno}: {frames[-1].line}" if frames else ""


def _diagnosis(check: Check, answer: Any, failure: Failure) -> str:
    """Return what the bank says of the typical mistake that gives the same result here, "" if none does."""
    suspects = [wrong for wrong in check.bank.wrong if _alike(check, wrong.answer, failure.step, failure.case, failure.outcome)]
    if len(suspects) > 1:
        others = [step for step in check.steps if step is not failure.step and not isinstance(step, Search)]
        seen = [(step, _outcome(check, answer, step, None)) for step in others]
        suspects.sort(key=lambda wrong: -sum(_alike(check, wrong.answer, step, None, outcome) for step, outcome in seen))
    return suspects[0].says if suspects else ""


def _outcome(check: Check, answer: Any, step: Step, case: Case | None, seconds: float = 1.0) -> Outcome:
    if isinstance(step, Property):
        return call(step.test, (answer,), {}, seconds=seconds)
    case = case or (step.case() if isinstance(step, (Example, Trap)) else Case())
    return call(answer, case.args, case.kwargs, seconds=seconds)


def _alike(check: Check, answer: Any, step: Step, case: Case | None, seen: Outcome) -> bool:
    """Whether an answer gives the outcome seen: the same value, or the same kind of end."""
    outcome = _outcome(check, answer, step, case, min(check.seconds, 1.0))
    if isinstance(step, Property) and outcome.kind == "raised" and isinstance(outcome.error, AssertionError) and str(outcome.error):
        outcome = Outcome("value", str(outcome.error))
    if outcome.kind != seen.kind or outcome.changed != seen.changed:
        return False
    if outcome.kind == "raised":
        return type(outcome.error) is type(seen.error)
    return outcome.kind != "value" or difference(seen.value, outcome.value, rtol=check.rtol, atol=check.atol) is None
