"""The security report: what it says, what it refuses, and that an attack stays text in it."""

from __future__ import annotations

import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from datahall.errors import DataError, ParameterError
from datahall.serving import report

WHEN = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
GOOD = report.Tried("alg none", "refused, 401", "401", True, "gateway", ("ASVS 9.1.2",))
BAD = report.Tried("replay", "refused, 409", "200", False, "app")
MODEL = {"name": "mnist_cnn", "version": 3, "digest": "sha256:ab12"}


def test_the_page_says_what_was_tested_on_what_and_when() -> None:
    made = report.page([GOOD], model=MODEL, service={"replicas": 2}, when=WHEN)
    for text in (made.markdown, made.html):
        for word in ("alg none", "refused, 401", "gateway", "ASVS 9.1.2", "2026-01-02 03:04 UTC"):
            assert word in text
        assert "sha256:ab12" in text
        assert "replicas 2" in text
    assert made.holds


def test_what_does_not_hold_stands_first_and_is_counted() -> None:
    made = report.page([GOOD, BAD], model=MODEL, when=WHEN)
    assert "1 of 2 tests hold" in made.markdown
    assert made.markdown.index("replay") < made.markdown.index("alg none")
    assert made.html.index("replay") < made.html.index("alg none")
    assert not made.holds


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


def test_an_attack_that_is_quoted_stays_text() -> None:
    evil = "</td><script>alert(1)</script> | x |\n# Title\x1b[31m"
    line = report.Tried(evil, evil, evil, False, evil, (evil,))
    made = report.page([line], model={**MODEL, "name": evil}, notes=[evil], when=WHEN)
    tags = Tags()
    tags.feed(made.html)
    assert "script" not in tags.seen
    assert "<script" not in made.markdown
    assert "\x1b" not in made.html + made.markdown
    rows = [row for row in made.markdown.splitlines() if row.startswith("|")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [7, 7, 7]
    assert sum(row.startswith("# ") for row in made.markdown.splitlines()) == 1


@pytest.mark.parametrize(
    ("records", "model", "when"),
    [
        ([], MODEL, WHEN),
        ([GOOD], {"name": "mnist_cnn"}, WHEN),
        ([GOOD], MODEL, WHEN.replace(tzinfo=None)),
    ],
    ids=["no line", "no digest", "no zone"],
)
def test_a_report_that_proves_nothing_is_refused(records, model, when) -> None:
    with pytest.raises(ParameterError, match="proves nothing"):
        report.page(records, model=model, when=when)


def test_both_forms_are_written(tmp_path: Path) -> None:
    made = report.page([GOOD], model=MODEL, when=WHEN)
    paths = made.save(tmp_path / "new")
    assert [path.name for path in paths] == ["security-report.md", "security-report.html"]
    assert paths[0].read_text() == made.markdown
    assert paths[1].read_text() == made.html


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Give another one"):
        report.page([GOOD], model=MODEL, when=WHEN).save(tmp_path / "file")
