"""The ledger as a page: `docs/claims.md`, a table, and a section a claim."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datahall import plotting
from datahall.course import catalogue
from datahall.course.claims import records
from datahall.course.claims.ledger import Claim, Rule
from datahall.units import format_quantity

ARTICLES = {
    "A1": "AI 大模型应用数据中心的服务改进 (service improvement)",
    "A2": "AI 大模型应用数据中心的沟通与协作 (communication)",
    "A3": "构建高效的 AI 大模型应用数据中心 (building)",
    "A4": "AI 大模型应用数据中心建设：数据中心技术与应用 (construction)",
    "A5": "AI 大模型应用数据中心的商业模式 (business model)",
}
_HEAD = """# Claims put to the test

Widely copied articles on AI in the data center state results, formulas and programs. The course
runs each of them. This page is made from those runs by `datahall claims`: a verdict is what the
bounds in `datahall/claims.toml` say about the measured values, and `datahall claims --check` fails
when page, records and code no longer agree.

*Reproduced*: what is printed holds. *Corrected*: the idea holds, what is printed does not; the
right form is shown. *Refuted*: it does not hold.
"""
_WAITING = "waits for its module"

Records = Mapping[str, Mapping[str, Any] | None]


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
        "\n".join(f"- **{key}** {title}" for key, title in ARTICLES.items()),
        *(_section(claim, kept) for claim in measured),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _judge(claim: Claim, kept: Records) -> Rule:
    record = kept[claim.id]
    assert record is not None  # noqa: S101 (callers pass measured claims)
    return claim.judge(records.runs_of(record))


def _row(claim: Claim, kept: Records) -> str:
    record = kept.get(claim.id)
    claimed = _cell(claim.claimed or claim.statement)
    if record is None:
        return f"| {claim.id} | {claim.article} | {claimed} | {_WAITING} ({claim.module:02d}) | |"
    shown = _spread(record, claim.plot or record["runs"][0]["values"][0]["name"])
    link = f"[{claim.id}](#{claim.id.lower()})"
    verdict = _judge(claim, kept).verdict
    return f"| {link} | {claim.article} | {claimed} | {_cell(shown)} | {verdict} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _spread(record: Mapping[str, Any], name: str) -> str:
    """Write one value over all runs: alone, or as mean and range."""
    values = [value for run in record["runs"] for value in run["values"] if value["name"] == name]
    if not values:
        return ""
    unit, numbers = values[0]["unit"], [value["value"] for value in values]
    if len(numbers) == 1 or any(isinstance(number, str | bool) for number in numbers):
        return f"{name}: {format_quantity(numbers[0], unit, 4)}"
    mean, low, high = (
        format_quantity(n, unit, 4) for n in (statistics.mean(numbers), min(numbers), max(numbers))
    )
    return f"{name}: {mean} ({low} to {high}, {len(numbers)} runs)"


def _section(claim: Claim, kept: Records) -> str:
    record = kept[claim.id]
    assert record is not None  # noqa: S101 (callers pass measured claims)
    rule = _judge(claim, kept)
    names = dict.fromkeys(value["name"] for run in record["runs"] for value in run["values"])
    cells = {value["name"]: value["cell"] for run in record["runs"] for value in run["values"]}
    link = f"../notebooks/{record['notebook']}.ipynb"
    rows = "\n".join(
        f"| {_cell(_spread(record, name).removeprefix(f'{name}: '))} | {_cell(name)} | "
        f"`{cells[name]}` |"
        for name in names
    )
    picture = (
        f"\n![{picture_words(claim, record)}](claims/{claim.id}.svg)\n"
        if has_picture(claim, record)
        else ""
    )
    bounds = "; ".join(str(condition) for condition in rule.when)
    return (
        f"\n## {claim.id}\n\n**Claimed** ({claim.article}): {claim.statement}\n\n**Measured**: "
        f"{claim.how}\n{picture}\n"
        f"| measured | value of | cell |\n| --- | --- | --- |\n{rows}\n\n"
        f"**Verdict: {rule.verdict}.** {rule.because} ({bounds})\n\n"
        f"Notebook [{record['notebook']}]({link}), preset `{record['preset']}`; "
        f"{records.machine_line(record)}.\n"
    )


def has_picture(claim: Claim, record: Mapping[str, Any]) -> bool:
    """Tell whether a claim has numbers to set beside what is claimed."""
    return bool(claim.plot) and claim.claimed_value is not None and bool(_numbers(claim, record))


def _numbers(claim: Claim, record: Mapping[str, Any]) -> list[float]:
    return [
        float(v["value"])
        for run in record["runs"]
        for v in run["values"]
        if v["name"] == claim.plot
    ]


def picture_words(claim: Claim, record: Mapping[str, Any]) -> str:
    """Return the picture's description, computed from its data."""
    numbers = _numbers(claim, record)
    runs = "1 run" if len(numbers) == 1 else f"{len(numbers)} runs"
    spread = f"{runs} from {min(numbers):.4g} to {max(numbers):.4g}"
    return f"{claim.id}, {claim.plot}: {spread}; claimed {claim.claimed_value:.4g}"


def picture(claim: Claim, record: Mapping[str, Any]) -> str:
    """Draw the measured runs beside the claimed value, as SVG text that is the same every time."""
    import io

    import matplotlib

    numbers = _numbers(claim, record)
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
    axes.set_title(claim.plot, fontsize=9)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": claim.id, "svg.fonttype": "none"}):
        made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def write(claims: Sequence[Claim], kept: Records, root: Path | None = None) -> list[Path]:
    """Write the page and its pictures; return the files that changed."""
    from datahall import state

    docs = (root or catalogue.repository_root()) / "docs"
    wanted = {docs / "claims.md": render(claims, kept)}
    for claim in claims:
        record = kept.get(claim.id)
        if record is not None and has_picture(claim, record):
            wanted[docs / "claims" / f"{claim.id}.svg"] = picture(claim, record)
    changed = [
        file
        for file, text in wanted.items()
        if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]
    for file in changed:
        state.write_atomically(file, wanted[file])
    return changed
