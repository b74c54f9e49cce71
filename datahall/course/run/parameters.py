"""A notebook's parameters, and values for them that are checked before anything runs.

Papermill only warns about a misspelt parameter and passes any text on as text. Here the parameters
cell is read as Python: an annotation states the type, the comment at the line's end the unit and
meaning. Read `inspect` first, then `check`.
"""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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
        kind: `int`, `float`, `bool`, `str`, `list[...]`, `tuple[...]`, `dict[...]`, `Literal[...]`,
            unions with `|`, `Optional[...]`, `Union[...]`, `None`; "" reads a literal. A type that
            this does not know takes any literal.

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
    try:
        node = ast.parse(kind.strip() or "object", mode="eval").body
    except SyntaxError:
        return _literal(text)
    return _read(text, node)


def _read(text: Any, kind: ast.expr) -> Any:
    """Read a value as the type that an annotation names."""
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        return _first_that_fits(text, [kind.left, kind.right])
    if isinstance(kind, ast.Subscript):
        inner = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
        return _read_generic(text, _name(kind.value), list(inner))
    if isinstance(kind, ast.Constant):  # None, or a type written as text
        return (
            _read_plain(text, "none") if kind.value is None else read_value(text, str(kind.value))
        )
    name = _name(kind)
    return _read_generic(text, name, []) if name in _MANY else _read_plain(text, name)


_MANY = {"list": list, "sequence": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_PLAIN: dict[str, type] = {
    **{kind.__name__: kind for kind in (int, float, bool, str, dict)},
    "none": type(None),
    "nonetype": type(None),
    "mapping": dict,
}


def _name(kind: ast.expr) -> str:
    """Return the last part of a type's name, in small letters: `list` of `typing.List`."""
    return (kind.attr if isinstance(kind, ast.Attribute) else ast.unparse(kind)).lower()


def _read_generic(text: Any, name: str, inner: list[ast.expr]) -> Any:
    if name == "optional":
        return _first_that_fits(text, [*inner, ast.Constant(None)])
    if name == "union":
        return _first_that_fits(text, inner)
    if name == "literal":
        return _read_choice(text, [ast.literal_eval(choice) for choice in inner])
    if name in ("annotated", "final", "classvar") and inner:
        return _read(text, inner[0])
    if name in _MANY:
        return _read_many(text, name, inner)
    value = _read_plain(text, name)
    if isinstance(value, dict) and len(inner) == 2:
        return {_read(key, inner[0]): _read(item, inner[1]) for key, item in value.items()}
    return value


def _read_choice(text: Any, choices: list[Any]) -> Any:
    for choice in choices:
        if text == choice or (isinstance(text, str) and text.strip() == str(choice)):
            return choice
    raise ValueError(f"{_short(text)} is none of {', '.join(map(repr, choices))}")


def _read_plain(text: Any, name: str) -> Any:
    wanted = _PLAIN.get(name)
    value = text if wanted is str and isinstance(text, str) else _literal(text)
    if wanted is None:
        return value
    if wanted is float and not isinstance(value, bool) and isinstance(value, int | str):
        try:
            value = float(value)  # also reads "nan" and "inf"
        except OverflowError as error:
            raise ValueError(str(error)) from error
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ValueError(f"{_short(text)} is not {name}")
    return value


def _first_that_fits(text: Any, kinds: list[ast.expr]) -> Any:
    for kind in sorted(kinds, key=lambda kind: _name(kind) == "str"):  # text fits every word: last
        try:
            return _read(text, kind)
        except ValueError:
            continue
    raise ValueError(f"{_short(text)} is none of {', '.join(map(ast.unparse, kinds))}")


def _read_many(text: Any, name: str, inner: list[ast.expr]) -> Any:
    make = _MANY[name]
    values = _literal(text) if isinstance(text, str) else text
    words = isinstance(text, str) and not text.lstrip().startswith(("[", "(", "{"))
    if words:  # 1, 2, 3 without brackets: each part is text, and read as its type
        values = [part.strip() for part in text.split(",")]
        values = values[:-1] if values[-1] == "" else values
    if not isinstance(values, list | tuple | set | frozenset):
        raise ValueError(f"{_short(text)} is not {name}")
    ends = bool(inner) and isinstance(inner[-1], ast.Constant) and inner[-1].value is ...
    kinds = inner[:1] * len(values) if make is not tuple or ends else list(inner)
    if kinds and len(kinds) != len(values):
        raise ValueError(f"{_short(text)} has {len(values)} elements, not {len(kinds)}")
    if not kinds:
        return make(_literal(value) if words else value for value in values)
    return make(_read(value, kind) for value, kind in zip(values, kinds, strict=True))


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
