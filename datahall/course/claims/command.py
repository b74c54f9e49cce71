"""`datahall claims`: the table, the page, the check, and the measuring."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datahall.course import catalogue
from datahall.course.claims import ledger, page, records
from datahall.course.claims.ledger import Claim
from datahall.course.exits import Exit, InputError
from datahall.course.run import results, runner
from datahall.course.run.results import Results


def command(
    words: Sequence[str] = (),
    *,
    measure: bool = False,
    check: bool = False,
    taken_from: Path | None = None,
    as_json: bool = False,
) -> Exit:
    """Show the ledger; with `measure` renew records; with `check` prove that all agree.

    Args:
        words: Ids such as C03; with `measure`, those to measure, whether stale or not. All when
            left out.
        measure: Run the notebooks of the claims named, or of every missing or stale one, and keep
            the records.
        check: Change nothing; measure the cheap claims afresh, and fail if anything disagrees.
        taken_from: A results file of `datahall run`, to take records from instead of running.
        as_json: Print the ledger as JSON.

    Raises:
        InputError: An id is unknown, or a record is damaged.
    """
    claims = ledger.load()
    chosen = _chosen(claims, words)
    if check:
        return _check(claims)
    if taken_from is not None:
        _take(chosen, results.load(taken_from))
    elif measure:
        _measure(chosen if words else [claim for claim in chosen if _wanting(claim)])
    kept = {claim.id: records.read(claim) for claim in claims}
    if measure or taken_from is not None or not words:
        for file in page.write(claims, kept):
            print(f"written: {file.relative_to(catalogue.repository_root())}")
    _show(chosen, kept, as_json)
    return Exit.OK


def _chosen(claims: Sequence[Claim], words: Sequence[str]) -> list[Claim]:
    by_id = {claim.id: claim for claim in claims}
    for word in words:
        if word.upper() not in by_id:
            raise InputError(
                f"There is no claim {word!r}. Ids run from {claims[0].id} to {claims[-1].id}. Run "
                "`datahall claims` to see all."
            )
    return [by_id[word.upper()] for word in words] or list(claims)


def _wanting(claim: Claim) -> bool:
    """Tell whether a claim should be measured: it has a notebook, and no record or a stale one."""
    if claim.notebook is None:
        return False
    record = records.read(claim)
    return record is None or bool(records.stale(claim, record))


def _runs(claims: Sequence[Claim]) -> dict[str, list[Results]]:
    """Run the notebooks that measure some claims, each notebook, preset and seed once."""
    done: dict[tuple[str, str, int | None], Results] = {}
    for claim in claims:
        for seed in claim.seeds or (None,):
            key = (str(claim.notebook), claim.preset, seed)
            if key in done:
                continue
            print(
                f"running {key[0]}, preset {claim.preset}"
                + ("" if seed is None else f", seed {seed}"),
                flush=True,
            )
            given = {} if seed is None else {"seed": seed}
            done[key] = runner.run(
                [key[0]], preset=claim.preset, parameters=given, jobs=1, timeout_s=3600
            )
    return {
        claim.id: [done[str(claim.notebook), claim.preset, seed] for seed in claim.seeds or (None,)]
        for claim in claims
    }


def _measure(claims: Sequence[Claim]) -> None:
    measurable = [claim for claim in claims if claim.notebook is not None]
    if waiting := [claim.id for claim in claims if claim.notebook is None]:
        print(f"no notebook yet: {', '.join(waiting)}")
    for key in dict.fromkeys((claim.notebook, claim.preset, claim.seeds) for claim in measurable):
        group = [
            claim for claim in measurable if (claim.notebook, claim.preset, claim.seeds) == key
        ]
        measured = _runs(group)
        for claim in group:
            print(
                f"written: {records.write(claim, records.collect(claim, measured[claim.id])).name}"
            )


def _take(claims: Sequence[Claim], found: Results) -> None:
    names = {run.name for run in found.notebooks if run.preset is not None}
    for claim in claims:
        if (
            claim.notebook in names
            and len(claim.seeds) <= 1
            and found[claim.notebook].preset == claim.preset
        ):
            print(f"written: {records.write(claim, records.collect(claim, [found])).name}")


def _check(claims: Sequence[Claim]) -> Exit:
    kept = {claim.id: records.read(claim) for claim in claims}
    problems = [
        f"{claim.id}: {text}" for claim in claims for text in _problems(claim, kept[claim.id])
    ]
    written = catalogue.repository_root() / "docs" / "claims.md"
    if not written.is_file() or written.read_text(encoding="utf-8") != page.render(claims, kept):
        problems.append(
            "docs/claims.md is not what claims.toml and the records give. Run `datahall claims`."
        )
    cheap = [claim for claim in claims if claim.cheap and kept[claim.id]]
    for claim_id, fresh in _runs(cheap).items():
        claim = next(claim for claim in claims if claim.id == claim_id)
        record = kept[claim_id]
        assert record is not None  # noqa: S101 (cheap holds measured claims only)
        again = claim.judge(records.runs_of(records.collect(claim, fresh))).verdict
        before = claim.judge(records.runs_of(record)).verdict
        if again != before:
            problems.append(f"{claim_id}: measured afresh it is {again}, the record says {before}.")
    for line in problems:
        print(f"wrong: {line}")
    measured = sum(record is not None for record in kept.values())
    print(f"{measured} claims measured, {len(cheap)} of them afresh, {len(problems)} problems")
    return Exit.FAILED if problems else Exit.OK


def _problems(claim: Claim, record: dict[str, Any] | None) -> list[str]:
    """Say what is wrong with a claim's record."""
    course = catalogue.load()
    root = catalogue.repository_root()
    module = next((module for module in course.modules if module.number == claim.module), None)
    exists = module is not None and any(
        (root / n.files()["lecture"]).is_file() for n in module.notebooks
    )
    if claim.notebook is None:
        return (
            [f"module {claim.module:02d} exists, but no notebook measures the claim."]
            if exists
            else []
        )
    if record is None:
        return [f"it has no record. Run `datahall claims --measure {claim.id}`."]
    found = [
        f"{what} has changed since it was measured. Run `datahall claims --measure {claim.id}`."
        for what in records.stale(claim, record)
    ]
    if not claim.judge(records.runs_of(record)).when:
        found.append(
            "no verdict's conditions hold for what was measured. Look at the bounds in claims.toml."
        )
    return found


def _show(claims: Sequence[Claim], kept: page.Records, as_json: bool) -> None:
    rows = []
    for claim in claims:
        record = kept[claim.id]
        verdict = claim.judge(records.runs_of(record)).verdict if record else "waits"
        rows.append(
            {
                "id": claim.id,
                "module": claim.module,
                "verdict": verdict,
                "claimed": claim.claimed or claim.statement,
            }
        )
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Claims put to the test", title_justify="left")
    for name in ("id", "module", "verdict", "claimed"):
        table.add_column(name, overflow="fold")
    for row in rows:
        module = f"{row['module']:02d}"
        table.add_row(str(row["id"]), module, str(row["verdict"]), str(row["claimed"]))
    Console().print(table)
