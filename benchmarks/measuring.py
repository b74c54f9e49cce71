"""What the benchmarks share: a spread of values, a table, and a record of where they are from."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import datahall
from datahall import datasets, runtime, state

PACKAGE = Path(datahall.__file__).parent
SCHEMA = 1


class Spread:
    """Some values of one quantity: middle, least and most."""

    def __init__(self, values: Iterable[float]) -> None:
        self.values = sorted(values)

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def over(self, other: Spread) -> Spread:
        """Return the ratios to another spread: least by most, middle by middle, most by least."""
        ratios = Spread([])
        ratios.values = [
            self.values[0] / other.values[-1],
            self.median / other.median,
            self.values[-1] / other.values[0],
        ]
        return ratios

    def show(self, digits: int = 2, *, scale: float = 1) -> str:
        """Return `middle (least–most)`."""
        low, middle, high = (
            f"{value * scale:.{digits}f}"
            for value in (self.values[0], self.median, self.values[-1])
        )
        return f"{middle} ({low}–{high})"

    def plain(self) -> dict[str, Any]:
        """Return what a record keeps."""
        return {"median": self.median, "least": self.values[0], "most": self.values[-1]}


def options(description: str | None, *, record: str) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes: --json and --record."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print the record instead of tables")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help=f"write the record too, for example {record}"
    )
    return parser


def say(text: str) -> None:
    """Tell a person who waits what is being done; on standard error, so that --json stays clean."""
    print(text, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as aligned text: the first column to the left, the others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = "  ".join("-" * width for width in widths)
    texts = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([texts[0], rule, *texts[1:]])


def record(name: str, values: dict[str, Any], *, code: Sequence[str]) -> dict[str, Any]:
    """Return values with all that they depend on: machine, load, versions, digests.

    Args:
        name: The benchmark.
        values: What was measured; plain numbers, texts, lists.
        code: Files of the package that were measured, relative to it.
    """
    return {
        "schema": SCHEMA,
        "benchmark": name,
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "datahall": datahall.__version__,
        "machine": runtime.fingerprint(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "data": {"mnist": datasets.digest("mnist")},
        "code": {each: hashlib.sha256((PACKAGE / each).read_bytes()).hexdigest() for each in code},
        "values": values,
    }


def finish(made: dict[str, Any], text: str, given: argparse.Namespace) -> None:
    """Print the text or the record, and write the record where it was asked for."""
    written = json.dumps(made, indent=1)
    print(written if given.json else text)
    if given.record:
        state.write_atomically(given.record, written + "\n")
        say(f"record written to {given.record}")
