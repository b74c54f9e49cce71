"""The claims and their bounds, read from `claims.toml`; the bounds decide the verdict.

The fields of a `[[claim]]`:

- `id` (never changes), `article`, `module` (a number of `course.toml`), `statement` (what is
printed), `how` (how it is measured).
- `notebook` (stem) and `preset`: the run that measures it; without them the claim waits for its
module.
- `seeds`: one run a seed; `cheap`: `datahall claims --check` measures it afresh.
- `claimed`: what the page shows as claimed; `plot`: the value whose runs the small picture shows,
with `claimed_value`.
- `[[claim.verdict]]`: `is`, `because`, and `when`: a list of `{value, at_least, at_most, equal,
of}` that must all hold. The first
  verdict whose conditions hold is the claim's; `of` says over which runs: `every` (the default),
  `mean` or `any`.
"""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from datahall.course.exits import InputError

VERDICTS = ("reproduced", "corrected", "refuted")
UNDECIDED = "undecided"
_SPREADS = ("every", "mean", "any")


@dataclass(frozen=True)
class Condition:
    """A bound on one measured value, over the runs of a claim."""

    value: str
    of: str = "every"
    at_least: float | None = None
    at_most: float | None = None
    equal: Any = None

    def holds(self, runs: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether the bound holds; a value that is missing from a run never does."""
        if not runs or any(self.value not in run for run in runs):
            return False
        measured = [run[self.value] for run in runs]
        if self.of == "mean":
            return self._one(statistics.mean(measured))
        return (any if self.of == "any" else all)(self._one(value) for value in measured)

    def _one(self, value: Any) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.equal is None or value == self.equal)
        )

    def __str__(self) -> str:
        """Write the bound as a reader would say it."""
        limits = [
            f"{sign} {limit}"
            for sign, limit in (("≥", self.at_least), ("≤", self.at_most), ("=", self.equal))
            if limit is not None
        ]
        over = {"every": "", "mean": "mean ", "any": "any "}[self.of]
        return f"{over}{self.value} {' and '.join(limits)}"


@dataclass(frozen=True)
class Rule:
    """One possible verdict: what it is, why, and the conditions under which it is reached."""

    verdict: str
    because: str
    when: tuple[Condition, ...]


@dataclass(frozen=True)
class Claim:
    """One statement of an article, and how it is put to the test."""

    id: str
    article: str
    module: int
    statement: str
    how: str = ""
    claimed: str = ""
    notebook: str | None = None
    preset: str = "smoke"
    seeds: tuple[int, ...] = ()
    cheap: bool = False
    plot: str = ""
    claimed_value: float | None = None
    rules: tuple[Rule, ...] = ()

    def judge(self, runs: Sequence[Mapping[str, Any]]) -> Rule:
        """Return the first verdict whose conditions hold for the measured runs."""
        for rule in self.rules:
            if all(condition.holds(runs) for condition in rule.when):
                return rule
        return Rule(UNDECIDED, "No verdict's conditions hold for what was measured.", ())


@cache
def load(path: Path | None = None) -> tuple[Claim, ...]:
    """Read the claims.

    Args:
        path: Another file of the same structure; the package's own if left out.

    Raises:
        InputError: The file cannot be read, or a claim is not as it must be; the claim and the
            field are named.

    Example:
        >>> load()[0].id
        'C01'
    """
    source = path or files("datahall") / "claims.toml"
    try:
        tables = tomllib.loads(source.read_text(encoding="utf-8"))["claim"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"claims.toml cannot be read ({error}). A list of [[claim]] tables was expected."
        ) from error
    claims = tuple(_claim(table) for table in tables)
    ids = [claim.id for claim in claims]
    if len(set(ids)) != len(ids):
        raise InputError(
            f"claims.toml: the id {max(ids, key=ids.count)} occurs twice. An id is used once and "
            "never changes."
        )
    return claims


def _claim(table: dict[str, Any]) -> Claim:
    name = table.get("id", "(without id)")
    fields = {key: value for key, value in table.items() if key != "verdict"}
    known = set(Claim.__dataclass_fields__) - {"rules"}
    if unknown := fields.keys() - known:
        raise InputError(
            f"claims.toml: {name} has an unknown field {min(unknown)!r}. Known: "
            f"{', '.join(sorted(known))}."
        )
    if missing := {"id", "article", "module", "statement"} - fields.keys():
        raise InputError(f"claims.toml: {name} has no field {min(missing)!r}. Add it.")
    rules = tuple(_rule(name, entry) for entry in table.get("verdict", ()))
    if fields.get("notebook") and not rules:
        raise InputError(
            f"claims.toml: {name} is measured but has no [[claim.verdict]]. Add the bounds that "
            "decide it."
        )
    return Claim(**{**fields, "seeds": tuple(fields.get("seeds", ())), "rules": rules})


def _rule(name: str, entry: dict[str, Any]) -> Rule:
    try:
        rule = Rule(
            entry["is"],
            entry["because"],
            tuple(Condition(**condition) for condition in entry["when"]),
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"claims.toml: a verdict of {name} is not as it must be ({error}). It needs is, "
            "because and when."
        ) from error
    bad = [
        c
        for c in rule.when
        if c.of not in _SPREADS or (c.at_least is None and c.at_most is None and c.equal is None)
    ]
    if rule.verdict not in VERDICTS or bad or not rule.when:
        raise InputError(
            f"claims.toml: a verdict of {name} is {entry!r}. `is` must be one of "
            f"{', '.join(VERDICTS)}, `of` one of "
            f"{', '.join(_SPREADS)}, and every condition needs a bound."
        )
    return rule
