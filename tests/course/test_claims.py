"""The ledger: bounds decide, records go stale, the page is what claims and records give."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from datahall.course import catalogue
from datahall.course.claims import digests, ledger, page, records
from datahall.course.claims.ledger import Claim, Condition, Rule
from datahall.course.exits import InputError

REPRODUCED = Rule("reproduced", "It holds.", (Condition("accuracy", at_least=0.98),))
REFUTED = Rule("refuted", "It does not.", (Condition("accuracy", at_most=0.97, of="mean"),))
CLAIM = Claim(
    "C99",
    "A1",
    1,
    "accuracy | 98 %",
    notebook="01_convolution",
    plot="accuracy",
    claimed_value=0.98,
    seeds=(0, 1),
    rules=(REPRODUCED, REFUTED),
)


def record(*accuracies: float) -> dict[str, Any]:
    values = [[{"name": "accuracy", "value": a, "unit": "", "cell": "fit"}] for a in accuracies]
    return {
        "schema": 1,
        "claim": "C99",
        "notebook": "01_convolution",
        "preset": "smoke",
        "measured": "2026-11-22T00:00:00+00:00",
        "runs": [
            {"parameters": {"seed": seed}, "seconds": 1.0, "values": each}
            for seed, each in enumerate(values)
        ],
        "machine": {"cpu": "a processor", "cores": 2, "system": "Linux x86_64"},
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
        "digests": digests.of("01_convolution"),
    }


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [
        ((0.981, 0.99), "reproduced"),
        ((0.981, 0.979), "undecided"),  # not every run, and the mean is no reason to refute
        ((0.981, 0.90), "refuted"),
    ],
)
def test_the_bounds_decide_the_verdict(accuracies: tuple[float, ...], verdict: str) -> None:
    assert CLAIM.judge(records.runs_of(record(*accuracies))).verdict == verdict


def test_a_value_that_is_missing_from_a_run_decides_nothing() -> None:
    assert CLAIM.judge([{"accuracy": 0.99}, {"loss": 0.1}]).verdict == ledger.UNDECIDED
    assert CLAIM.judge([]).verdict == ledger.UNDECIDED


def test_a_record_is_stale_when_the_code_or_the_seeds_have_changed() -> None:
    fresh = record(0.99, 0.99)
    assert records.stale(CLAIM, fresh) == []
    fresh["digests"]["code"] = "0" * 64
    assert records.stale(CLAIM, fresh) == ["the concept's code"]
    assert "the list of seeds" in records.stale(CLAIM, record(0.99))


def test_digests_follow_imports_and_pass_over_comments_and_pictures() -> None:
    files = {
        file.name for file in digests.modules("from datahall.convolution import core, figures")
    }
    assert "core.py" in files
    assert "figures.py" not in files
    assert digests.meaning('"""Words."""\nx = [1,\n 2]') == digests.meaning("x = [1, 2]  # two")
    assert digests.meaning("x = 1") != digests.meaning("x = 1.0")


def test_a_damaged_record_says_how_to_measure_again(tmp_path: Path) -> None:
    (tmp_path / "C99.json").write_text("{half")
    with pytest.raises(InputError, match=r"C99.json cannot be read.*datahall claims --measure C99"):
        records.read(CLAIM, tmp_path)
    (tmp_path / "C99.json").write_text(json.dumps({"schema": 7, "runs": [1]}))
    with pytest.raises(InputError, match="not a record of schema 1"):
        records.read(CLAIM, tmp_path)
    assert records.read(CLAIM, tmp_path / "nowhere") is None


def test_the_page_shows_claim_measurement_spread_and_verdict() -> None:
    text = page.render([CLAIM], {"C99": record(0.981, 0.985)})
    row = "| [C99](#c99) | A1 | accuracy \\| 98 % | accuracy: 0.9830 (0.9810 to 0.9850, 2 runs) |"
    assert row in text
    assert "**Verdict: reproduced.** It holds. (accuracy ≥ 0.98)" in text
    assert "![C99, accuracy: 2 runs from 0.981 to 0.985; claimed 0.98](claims/C99.svg)" in text


def test_a_claim_without_a_record_waits_on_the_page() -> None:
    assert "waits for its module (01)" in page.render([CLAIM], {"C99": None})


def test_the_picture_is_the_same_every_time_and_follows_its_data() -> None:
    picture = page.picture(CLAIM, record(0.981))
    time.sleep(1.1)  # a time stamp would show
    assert page.picture(CLAIM, record(0.981)) == picture
    assert "dc:date" not in picture
    assert page.picture(CLAIM, record(0.984)) != picture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[claim]]\nid='C1'\n", "C1 has no field 'article'"),
        (
            "[[claim]]\nid='C1'\narticle='A'\nmodule=1\nstatement=''\nsize=1\n",
            "unknown field 'size'",
        ),
        ("[[claim]]\nid='C1'\narticle='A'\nmodule=1\nstatement=''\n" * 2, "C1 occurs twice"),
        (
            "[[claim]]\nid='C1'\narticle='A'\nmodule=1\nstatement=''\nnotebook='x'\n",
            r"no \[\[claim.verdict\]\]",
        ),
        (
            "[[claim]]\nid='C1'\narticle='A'\nmodule=1\nstatement=''\n"
            "[[claim.verdict]]\nis='proven'\nbecause=''\nwhen=[{value='x', at_least=1}]\n",
            "must be one of reproduced, corrected, refuted",
        ),
        ("nothing here", "cannot be read"),
    ],
)
def test_a_wrong_ledger_names_the_claim_and_the_field(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "claims.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        ledger.load(file)


def test_every_claim_of_the_ledger_names_a_module_of_the_course() -> None:
    numbers = {module.number for module in catalogue.load().modules}
    assert {claim.module for claim in ledger.load()} <= numbers
    assert [claim.id for claim in ledger.load()] == [f"C{n:02d}" for n in range(1, 39)]


def test_the_committed_page_is_what_claims_and_records_give(root: Path) -> None:
    claims = ledger.load()
    kept = {claim.id: records.read(claim) for claim in claims}
    assert (root / "docs" / "claims.md").read_text() == page.render(claims, kept)


def test_every_claim_of_an_existing_module_is_measured_and_decided(root: Path) -> None:
    for claim in ledger.load():
        module = catalogue.load().module(str(claim.module))
        if not any((root / n.files()["lecture"]).is_file() for n in module.notebooks):
            continue
        record = records.read(claim)
        assert record is not None, f"{claim.id} is not measured"
        assert claim.judge(records.runs_of(record)).verdict in ledger.VERDICTS, claim.id


def test_every_claim_that_a_notebook_reports_is_in_the_ledger(root: Path) -> None:
    import re

    known = {claim.id for claim in ledger.load()}
    for file in sorted((root / "notebooks").glob("*.ipynb")):
        named = set(re.findall(r'claim=\\"(C\d+)\\"', file.read_text()))
        assert named <= known, f"{file.name}: {named - known}"
