"""The claims and their bounds, read from `datahall/claims/`; the bounds decide the verdict.

`articles.toml` names the articles; `convolution.toml` holds the claims that module answers, and so
on: one file a module. The fields of a `[[claim]]`:

- `id` (never changes), `articles` (keys of `articles.toml`), `statement` (what is claimed, in our
  words), `claimed` (the same in a few words), `how` (how it is measured).
- `notebook` (stem) and `preset`: the run that measures it; without them the claim waits for its
  module.
- `seeds`: one run a seed; `cheap`: `datahall claims --check` measures it afresh.
- `shows`: the key of the value that the page's table shows; `claimed_value`: what it is set beside
  in the small picture.
- `[[claim.rule]]`: `verdict`, `because`, `when`: a list of `{key, at_least, at_most, equal, of}`
  that must all hold. The first verdict whose conditions hold is the claim's; `of` says over which
  runs: `every` (the default), `mean` or `any`. A run that gives no number (nan) holds no bound; if
  nothing else decides, it refutes.

A notebook reports a value for a claim as `claim="C03.test"`: the id, a dot, the key.
"""

from __future__ import annotations

import math
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from datahall.course.exits import InputError
from datahall.course.fields import STRICT, refuse_twice, validated

Verdict = Literal["reproduced", "corrected", "refuted"]
UNDECIDED = "undecided"
_ARTICLES = "articles.toml"


@dataclass(frozen=True, config=STRICT)
class Condition:
    """A bound on one measured value, over the runs of a claim."""

    key: str
    of: Literal["every", "mean", "any"] = "every"
    at_least: float | None = None
    at_most: float | None = None
    equal: bool | int | float | str | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Condition:
        if self.at_least is None and self.at_most is None and self.equal is None:
            raise ValueError("Every condition needs a bound: at_least, at_most or equal.")
        return self

    def holds(self, runs: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether the bound holds; a value that is missing from a run never does."""
        if not runs or any(self.key not in run for run in runs):
            return False
        measured = [number(run[self.key]) for run in runs]
        if self.of == "mean":
            return self._one(statistics.mean(measured))
        return (any if self.of == "any" else all)(self._one(value) for value in measured)

    def _one(self, value: Any) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.equal is None or value == self.equal)
        )

    def text(self, name: str) -> str:
        """Write the bound as a reader would say it, with the value's name."""
        limits = [
            f"{sign} {limit:g}" if isinstance(limit, float) else f"{sign} {limit}"
            for sign, limit in (("≥", self.at_least), ("≤", self.at_most), ("=", self.equal))
            if limit is not None
        ]
        over = {"every": "", "mean": "mean ", "any": "any "}[self.of]
        return f"{over}{name} {' and '.join(limits)}"


@dataclass(frozen=True, config=STRICT)
class Rule:
    """One possible verdict: what it is, why, and the conditions under which it is reached."""

    verdict: Verdict
    because: str
    when: Annotated[tuple[Condition, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Judgement:
    """The verdict on a claim, why, and the conditions that held."""

    verdict: str
    because: str
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, config=STRICT)
class Claim:
    """One statement of an article, and how it is put to the test."""

    id: Annotated[str, Field(pattern=r"^C\d+$")]
    articles: tuple[str, ...]
    statement: str
    module: str = ""
    how: str = ""
    claimed: str = ""
    notebook: str | None = None
    preset: str = "smoke"
    seeds: tuple[int, ...] = ()
    cheap: bool = False
    shows: str = ""
    claimed_value: float | None = None
    rule: tuple[Rule, ...] = ()

    @field_validator("statement", "claimed")
    @classmethod
    def _is_paraphrased(cls, text: str) -> str:
        if set(text) & set('"“”„«»'):
            raise ValueError("It is a paraphrase: write it without quotation marks.")
        return text

    @model_validator(mode="after")
    def _can_be_judged(self) -> Claim:
        if self.notebook and not (self.rule and self.shows):
            raise ValueError(
                "It is measured: add `shows`, and the bounds that decide it, as [[claim.rule]]."
            )
        return self

    def judge(self, runs: Sequence[Mapping[str, Any]]) -> Judgement:
        """Return the first verdict whose conditions hold for the measured runs.

        Args:
            runs: For each run its values by key.
        """
        for rule in self.rule:
            if all(condition.holds(runs) for condition in rule.when):
                return Judgement(rule.verdict, rule.because, rule.when)
        wanted = {condition.key for rule in self.rule for condition in rule.when}
        for key in sorted(wanted):
            if any(_diverged(run.get(key)) for run in runs):
                return Judgement("refuted", f"A run diverged: it gave no number for {key}.")
        return Judgement(UNDECIDED, "No verdict's conditions hold for what was measured.")


def number(value: Any) -> Any:
    """Return a measured value as it was: JSON has texts for what is not finite.

    Example:
        >>> number("-inf"), number(3), number("tanh")
        (-inf, 3, 'tanh')
    """
    return float(value) if value in ("nan", "inf", "-inf") else value


def _diverged(value: Any) -> bool:
    found = number(value)
    return isinstance(found, float) and math.isnan(found)


@cache
def articles(folder: Path | None = None) -> dict[str, str]:
    """Return the titles of the articles by their keys.

    Raises:
        InputError: The file cannot be read, or is not a table of texts.

    Example:
        >>> list(articles())
        ['A1', 'A2', 'A3', 'A4', 'A5']
    """
    file = (folder or files("datahall") / "claims").joinpath(_ARTICLES)
    return validated(dict[str, str], _toml(file), f"claims/{_ARTICLES}")


@cache
def load(folder: Path | None = None) -> tuple[Claim, ...]:
    """Read the claims of all modules, in the order of their ids.

    Args:
        folder: Another folder of such files; the package's own if left out.

    Raises:
        InputError: A file cannot be read, or a claim is not as it must be; the claim and the
            field are named.

    Example:
        >>> load()[0].id
        'C01'
    """
    where = folder or files("datahall") / "claims"
    claims: list[Claim] = []
    for file in sorted(where.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".toml") and file.name != _ARTICLES:
            claims += _claims(file, articles(folder))
    refuse_twice([claim.id for claim in claims], "id", "claims")
    return tuple(sorted(claims, key=lambda claim: int(claim.id[1:])))


def _claims(file: Traversable, known: Mapping[str, str]) -> list[Claim]:
    module, found = file.name.removesuffix(".toml"), []
    tables = _toml(file).get("claim")
    if not isinstance(tables, list):
        raise InputError(f"claims/{file.name} has no [[claim]]. A list of claims was expected.")
    for table in tables:
        where = f"claims/{file.name}: {table.get('id', '(without id)')}"
        claim = validated(Claim, {**table, "module": module}, where)
        if unknown := set(claim.articles) - known.keys():
            raise InputError(
                f"{where}: there is no article {min(unknown)!r}. Known: {', '.join(known)}; they "
                f"stand in claims/{_ARTICLES}."
            )
        found.append(claim)
    return found


def _toml(file: Traversable) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"claims/{file.name} cannot be read ({error}). Mend the file, or install the package "
            "again."
        ) from error
