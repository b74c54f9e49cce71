"""`results.json`: its schema, and reading it back."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from datahall.course.exits import Exit, InputError
from datahall.course.run import results, runner
from datahall.course.run.results import Results

Write = Callable[..., Path]

REPORTS = """
from datahall import reporting
reporting.report("size", 373_288, "B", claim="C04.size")
reporting.expect("ratio", 3.95, at_least=3.9)
reporting.expect("accuracy", 0.5, at_least=0.98, judge=False, given="epochs of 5 or more")
reporting.report("not a number", float("nan"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def found(folder: Path, write_notebook: Write) -> Results:
    paths = [
        write_notebook(folder / "reports.ipynb", "# parameters\nn: int = 1  # images", REPORTS),
        write_notebook(folder / "fails.ipynb", "# parameters\nn: int = 1", "1 / 0"),
        write_notebook(folder / "third.ipynb", "# parameters\nn: int = 1"),
    ]
    return runner.run(paths, parameters={"n": "7"}, jobs=1, output_dir=folder / "out")


@pytest.fixture(scope="module")
def raw(found: Results) -> dict[str, Any]:
    assert found.folder is not None
    loaded: dict[str, Any] = json.loads((found.folder / "results.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    path = Path(results.__file__).with_name("results.schema.json")
    loaded: dict[str, Any] = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


def test_a_real_run_keeps_to_the_schema(raw: dict[str, Any], schema: dict[str, Any]) -> None:
    jsonschema.validate(raw, schema)
    assert {book["status"] for book in raw["notebooks"]} == {"passed", "failed", "skipped"}


def test_the_schema_refuses_a_run_with_a_field_missing(
    raw: dict[str, Any], schema: dict[str, Any]
) -> None:
    raw = copy.deepcopy(raw)
    del raw["notebooks"][0]["cpu_seconds"]
    with pytest.raises(jsonschema.ValidationError, match="'cpu_seconds' is a required property"):
        jsonschema.validate(raw, schema)


def test_the_schema_knows_every_status_and_kind_of_failure(schema: dict[str, Any]) -> None:
    definitions = schema["$defs"]
    assert tuple(definitions["notebook"]["properties"]["status"]["enum"]) == results.STATUSES
    assert tuple(definitions["failure"]["properties"]["kind"]["enum"]) == results.FAILURES


def test_reported_values_travel_with_unit_claim_bound_and_cell(found: Results) -> None:
    size, ratio, accuracy, nothing = found["reports"].values
    assert (size.value, size.unit, size.claim, size.bound) == (373_288, "B", "C04.size", None)
    assert (ratio.bound, ratio.holds, ratio.cell_id) == ({"at_least": 3.9}, True, "cell-b")
    assert (accuracy.holds, accuracy.given) == (None, "epochs of 5 or more")
    assert nothing.name == "not a number"
    assert found.bounds == results.Bounds(held=1, broken=0, not_judged=1)


def test_a_value_that_is_no_finite_number_is_text_in_the_file(raw: dict[str, Any]) -> None:
    assert raw["notebooks"][0]["values"][3]["value"] == "nan"


def test_results_read_back_are_the_same(found: Results, raw: dict[str, Any]) -> None:
    assert found.folder is not None
    again = results.load(found.folder)
    assert again.to_dict() == raw
    assert results.load(found.folder.parent / "latest").to_dict() == raw


def test_a_failure_stops_the_others_and_says_so(found: Results) -> None:
    third = found["third"]
    assert third.status == "skipped"
    assert third.failure is not None
    assert third.failure.message == "not started: fails failed (--keep-going runs the others)"
    assert found.exit_code == Exit.FAILED


def test_parameters_and_digests_are_recorded(found: Results) -> None:
    assert found["reports"].parameters == {"n": 7}
    assert [cell.id for cell in found["reports"].cells] == [
        "cell-a",
        "injected-parameters",
        "cell-b",
    ]
    assert set(found.data_sha256) >= {"mnist"}
    assert len(found["reports"].code_sha256) == len(found.code_sha256) == 64


def test_no_name_of_a_folder_or_host_is_in_the_results(raw: dict[str, Any], folder: Path) -> None:
    text = json.dumps({**raw, "notebooks": [{**b, "failure": None} for b in raw["notebooks"]]})
    assert str(folder) not in text
    assert str(Path.home()) not in text
    assert socket.gethostname() not in text


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"value": 1}, "a record with a name was expected"),
        ({"name": "size", "value": [1]}, "'value"),
        ({"name": "size", "value": 1, "holds": "yes"}, "'holds': Input should be a valid boolean"),
        ({"name": "size", "value": 1, "bound": 3}, "'bound': Input should be .* not 3"),
    ],
)
def test_a_damaged_record_is_refused_with_its_field(record: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        results.Value.from_record(record, "cell-a")


def test_a_record_keeps_infinity_and_text_that_is_no_unicode() -> None:
    kept = results.Value.from_record({"name": "caf\udce9", "value": float("inf")}, "cell-a")
    assert (kept.name, kept.value, kept.cell_id) == ("caf\\udce9", float("inf"), "cell-a")


@pytest.mark.parametrize(
    ("field", "wrong"), [("seconds", "fast"), ("cells", [{"id": "a"}]), ("notes", 3)]
)
def test_a_notebook_with_a_damaged_field_is_refused(
    raw: dict[str, Any], tmp_path: Path, field: str, wrong: Any
) -> None:
    raw = copy.deepcopy(raw)
    raw["notebooks"][0][field] = wrong
    (tmp_path / "results.json").write_text(json.dumps(raw))
    with pytest.raises(InputError, match=rf"not a results file .'notebooks\.0\.{field}"):
        results.load(tmp_path)


def test_an_unknown_name_is_refused_with_those_that_exist(found: Results) -> None:
    with pytest.raises(
        InputError, match=r"'nine' is not in these results. They hold: reports, fails"
    ):
        found["nine"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist. Run `datahall run` first"),
        ("{", "is not a results file"),
        ("[]", "is not a results file"),
        ('{"schema": 99}', "has schema 99; this version reads 1"),
        ('{"schema": 1}', "is not a results file .'run'"),
    ],
)
def test_a_file_that_is_no_results_file_is_refused(
    tmp_path: Path, content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=says):
        results.load(tmp_path)
