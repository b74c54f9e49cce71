"""A check: the exercise it belongs to, its reference, its steps, and what it says of an answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from datahall.checking import child, judging, records
from datahall.checking.bank import Bank
from datahall.checking.calling import kept_state
from datahall.checking.steps import Step
from datahall.checking.verdict import State, Verdict
from datahall.errors import CheckFailed


@dataclass(eq=False)
class Check:
    """The check of one exercise; call it with the learner's answer.

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
        lab: The notebook it stands in, `01_convolution_lab`; without it the module's first lab.
        rtol: Relative tolerance of floating-point numbers.
        atol: Absolute tolerance.
        seconds: CPU seconds that one call may take.
        isolated: Whether the answer is judged in a limited child process where one can be forked.
            False for answers that need TensorFlow, whose threads do not survive a fork.
    """

    exercise: str
    title: str
    function: str = field(kw_only=True)
    reference: Callable[..., Any] = field(kw_only=True)
    bank: Bank = field(kw_only=True)
    steps: Sequence[Step] = field(kw_only=True)
    points: float = field(default=4, kw_only=True)
    minutes: int = field(default=10, kw_only=True)
    difficulty: int = field(default=2, kw_only=True)
    lab: str = field(default="", kw_only=True)
    rtol: float = field(default=1e-5, kw_only=True)
    atol: float = field(default=1e-6, kw_only=True)
    seconds: float = field(default=5.0, kw_only=True)
    isolated: bool = field(default=True, kw_only=True)
    latest: Verdict | None = field(default=None, init=False)
    _judged: Any = field(default=None, init=False, repr=False)

    def __call__(self, answer: Any) -> Verdict:
        """Judge an answer, remember and record the verdict, and return it.

        Raises:
            CheckFailed: The answer is wrong and `DATAHALL_STRICT` is 1.
        """
        verdict = records.keep(self.judge(answer), lab=self.lab)
        self.latest, self._judged = verdict, answer
        if verdict.state == "wrong" and os.environ.get("DATAHALL_STRICT") == "1":
            raise CheckFailed(str(verdict))
        return verdict

    def judge(self, answer: Any) -> Verdict:
        """Judge an answer and leave no trace of it."""
        with kept_state():
            found = self._found(answer)
        if isinstance(found, child.Died):
            return self._verdict("wrong", float(found.last.get("points", 0)), self._obituary(found))
        details = tuple((str(what), str(value)) for what, value in found["details"])
        return self._verdict(found["state"], found["points"], found["message"], details)

    def _found(self, answer: Any) -> dict[str, Any] | child.Died:
        if self.isolated and child.can_fork():
            return child.run(lambda beat: judging.judge(self, answer, beat), seconds=self.seconds)
        try:
            return judging.judge(self, answer, lambda facts: None)
        except Exception as error:  # ours, not the learner's: a check never stops a notebook
            return child.Died("broken", {"error": f"{type(error).__name__}: {error}"})

    def _verdict(
        self, state: State, points: float, message: str, details: tuple[tuple[str, str], ...] = ()
    ) -> Verdict:
        return Verdict(
            self.exercise, self.title, state, points, float(self.points), message, details
        )

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
        return self.reference

    def _obituary(self, died: child.Died) -> str:
        called = died.last.get("call", self.function)
        return {
            "time": f"{called} did not end within {self.seconds:g} s and had to be killed. "
            "Is there a loop that never ends, or an array far too large?",
            "crash": f"{called} crashed the process ({died.signal}). "
            "Does it call itself without end, or write outside an array?",
            "exit": f"{called} ended the process. Return the result instead.",
            "broken": f"This check failed ({died.last.get('error')}); your answer was not judged. "
            "Please report it with the cell above.",
        }[died.why]
