"""The ledger as a page: `docs/claims.md`, a table, and a section a claim."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datahall import plotting
from datahall.course import catalogue
from datahall.course.claims import ledger, records
from datahall.course.claims.ledger import Claim, Judgement
from datahall.course.claims.records import Record
from datahall.units import format_quantity

_HEAD = """# Claims put to the test

Widely copied articles on AI in the data center state results, formulas and programs. The course
runs each of them. Every claim is paraphrased, formulas as printed. This page is made from the runs
by `datahall claims`: a verdict is what the bounds in `datahall/claims/` say about the measured
values. `datahall claims --check` fails when a fresh run contradicts a verdict, and warns when what
a measurement used has changed since.

*Reproduced*: what is printed holds. *Corrected*: the idea holds, what is printed does not; the
right form is shown. *Refuted*: it does not hold.
"""
_WAITING = "waits for its module"

Records = Mapping[str, Record | None]


def render(claims: Sequence[Claim], kept: Records) -> str:
    """Return the text of the page."""
    measured = [claim for claim in claims if kept.get(claim.id)]
    verdicts = [_judge(claim, kept).verdict for claim in measured]
    counts = ", ".join(
        f"{verdicts.count(word)} {word}"
        for word in ("reproduced", "corrected", "refuted", "undecided")
        if word in verdicts
    )
    parts = [
        _HEAD,
        f"**{len(claims)} claims: {len(measured)} measured ({counts}), "
        f"{len(claims) - len(measured)} wait for their module.**\n",
        "| id | article | claimed | measured | verdict |\n| --- | --- | --- | --- | --- |",
        "\n".join(_row(claim, kept) for claim in claims),
        "\n## Sources\n",
        "\n".join(f"- **{key}** {title}" for key, title in ledger.articles().items()),
        *(_section(claim, kept) for claim in measured),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _judge(claim: Claim, kept: Records) -> Judgement:
    record = kept[claim.id]
    assert record is not None  # noqa: S101 (callers pass measured claims)
    return claim.judge(records.runs_of(record))


def _row(claim: Claim, kept: Records) -> str:
    record = kept.get(claim.id)
    articles = " ".join(claim.articles)
    claimed = _cell(claim.claimed or claim.statement)
    if record is None:
        label = catalogue.load().module(claim.module).label
        return f"| {claim.id} | {articles} | {claimed} | {_WAITING} ({label}) | |"
    shown = f"{_names(record)[claim.shows]}: {_spread(record, claim.shows)}"
    link = f"[{claim.id}](#{claim.id.lower()})"
    verdict = _judge(claim, kept).verdict
    return f"| {link} | {articles} | {claimed} | {_cell(shown)} | {verdict} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _values(record: Record, key: str) -> list[Mapping[str, Any]]:
    return [value for run in record["runs"] for value in run["values"] if value["key"] == key]


def _names(record: Record) -> dict[str, str]:
    """Return what each key of a record is called."""
    return {value["key"]: value["name"] for run in record["runs"] for value in run["values"]}


def _finite(record: Record, key: str) -> list[float]:
    """Return a value's numbers over all runs, without those that are none: nan and infinities."""
    numbers = [ledger.number(value["value"]) for value in _values(record, key)]
    return [float(n) for n in numbers if isinstance(n, int | float) and math.isfinite(n)]


def _spread(record: Record, key: str) -> str:
    """Write one value over all runs: alone, or as mean and range; say how many gave no number."""
    values = _values(record, key)
    unit, first = values[0]["unit"], values[0]["value"]
    numbers = _finite(record, key)
    if len(values) == 1 or (not numbers and first == values[-1]["value"]):
        return format_quantity(ledger.number(first), unit, 4)
    if isinstance(first, bool) or not numbers:
        return ", ".join(dict.fromkeys(str(value["value"]) for value in values))
    mean, low, high = (
        format_quantity(n, unit, 4) for n in (statistics.mean(numbers), min(numbers), max(numbers))
    )
    lost = len(values) - len(numbers)
    without = f", {lost} without a number" if lost else ""
    return f"{mean} ({low} to {high}, {len(values)} runs{without})"


def _section(claim: Claim, kept: Records) -> str:
    record = kept[claim.id]
    assert record is not None  # noqa: S101 (callers pass measured claims)
    found, names = _judge(claim, kept), _names(record)
    cells = {value["key"]: value["cell"] for run in record["runs"] for value in run["values"]}
    link = f"../notebooks/{record['notebook']}.ipynb"
    rows = "\n".join(
        f"| {_cell(_spread(record, key))} | {_cell(name)} | `{cells[key]}` |"
        for key, name in names.items()
    )
    file = f"claims/{claim.module}/{claim.id}.svg"
    picture = f"\n![{picture_words(claim, record)}]({file})\n" if has_picture(claim, record) else ""
    bounds = "; ".join(condition.text(names[condition.key]) for condition in found.when)
    return (
        f"\n## {claim.id}\n\n**Claimed** ({_titles(claim)}; paraphrased): {claim.statement}\n\n"
        f"**Measured**: {claim.how}\n{picture}\n"
        f"| measured | value of | cell |\n| --- | --- | --- |\n{rows}\n\n"
        f"**Verdict: {found.verdict}.** {found.because}{f' ({bounds})' if bounds else ''}\n\n"
        f"Notebook [{record['notebook']}]({link}), preset `{record['preset']}`; "
        f"{records.machine_line(record)}.\n"
    )


def _titles(claim: Claim) -> str:
    return "; ".join(f"{key}, {ledger.articles()[key]}" for key in claim.articles)


def has_picture(claim: Claim, record: Record) -> bool:
    """Tell whether a claim has numbers to set beside what is claimed."""
    return claim.claimed_value is not None and bool(_finite(record, claim.shows))


def picture_words(claim: Claim, record: Record) -> str:
    """Return the picture's description, computed from its data."""
    numbers = _finite(record, claim.shows)
    runs = "1 run" if len(numbers) == 1 else f"{len(numbers)} runs"
    spread = f"{runs} from {min(numbers):.4g} to {max(numbers):.4g}"
    name = _names(record)[claim.shows]
    return f"{claim.id}, {name}: {spread}; claimed {claim.claimed_value:.4g}"


def picture(claim: Claim, record: Record) -> str:
    """Draw the measured runs beside the claimed value, as SVG text that is the same every time."""
    import io

    import matplotlib

    numbers = _finite(record, claim.shows)
    made, axes = plotting.figure(6.0, 1.1)
    axes.axvline(claim.claimed_value, color=plotting.COLORS["orange"], label="claimed")
    axes.plot(
        numbers,
        [0.0] * len(numbers),
        "o",
        color=plotting.COLORS["blue"],
        alpha=0.8,
        label="measured",
    )
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.15)
    axes.set_title(_names(record)[claim.shows], fontsize=9)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": claim.id, "svg.fonttype": "none"}):
        made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def write(claims: Sequence[Claim], kept: Records, root: Path | None = None) -> list[Path]:
    """Write the page and its pictures; return the files that changed.

    Args:
        claims: In the order of the page.
        kept: The record of each claim that has one.
        root: The checkout; found if left out.
    """
    from datahall import state

    docs = (root or catalogue.repository_root()) / "docs"
    wanted = {docs / "claims.md": render(claims, kept)}
    for claim in claims:
        record = kept.get(claim.id)
        if record is not None and has_picture(claim, record):
            wanted[docs / "claims" / claim.module / f"{claim.id}.svg"] = picture(claim, record)
    changed = [
        file
        for file, text in wanted.items()
        if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]
    for file in changed:
        state.write_atomically(file, wanted[file])
    return changed
