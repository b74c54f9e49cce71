"""A notebook's parameters, and values for them that are checked before anything runs.

Papermill only warns about a misspelt parameter and passes any text on as text. Here the parameters
cell is read as Python: an annotation states the type, the comment at the line's end the unit and
meaning. Read `inspect` first, then `check`.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import io
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Optional, Union

from pydantic import PydanticUserError, StrictBool, StrictFloat, StrictInt, StrictStr, TypeAdapter

from datahall.course.notebooks.sources import Source
from datahall.errors import ParameterError

_WORDS: dict[str, float | bool | None] = {
    **{"true": True, "false": False, "none": None, "null": None},
    **{word: float(word) for word in ("nan", "inf", "-inf")},
}


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


def read_value(value: Any, kind: str) -> Any:
    """Read a value as a type.

    Args:
        value: Text from a command line, or a value from `course.toml` or Python.
        kind: The annotation: `list[int]`, `float | None`, `Literal["a", "b"]`, …; "" reads a
            literal. A type that this does not know takes any literal.

    Raises:
        ValueError: It is not of that type.

    Example:
        >>> read_value("3", "int"), read_value("3", "float"), read_value("3", "str")
        (3, 3.0, '3')
        >>> read_value("1, 2", "list[int]"), read_value("none", "int | None")
        ([1, 2], None)
        >>> read_value("2.20, 2.21", "list[str]"), read_value("(1, 'a')", "tuple[int, str]")
        (['2.20', '2.21'], (1, 'a'))
    """
    adapter = _adapter(kind)
    if adapter is None:
        return _literal(value)
    for reading in _readings(value):
        with contextlib.suppress(ValueError):
            return adapter.validate_python(reading)
    raise ValueError(f"{_short(value)} is not {kind}")


def _readings(value: Any) -> Iterator[Any]:
    """Yield what a value can mean, the likeliest first: Python's, itself, several with commas."""
    if not isinstance(literal := _literal(value), str):
        yield literal  # text in quotes stays as it was typed
    yield value
    parts = value
    if isinstance(value, str):
        if value.lstrip().startswith(("[", "(", "{")):
            return
        parts = [part.strip() for part in value.split(",")]
        parts = parts[:-1] if parts[-1] == "" else parts
    if isinstance(parts, list | tuple | set | frozenset):
        yield [_literal(part) for part in parts]
        yield parts


# Nothing is guessed of a number, a word or a yes; a list may be typed for a tuple or a set.
_TYPES: dict[str, Any] = {
    "int": StrictInt,
    "float": StrictFloat,
    "bool": StrictBool,
    "str": StrictStr,
    **{kind.__name__: kind for kind in (list, tuple, set, frozenset, dict)},
    **{"sequence": list, "mapping": dict, "optional": Optional, "union": Union, "literal": Literal},
}


@cache
def _adapter(kind: str) -> TypeAdapter[Any] | None:
    """Return what validates values of an annotation, or None for a type that is not known."""
    try:
        return TypeAdapter(_type(ast.parse(kind.strip(), mode="eval").body))
    except (SyntaxError, ValueError, KeyError, TypeError, PydanticUserError):
        return None


def _type(node: ast.expr) -> Any:
    """Return the type that an annotation names. It is read, not evaluated: it may be any code."""
    match node:
        case ast.BinOp(left, ast.BitOr(), right):
            return _type(left) | _type(right)
        case ast.Constant(str(text)):  # a type written as text
            return _type(ast.parse(text, mode="eval").body)
        case ast.Constant(value) if value in (None, ...):
            return value
        case ast.Subscript(ast.Name("Annotated" | "Final"), inner):
            return _type(inner.elts[0] if isinstance(inner, ast.Tuple) else inner)
        case ast.Subscript(outer, inner):
            outer = _type(outer)
            read = ast.literal_eval if outer is Literal else _type
            return outer[
                tuple(map(read, inner.elts)) if isinstance(inner, ast.Tuple) else read(inner)
            ]
    return _TYPES[(node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)).lower()]


def _literal(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    if text.strip().lower() in _WORDS:
        return _WORDS[text.strip().lower()]
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def _short(value: Any) -> str:
    shown = value if isinstance(value, str) else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


def load(path: Path) -> dict[str, Any]:
    """Read a file of parameters: YAML or JSON, one value by name.

    Raises:
        ParameterError: It is missing, or holds something else.
    """
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ParameterError(
            f"{path} cannot be read as parameters ({' '.join(str(error).split())}). A YAML or JSON "
            "file with names and values was expected, such as `epochs: 2`."
        ) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ParameterError(
            f"{path} holds a {type(found).__name__}, not names and values. Write `epochs: 2`, one "
            "a line."
        )
    return found


def _convert(source: Source, parameter: Parameter, value: Any, origin: str) -> Any:
    try:
        return read_value(value, parameter.type)
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        meaning = f" ({parameter.help})" if parameter.help else ""
        raise ParameterError(
            f"{source.stem}: {origin} {parameter.name}={_short(value)}: a value of type "
            f"{parameter.type} was expected{meaning}. "
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
