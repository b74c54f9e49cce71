"""A notebook's parameters, and values for them that are checked before anything runs.

Papermill only warns about a misspelt parameter and passes any text on as text. Here the parameters
cell is read as Python: an annotation states the type, the comment at the line's end the unit and
meaning. Read `inspect` first, then `check`.
"""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datahall.course.notebooks.sources import Source
from datahall.errors import ParameterError

_WORDS = {"true": True, "false": False, "none": None, "null": None}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook.

    Attributes:
        name: Its name.
        type: Its annotation, or the type of its default: `int`, `list[int]`, `float | None`; "" if
            neither tells.
        default: Its default as it stands in the cell.
        help: The comment at the end of its line: unit and meaning.
    """

    name: str
    type: str
    default: str
    help: str


def inspect(source: Source) -> tuple[Parameter, ...]:
    """Return the parameters that a notebook declares in its cell tagged `parameters`, in order.

    Raises:
        ParameterError: The cell cannot be read as Python.
    """
    cell = next(
        (cell for cell in source.cells if "parameters" in cell.tags and cell.kind == "code"), None
    )
    if cell is None or source.language != "python":
        return ()
    try:
        body = ast.parse(cell.source).body
    except SyntaxError as error:
        raise ParameterError(
            f"{source.path.name}: the parameters cell {cell.id!r} is not plain Python (line "
            f"{error.lineno}: {error.msg}). "
            "It may hold assignments only."
        ) from error
    comments = _comments(cell.source)
    found = {}
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and isinstance(target, ast.Name)
            and node.value is not None
        ):
            annotation = (
                ast.unparse(node.annotation).strip("'\"") if isinstance(node, ast.AnnAssign) else ""
            )
            kind = annotation or _type_of_default(node.value)
            help_text = comments.get(node.end_lineno or 0, "")
            found[target.id] = Parameter(target.id, kind, ast.unparse(node.value), help_text)
    return tuple(found.values())


def check(source: Source, given: Mapping[str, Any], *, origin: str = "-p") -> dict[str, Any]:
    """Return the given values as values of the declared types.

    Args:
        source: The notebook.
        given: Values by name; text is read as the declared type.
        origin: Where the values come from, for the message.

    Raises:
        ParameterError: The notebook has no such parameter, or a value is not of its type.
    """
    if not given:
        return {}
    if source.language != "python":
        return {name: _literal(value) for name, value in given.items()}
    known = {parameter.name: parameter for parameter in inspect(source)}
    for name in given:
        if name not in known:
            raise ParameterError(_unknown(source, name, tuple(known), origin))
    return {name: _convert(source, known[name], value, origin) for name, value in given.items()}


def split(pairs: list[str]) -> dict[str, str]:
    """Split `name=value` texts of a command line.

    Raises:
        ParameterError: One has no equals sign, or its name is not a name.

    Example:
        >>> split(["epochs=2", "note=a=b"])
        {'epochs': '2', 'note': 'a=b'}
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ParameterError(
                f"-p {pair} is not of the form name=value. For example: -p epochs=2."
            )
        found[name.strip()] = value.strip()
    return found


def read_value(text: Any, kind: str) -> Any:
    """Read a value as a type.

    Args:
        text: Text from a command line, or a value from `course.toml` or Python.
        kind: `int`, `float`, `bool`, `str`, `list[...]`, `tuple[...]`, `dict[...]`, unions with
            `|`, `None`; "" reads a literal.

    Raises:
        ValueError: It is not of that type.

    Example:
        >>> read_value("3", "int"), read_value("3", "float"), read_value("3", "str")
        (3, 3.0, '3')
        >>> read_value("1, 2", "list[int]"), read_value("none", "int | None")
        ([1, 2], None)
    """
    kind = kind.strip()
    optional = re.fullmatch(r"(?:typing\.)?Optional\[(.*)\]", kind)
    choices = [optional[1], "None"] if optional else _split_outside(kind, "|")
    if len(choices) > 1:
        return _first_that_fits(text, choices)
    base, _, inner = kind.rstrip("]").partition("[")
    base = base.lower()
    if base in ("list", "tuple", "sequence"):
        return _read_many(text, inner, tuple if base == "tuple" else list)
    value = text if base == "str" and isinstance(text, str) else _literal(text)
    if base == "float" and not isinstance(value, bool) and isinstance(value, int | str):
        value = float(value)  # also reads "nan" and "inf"
    wanted = {
        "int": int,
        "float": float,
        "bool": bool,
        "str": str,
        "dict": dict,
        "none": type(None),
    }.get(base)
    if wanted is None:
        return value
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ValueError(f"{text!r} is not {kind}")
    return value


def _first_that_fits(text: Any, kinds: list[str]) -> Any:
    for kind in sorted(
        kinds, key=lambda kind: kind.strip() == "str"
    ):  # text fits every word: try it last
        try:
            return read_value(text, kind)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is none of {', '.join(kinds)}")


def _read_many(text: Any, inner: str, make: type) -> Any:
    values = text
    if isinstance(text, str):
        values = _literal(text)
        if isinstance(values, str) or not isinstance(values, list | tuple):
            values = [part.strip() for part in text.split(",")] if text.strip() else []
    if not isinstance(values, list | tuple):
        raise ValueError(f"{text!r} is not a list")
    element = _split_outside(inner, ",")[0] if inner else ""
    return make(read_value(value, element) for value in values)


def _split_outside(text: str, separator: str) -> list[str]:
    """Split at a separator that stands outside square brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _literal(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    if text.strip().lower() in _WORDS:
        return _WORDS[text.strip().lower()]
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text


def _convert(source: Source, parameter: Parameter, value: Any, origin: str) -> Any:
    try:
        return read_value(value, parameter.type)
    except ValueError as error:
        meaning = f" ({parameter.help})" if parameter.help else ""
        raise ParameterError(
            f"{source.stem}: {origin} {parameter.name}={value}: a value of type {parameter.type} "
            f"was expected{meaning}. "
            f"For example: {parameter.name}={parameter.default}."
        ) from error


def _unknown(source: Source, name: str, known: tuple[str, ...], origin: str) -> str:
    if not known:
        return (
            f"{source.stem} takes no parameters, but {origin} gives {name!r}. "
            "Leave it out, or tag a cell of the notebook `parameters` that assigns it."
        )
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    has = ", ".join(known)
    return f"{source.stem} has no parameter {name!r} (from {origin}). {hint}It has: {has}."


def _type_of_default(node: ast.expr) -> str:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return ""
    return "" if value is None else type(value).__name__


def _comments(code: str) -> dict[int, str]:
    """Return the comment at the end of each line of code, by line number."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }
