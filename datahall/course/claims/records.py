"""What was measured for a claim: values of its runs, the machine, and digests of the code.

A record is a small JSON file beside the page, `docs/claims/C03.json`. It is stale when the
notebook's code or the concept's code has changed since; `stale` says which.
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
from datahall.course.run.results import Results

SCHEMA = 1


def folder() -> Path:
    """Return the folder of the records: `docs/claims` of the checkout."""
    return catalogue.repository_root() / "docs" / "claims"


def runs_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return, for each run of a record, its values by name."""
    return [{value["name"]: value["value"] for value in run["values"]} for run in record["runs"]]


def read(claim: Claim, place: Path | None = None) -> dict[str, Any] | None:
    """Return the record of a claim, or None if it has not been measured.

    Raises:
        InputError: The file is damaged, or of another schema.
    """
    file = (place or folder()) / f"{claim.id}.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file} cannot be read ({error}). Measure it again: `datahall claims --measure "
            f"{claim.id}`."
        ) from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or not record.get("runs"):
        raise InputError(
            f"{file} is not a record of schema {SCHEMA}. Measure it again: `datahall claims "
            f"--measure {claim.id}`."
        )
    return record


def collect(claim: Claim, measured: Iterable[Results]) -> dict[str, Any]:
    """Make the record of a claim from the runs of its notebook.

    Raises:
        InputError: A run does not hold the notebook, failed, or reported nothing for the claim.
    """
    runs, machine, versions, when = [], {}, {}, ""
    for results in measured:
        found = results[str(claim.notebook)]
        if found.status != "passed":
            why = found.failure.line if found.failure else found.status
            raise InputError(
                f"{claim.id} was not measured: {claim.notebook} did not pass ({why}). Mend the "
                "notebook, then measure again."
            )
        values = [
            {"name": value.name, "value": value.value, "unit": value.unit, "cell": value.cell_id}
            for value in found.values
            if value.claim == claim.id
        ]
        if not values:
            raise InputError(
                f"{claim.notebook} reported nothing with claim={claim.id!r}. Add it to a report or "
                "expect call there."
            )
        runs.append(
            {
                "parameters": found.parameters or {},
                "seconds": round(found.seconds, 1),
                "values": values,
            }
        )
        machine, versions, when = results.machine, results.versions, str(results.run["started"])
    return {
        "schema": SCHEMA,
        "claim": claim.id,
        "notebook": claim.notebook,
        "preset": claim.preset,
        "measured": when,
        "runs": runs,
        "machine": {key: machine.get(key) for key in ("cpu", "cores", "system")},
        "versions": versions,
        "digests": digests.of(str(claim.notebook)),
    }


def write(claim: Claim, record: Mapping[str, Any], place: Path | None = None) -> Path:
    """Keep a record."""
    return state.write_atomically(
        (place or folder()) / f"{claim.id}.json",
        json.dumps(record, indent=1, ensure_ascii=False) + "\n",
    )


def stale(claim: Claim, record: Mapping[str, Any]) -> list[str]:
    """Return what has changed since a record was measured, in words."""
    now = digests.of(str(claim.notebook))
    names = {"notebook": "the notebook's code", "code": "the concept's code", "data": "the data"}
    changed = [names[key] for key, digest in now.items() if record["digests"].get(key) != digest]
    seeds = [run["parameters"].get("seed") for run in record["runs"]]
    if claim.seeds and seeds != list(claim.seeds):
        changed.append("the list of seeds")
    if record.get("preset") != claim.preset or record.get("notebook") != claim.notebook:
        changed.append("the notebook or preset that measures it")
    return changed


def machine_line(record: Mapping[str, Any]) -> str:
    """Say where and when a record was measured."""
    machine = record["machine"]
    versions = record["versions"]
    tensorflow = versions.get("tensorflow-cpu") or versions.get("tensorflow")
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, TensorFlow "
        f"{tensorflow}, Keras {versions.get('keras')}, "
        f"{str(record['measured'])[:10]}"
    )
