"""Quantities as people type them."""

import pytest

from datahall import units
from datahall.errors import ParameterError


@pytest.mark.parametrize(
    "text", ["", "abc", "1..2", "nan", "inf", "k", "1,5", "0,25", "12,34,567", "1,2345"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="is not a number"):
        units.read_quantity(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,500", 1500), ("12,345,678.5", 12345678.5), ("1,500k", 1.5e6), ("1_0", 10)],
)
def test_a_comma_parts_thousands_and_nothing_else(text: str, value: float) -> None:
    assert units.read_quantity(text) == value


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("100 GFLOP/s", "FLOP/s", 1e11),
        ("100G", "FLOP/s", 1e11),
        ("1e11", "FLOP/s", 1e11),
        ("20 ms", "s", 0.02),
        ("5 µs", "s", 5e-6),
        ("5us", "s", 5e-6),
        ("3 s", "s", 3.0),
        ("98 %", "%", 98.0),
        ("98", "%", 98.0),
        ("1.5 k", "images", 1500.0),
        ("12 images", "images", 12.0),
        ("2.5 times", "times", 2.5),
    ],
)
def test_a_number_may_carry_its_prefix_and_unit(text: str, unit: str, value: float) -> None:
    assert units.read_quantity(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "unit"),
    [("3 ms", "B"), ("3 GB/s", "B"), ("3 s", ""), ("3 km", "images"), ("5 %", "s")],
)
def test_another_unit_is_refused_with_the_one_that_is_asked_for(text: str, unit: str) -> None:
    wanted = f"The answer is in {unit};" if unit else "The answer has no unit"
    with pytest.raises(ParameterError, match=wanted):
        units.read_quantity(text, unit)


def test_a_decimal_comma_is_refused_with_the_reason() -> None:
    with pytest.raises(ParameterError, match="A decimal point is a dot"):
        units.read_quantity("1,5")


@pytest.mark.parametrize(("unit", "example"), [("s", "20 ms"), ("%", "40"), ("B", "1.5 GB")])
def test_the_example_suits_the_unit(unit: str, example: str) -> None:
    assert example in units.example_of(unit)
