"""What was measured for a claim: values of its runs, the machine, and digests of what they used.

A record is a small JSON file beside the page, `docs/claims/training/C03.json`. A run is taken only
if its parameters, preset, code, data and libraries are those of today; so the digests that are
written down are the run's own. A record is stale when one of them has changed since; `stale` says
which.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datahall import state
from datahall.course import catalogue
from datahall.course.claims import digests
from datahall.course.claims.ledger import Claim
from datahall.course.exits import InputError
from datahall.course.notebooks import sources
from datahall.course.run import runner
from datahall.course.run.results import NotebookRun, Results, Value

SCHEMA = 2

Record = Mapping[str, Any]


class NoMatchError(InputError):
    """A run that may not stand for a claim: other parameters, code, data or libraries."""


def folder() -> Path:
    """Return the folder of the records: `docs/claims` of the checkout, a folder a module inside."""
    return catalogue.repository_root() / "docs" / "claims"


def path(claim: Claim, where: Path | None = None) -> Path:
    """Return the file of a claim's record."""
    return (where or folder()) / claim.module / f"{claim.id}.json"


def runs_of(record: Record) -> list[dict[str, Any]]:
    """Return, for each run of a record, its values by key."""
    return [{value["key"]: value["value"] for value in run["values"]} for run in record["runs"]]


def read(claim: Claim, where: Path | None = None) -> dict[str, Any] | None:
    """Return the record of a claim, or None if it has not been measured.

    Raises:
        InputError: The file is damaged, or of another schema.
    """
    file = path(claim, where)
    again = f"Measure it again: `datahall claims --measure {claim.id}`."
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read ({error}). {again}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or not record.get("runs"):
        raise InputError(f"{file} is not a record of schema {SCHEMA}. {again}")
    return record


def wanted(claim: Claim) -> list[dict[str, Any]]:
    """Return the parameters of each run that a claim needs, as its preset and seeds say today.

    Raises:
        InputError: There is no such notebook.
    """
    notebook = catalogue.load().find(str(claim.notebook))[0]
    given = notebook.parameters(claim.preset)
    return [given if seed is None else {**given, "seed": seed} for seed in claim.seeds or (None,)]


def collect(
    claim: Claim, measured: Iterable[Results], *, before: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Make the record of a claim from the runs of its notebook.

    Args:
        claim: A claim with a notebook.
        measured: One run for each of its seeds, in their order.
        before: What `digests.of` its notebook was when the runs began, where that is known; a run
            out of a file must be of exactly today's package.

    Raises:
        NoMatchError: A run was made with other parameters, code, data or libraries than today's.
        InputError: A run does not hold the notebook, failed, or reported nothing for the claim.
    """
    taken = list(measured)
    today = digests.of(str(claim.notebook))
    found = [results[str(claim.notebook)] for results in taken]
    for run, results in zip(found, taken, strict=True):
        if run.status != "passed":
            why = run.failure.line if run.failure else run.status
            raise InputError(
                f"{claim.id} was not measured: {claim.notebook} did not pass ({why}). Mend the "
                "notebook, then measure again."
            )
        code = results.code_sha256 == runner.code_digest() if before is None else before == today
        _refuse_other(claim, run, results, same_code=code)
    if [run.parameters or {} for run in found] != wanted(claim):
        raise NoMatchError(
            f"{claim.id} needs {wanted(claim)}; the run had {[run.parameters for run in found]}. "
            f"Run `datahall claims --measure {claim.id}`."
        )
    machine = taken[-1].machine
    return {
        "schema": SCHEMA,
        "claim": claim.id,
        "notebook": claim.notebook,
        "preset": claim.preset,
        "measured": str(taken[-1].run["started"]),
        "runs": [
            {
                "parameters": run.parameters or {},
                "seconds": round(run.seconds, 1),
                "values": _values(claim, run),
            }
            for run in found
        ],
        "machine": {key: machine.get(key) for key in ("cpu", "cores", "system")},
        "versions": taken[-1].versions,
        "digests": today,
    }


def _refuse_other(claim: Claim, run: NotebookRun, results: Results, *, same_code: bool) -> None:
    """Refuse a run whose preset, code, data or libraries are not today's."""
    lecture = catalogue.load().find(str(claim.notebook))[0].files()["lecture"]
    named = [key.removeprefix("data set ") for key in digests.of(str(claim.notebook))]
    data = runner.data_digests()
    other = digests.unlocked(results.versions)
    differs = {
        "values given back from the cache": run.cached,
        f"preset {run.preset}, not {claim.preset}": run.preset != claim.preset,
        "another code of the notebook": run.code_sha256
        != sources.read(catalogue.repository_root() / lecture).digest,
        "another code of the package": not same_code,
        "other data": any(
            results.data_sha256.get(name) != data[name] for name in data if name in named
        ),
        f"libraries that are not in the lock ({', '.join(other)})": bool(other),
    }
    if reasons := [reason for reason, found in differs.items() if found]:
        raise NoMatchError(
            f"{claim.id} cannot be taken from this run of {claim.notebook}: it was made with "
            f"{', '.join(reasons)}. Run `datahall claims --measure {claim.id}`."
        )


def _values(claim: Claim, run: NotebookRun) -> list[dict[str, Any]]:
    """Return what a run reported for a claim.

    Raises:
        InputError: It reported nothing, or one key twice.
    """
    values = [
        {"key": key, "name": v.name, "value": v.value, "unit": v.unit, "cell": v.cell_id}
        for v in run.values
        if (key := _key(claim, v))
    ]
    keys = [str(value["key"]) for value in values]
    if not values or claim.shows not in keys:
        raise InputError(
            f"{claim.notebook} reported nothing with claim='{claim.id}.{claim.shows}'. Add it to a "
            "report or expect call there."
        )
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise InputError(
            f"{claim.notebook} reported {claim.id}.{min(twice)} twice. Give each value a key of "
            "its own."
        )
    return values


def _key(claim: Claim, value: Value) -> str:
    claim_id, _, key = (value.claim or "").partition(".")
    return key if claim_id == claim.id else ""


def write(claim: Claim, record: Record, where: Path | None = None) -> Path:
    """Keep a record.

    Args:
        claim: What it is a record of.
        record: What is kept.
        where: The folder of records; the package's own if left out.
    """
    return state.write_atomically(
        path(claim, where), json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    )


def stale(claim: Claim, record: Record) -> list[str]:
    """Return what has changed since a record was measured, in words."""
    now, then = digests.of(str(claim.notebook)), record["digests"]
    changed = [
        key if key == digests.NOTEBOOK or key.startswith("data set") else f"what it uses of {key}"
        for key in sorted(now.keys() | then.keys())
        if now.get(key) != then.get(key)
    ]
    if record.get("preset") != claim.preset or record.get("notebook") != claim.notebook:
        changed.append("the notebook or preset that measures it")
    elif [run["parameters"] for run in record["runs"]] != wanted(claim):
        changed.append("the parameters or seeds")
    return changed + [f"{name} in the lock" for name in digests.unlocked(record["versions"])]


def machine_line(record: Record) -> str:
    """Say where and when a record was measured."""
    machine, libraries = record["machine"], digests.libraries(record["versions"])
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, TensorFlow "
        f"{libraries.get('tensorflow')}, Keras {libraries.get('keras')}, "
        f"{str(record['measured'])[:10]}"
    )
