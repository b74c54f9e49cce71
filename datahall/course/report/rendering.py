"""The report of a run: one HTML page, complete in itself, readable offline, in light and dark.

Read `render` first; the words and the form are in `templates/report.html.j2`.
"""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment

from datahall.course.run.results import SCHEMA, CellRun, NotebookRun, Results, Value
from datahall.units import format_duration, format_number, format_quantity

SIGNS = {"passed": "✓", "failed": "✕", "skipped": "–", "interrupted": "‖"}
_SLOWEST, _WORTH_SHOWING_S = 8, 0.1


def render(results: Results) -> str:
    """Return the report as a page."""
    longest = max((run.seconds for run in results.notebooks), default=0.0) or 1.0
    status = results.to_dict()["status"]
    return page(
        "report.html.j2",
        headline=_headline(results),
        status=status,
        signs=SIGNS,
        schema=SCHEMA,
        run=results.run,
        machine=results.machine,
        when=_when(results.run["started"]),
        counts=results.counts(),
        bounds=results.bounds,
        value_count=len(results.values),
        duration=format_duration(results.run["seconds"]),
        cpu=format_duration(sum(run.cpu_seconds for run in results.notebooks)),
        memory=format_quantity(results.machine["memory_bytes"], "B"),
        peak=_size(max((run.peak_memory_bytes for run in results.notebooks), default=0)),
        failures=[run for run in results.notebooks if run.failure and run.status == "failed"],
        notebooks=[_book(run, longest) for run in results.notebooks],
        values=[(r.name, [_value(v) for v in r.values]) for r in results.notebooks if r.values],
        slowest=_slowest(results),
        facts=_facts(results),
    )


def page(template: str, **facts: Any) -> str:
    """Fill a template of this package; values are escaped."""
    folder = files("datahall.course.report") / "templates"
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    from markupsafe import Markup

    style = Markup((folder / "style.css").read_text(encoding="utf-8"))  # noqa: S704 (our own file)
    text = (folder / template).read_text(encoding="utf-8")
    return environment.from_string(text).render(style=style, **facts)


def _headline(results: Results) -> str:
    counts, total = results.counts(), len(results.notebooks)
    books = "notebook" if total == 1 else "notebooks"
    if results.run.get("interrupted"):
        return f"Interrupted: {counts['passed']} of {total} {books} passed"
    if results.ok:
        return "The notebook passed" if total == 1 else f"All {total} {books} passed"
    return f"{counts['failed']} of {total} {books} failed"


def _when(started: str) -> str:
    moment = datetime.fromisoformat(started)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _size(size_bytes: int) -> str:
    return format_quantity(size_bytes, "B") if size_bytes else "–"


def _book(run: NotebookRun, longest: float) -> dict[str, Any]:
    """Return one row of the table of notebooks."""
    bounds = run.bounds
    judged = bounds.held + bounds.broken
    slowest = max((cell.seconds for cell in run.cells), default=0.0)
    rest_s = max(0.0, run.seconds - sum(cell.seconds for cell in run.cells))
    start = f"kernel start and end: {format_duration(rest_s)}"
    segments = [{"share": f"{rest_s:.3f}", "kind": "rest", "title": start}]
    segments += [
        {
            "share": f"{max(cell.seconds, 0.001):.3f}",
            "kind": _kind(cell, slowest),
            "title": f"{cell.id}: {format_duration(cell.seconds)}",
        }
        for cell in run.cells
        if cell.status != "not run"
    ]
    return {
        "name": run.name,
        "title": run.title if run.title != run.name else "",
        "link": quote(run.html or run.output or ""),
        "parameters": ", ".join(f"{k}={v!r}" for k, v in (run.parameters or {}).items()),
        "status": run.status,
        "place": run.failure.cell_id if run.failure else None,
        "duration": _duration(run),
        "width": round(100 * run.seconds / longest, 1) if run.started else 0,
        "segments": segments,
        "cpu": format_duration(run.cpu_seconds) if run.started else "–",
        "memory": _size(run.peak_memory_bytes),
        "bounds": f"{bounds.held} of {judged}" if judged else "–",
    }


def _duration(run: NotebookRun) -> str:
    if not run.started:
        return "not started"
    return format_duration(run.seconds) + (" (cached)" if run.cached else "")


def _kind(cell: CellRun, slowest_s: float) -> str:
    if cell.status == "failed":
        return "failed"
    return "slow" if cell.seconds == slowest_s else ""


def _value(value: Value) -> dict[str, Any]:
    """Return one row of the table of values."""
    kind = "" if value.holds is None else "passed" if value.holds else "failed"
    holds = {True: "yes", False: "no", None: "not judged"}[value.holds] if value.bound else ""
    if value.holds is None and value.bound and value.given:
        holds = f"not judged (only for {value.given})"
    return {
        "name": value.name,
        "shown": _shown(value),
        "bound": bound_text(value),
        "holds": holds,
        "kind": kind,
        "claim": value.claim or "",
        "cell": value.cell_id,
    }


def _shown(value: Value) -> str:
    if isinstance(value.value, bool):
        return _yes(value.value)
    if not isinstance(value.value, int | float):
        return str(value.value)
    return format_quantity(value.value, value.unit) if value.unit else format_number(value.value)


def _yes(value: object) -> str:
    """Write yes and no for truth values, anything else as it is."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def bound_text(value: Value) -> str:
    """Write a bound as a person reads it.

    Example:
        >>> bound_text(Value("size ratio", 4.0, bound={"at_least": 3.9}))
        '≥ 3.9'
    """
    signs = {"at_least": "≥", "at_most": "≤", "equal": "="}
    unit = f" {value.unit}" if value.unit else ""
    limits = (value.bound or {}).items()
    return " and ".join(f"{signs.get(kind, kind)} {_yes(limit)}{unit}" for kind, limit in limits)


def _slowest(results: Results) -> list[dict[str, Any]]:
    cells = [(cell, run.name) for run in results.notebooks for cell in run.cells]
    cells = [pair for pair in cells if pair[0].seconds >= _WORTH_SHOWING_S]
    cells = sorted(cells, key=lambda pair: pair[0].seconds, reverse=True)[:_SLOWEST]
    longest = cells[0][0].seconds if cells else 1.0
    return [
        {
            "id": cell.id,
            "notebook": name,
            "duration": format_duration(cell.seconds),
            "width": round(100 * cell.seconds / longest, 1),
        }
        for cell, name in cells
    ]


def _facts(results: Results) -> list[tuple[str, str]]:
    machine = results.machine
    return [
        ("Processor", f"{machine['cpu']}, {machine['cores']} cores"),
        ("Instruction sets", ", ".join(machine.get("cpu_flags", [])) or "unknown"),
        ("Memory", format_quantity(machine["memory_bytes"], "B")),
        ("System", machine["system"]),
        *((name, version) for name, version in results.versions.items()),
        ("Code (SHA-256)", results.code_sha256),
        *((f"Data {name} (SHA-256)", digest) for name, digest in results.data_sha256.items()),
    ]
