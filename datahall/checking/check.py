"""A check: the exercise it belongs to, its reference, its steps, and what it says of an answer."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from datahall.checking import attempts, child, forkserver, judging, searching
from datahall.checking.bank import Bank
from datahall.checking.calling import kept_state
from datahall.checking.facts import facts_of
from datahall.checking.showing import cut, error_text
from datahall.checking.steps import Search, Step
from datahall.checking.verdict import State, Verdict
from datahall.checking.watching import Died
from datahall.errors import CheckFailed, CourseError

_MOST = 4_000  # characters of a message or detail: it is stored in the notebook


@dataclass(eq=False)
class Check:
    """The check of one exercise; call it with the learner's answer.

    Title, function, points, minutes, difficulty and lab stand in the solution's heading; only an
    exercise without a solution notebook gives them here.

    Args:
        exercise: Its number, `01.2`.
        title: Its title, a verb first: "Slide the kernel".
        function: The name that the learner defines.
        reference: The right function; it says what to expect.
        bank: Right and typical wrong answers.
        points: Points of the exercise, shared out over the steps in halves.
        minutes: How long it takes a learner.
        difficulty: 1 to 5.
        steps: From the smallest example over traps to a search.
        lab: The notebook it stands in, `01_convolution_lab`.
        ours: Functions of the course that do the exercise, beside the reference: no answer may call
            them.
        lends: What `use` returns before an answer has passed, where the reference returns only what
            is compared; by default the reference.
        rtol: Relative tolerance of floating-point numbers.
        atol: Absolute tolerance.
        seconds: CPU seconds that one call may take; all calls together take 9 real ones at most.
        isolated: Whether the answer is judged in a limited process of its own, where there can be
            one; False: in the kernel, with a timer only.
    """

    exercise: str
    title: str = ""
    function: str = field(default="", kw_only=True)
    reference: Callable[..., Any] = field(kw_only=True)
    bank: Bank = field(kw_only=True)
    steps: Sequence[Step] = field(kw_only=True)
    points: float = field(default=4, kw_only=True)
    minutes: int = field(default=10, kw_only=True)
    difficulty: int = field(default=2, kw_only=True)
    lab: str = field(default="", kw_only=True)
    ours: Sequence[Callable[..., Any]] = field(default=(), kw_only=True)
    lends: Callable[..., Any] | None = field(default=None, kw_only=True)
    rtol: float = field(default=1e-5, kw_only=True)
    atol: float = field(default=1e-12, kw_only=True)
    seconds: float = field(default=3.0, kw_only=True)
    isolated: bool = field(default=True, kw_only=True)
    module: str = field(default="", init=False)
    latest: Verdict | None = field(default=None, init=False)
    _judged: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.title:
            return
        stated = facts_of(self.exercise)
        for name in ("title", "function", "points", "minutes", "difficulty", "lab"):
            setattr(self, name, getattr(stated, name))

    def __reduce__(self) -> Any:
        """Travel to another process by name, if this is a check of a module."""
        if self.module:
            from datahall.checking.registry import find

            return find, (self.module, self.exercise)
        changed = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return object.__new__, (Check,), changed | {"latest": None, "_judged": None}

    @property
    def stated_dtype(self) -> str:
        """The one number type that the solution's docstring says it returns; "" if it says none."""
        returned = self._solution.partition("Returns:")[2].partition('"""')[0]
        named = set(re.findall(r"\bu?int(?:8|16|32|64)\b|\bfloat(?:32|64)\b", returned))
        return named.pop() if len(named) == 1 else ""

    @property
    def may_return_none(self) -> bool:
        """Whether None is a result, by the solution's signature."""
        head = self._solution.partition('"""')[0]
        return "None" in head.rpartition("->")[2]

    @property
    def returns_either(self) -> bool:
        """Whether results are of two kinds, by the solution's signature: `Claims | Refusal`."""
        returned = self._solution.partition('"""')[0].rpartition("->")[2].strip().rstrip(":")
        kinds = re.sub(r"\[.*?\]", "", returned).split("|")
        return len([kind for kind in kinds if kind.strip() != "None"]) > 1

    @property
    def _solution(self) -> str:
        try:
            return facts_of(self.exercise).answer
        except CourseError:  # an exercise of a lecture has no solution
            return ""

    @property
    def not_to_call(self) -> list[Callable[..., Any]]:
        """The course's functions that are this exercise."""
        return [self.reference, *self.ours]

    def __call__(self, answer: Any) -> Verdict:
        """Judge an answer, remember and record the verdict, and return it.

        Raises:
            CheckFailed: The answer is wrong and `DATAHALL_STRICT` is 1.
        """
        verdict = attempts.keep(self.judge(answer), lab=self.lab)
        self.latest, self._judged = verdict, answer
        if verdict.state == "wrong" and os.environ.get("DATAHALL_STRICT") == "1":
            raise CheckFailed(str(verdict))
        return verdict

    def judge(self, answer: Any) -> Verdict:
        """Judge an answer and leave no trace of it."""
        with kept_state():
            seen = judging.at_sight(self, answer)
            found, note = self._found(answer) if seen is None else (seen, "")
        if isinstance(found, Died):
            points = float(found.last.get("points", 0))
            return self._verdict("wrong", points, self._obituary(found), note=note)
        details = tuple((str(what), cut(str(value), _MOST)) for what, value in found["details"])
        return self._verdict(found["state"], found["points"], found["message"], details, note)

    def _found(self, answer: Any) -> tuple[dict[str, Any] | Died, str]:
        """Judge in a child, in the child of a zygote, or here: what is possible, in this order."""
        note = ""
        try:
            if self.isolated and child.can_fork():
                if any(isinstance(step, Search) for step in self.steps):
                    searching.begin()
                return child.run(
                    lambda beat: judging.judge(self, answer, beat), seconds=self.seconds
                ), ""
            if self.isolated:
                try:
                    return forkserver.judged(self, answer), ""
                except forkserver.CannotTravelError as error:
                    note = (
                        "Judged in this notebook's own process, where only a timer protects it: "
                        f"the answer cannot be sent to another one ({error})."
                    )
            return judging.judge(self, answer, lambda facts: None), note
        except Exception as error:  # ours, not the learner's: a check never stops a notebook
            return Died("broken", {"error": f"{type(error).__name__}: {error_text(error)}"}), note

    def _verdict(
        self,
        state: State,
        points: float,
        message: str,
        details: tuple[tuple[str, str], ...] = (),
        note: str = "",
    ) -> Verdict:
        message, best = cut(message, _MOST), float(self.points)
        return Verdict(self.exercise, self.title, state, points, best, message, details, note)

    def use(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        """Return the learner's function once it passes, else the reference, and print which.

        So the cell that needs the function shows its picture in any case.
        """
        verdict = (
            self.latest
            if answer is self._judged and self.latest is not None
            else self.judge(answer)
        )
        if verdict.state == "passed":
            print(f"with your {self.function}")
            return answer
        print(f"with the reference {self.function}: exercise {self.exercise} is not passed yet")
        return self.lends or self.reference

    def _obituary(self, died: Died) -> str:
        called = died.last.get("call", self.function)
        return {
            "time": f"{called} did not end within {self.seconds:g} s and had to be killed. "
            "Is there a loop that never ends, or an array far too large?",
            "crash": f"{called} crashed the process ({died.signal}). "
            "Does it call itself without end, or write outside an array?",
            "exit": f"{called} ended the process. Return the result instead.",
            "mute": f"{called} closed files that are not its own, so nothing came back. "
            "Close only what your code has opened.",
            "left": f"{called} was interrupted.",
            "broken": f"This check failed ({died.last.get('error')}); your answer was not judged. "
            "Please report it with the cell above.",
        }[died.why]
