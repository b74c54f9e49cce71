"""In JupyterLab, after *Run All*, every control moves by keyboard: picture and words follow."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from datahall.course.notebooks.structure.subject import Subject, is_guess, tags

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
LECTURES = [
    path.stem
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    if any("widget" in tags(cell) and not is_guess(cell) for cell in Subject.load(path).code)
]
MOVES = 20
SLIDER = ".noUi-handle"
CONTROLS = (
    f"{SLIDER}, select, input[type=number], input[type=checkbox], canvas, "
    ".widget-toggle-button:not(.mod-active)"
)
KIND = "e => e.matches('.noUi-handle') ? 'slider' : (e.type || e.tagName).toLowerCase()"
NAME = "e => e.closest('.widget-inline-hbox')?.querySelector('.widget-label')?.textContent"


def test_every_lecture_with_a_widget_is_tried() -> None:
    assert {"01_convolution", "03_training"} <= set(LECTURES)


@pytest.mark.parametrize("opened", LECTURES, indirect=True)
def test_a_learner_runs_all_cells_guesses_and_moves_every_control(opened: Any) -> None:
    assert opened.errors() == []
    guess_all(opened)
    for number, panel in enumerate(opened.panels(), start=1):
        panel.scroll_into_view_if_needed()
        first = opened.state(panel)
        assert first[0].startswith("blob:"), "the panel shows no picture"
        assert panel.locator(".datahall-picture").is_visible(), "the picture is hidden"
        assert len(first[1]) > 20, "no words stand beside the picture"
        opened.photograph(panel, f"panel-{number}")
        report_latency(opened, panel)
        move_every_control(opened, panel)
        draw_by_mouse(opened, panel)
        opened.photograph(panel, f"panel-{number}-moved")
        reset(opened, panel, first[1])
    assert opened.errors() == []


def test_the_next_day_the_page_still_says_what_was(lab: Any, browser: Any) -> None:
    sheet = lab.open(browser, "00_start_here")
    sheet.run_all(seconds=240)
    answer(sheet, sheet.page.locator(".datahall-guess").first)
    panels = len(sheet.panels())
    sheet.save()
    sheet.page.close()
    lab.close_kernels()
    later = lab.reopen(browser, "00_start_here")
    pictures = later.page.locator(".datahall-left img:visible")
    pictures.first.wait_for()
    assert pictures.count() == panels
    assert all(len(each.get_attribute("alt")) > 20 for each in pictures.all())
    assert "run its cell" in later.page.locator(".datahall-left:visible").last.inner_text()
    assert "Locked in" in later.page.locator(".datahall-guess").first.inner_text()
    later.page.locator(".datahall-reveal table").first.wait_for()
    later.page.wait_for_timeout(3000)  # until the manager of widgets knows that they are lost
    assert not later.page.get_by_text("Error displaying widget").locator("visible=true").count()
    later.photograph(later.page.locator(".datahall-left:visible").last, "next-day")
    later.page.close()
    lab.close_kernels()


def guess_all(sheet: Any) -> None:
    """Answer the first question, skip the others, by keyboard; each answer must then appear."""
    forms = sheet.page.locator(".datahall-guess").all()
    hidden = sheet.page.locator(".datahall-reveal").all()
    assert all("Locked." in place.inner_text() for place in hidden)
    for number, form in enumerate(forms):
        form.scroll_into_view_if_needed()
        if number:
            form.get_by_role("button", name="Skip").focus()
            sheet.page.keyboard.press("Enter")
            form.get_by_text("Skipped.").wait_for()
        else:
            answer(sheet, form)
    for place in hidden:
        place.locator("table").wait_for()
        assert {"measured", "computed"} & set(place.inner_text().split())
    if forms:
        assert "your guess" in hidden[0].inner_text()
        sheet.photograph(forms[0], "guess")
        sheet.photograph(hidden[0], "reveal")


def answer(sheet: Any, form: Any) -> None:
    """Type a guess that is no number, then one that can be, and lock it in by Enter."""
    field = form.locator("input[type=text]")
    words = form.text_content().strip()
    for text in ("a lot", "50", "5", "0.5"):
        field.press("Control+A")  # each key goes to the field, also when the page moves meanwhile
        field.press_sequentially(text)
        field.press("Enter")
        words = sheet.wait_for_words(form, words)
        if text == "a lot":
            assert "'a lot' is not a number" in words
        elif "Locked in" in words:
            assert not field.count(), "the form has made room for what stays"
            return
    pytest.fail(f"no guess was taken: {words}")


def move_every_control(sheet: Any, panel: Any) -> None:
    """Move each control once; picture and words must both follow."""
    controls = panel.locator(CONTROLS).all()
    assert controls
    for control in controls:
        before = sheet.state(panel)
        kind, name = control.evaluate(KIND), control.evaluate(NAME)
        move(sheet.page, control, kind)
        try:
            sheet.wait_for_change(panel, before)
        except Exception:
            sheet.photograph(panel, "stuck")
            now = sheet.state(panel)
            pytest.fail(
                f"{kind} {name!r}: picture changed: {now[0] != before[0]}, "
                f"words changed: {now[1] != before[1]} ({now[1]!r})"
            )


def move(page: Any, control: Any, kind: str) -> None:
    """Move a control by keyboard, away from its end if it stands there."""
    control.focus()
    press = page.keyboard.press
    if kind == "slider":
        press("ArrowLeft" if stands_at(control, "max") else "ArrowRight")
    elif kind.startswith("select"):
        last = control.evaluate("e => e.selectedIndex === e.options.length - 1")
        # JupyterLab takes an arrow key on a closed list for itself: open it first.
        for key in ("Space", "ArrowUp" if last else "ArrowDown", "Enter"):
            press(key)
    elif kind == "number":
        press("Control+A")
        page.keyboard.type(control.evaluate("e => String(Number(e.value) < 5 ? 5 : 4)"))
        press("Enter")
    elif kind == "canvas":
        for key in ("Space", *["ArrowRight"] * 4, "Space"):
            press(key)
    else:  # a check box or a toggle button
        press("Space")


def stands_at(slider: Any, end: str) -> bool:
    """Tell whether a slider stands at its `min` or `max`."""
    now, limit = (float(slider.get_attribute(f"aria-value{name}")) for name in ("now", end))
    return abs(now - limit) < 1e-6


def draw_by_mouse(sheet: Any, panel: Any) -> None:
    """Clear the pad and draw a seven with the mouse; the words must name other probabilities."""
    if not panel.locator("canvas").count():
        return
    before = sheet.state(panel)
    panel.get_by_role("button", name="Clear").click()
    empty = sheet.wait_for_change(panel, before)
    box, mouse = panel.locator("canvas").bounding_box(), sheet.page.mouse
    for number, (across, down) in enumerate(((0.3, 0.25), (0.7, 0.25), (0.45, 0.8))):
        mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps=12)
        if number == 0:
            mouse.down()
    mouse.up()
    sheet.wait_for_change(panel, empty)
    drawn = sheet.settled(panel)
    assert drawn[1].startswith("The network reads")
    sheet.photograph(panel, "drawn")


def reset(sheet: Any, panel: Any, words: str) -> None:
    """Press *Reset*; the panel must say again what it said first."""
    panel.get_by_role("button", name="Reset").focus()
    sheet.page.keyboard.press("Enter")
    handle = panel.element_handle()
    sheet.page.wait_for_function(
        "([panel, words]) => panel.querySelector('.datahall-text').textContent === words",
        arg=[handle, words],
    )


def report_latency(sheet: Any, panel: Any) -> None:
    """Print and write the median of 20 moves of a slider; two lectures are open at once."""
    if not panel.locator(SLIDER).count():
        return
    slider, seconds = panel.locator(SLIDER).first, []
    slider.focus()
    key = "ArrowRight"
    for _ in range(MOVES):
        if stands_at(slider, "max") or stands_at(slider, "min"):
            key = "ArrowLeft" if stands_at(slider, "max") else "ArrowRight"
        before = sheet.state(panel)
        begin = time.perf_counter()
        sheet.page.keyboard.press(key)
        sheet.wait_for_picture(panel, before)
        seconds.append(time.perf_counter() - begin)
    name = slider.evaluate(NAME)
    line = (
        f"{sheet.stem}: {name}: median of {MOVES} moves {statistics.median(seconds) * 1e3:.0f} ms"
    )
    line += f" (from {min(seconds) * 1e3:.0f} to {max(seconds) * 1e3:.0f})"
    print(line)
    sheet.note(line)
