"""Units: what a kilobyte is, how a quantity is written, and how one is read.

`KB`, `MB`, `GB` are powers of ten, `KIB`, `MIB`, `GIB` powers of two; they are never mixed.
Read `format_quantity` first, then `read_quantity` and `format_duration`.
"""

from __future__ import annotations

import math
import re

from datahall.errors import ParameterError, UnitError

KB, MB, GB = 10**3, 10**6, 10**9
KIB, MIB, GIB = 2**10, 2**20, 2**30
BYTES_PER_FLOAT32 = 4

# Units that take SI prefixes; every other unit ("%", "images", "epochs") is written as it is.
PREFIXED = ("B", "B/s", "FLOP", "FLOP/s", "FLOP/B", "s", "W", "J", "Hz")
PREFIXES = {-9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}

_PREFIXES = {"": 1.0, "u": 1e-6, **{sign: 10.0**power for power, sign in PREFIXES.items()}}
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(,\d{3})+(?![\d,])")  # 1,500; not the half of 1,5
_TYPED = re.compile(r"(?P<number>[+-]?[\d.,_]+(?:e[+-]?\d+)?)\s*(?P<unit>.*)", re.IGNORECASE)


def format_number(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits, without an exponent where possible.

    Args:
        value: The number. Integers are written in full, with thousands separated.
        digits: Significant digits of a number that is not an integer.

    Example:
        >>> format_number(93322)
        '93,322'
        >>> format_number(0.98312)
        '0.983'
        >>> format_number(12345.678)
        '12,346'
        >>> format_number(2.5e-7)
        '2.5e-07'
        >>> format_number(1.468e-6, 2)
        '1.5e-06'
    """
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15 and value != 0):
        return f"{int(value):,}"
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    magnitude = _magnitude(value, digits)
    if magnitude < -4 or magnitude > 14:
        return f"{value:.{digits}g}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def format_quantity(value: float, unit: str = "", digits: int = 3) -> str:
    """Write a quantity with its unit, and an SI prefix where the unit takes one.

    Args:
        value: The quantity, in `unit`.
        unit: A unit; those in `PREFIXED` take SI prefixes. "%" expects a value in percent.
        digits: Significant digits.

    Example:
        >>> format_quantity(1.9e11, "FLOP/s")
        '190 GFLOP/s'
        >>> format_quantity(0.00042, "s")
        '420 µs'
        >>> format_quantity(373_288, "B")
        '373 kB'
        >>> format_quantity(98.3, "%")
        '98.3 %'
    """
    number = float(value) if not isinstance(value, (bool, str)) else value
    if unit in PREFIXED and isinstance(number, float) and math.isfinite(number) and number != 0:
        exponent = 3 * (_magnitude(number, digits) // 3)
        lowest = 0 if unit in ("B", "FLOP", "FLOP/B") else -9
        exponent = min(max(exponent, lowest), 15)
        scaled = number / 10.0**exponent
        written = f"{scaled:.{max(0, digits - 1 - _magnitude(scaled, digits))}f}"
        return f"{written} {PREFIXES[exponent]}{unit}"
    return f"{format_number(value, digits)} {unit}".strip()


def read_quantity(
    text: str, unit: str = "", *, low: float | None = None, high: float | None = None
) -> float:
    """Read a guess as people type it: `1500`, `1,500`, `1.5e3`, `1.5k`, `100 GFLOP/s`.

    Args:
        text: What was typed; an SI prefix may follow the number, and the unit.
        unit: The unit that is asked for.
        low: Least value that can be.
        high: Greatest value that can be.

    Returns:
        The number in `unit`.

    Raises:
        ParameterError: It is no number, is in another unit, or outside the possible range.

    Example:
        >>> read_quantity("1.5k"), read_quantity("2e6"), read_quantity("98 %", "%")
        (1500.0, 2000000.0, 98.0)
        >>> read_quantity("100 GFLOP/s", "FLOP/s")
        100000000000.0
    """
    cleaned = _THOUSANDS.sub(lambda group: group[0].replace(",", ""), text).strip()
    typed = _TYPED.fullmatch(cleaned)
    try:
        value = float(typed["number"].replace("_", "")) if typed else math.nan
    except ValueError:
        value = math.nan
    if typed is None or not math.isfinite(value):
        advice = example_of(unit).removeprefix("for example ")
        comma = " A decimal point is a dot." if re.search(r"\d,\d", text) else ""
        raise ParameterError(
            f"{text!r} is not a number. One number such as {advice} was expected.{comma} Type it "
            "again."
        )
    value *= _factor(typed["unit"].strip(), unit)
    if (low is not None and value < low) or (high is not None and value > high):
        raise ParameterError(
            f"{value:g} cannot be: the answer lies from {low:g} to {high:g}. Guess again."
            if low is not None and high is not None
            else f"{value:g} cannot be. Guess again."
        )
    return value


def _factor(written: str, unit: str) -> float:
    """Return what a prefix, with or without the unit, multiplies the number by."""
    bare = written.removesuffix(unit).strip() if unit else written
    if bare in _PREFIXES and (bare == "" or written == bare or unit in PREFIXED):
        return _PREFIXES[bare]
    wanted = f"The answer is in {unit}" if unit else "The answer has no unit"
    raise ParameterError(
        f"{written!r} after the number is not understood. {wanted}; the prefixes n, µ, m, k, M, G, "
        "T and P are read too. Type it again."
    )


def example_of(unit: str) -> str:
    """Return an example of what may be typed in a unit.

    Args:
        unit: A unit.

    Example:
        >>> example_of("FLOP/s")
        'for example 1.5e9 or 1.5 GFLOP/s'
    """
    if unit in PREFIXED:
        return {"s": "for example 0.02 or 20 ms"}.get(unit, f"for example 1.5e9 or 1.5 G{unit}")
    return "for example 40" if unit == "%" else "for example 1500 or 1.5k"


def _magnitude(value: float, digits: int) -> int:
    """Return the power of ten of the leading digit, after rounding to so many digits."""
    return math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))


def format_duration(seconds: float) -> str:
    """Write a duration as a person says it.

    Raises:
        UnitError: The duration is negative or not a number.

    Example:
        >>> format_duration(0.42)
        '0.4 s'
        >>> format_duration(75)
        '1 min 15 s'
        >>> format_duration(7260)
        '2 h 1 min'
    """
    if not seconds >= 0:
        raise UnitError(
            f"seconds is {seconds}. A duration is zero or more. Check the two clocks it came from."
        )
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
