"""A small exercise for the tests of the framework: how many places can a kernel stand at?"""

from typing import Any

from hypothesis import strategies as st

from datahall.checking import Bank, Check, Example, Search, Trap, Wrong


def places(size: int, kernel: int, *, stride: int = 1) -> int:
    if kernel > size:
        raise ValueError("the kernel is longer than the input")
    return (size - kernel) // stride + 1


def by_counting(size: int, kernel: int, *, stride: int = 1) -> int:
    if kernel > size:
        raise ValueError("too long")
    return len(range(0, size - kernel + 1, stride))


def forgets_the_first(size: int, kernel: int, *, stride: int = 1) -> int:
    if kernel > size:
        raise ValueError
    return (size - kernel) // stride


def rounds_up(size: int, kernel: int, *, stride: int = 1) -> int:
    if kernel > size:
        raise ValueError
    return -((kernel - size) // stride) + 1


def divides(size: int, kernel: int, *, stride: int = 1) -> float:
    return (size - kernel) / stride + 1


BANK = Bank(
    right=[places, by_counting],
    wrong=[
        Wrong(forgets_the_first, says="Count the first place too.", idea="counts gaps, not posts"),
        Wrong(rounds_up, says="A step that does not fit is not a place.", idea="rounds up"),
        Wrong(divides, says="A count is a whole number: use //.", idea="true division"),
    ],
)


def check(**changes: Any) -> Check:
    """Return a fresh check, with other settings where they are given."""
    settings: dict[str, Any] = {
        "function": "places",
        # Not `places` itself: to give the reference back is no answer.
        "reference": lambda size, kernel, *, stride=1: places(size, kernel, stride=stride),
        "bank": BANK,
        "points": 4,
        "minutes": 8,
        "seconds": 1.0,
        "lab": "99_places_lab",
        "steps": [
            Example((1, 1), idea="Draw it."),
            Trap("a stride that does not divide", (8, 3), {"stride": 2}, idea="Round down."),
            Trap("a kernel that does not fit", (2, 3), idea="Refuse it."),
            Search(
                st.tuples(st.integers(5, 30), st.integers(1, 5)), idea="What differs from the rest?"
            ),
        ],
    }
    return Check("99.1", "Count the places", **(settings | changes))
