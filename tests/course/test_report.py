"""The report: complete in itself, true to the results, readable by everybody."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
    new_raw_cell,
)

from datahall.course.report import pages, rendering
from datahall.course.run import runner
from datahall.course.run.results import Bounds, Results, Value

Write = Callable[..., Path]

FIGURE = """
import matplotlib.pyplot as plt
from datahall import plotting, runtime
runtime.start()
figure, axes = plotting.figure()
axes.plot([1, 2, 1])
plotting.describe(figure, "A peak at the second of three points.")
"""


class Page(HTMLParser):
    """What a browser would fetch, and how the page is built."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.attributes.append((tag, found))
        self.addresses += [v for k, v in found.items() if k in ("src", "href") and v]
        if found.get("id"):
            self.ids.add(str(found["id"]))

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, write_notebook: Write) -> Results:
    folder = tmp_path_factory.mktemp("report")
    reports = (
        "from datahall import reporting\n"
        "reporting.expect('size <ratio>', 3.95, at_least=3.9, claim='C11.size')\n"
        "reporting.report('parameters', 93_322)"
    )
    paths = [
        write_notebook(folder / "good.ipynb", reports, FIGURE, "import time\ntime.sleep(0.3)"),
        write_notebook(
            folder / "bad.ipynb", "text = '<script>alert(1)</script>'\nraise ValueError(text)"
        ),
    ]
    return runner.run(paths, keep_going=True, output_dir=folder / "out")


@pytest.fixture(scope="module")
def page(results: Results) -> Page:
    assert results.folder is not None
    return Page((results.folder / "report.html").read_text())


def test_the_page_fetches_nothing_and_runs_no_script(page: Page) -> None:
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert not [address for address in page.addresses if re.match(r"(?i)https?:|//", address)]


def test_every_link_of_the_report_leads_to_a_file_of_the_run(page: Page, results: Results) -> None:
    assert results.folder is not None
    files = [address for address in page.addresses if not address.startswith("#")]
    assert {"notebooks/good.html", "notebooks/bad.html", "results.json"} <= set(files)
    assert all((results.folder / file).is_file() for file in files)
    assert all(a[1:] in page.ids for a in page.addresses if a.startswith("#"))


def test_the_report_says_what_failed_in_full(page: Page) -> None:
    assert "1 of 2 notebooks failed" in page.words
    assert "ValueError: <script>alert(1)</script>" in page.words
    assert "Traceback (most recent call last)" in page.words


def test_the_report_shows_values_with_unit_bound_and_claim(page: Page) -> None:
    assert "size <ratio>" in page.words
    assert "≥ 3.9" in page.words
    assert "C11" in page.words
    assert "93,322" in page.words


def test_no_status_is_told_by_colour_alone(page: Page) -> None:
    for sign, word in (("✓", "passed"), ("✕", "failed")):
        assert re.search(rf"{sign}\s*{word}", page.words)


def test_the_report_is_built_for_screen_readers(page: Page) -> None:
    assert ("html", {"lang": "en"}) in page.attributes
    assert page.tags.count("h1") == 1
    assert page.tags.count("main") == 1
    heads = [found for tag, found in page.attributes if tag == "th"]
    assert heads
    assert all(found.get("scope") in ("col", "row") for found in heads)
    bars = [f for tag, f in page.attributes if tag == "div" and "bar" in str(f.get("class"))]
    assert all(found.get("aria-hidden") == "true" for found in bars)


def test_the_report_has_a_dark_side(results: Results) -> None:
    assert "prefers-color-scheme: dark" in rendering.render(results)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_of_text_have_enough_contrast(scheme: str) -> None:
    style = Path(rendering.__file__).with_name("templates") / "style.css"
    light, dark = style.read_text().split("@media (prefers-color-scheme: dark)")[:2]
    part = light if scheme == "light" else dark
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part))
    for ground in ("paper", "card"):
        for ink in ("ink", "soft", "accent", "passed", "failed", "skipped", "interrupted"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_an_executed_notebook_is_a_page_that_fetches_nothing(results: Results) -> None:
    assert results.folder is not None
    text = (results.folder / "notebooks" / "good.html").read_text()
    page = Page(text)
    assert "script" not in page.tags
    assert not [a for a in page.addresses if re.match(r"(?i)https?:|//", a)]
    assert any(a.startswith("data:image/png;base64,") for a in page.addresses)
    assert "A peak at the second of three points." in page.words


def test_no_cell_of_any_kind_brings_a_script_into_a_page(tmp_path: Path) -> None:
    danger = "<script>alert(1)</script><b onclick='x()'>told</b>"
    html = new_output("display_data", {"text/html": danger, "text/plain": "told"})
    cells = [
        new_raw_cell(danger, metadata={"format": "text/html"}),
        new_markdown_cell(danger),
        new_code_cell(danger, outputs=[html, new_output("stream", text=danger)]),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "in.ipynb")
    pages.write(tmp_path / "in.ipynb", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert text.count("told") >= 4
    assert "script" not in Page(text).tags
    assert not re.search(r"<[^>]*onclick", text)


def test_a_page_shows_formulas_without_scripts_and_keeps_answers_folded(tmp_path: Path) -> None:
    told = "Let $x^2$ and\n\n$$\\frac{a}{b}$$\n\nbut `$HOME$`.\n\n"
    folded = "<details><summary>Answer</summary>\n\nIt is **two**.\n\n</details>\n\nOn."
    broken = "And $\\frac{$."
    cells = [new_markdown_cell(told + folded), new_markdown_cell(broken)]
    nbformat.write(new_notebook(cells=cells), tmp_path / "in.ipynb")
    pages.write(tmp_path / "in.ipynb", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert text.count("<math") >= 2 and "<mfrac>" in text and "$$" not in text
    assert "<code>$HOME$</code>" in text and "\\frac{" in text
    inside = text.partition("<details>")[2].partition("</details>")[0]
    assert "<strong>two</strong>" in inside


def test_a_widget_stands_in_a_page_as_its_picture(tmp_path: Path) -> None:
    source = (
        "import numpy as np\nfrom datahall.convolution import widgets\n"
        "widgets.explore_kernel(np.ones((1, 28, 28), np.uint8))"
    )
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), tmp_path / "moves.ipynb")
    results = runner.run([str(tmp_path / "moves.ipynb")], output_dir=tmp_path / "build")
    assert results.folder is not None
    page = Page((results.folder / "notebooks" / "moves.html").read_text())
    assert "run its cell" in page.words and "Box(" not in page.words
    assert "img" in page.tags


def test_the_page_of_a_failed_notebook_starts_with_the_failure(results: Results) -> None:
    assert results.folder is not None
    page = Page((results.folder / "notebooks" / "bad.html").read_text())
    assert "failed at cell cell-a (2): ValueError" in " ".join(page.words.split())
    assert "#cell-id=cell-a" in page.addresses
    assert "cell-id=cell-a" in page.ids


def test_a_bound_is_written_with_its_unit() -> None:
    value = Value("delay", 3.0, "ms", bound={"at_least": 1, "at_most": 5}, holds=True)
    assert rendering.bound_text(value) == "≥ 1 ms and ≤ 5 ms"
    assert Bounds.of([value]) == Bounds(held=1)
