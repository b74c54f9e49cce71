"""The security report: one page, made from what a run has tested, as Markdown and as HTML.

A report without thresholds says nothing: each line names what was tried, what had to happen, and
what happened. `page` puts lines, dates and the model's digest on a page; `SecurityPage.save` writes
it. Text of the run is escaped in both forms: an attack must not end up in the report's own markup.
"""

from __future__ import annotations

import datetime
import html
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import datahall
from datahall import state
from datahall.errors import DataError, ParameterError

NAME = "security-report"
TITLE = "Security report of a model service"
_HEAD = ("", "tested", "has to be", "found", "where", "labels")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]#|~])")
_STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;color:#1f2933}
table{border-collapse:collapse;width:100%;margin:1em 0}td,th{border-bottom:1px solid #d9dee3;
padding:.25em .5em;text-align:left;vertical-align:top;overflow-wrap:anywhere}
.no td{background:#fdecea}@media print{body{margin:0;font-size:11px}}"""


@dataclass(frozen=True)
class Tried:
    """One line: what was tried, what had to happen, what happened.

    Attributes:
        name: What was tried, such as "token with alg none".
        threshold: What has to be, such as "refused, 401" or "≤ 0.10".
        found: What was found, in the same words.
        holds: Whether that is good enough.
        part: Where it is decided: "gateway", "app", "model".
        labels: Entries of ASVS, ATLAS or the ML Top 10.
    """

    name: str
    threshold: str
    found: str
    holds: bool
    part: str = ""
    labels: tuple[str, ...] = ()

    def cells(self) -> tuple[str, ...]:
        """Return the line as it stands in the table."""
        verdict = "yes" if self.holds else "NO"
        labels = ", ".join(self.labels)
        return verdict, self.name, self.threshold, self.found, self.part, labels


@dataclass(frozen=True)
class SecurityPage:
    """A report, ready to be read.

    Attributes:
        markdown: As Markdown.
        html: As a page of its own, without scripts.
        holds: Whether every line holds.
    """

    markdown: str
    html: str
    holds: bool

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write both forms.

        Args:
            folder: Where; it is made if need be.

        Returns:
            The paths of the Markdown and the HTML file.

        Raises:
            DataError: The folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            paths = (folder / f"{NAME}.md", folder / f"{NAME}.html")
            for path, text in zip(paths, (self.markdown, self.html), strict=True):
                state.write_atomically(path, text)
        except OSError as error:
            raise DataError(
                f"The report cannot be written to {folder} ({error.strerror}). A folder of yours "
                "was expected. Give another one."
            ) from error
        return paths


def page(
    records: Iterable[Tried],
    *,
    model: Mapping[str, object],
    service: Mapping[str, object] | None = None,
    notes: Sequence[str] = (),
    when: datetime.datetime | None = None,
) -> SecurityPage:
    """Put what was tested on one page; what does not hold stands first.

    Args:
        records: The lines.
        model: What was served: name, version, digest, …
        service: What served it: replicas, level of hardening, …
        notes: Sentences on what was not tested, or under which conditions.
        when: Time of the run, with its zone; None: now.

    Returns:
        The page.

    Raises:
        ParameterError: No line is given, no digest, or a time without a zone.

    Example:
        >>> line = Tried("token with alg none", "refused, 401", "401", True, "gateway")
        >>> when = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
        >>> made = page([line], model={"name": "mnist_cnn", "digest": "ab12"}, when=when)
        >>> print(made.markdown.splitlines()[2])
        **1 of 1 tests hold.** 2026-01-02 03:04 UTC.
    """
    lines = sorted(records, key=lambda line: line.holds)
    when = when or datetime.datetime.now(datetime.UTC)
    if not lines or not model.get("digest") or when.tzinfo is None:
        raise ParameterError(
            f"There are {len(lines)} lines, the model's digest is {model.get('digest')!r}, the "
            f"time is {when}. At least one line, a digest and a time with its zone were expected. "
            "A report that does not say what was tested, on what and when, proves nothing."
        )
    held = sum(line.holds for line in lines)
    verdict = f"{held} of {len(lines)} tests hold."
    moment = f"{when.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC."
    versions = {"datahall": datahall.__version__, "Python": platform.python_version()}
    facts = {"model": model, "service": service or {}, "made with": versions}
    return SecurityPage(
        markdown=_as_markdown(verdict, moment, facts, lines, notes),
        html=_as_html(verdict, moment, facts, lines, notes),
        holds=held == len(lines),
    )


def _as_markdown(
    verdict: str,
    moment: str,
    facts: Mapping[str, Mapping[str, object]],
    lines: Sequence[Tried],
    notes: Sequence[str],
) -> str:
    parts = [f"# {TITLE}", "", f"**{verdict}** {moment}", ""]
    parts += [f"- {name}: {_told(each, _plain)}" for name, each in facts.items() if each]
    rows = [_HEAD, ("---",) * len(_HEAD)]
    rows += [tuple(_plain(cell) for cell in line.cells()) for line in lines]
    parts += ["", *(f"| {' | '.join(row)} |" for row in rows)]
    parts += ["", *(f"- {_plain(note)}" for note in notes)] if notes else []
    return "\n".join([*parts, ""])


def _as_html(
    verdict: str,
    moment: str,
    facts: Mapping[str, Mapping[str, object]],
    lines: Sequence[Tried],
    notes: Sequence[str],
) -> str:
    told = [f"<li>{name}: {_told(each, _safe)}</li>" for name, each in facts.items() if each]
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEAD)
    rows = [
        f'<tr class="{"yes" if line.holds else "no"}">'
        + "".join(f"<td>{_safe(cell)}</td>" for cell in line.cells())
        + "</tr>"
        for line in lines
    ]
    said = "".join(f"<li>{_safe(note)}</li>" for note in notes)
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>',
            f"<style>{_STYLE}</style></head><body><h1>{TITLE}</h1>",
            f"<p><strong>{verdict}</strong> {moment}</p><ul>{''.join(told)}</ul>",
            f"<table><thead><tr>{head}</tr></thead><tbody>",
            *rows,
            f"</tbody></table><ul>{said}</ul></body></html>",
            "",
        ]
    )


def _told(facts: Mapping[str, object], form: Callable[[object], str]) -> str:
    return ", ".join(f"{form(name)} {form(value)}" for name, value in facts.items())


def _plain(value: object) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", html.escape(_one_line(value), quote=False))


def _safe(value: object) -> str:
    """Return a text that HTML shows as it is."""
    return html.escape(_one_line(value))


def _one_line(value: object) -> str:
    """Return a text without line breaks and other characters that steer a terminal."""
    return "".join(each if each.isprintable() else " " for each in str(value))
