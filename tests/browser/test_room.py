"""A learner's way: home, a lab, a wrong answer, a right one, home again, the server by our verb."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import PICTURES, Sheet

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LAB = "01_convolution_lab"
ANSWER = """def output_size(size, kernel, *, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride{}"""


@contextlib.contextmanager
def at_home(folder: Path) -> Iterator[str]:
    """Run `datahall lab` as a learner does; return the address that it says."""
    places = {"DATAHALL_WORK": folder / "work", "DATAHALL_HOME": folder / "home", "HOME": folder}
    dropped = ("DATAHALL_HEADLESS", "DATAHALL_STRICT", "MPLBACKEND", "JUPYTER_TOKEN")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    with subprocess.Popen(
        [sys.executable, "-m", "datahall.course.cli", "lab", "--no-browser"],
        env=kept | {name: str(path) for name, path in places.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            said = server.stdout.readline()  # type: ignore[union-attr]
            yield re.search(r"http://\S+", said)[0]  # type: ignore[index]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def test_a_learner_goes_from_home_into_a_lab_and_home_again(browser: Any, tmp_path: Path) -> None:
    with at_home(tmp_path) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        open_home(page, address)
        photograph(page, "home")
        page.get_by_role("link", name="Lab: The sum itself").click()
        lab = Sheet(page, LAB)
        page.locator(".jp-Notebook").wait_for(timeout=60_000)
        lab.run_all(seconds=120)
        assert lab.errors() == []
        assert not page.get_by_text("Validate", exact=True).count(), "nbgrader is for instructors"
        assert "Count the first place too." in try_answer(page, ANSWER.format(""))
        photograph(page, "wrong")
        assert "Passed" in try_answer(page, ANSWER.format(" + 1"))
        photograph(page, "passed")
        lab.save()
        open_home(page, address)
        row = page.locator("tr", has_text="Lab: The sum itself")
        assert "1 of 4 passed" in row.inner_text()
        assert "Continue: " in page.get_by_role("link", name="Continue: ").first.inner_text()
        photograph(page, "home-again")
        page.close()
    assert (tmp_path / "work" / "labs" / f"{LAB}.ipynb").is_file()


def open_home(page: Any, address: str) -> None:
    """Open the home page; the server may still be starting."""
    for _ in range(60):
        with contextlib.suppress(Exception):
            page.goto(address, timeout=30_000)
            break
        page.wait_for_timeout(500)
    page.locator(".jp-RenderedMarkdown table").first.wait_for(timeout=60_000)


def try_answer(page: Any, answer: str) -> str:
    """Write the first exercise's answer, run it and its check; return what the check says."""
    cell = page.locator(".jp-CodeCell", has_text="def output_size(")
    cell.first.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(answer)
    check = page.locator(".jp-CodeCell", has_text="checks.output_size(output_size)").first
    before = check.inner_text()
    for _ in range(2):
        page.keyboard.press("Shift+Enter")
    page.wait_for_function(
        "([cell, before]) => /\\[\\d+\\]:/.test(cell.innerText) && cell.innerText !== before"
        " && cell.innerText.includes('Exercise 01.1')",
        arg=[check.element_handle(), before],
        timeout=60_000,
    )
    return str(check.inner_text())


def photograph(page: Any, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"room-{name}.png")
