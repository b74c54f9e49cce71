"""Answers that learners give: right ones, and typical wrong ones with the idea each reveals.

The first right answer is the solution of the lab itself, and most typical wrong ones are a slip in
it. So a bank writes down only what is different: `Slip({"2 * padding": "padding"}, …)`.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datahall.checking.facts import facts_of
from datahall.errors import CourseError


@dataclass(frozen=True)
class Wrong:
    """A typical wrong answer.

    Args:
        answer: What a learner might write, runnable.
        says: The sentence that the check says to whoever wrote it: what to do, or which question to
            ask oneself.
        idea: The misunderstanding it reveals, for instructors: "counts gaps, not posts".
    """

    answer: Callable[..., Any]
    says: str
    idea: str


@dataclass(frozen=True)
class Slip:
    """A typical wrong answer, written as what is different from the solution.

    Args:
        changes: A piece of the solution to what stands there instead, wherever it stands.
        says: As for `Wrong`.
        idea: As for `Wrong`.
    """

    changes: Mapping[str, str]
    says: str
    idea: str


@dataclass(frozen=True)
class Bank:
    """The answers of one exercise: at least two right and three wrong ones (tested)."""

    right: Sequence[Callable[..., Any]]
    wrong: Sequence[Wrong]

    @classmethod
    def of(
        cls,
        exercise: str,
        names: Mapping[str, Any],
        *,
        right: Sequence[Callable[..., Any] | str],
        wrong: Sequence[Wrong | Slip],
    ) -> Bank:
        """Return the bank of a lab's exercise; its solution is the first right answer.

        Args:
            exercise: Its number, `01.2`.
            names: What the solution uses, by name: `{"np": np}`.
            right: Right answers, written in other ways than the solution: functions, or texts that
                stand below the solution's signature, indented as there.
            wrong: Typical mistakes.

        Raises:
            CourseError: A slip changes what does not stand in the solution.
        """
        made = [
            Wrong(written(exercise, each.changes, names), each.says, each.idea)
            if isinstance(each, Slip)
            else each
            for each in wrong
        ]
        others = [
            written(exercise, {}, names, body=each) if isinstance(each, str) else each
            for each in right
        ]
        return cls([written(exercise, {}, names), *others], made)


def _parted(answer: str) -> tuple[str, str, str]:
    """Return an answer's head up to its docstring, and what it does: only there anything slips."""
    opened = answer.index('"""') + 3
    closed = answer.index('"""', opened) + 3
    return answer[:opened], answer[opened:closed], answer[closed:]


def written(
    exercise: str, changes: Mapping[str, str], names: Mapping[str, Any], *, body: str = ""
) -> Any:
    """Return the solution of an exercise, executed, with changes in it.

    Args:
        exercise: Its number.
        changes: Old text to new; every place where the old one stands is changed.
        names: What the solution uses.
        body: What stands below the signature instead of the solution.

    Raises:
        CourseError: An old text does not stand in the solution.
    """
    facts = facts_of(exercise)
    head, mark, text = _parted(facts.answer)
    text = body or text
    for old, new in changes.items():
        if old not in text:
            raise CourseError(
                f"the solution of exercise {exercise} has no {old!r}, so nothing can slip there. "
                f"It is:\n{text}Write a piece of it."
            )
        text = text.replace(old, new)
    text = head + mark + text
    kind = "another way to" if body else "solution"
    name = f"<{kind} {exercise}{' with ' if changes else ''}{'; '.join(changes.values())}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    room = dict(names) | {"__name__": "__solution__"}
    exec(compile(text, name, "exec"), room)  # noqa: S102 (the course's own text)
    return room[facts.function]
