"""Shows the findings: on the terminal, and as a report that names nobody."""

from __future__ import annotations

import getpass
import re
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from datahall import state
from datahall.course.doctor.finding import BAD, OK, WARNING, Finding


def show(findings: Sequence[Finding]) -> None:
    """Print one line for each finding, its advice below it, and the sum."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    styles = {OK: "green", WARNING: "yellow", BAD: "bold red"}
    for finding in findings:
        text = f"{finding.found}\n{finding.advice}" if finding.advice else finding.found
        table.add_row(f"[{styles[finding.status]}]{finding.status}[/]", finding.what, text)
    console.print(table)
    console.print(_sum(findings))


def _sum(findings: Sequence[Finding]) -> str:
    bad, warnings = (sum(f.status == status for f in findings) for status in (BAD, WARNING))
    if bad:
        return f"This machine cannot run the course yet: {bad} bad, {warnings} to know."
    return f"This machine can run the course{f'; {warnings} to know' if warnings else ''}."


def write_report(findings: Sequence[Finding], path: Path) -> None:
    """Write a report to share, as Markdown; it names no user, no host and no folder."""
    lines = [
        "# Datahall: report of a machine",
        "",
        _sum(findings),
        "",
        "| what | status | found | what to do |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {f.what} | {f.status} | {anonymous(f.found)} | {anonymous(f.advice)} |"
        for f in findings
    ]
    state.write_atomically(path, "\n".join(lines) + "\n")


def anonymous(text: str) -> str:
    """Replace folders and names that tell who or where this is.

    Example:
        >>> anonymous(f"{Path.home() / 'data'} can be written")
        '~/data can be written'
    """
    replace = [
        (str(Path.cwd()), "."),
        (str(Path.home()), "~"),
        (tempfile.gettempdir(), "<temporary>"),
    ]
    for known, mark in replace:
        if len(known) > 1:
            text = text.replace(known, mark)
    text = re.sub(r"(?<![\w.~>])/(?:[\w.+-]+/)+[\w.+-]*", "<folder>", text)
    asking: tuple[tuple[Callable[[], str], str], ...] = (
        (getpass.getuser, "<user>"),
        (socket.gethostname, "<host>"),
    )
    for ask, mark in asking:
        try:
            name = ask()
        except (OSError, KeyError):
            continue
        if name:
            text = re.sub(rf"\b{re.escape(name)}\b", mark, text)
    return text.replace("|", "/").replace("\n", " ")
