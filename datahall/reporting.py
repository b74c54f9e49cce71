"""How a notebook shows a measured value: text for the reader, a small JSON record for the machine.

`report` shows a value. `expect` shows a bound and whether it holds: what is compared between runs
is the bound's line, what the reader sees is the measured value too. `expect_error` shows a failure
that is meant. `table` shows a few rows. The executed notebook is the record: the runner collects
the JSON.
"""

from __future__ import annotations

import contextlib
import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from datahall.errors import BoundError, ParameterError
from datahall.units import format_number, format_quantity

RESULT_MIME = "application/vnd.datahall.result+json"
RESULT_SCHEMA = 1
_CLAIM = re.compile(r"C\d+\.[a-z][a-z0-9_]*")


def report(
    name: str, value: Any, unit: str = "", *, digits: int = 3, claim: str | None = None
) -> None:
    """Show a value with its unit, and record it.

    Args:
        name: What the value is, in the reader's words.
        value: A number, a truth value or a short text.
        unit: Its unit; "" for a pure number.
        digits: Significant digits shown; the record keeps all.
        claim: The claim that the value answers and the value's key there: "C03.test".

    Example:
        >>> report("top left output", 19)
        top left output: 19
        >>> report("size", 373_288, "B")
        size: 373 kB
    """
    plain = _plain(value)
    line = f"{name}: {format_quantity(plain, unit, digits)}"
    _show(line, line, _record(name, plain, unit, claim))


def expect(
    name: str,
    value: Any,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    equal: Any = None,
    unit: str = "",
    digits: int = 3,
    claim: str | None = None,
    judge: bool = True,
    given: str = "",
) -> None:
    """State a bound, show whether it holds, and stop the notebook if it does not.

    Args:
        name: What the value is, in the reader's words.
        value: The measured value.
        at_least: Lowest value that holds.
        at_most: Highest value that holds.
        equal: The only value that holds; use it for integers, texts and truth values.
        unit: The unit of value and bounds.
        digits: Significant digits of the measured value as shown.
        claim: The claim that the value answers and the value's key there: "C03.test".
        judge: False when the bound says nothing about a run with these parameters.
        given: For which parameters the bound is meant, in words; needed with `judge`.

    Raises:
        BoundError: The bound does not hold. Value and bound have been shown and recorded before.
        ParameterError: No bound was given.

    Example:
        >>> expect("size ratio", 3.94, at_least=3.9)
        size ratio ≥ 3.9: yes
        >>> expect("test accuracy", 0.91, at_least=0.98, judge=False, given="epochs ≥ 2")
        test accuracy ≥ 0.98: not judged (only for epochs ≥ 2)
    """
    bound = {
        key: _plain(limit)
        for key, limit in (("at_least", at_least), ("at_most", at_most), ("equal", equal))
        if limit is not None
    }
    if not bound:
        raise ParameterError(
            f"expect({name!r}) has no bound. One of at_least, at_most or equal was expected. Use "
            "report to show a value only."
        )
    plain = _plain(value)
    holds = _holds(plain, bound) if judge else None
    verdict = {
        True: "yes",
        False: "no",
        None: f"not judged (only for {given})" if given else "not judged",
    }[holds]
    rule = _rule(name, bound, unit)
    shown = format_quantity(plain, unit, digits)
    line = f"{rule}: {verdict}" if holds is not False else f"{rule}: no, it is {shown}"
    _show(
        line,
        f"{rule}: {verdict} (measured: {shown})",
        _record(name, plain, unit, claim, bound, holds, given),
    )
    if holds is False:
        raise BoundError(
            f"{name} is {shown}; the bound is {rule}. Either the machine was disturbed (run the "
            "cell again) or the text above "
            "is wrong for these parameters."
        )


@contextlib.contextmanager
def expect_error(*kinds: type[BaseException]) -> Iterator[None]:
    """Run a block that must fail, and show the message it fails with.

    Args:
        *kinds: The error classes that are meant.

    Raises:
        BoundError: Nothing was raised.

    Example:
        >>> with expect_error(ZeroDivisionError):
        ...     1 / 0
        ZeroDivisionError: division by zero
    """
    try:
        yield
    except kinds as error:
        print(f"{type(error).__name__}: {error}")
    else:
        names = " or ".join(kind.__name__ for kind in kinds)
        raise BoundError(
            f"The block raised nothing. {names} was expected. Check what the cell shows: it no "
            "longer fails."
        )


def table(
    rows: Iterable[Mapping[str, Any] | Sequence[Any]],
    columns: Sequence[str] | None = None,
    *,
    digits: int = 3,
) -> None:
    """Show a small table, aligned as text and as a table in the browser.

    Args:
        rows: Dictionaries with the same keys, or sequences in the order of `columns`.
        columns: The headings; taken from the first row's keys when left out.
        digits: Significant digits of numbers.

    Example:
        >>> table([{"layer": "conv", "parameters": 320}, {"layer": "dense", "parameters": 650}])
        layer  parameters
        conv          320
        dense         650
    """
    listed = list(rows)
    if columns is None:
        if not listed or not isinstance(listed[0], Mapping):
            raise ParameterError(
                "table has no headings. Rows as dictionaries, or columns=[…], were expected. Name "
                "the columns."
            )
        columns = list(listed[0])
    cells = [
        [row[name] for name in columns] if isinstance(row, Mapping) else list(row) for row in listed
    ]
    written = [
        [value if isinstance(value, str) else format_number(_plain(value), digits) for value in row]
        for row in cells
    ]
    right = [
        all(not isinstance(row[k], str) for row in cells) and bool(cells)
        for k in range(len(columns))
    ]
    widths = [
        max(len(text) for text in [name, *(row[k] for row in written)])
        for k, name in enumerate(columns)
    ]

    def aligned(texts: Sequence[str]) -> str:
        return "  ".join(
            t.rjust(w) if r else t.ljust(w) for t, w, r in zip(texts, widths, right, strict=True)
        ).rstrip()

    def markup(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f'<{tag} style="text-align:{"right" if r else "left"}">{html.escape(t)}</{tag}>'
            for t, r in zip(texts, right, strict=True)
        )

    body = "".join(f"<tr>{markup('td', row)}</tr>" for row in written)
    markup_table = (
        f"<table><thead><tr>{markup('th', columns)}</tr></thead><tbody>{body}</tbody></table>"
    )
    _display("\n".join(aligned(row) for row in [list(columns), *written]), markup_table, None)


def _plain(value: Any) -> Any:
    """Turn NumPy and TensorFlow scalars into Python's own."""
    if isinstance(value, (bool, int, float, str)) and not hasattr(value, "item"):
        return value  # np.float64 is a float too, but its comparisons are not JSON
    if hasattr(value, "numpy"):
        value = value.numpy()
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        return _plain(value.item())
    if isinstance(value, (list, tuple)):
        return str(value)
    raise ParameterError(
        f"The value {value!r} is a {type(value).__name__}. One number, text or truth value was "
        "expected. Report its parts one by one."
    )


def _holds(value: Any, bound: Mapping[str, Any]) -> bool:
    return (
        ("at_least" not in bound or value >= bound["at_least"])
        and ("at_most" not in bound or value <= bound["at_most"])
        and ("equal" not in bound or value == bound["equal"])
    )


def _rule(name: str, bound: Mapping[str, Any], unit: str) -> str:
    if "equal" in bound:
        return f"{name} = {_bound_text(bound['equal'], unit)}"
    low, high = (_bound_text(bound.get(key), unit) for key in ("at_least", "at_most"))
    if "at_least" in bound and "at_most" in bound:
        return f"{low} ≤ {name} ≤ {high}"
    return f"{name} ≥ {low}" if "at_least" in bound else f"{name} ≤ {high}"


def _bound_text(value: Any, unit: str) -> str:
    number = (
        f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
    return f"{number} {unit}".strip()


def _record(
    name: str,
    value: Any,
    unit: str,
    claim: str | None,
    bound: Mapping[str, Any] | None = None,
    holds: bool | None = None,
    given: str = "",
) -> dict[str, Any]:
    if claim is not None and not _CLAIM.fullmatch(claim):
        raise ParameterError(
            f"claim is {claim!r}. An id of the ledger, a dot and a key were expected, for example "
            "'C03.test'."
        )
    finite = value if not isinstance(value, float) or math.isfinite(value) else str(value)
    return {
        "schema": RESULT_SCHEMA,
        "name": name,
        "value": finite,
        "unit": unit,
        "claim": claim,
        "bound": dict(bound) if bound else None,
        "holds": holds,
        "given": given,
    }


def _show(line: str, shown: str, record: Mapping[str, Any]) -> None:
    color = (
        {
            True: "var(--jp-success-color0, #00694e)",  # JupyterLab's own suit its dark theme too
            False: "var(--jp-error-color0, #a63c00)",
        }.get(record["holds"], "inherit")
        if record["bound"]
        else "inherit"
    )
    style = f"font-family:var(--jp-code-font-family,monospace);color:{color}"
    markup = f'<div class="datahall-result" style="{style}">{html.escape(shown)}</div>'
    _display(line, markup, record)


def _display(line: str, markup: str, record: Mapping[str, Any] | None) -> None:
    if not _in_kernel():
        print(line)
        return
    from IPython.display import display

    data: dict[str, Any] = {"text/plain": line, "text/html": markup}
    if record is not None:
        data[RESULT_MIME] = dict(record)
    display(data, raw=True)  # type: ignore[no-untyped-call]


def _in_kernel() -> bool:
    import sys

    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")
