"""`datahall claims`: the table, the page, the check, and the measuring."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from datahall.course import catalogue
from datahall.course.claims import digests, ledger, page, records
from datahall.course.claims.ledger import Claim
from datahall.course.claims.records import Record
from datahall.course.exits import Exit, InputError
from datahall.course.run import results, runner
from datahall.course.run.results import Results


def command(
    words: Sequence[str] = (),
    *,
    measure: bool = False,
    check: bool = False,
    long: bool = False,
    taken_from: Path | None = None,
    as_json: bool = False,
) -> Exit:
    """Show the ledger; with `measure` renew records; with `check` prove that all agree.

    Args:
        words: Ids such as C03; with `measure`, those to measure, whether stale or not. All when
            left out.
        measure: Run the notebooks of the claims named, or of every missing or stale one, and keep
            the records.
        check: Change nothing; measure the cheap claims afresh, and fail where a run contradicts a
            verdict. What is merely stale is a warning.
        long: With `check`, measure the long claims afresh too.
        taken_from: A results file of `datahall run`, to take records from instead of running.
        as_json: Print the ledger as JSON.

    Raises:
        InputError: An id is unknown, a record is damaged, or a named claim cannot be taken.
    """
    claims = ledger.load()
    chosen = _chosen(claims, words)
    if check:
        return _check(claims, [claim for claim in chosen if claim.cheap or long])
    code = Exit.OK
    if taken_from is not None:
        code = _take(chosen, results.load(taken_from), named=bool(words))
    elif measure:
        _measure(chosen if words else [claim for claim in chosen if _wanting(claim)])
    kept = {claim.id: records.read(claim) for claim in claims}
    if measure or taken_from is not None or not words:
        for file in page.write(claims, kept):
            print(f"written: {file.relative_to(catalogue.repository_root())}")
    _show(chosen, kept, as_json)
    return code


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
        before = digests.of(str(group[0].notebook))
        measured = _runs(group)
        for claim in group:
            record = records.collect(claim, measured[claim.id], before=before)
            print(f"written: {records.write(claim, record).name}")


def _take(claims: Sequence[Claim], found: Results, *, named: bool) -> Exit:
    """Take what a run can give; say what it cannot, and refuse it if it was asked for by name."""
    names = {run.name for run in found.notebooks}
    taken = 0
    for claim in claims:
        if claim.notebook not in names:
            continue
        try:
            written = records.write(claim, records.collect(claim, [found]))
        except records.NoMatchError as error:
            if named:
                raise
            print(f"not taken: {error}")
        else:
            taken += 1
            print(f"written: {written.name}")
    if not taken:
        print("no claim was taken from this run.")
    return Exit.OK if taken else Exit.FAILED


def _check(claims: Sequence[Claim], afresh: Sequence[Claim]) -> Exit:
    """Say where page, records and fresh runs disagree, and what is stale."""
    kept = {claim.id: records.read(claim) for claim in claims}
    wrong = [f"{claim.id}: {text}" for claim in claims for text in _wrong(claim, kept[claim.id])]
    written = records.folder().with_suffix(".md")
    if not written.is_file() or written.read_text(encoding="utf-8") != page.render(claims, kept):
        wrong.append("docs/claims.md is not what claims and records give. Run `datahall claims`.")
    fresh = [claim for claim in afresh if claim.notebook and kept[claim.id]]
    wrong += _contradictions(fresh, kept)
    for line in wrong:
        print(f"wrong: {line}")
    warnings = [line for claim in claims for line in _warnings(claim, kept[claim.id])]
    for line in warnings:
        print(f"stale: {line}")
    measured = sum(record is not None for record in kept.values())
    print(
        f"{measured} claims measured, {len(fresh)} of them afresh, {len(wrong)} wrong, "
        f"{len(warnings)} stale"
    )
    return Exit.FAILED if wrong else Exit.OK


def _contradictions(claims: Sequence[Claim], kept: page.Records) -> Iterator[str]:
    """Measure claims afresh and say where the verdict is not the recorded one."""
    for claim_id, fresh in _runs(claims).items():
        claim = next(claim for claim in claims if claim.id == claim_id)
        before = kept[claim_id]
        assert before is not None  # noqa: S101 (the caller passes measured claims)
        verdict = claim.judge(records.runs_of(before)).verdict
        now = digests.of(str(claim.notebook))  # an edit meanwhile is no contradiction
        record = records.collect(claim, fresh, before=now)
        again = claim.judge(records.runs_of(record)).verdict
        if again != verdict:
            yield f"{claim_id}: measured afresh it is {again}, the record says {verdict}."


def _wrong(claim: Claim, record: Record | None) -> Iterator[str]:
    """Say what is wrong with a claim's record."""
    if claim.notebook is None:
        return  # it waits for its lecture; a test lists those of modules that exist
    if record is None:
        yield f"it has no record. Run `datahall claims --measure {claim.id}`."
    elif claim.judge(records.runs_of(record)).verdict == ledger.UNDECIDED:
        yield (
            "no verdict's conditions hold for what was measured. Look at the bounds in "
            f"claims/{claim.module}.toml."
        )


def _warnings(claim: Claim, record: Record | None) -> Iterator[str]:
    """Say what a record's measurement used that has changed since."""
    if claim.notebook and record and (changed := records.stale(claim, record)):
        yield (
            f"{claim.id}: changed since it was measured: {', '.join(changed)}. Run `datahall "
            f"claims --measure {claim.id}`."
        )


def _show(claims: Sequence[Claim], kept: page.Records, as_json: bool) -> None:
    rows = []
    for claim in claims:
        record = kept[claim.id]
        verdict = claim.judge(records.runs_of(record)).verdict if record else "waits"
        rows.append(
            {
                "id": claim.id,
                "module": catalogue.load().module(claim.module).number,
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
