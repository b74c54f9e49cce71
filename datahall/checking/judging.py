"""Take an answer through the steps of a check, in the order a person would: smallest case first.

Read `judge` first, then `Examiner`. What is said about a failing step stands in `explaining` and
`diagnosing`.
"""

from __future__ import annotations

import dis
import inspect
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from datahall.checking import diagnosing, explaining, showing
from datahall.checking.calling import CallOutcome, call, source_file
from datahall.checking.comparing import difference
from datahall.checking.diagnosing import Witness
from datahall.checking.noticing import noticed
from datahall.checking.ours import guarded
from datahall.checking.searching import UnsteadyError, smallest
from datahall.checking.steps import UNSET, Case, Example, Property, Search, Step, Trap, as_case
from datahall.checking.timing import REAL_PER_CPU
from datahall.checking.verdict import LOOK_AT

if TYPE_CHECKING:
    from datahall.checking.check import Check

Beat = Callable[[dict[str, Any]], None]
_REFERENCE_S = 60.0  # CPU seconds for our own reference, whose first call may load a framework
_IN_ALL_S = 9.0  # real seconds that an answer may take in all
_KEPT = 12  # calls of a search that a typical mistake must explain too


@dataclass
class Counterexample:
    """A step that does not hold.

    Args:
        sentence: What was called, what came back, what was expected.
        witness: What was tried, and what became of it; None if nothing was compared.
        rows: Details for the rich form.
        says: The advice, when what happened explains itself.
        idea: The advice, when no typical mistake explains it.
    """

    sentence: str
    witness: Witness | None
    rows: list[tuple[str, str]] = field(default_factory=list)
    says: str = ""
    idea: str = ""

    @property
    def kind(self) -> str:
        """What became of the call."""
        return self.witness.got.kind if self.witness else "value"

    @property
    def is_final(self) -> bool:
        """Whether nothing is learned from going on: it costs the whole limit, or is no answer."""
        return self.kind in ("time", "flood", "memory", "ours")


def at_sight(check: Check, answer: Any) -> dict[str, Any] | None:
    """Return the verdict on what need not be called: no answer yet, or no function. Else None."""
    if answer is None or answer is Ellipsis or is_empty(answer) or is_stub(answer):
        return _found("not attempted", 0.0)
    return None if callable(answer) else _not_an_answer(check, answer)


def judge(check: Check, answer: Any, beat: Beat) -> dict[str, Any]:
    """Return state, points, message and details of an answer, as a dict that JSON can hold.

    Args:
        check: Whose steps are taken.
        answer: The learner's function.
        beat: Hears of progress.
    """
    examiner = Examiner(check, answer, beat)
    first, passed = None, 0
    for position, step in enumerate(check.steps):
        if first is not None and isinstance(step, Property) and step.by_clock:
            continue  # what takes how long tells nothing of a wrong value
        examiner.points = _points(check, passed)
        failure = examiner.run(step, shrink=first is None)
        if failure is None:
            passed += 1
            continue
        if failure.kind == "unanswered" and position == 0:
            return _found("not attempted", 0.0)
        first = first or failure
        if failure.is_final:
            break
    if first is None and (first := examiner.again()) is not None:
        passed -= 1
    if first is None:
        return _found("passed", float(check.points))
    points = 0.0 if first.kind == "ours" else _points(check, passed)
    advice = first.says or examiner.mistake(first) or f"{examiner.fact(first)} {first.idea}".strip()
    advice = advice if not advice or advice.endswith((".", "?", "!")) else f"{advice}."
    message, rows = f"{first.sentence} {advice}".strip(), [*first.rows, (LOOK_AT, advice)]
    return _found("wrong", points, message, rows)


def _found(
    state: str, points: float, message: str = "", rows: list[tuple[str, str]] | None = None
) -> dict[str, Any]:
    details = [list(row) for row in rows or [] if row[1]]
    return {"state": state, "points": points, "message": message, "details": details}


def _points(check: Check, passed: int) -> float:
    """Share the points out over the steps, in halves; all of them only for all steps."""
    return math.floor(2 * check.points * passed / len(check.steps)) / 2


def _not_an_answer(check: Check, answer: Any) -> dict[str, Any]:
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


def is_stub(answer: Any) -> bool:
    """Tell whether a function, or a method of a class, only raises NotImplementedError.

    Example:
        >>> def stub(size):
        ...     raise NotImplementedError("exercise-01-1: replace this line with your answer")
        >>> is_stub(stub), is_stub(len)
        (True, False)
    """
    if isinstance(answer, type):
        return any(inspect.isfunction(value) and is_stub(value) for value in vars(answer).values())
    if not inspect.isfunction(answer) or answer.__code__.co_names != ("NotImplementedError",):
        return False
    raised = {"LOAD_GLOBAL", "PUSH_NULL", "PRECALL", "CALL", "RAISE_VARARGS", "LOAD_CONST"}
    return {step.opname for step in dis.get_instructions(answer)} <= raised | {"RESUME", "NOP"}


def reads(answer: Any, name: str) -> bool:
    """Tell whether a function's code reads one of its arguments anywhere.

    Example:
        >>> reads(lambda size, stride=1: size, "stride"), reads(lambda size: size, "size")
        (False, True)
    """
    if not inspect.isfunction(answer):
        return False
    code = answer.__code__
    read = [
        s for s in dis.get_instructions(code) if s.opname.startswith(("LOAD_FAST", "LOAD_DEREF"))
    ]
    return any(step.argval == name for step in read) or name in code.co_cellvars


def _named(sentence: str, called: str, name: str) -> str:
    """Put a trap's name at the end of a sentence, or after the call if it ends in parentheses."""
    if sentence.endswith(")."):
        return f"{called} ({name}){sentence.removeprefix(called)}"
    return f"{sentence[:-1]} ({name})."


def _share_an_argument(one: Any, other: Any) -> bool:
    """Whether two calls were given the same array or list at one place."""
    return any(_is_shared(*pair) for pair in zip(one.args, other.args, strict=False))


def _is_shared(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return any(_is_shared(one[key], other[key]) for key in one.keys() & other.keys())
    try:
        several = np.size(one) > 1
    except ValueError:  # lists of several lengths
        several = True
    return several and difference(one, other, rtol=0, atol=0) is None


class Examiner:
    """The steps of a check, tried on one answer.

    Args:
        check: The check.
        answer: The learner's answer.
        beat: Told before each call what is called, so that a watcher knows.
    """

    def __init__(self, check: Check, answer: Any, beat: Beat) -> None:
        self.check, self.answer, self.beat, self.points = check, answer, beat, 0.0
        self.seen: list[Witness] = []  # every fixed step, and the first calls of a search
        self.ends = time.monotonic() + _IN_ALL_S

    def run(self, step: Step, *, shrink: bool = True) -> Counterexample | None:
        """Return how the step fails, or None.

        Args:
            step: The step.
            shrink: Whether the smallest failing case is looked for, or any.
        """
        if isinstance(step, Search):
            return self._search(step, shrink=shrink)
        return self._property(step) if isinstance(step, Property) else self._step(step)

    def again(self) -> Counterexample | None:
        """Repeat what was called first: an answer may keep something between calls."""
        for step in self.check.steps:
            if isinstance(step, Search) or self._left() <= 0:
                continue
            if isinstance(step, Property):
                failure = self._property(step)
                if failure is not None and failure.kind == "time":
                    break  # there was too little left for it: that says nothing of the answer
            else:  # after other calls, and at once after itself
                failure = self._step(step) or self._step(step)
            if failure is not None:
                what = failure.sentence[:-1]
                return Counterexample(
                    f"{what}, although the same call was right before.",
                    None,
                    failure.rows,
                    says="Does it keep something between calls?",
                )
            if isinstance(step, Property):
                break
        return None

    def mistake(self, failure: Counterexample) -> str:
        """Return what the bank says of the mistake that explains all that was seen, or ""."""
        if failure.witness is None:
            return ""

        def tell() -> bool:
            self.beat({"call": failure.sentence, "points": self.points, "seconds": _REFERENCE_S})
            return self._left() > 0

        others = [each for each in self.seen if each is not failure.witness]
        return diagnosing.typical_mistake(self.check, failure.witness, others, tell)

    def fact(self, failure: Counterexample) -> str:
        """Return what can be seen of the values, if no typical mistake explains them, or ""."""
        seen = failure.witness
        if seen is None or not isinstance(seen.what, Case) or not seen.has_values:
            return ""
        for name in seen.what.kwargs:
            if self._ignores(name, seen):
                use = "" if reads(self.answer, name) else ": use the argument"
                return f"Here the result is the same as without `{name}`{use}."
        others = [each for each in self.seen if each.has_values and each is not seen]
        if any(self._is_kept(each, seen) for each in others):
            return "That is the result of an earlier call: does it keep something between calls?"
        pairs = [(each.wanted.value, each.got.value) for each in (seen, *others)]
        return noticed(pairs, given=(*seen.what.args, *seen.what.kwargs.values()))

    def _is_kept(self, earlier: Witness, seen: Witness) -> bool:
        """Whether an array came back that was right for another call."""
        close = partial(explaining.disagreement, rtol=self.check.rtol, atol=self.check.atol)
        if _share_an_argument(earlier.what, seen.what):
            return False  # it may be all that the answer looks at
        value = showing.plain(earlier.got.value)
        if not isinstance(value, np.ndarray):
            return False
        value = value.ravel()
        several = value.size > 1 and bool(
            (value != value[0]).any()
        )  # equal numbers may be a coincidence
        right = several and close(earlier.wanted, earlier.got) is None
        return right and close(earlier.got, seen.got) is None

    def _ignores(self, name: str, seen: Witness) -> bool:
        """Whether the answer gives the same without a keyword argument, where ours does not."""
        assert isinstance(seen.what, Case)  # noqa: S101 (for mypy)
        kept = {key: value for key, value in seen.what.kwargs.items() if key != name}
        without = Case(seen.what.args, kept)
        if self._left() <= 0 or (ours := self._wanted(without)).kind != "value":
            return False
        theirs = self._call(without)
        close = partial(explaining.disagreement, rtol=self.check.rtol, atol=self.check.atol)
        return close(seen.got, theirs) is None and close(seen.wanted, ours) is not None

    def _left(self) -> float:
        return self.ends - time.monotonic()

    def _seconds(self) -> float:
        """CPU seconds for the next call: real ones of all calls are bounded too."""
        return max(0.05, min(self.check.seconds, self._left() / REAL_PER_CPU))

    def _wanted(self, case: Case) -> CallOutcome:
        name = self.check.function
        self.beat({"call": f"our {name}", "points": self.points, "seconds": _REFERENCE_S})
        wanted = call(self.check.reference, case.args, case.kwargs, seconds=_REFERENCE_S)
        if wanted.kind not in ("value", "raised"):
            raise RuntimeError(f"our {name} ended with {wanted.kind}: {wanted.error}")
        return wanted

    def _call(self, case: Case) -> CallOutcome:
        called = showing.call(self.check.function, case.args, case.kwargs)
        self.beat({"call": called, "points": self.points})
        with guarded(self.check.not_to_call):
            return call(self.answer, case.args, case.kwargs, seconds=self._seconds())

    def _step(self, step: Example | Trap) -> Counterexample | None:
        return self._case(step, step.case(), step.expected)

    def _case(self, step: Step, case: Case, expected: Any = UNSET) -> Counterexample | None:
        wanted = self._wanted(case) if expected is UNSET else CallOutcome("value", expected)
        got = self._call(case)
        witness = Witness(case, wanted, got)
        if not isinstance(step, Search) or len(self.seen) < len(self.check.steps) + _KEPT:
            self.seen.append(witness)
        said = explaining.disagreement(wanted, got, rtol=self.check.rtol, atol=self.check.atol)
        stated = self.check.stated_dtype
        if stated and (said is None or said.startswith("the first difference")):
            said = explaining.retyped(stated, wanted, got) or said
        if said is None:
            return None
        called = showing.call(self.check.function, case.args, case.kwargs)
        sentence, says = explaining.explain(called, wanted, got, said, seconds=self.check.seconds)
        if got.kind == "value" and got.value is None and self.check.may_return_none:
            says = ""  # it may be meant
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
        idea = explaining.advice(got, said, step.idea, either=self.check.returns_either)
        return Counterexample(sentence, witness, rows, says, idea)

    def _search(self, step: Search, *, shrink: bool) -> Counterexample | None:
        try:
            return smallest(
                step.strategy,
                lambda drawn: self._case(step, as_case(drawn)),
                examples=step.examples,
                seconds=min(1.3 * self.check.seconds, self._left()),
                stop=lambda failure: failure.is_final or not shrink,
            )
        except UnsteadyError:
            sentence = f"{self.check.function} gave different results for the same arguments."
            says = "Does it keep something between calls, or draw random numbers?"
            return Counterexample(sentence, None, says=says)

    def _property(self, step: Property) -> Counterexample | None:
        self.beat({"call": self.check.function, "points": self.points})
        outcome = self._tested(step)
        witness = Witness(step, CallOutcome("value"), outcome)
        self.seen.append(witness)
        if outcome.kind == "value" and outcome.value is None:
            return None
        rows = [("what should hold", step.name), ("it printed", outcome.printed)]
        if outcome.kind == "value":
            said = str(outcome.value)
            sentence = said if said.endswith((".", "?", "!")) else f"{said}."
            return Counterexample(sentence, witness, rows, idea=step.idea)
        sentence, says = explaining.explain(
            self.check.function, CallOutcome("value"), outcome, "", seconds=self.check.seconds
        )
        idea = explaining.advice(outcome, "", step.idea)
        return Counterexample(sentence, witness, rows, says, idea)

    def _tested(self, step: Property) -> CallOutcome:
        with guarded(self.check.not_to_call):
            return diagnosing.tested(
                step, self.answer, seconds=self._seconds(), own=source_file(self.answer)
            )
