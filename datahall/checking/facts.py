"""What the solution notebooks say of each exercise: `exercises.json`, made by `labs build`.

An installed package has no solutions folder, so their headings and answers are written here, by
number. A test compares them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from datahall.errors import CourseError

FILE = Path(__file__).parents[1] / "exercises.json"


@dataclass(frozen=True)
class Facts:
    """An exercise, as its heading states it.

    Args:
        title: Its title, a verb first: "Slide the kernel".
        minutes: How long it takes a learner.
        difficulty: 1 to 5.
        points: Points to be had.
        lab: The notebook it stands in, `01_convolution_lab`.
        function: The name that the learner defines.
        answer: The solution's text.
    """

    title: str
    minutes: int
    difficulty: int
    points: int
    lab: str
    function: str
    answer: str


def facts_of(exercise: str) -> Facts:
    """Return what the solution says of an exercise.

    Raises:
        CourseError: No solution has it.
    """
    found = _all().get(exercise)
    if found is None:
        raise CourseError(
            f"no solution has an exercise {exercise}. Write it, then run `datahall labs build`."
        )
    return Facts(**found | {"answer": "\n".join(found["answer"]) + "\n"})


@lru_cache(maxsize=1)
def _all() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
