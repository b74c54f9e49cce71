"""Answers that learners give: right ones, and typical wrong ones with the idea each reveals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


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
class Bank:
    """The answers of one exercise: at least two right and three wrong ones (tested)."""

    right: Sequence[Callable[..., Any]]
    wrong: Sequence[Wrong]
