"""Why a call is ended from outside."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "value",
    "raised",
    "unanswered",
    "time",
    "exit",
    "input",
    "flood",
    "memory",
    "recursion",
    "ours",
]


class Halt(BaseException):
    """Ends an answer from outside; no `Exception`, so `except Exception` lets it through."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.kind: Kind = kind
