"""Parameters: found in the cell, read as their types, refused with the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datahall.course.exits import InputError
from datahall.course.notebooks import sources
from datahall.course.run import parameters
from datahall.errors import ParameterError

Write = Callable[..., Path]

CELL = """# parameters
epochs: int = 2  # passes over the training data
rate: float = 1e-3  # step size, one over the gradient's unit
shuffle: bool = True
sizes: list[int] = [
    8,
    16,
]  # channels of each layer
limit: int | None = None  # images; None for all
name = "mnist"
untyped = None
"""


@pytest.fixture
def source(write_notebook: Write, tmp_path: Path) -> sources.Source:
    return sources.read(write_notebook(tmp_path / "book.ipynb", CELL, "print(epochs)"))


def test_parameters_are_found_with_type_default_and_meaning(source: sources.Source) -> None:
    found = {p.name: (p.type, p.default, p.help) for p in parameters.inspect(source)}
    assert found == {
        "epochs": ("int", "2", "passes over the training data"),
        "rate": ("float", "0.001", "step size, one over the gradient's unit"),
        "shuffle": ("bool", "True", ""),
        "sizes": ("list[int]", "[8, 16]", "channels of each layer"),
        "limit": ("int | None", "None", "images; None for all"),
        "name": ("str", "'mnist'", ""),
        "untyped": ("", "None", ""),
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "3", 3),
        ("epochs", 3, 3),
        ("rate", "1", 1.0),
        ("rate", "2e-4", 2e-4),
        ("rate", "inf", float("inf")),
        ("shuffle", "false", False),
        ("shuffle", "True", True),
        ("sizes", "[1, 2]", [1, 2]),
        ("sizes", "1,2", [1, 2]),
        ("sizes", "", []),
        ("limit", "none", None),
        ("limit", "10", 10),
        ("name", "10", "10"),
        ("untyped", "(1, 2)", (1, 2)),
        ("untyped", "word", "word"),
    ],
)
def test_text_is_read_as_the_declared_type(
    source: sources.Source, name: str, text: Any, value: Any
) -> None:
    read = parameters.check(source, {name: text})[name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("epochs", "abc", "int"),
        ("epochs", "2.5", "int"),
        ("epochs", "true", "int"),
        ("rate", "fast", "float"),
        ("shuffle", "1", "bool"),
        ("sizes", "[1, 2.5]", r"list\[int\]"),
        ("limit", "some", r"int \| None"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_an_example(
    source: sources.Source, name: str, text: str, wanted: str
) -> None:
    with pytest.raises(
        ParameterError, match=rf"book: -p {name}=.*of type {wanted} was expected.*For example"
    ):
        parameters.check(source, {name: text})


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("dict[str, int]", "{'a': 1}", {"a": 1}),
        ("tuple[int, ...]", "1, 2", (1, 2)),
        ("tuple[int, str]", "(1, 'a')", (1, "a")),
        ("tuple[float, float]", [1, 2], (1.0, 2.0)),  # as YAML gives it
        ("set[int]", "3, 4", {3, 4}),
        ("frozenset[str]", "a, b", frozenset({"a", "b"})),
        ("list[float]", "1, inf", [1.0, float("inf")]),
        ("list[float]", ["1e-3"], [1e-3]),  # YAML takes 1e-3 for text
        ("list[int | None]", "none, 1", [None, 1]),
        ("Union[str, int]", "1", 1),
        ("typing.Optional[float]", "none", None),
        ("str | None", "word", "word"),
        ("str", "'quoted'", "'quoted'"),
        ("Literal['1', '2']", "1", "1"),
        ("Annotated[int, 'images']", "5", 5),
        ("'list[int]'", "5", [5]),
        ("np.ndarray", "[1, 2]", [1, 2]),  # not known: any literal
        ("__import__('os').getcwd()", "word", "word"),  # read, never run
    ],
)
def test_each_way_to_write_a_type_is_understood(kind: str, given: Any, value: Any) -> None:
    read = parameters.read_value(given, kind)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("dict[str, int]", "{1: 2}"),
        ("dict[str, int]", "{[1]: 2}"),
        ("tuple[int, int]", "1, 2, 3"),
        ("list[str]", "[a, b"),
        ("float", "true"),
        ("int", "9" * 5000),
        ("int", "(" * 300),
        ("Literal['a', 'b']", "c"),
        ("None", "0"),
    ],
)
def test_what_a_type_does_not_hold_is_refused(kind: str, given: str) -> None:
    with pytest.raises(ValueError, match=r"^.{1,60} is not "):
        parameters.read_value(given, kind)


def test_an_unknown_parameter_is_refused_with_the_nearest_name(source: sources.Source) -> None:
    with pytest.raises(
        ParameterError, match=r"has no parameter 'epoch' .from -p.. Did you mean 'epochs'"
    ):
        parameters.check(source, {"epoch": "1"})


def test_a_notebook_without_parameters_refuses_any(write_notebook: Write, tmp_path: Path) -> None:
    source = sources.read(write_notebook(tmp_path / "plain.ipynb", "x = 1"))
    with pytest.raises(ParameterError, match="plain takes no parameters, but -p gives 'x'"):
        parameters.check(source, {"x": "2"})


def test_a_parameters_cell_that_is_not_python_is_refused(
    write_notebook: Write, tmp_path: Path
) -> None:
    source = sources.read(write_notebook(tmp_path / "magic.ipynb", "# parameters\n%time x = 1"))
    with pytest.raises(ParameterError, match=r"'cell-a' is not plain Python .line 2"):
        parameters.inspect(source)


@pytest.mark.parametrize("pair", ["epochs", "=3", "a b=1", "2x=1"])
def test_a_pair_without_name_or_sign_is_refused(pair: str) -> None:
    with pytest.raises(ParameterError, match=r"is not of the form name=value"):
        parameters.split([pair])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{ half", "is not JSON"),
        ("[]", "its JSON is a list"),
        ('{"nbformat": 3, "worksheets": []}', "not a notebook of format 4 .nbformat is 3"),
        ('{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "is damaged: a cell lacks 'source'"),
    ],
)
def test_a_damaged_file_is_refused_with_its_fault(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "damaged.ipynb"
    path.write_text(content)
    with pytest.raises(InputError, match=says):
        sources.read(path)


def test_the_digest_is_of_the_code_alone(write_notebook: Write, tmp_path: Path) -> None:
    first = sources.read(write_notebook(tmp_path / "a.ipynb", "x = 1"))
    same = sources.read(write_notebook(tmp_path / "b.ipynb", "x = 1"))
    other = sources.read(write_notebook(tmp_path / "c.ipynb", "x = 2"))
    assert first.digest == same.digest != other.digest
