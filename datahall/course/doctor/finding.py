"""One line of the examination of a machine."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, BAD = "ok", "warning", "bad"


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes:
        what: What was looked at.
        status: `ok`, `warning` or `bad`.
        found: What was found.
        advice: What to do; empty when all is well.
    """

    what: str
    status: str
    found: str
    advice: str = ""
