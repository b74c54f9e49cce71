"""The instructors' fact sheets say what the lectures, checks and banks say."""

import pytest

from datahall.checking import checks_of
from datahall.course import catalogue
from datahall.course.exits import Exit, InputError
from datahall.course.labs import fact_sheets

ROOT = catalogue.repository_root()


def test_the_committed_sheets_are_those_that_would_be_made_now():
    pages = fact_sheets.sheets(ROOT)
    committed = {path.relative_to(ROOT) for path in (ROOT / fact_sheets.FOLDER).glob("[0-9]*.md")}
    assert committed == set(pages)
    stale = [str(path) for path, text in pages.items() if (ROOT / path).read_text() != text]
    assert not stale, f"run `datahall facts --write`: {stale}"


def test_a_sheet_lists_every_exercise_and_every_common_mistake():
    (text,) = fact_sheets.sheets(ROOT, "01").values()
    assert "## Objectives" in text and "## Time" in text
    for check in checks_of("convolution"):
        assert f"| {check.exercise} | {check.title} | {check.lab} |" in text
        for wrong in check.bank.wrong:
            assert " ".join(wrong.says.split()).replace("|", "\\|") in text


def test_a_sheet_is_printed_for_a_number_or_a_slug(capsys):
    assert fact_sheets.show("01") == fact_sheets.show("convolution") == Exit.OK
    first, second = capsys.readouterr().out.split("# 01 ")[1:]
    assert first.strip() == second.strip()


@pytest.mark.parametrize(
    ("word", "said"), [("99", "no module or notebook"), ("capstone", "has no lecture yet")]
)
def test_what_has_no_sheet_says_so(word, said):
    with pytest.raises(InputError, match=said):
        fact_sheets.show(word)
