"""Checks that teach: the framework behind every `checks.<function>(answer)` of the labs.

A concept's `bank.py` holds right and typical wrong answers, its `checks.py` one `Check` an
exercise; title, minutes and points stand in the heading of the solution notebook. A check calls the
answer on steps that go from the smallest `Example` over named `Trap`s to a `Search`; a `Property`
tests what is not one call. It returns a `Verdict`: not attempted, wrong (with what was called, what
came back, what was expected, and the idea to look at) or passed. It never stops the notebook,
unless `DATAHALL_STRICT` is 1.
"""

from datahall.checking.bank import Bank, Slip, Wrong
from datahall.checking.check import Check
from datahall.checking.registry import all_checks, checks_of, summary_for
from datahall.checking.steps import Case, Example, Property, Search, Trap
from datahall.checking.verdict import Summary, Verdict

__all__ = [
    "Bank",
    "Case",
    "Check",
    "Example",
    "Property",
    "Search",
    "Slip",
    "Summary",
    "Trap",
    "Verdict",
    "Wrong",
    "all_checks",
    "checks_of",
    "summary_for",
]
