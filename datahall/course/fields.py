"""Plain data against a declared shape, by pydantic; what is wrong is said as the course says it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from datahall.course.exits import InputError

# Nothing is guessed: "3" is no number, and an unknown field is a misspelt one.
STRICT = ConfigDict(extra="forbid", strict=True)

Kind = TypeVar("Kind")


def validated(kind: type[Kind], raw: Any, where: str) -> Kind:
    """Return plain data as a value of a declared kind.

    Args:
        kind: A pydantic dataclass, or any type that pydantic knows.
        raw: Tables, lists, texts and numbers, as TOML or JSON gives them.
        where: What is being read, for the message: "course.toml: [course]".

    Raises:
        InputError: A field is missing, unknown or of the wrong type; the first such is named.
    """
    try:
        # As JSON: there a list is a tuple and a table an object, and nothing else is converted.
        return TypeAdapter(kind).validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        raise InputError(_sentence(error, kind, where)) from error


def _sentence(error: ValidationError, kind: type, where: str) -> str:
    first = error.errors(include_url=False)[0]
    *outer, name = [str(part) for part in first["loc"]] or [""]
    at = f"{where}: {'.'.join(outer)}" if outer else where
    if first["type"] in ("missing", "missing_argument"):
        return f"{at} has no field {name!r}. Add it."
    if name == "[key]":
        *outer, name = outer
        known = re.findall(r"'([^']*)'", str(first.get("ctx", {}).get("expected", "")))
        return f"{where}: {'.'.join(outer)} has an unknown field {name!r}.{_hint(name, known)}"
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        fields = [] if outer else list(getattr(kind, "__dataclass_fields__", {}))
        return f"{at} has an unknown field {name!r}.{_hint(name, fields)}"
    reason = str(first.get("ctx", {}).get("error") or first["msg"])
    said = reason if reason.endswith(".") else f"{reason.replace('Input should', 'It should')}."
    field = f": {name} is {first['input']!r}" if name else f" is {first['input']!r}"
    return f"{at}{field}. {said}"


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known := list(known), n=1)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(known)}." if known else " Take it out, or mend its spelling."


def refuse_twice(names: Sequence[str], what: str, where: str) -> None:
    """Refuse a name that occurs twice.

    Args:
        names: What is looked at.
        what: What they are, for the message: "slug".
        where: Where they stand, for the message: "course.toml".

    Raises:
        InputError: It names the first such name.
    """
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{where}: the {what} {twice[0]!r} occurs twice. Each must occur once.")
