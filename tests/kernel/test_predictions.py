"""A guess: asked, locked, kept, revealed; and passed over where nobody reads along."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances

from datahall import predictions


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner in JupyterLab, with a data folder of his own."""
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook.ipynb")
    monkeypatch.delenv("DATAHALL_HEADLESS", raising=False)
    monkeypatch.setenv("DATAHALL_HOME", str(tmp_path))
    return tmp_path


class Screen(list[object]):
    """What a notebook shows, in order; an update replaces what it was shown as."""

    def show(self, what: object, *, raw: bool = False, display_id: bool = False) -> "Handle":
        self.append(what)
        return Handle(self, len(self) - 1)


class Handle:
    """A place on the screen."""

    def __init__(self, screen: Screen, place: int) -> None:
        self.screen, self.place = screen, place

    def update(self, what: object, *, raw: bool = False) -> None:
        self.screen[self.place] = what


def form(shown: Screen) -> Any:
    """Return the form that is shown first: question, row of controls, words."""
    view = shown[0]["application/vnd.jupyter.widget-view+json"]  # type: ignore[index]
    return _instances[view["model_id"]].children


def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    shown = Screen()
    monkeypatch.setattr("IPython.display.display", shown.show)
    return shown


def test_without_a_reader_the_guess_is_none_and_the_notebook_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = predictions.guess("01.x", "How many?", unit="FLOP")
    asked.reveal(2e9, model=1e9)
    assert asked.value is None
    shown = capsys.readouterr().out
    assert "How many? No guess: nobody reads along." in shown
    assert "your guess  none" in shown
    assert "2.00 GFLOP" in shown
    assert "2.0 times too low" in shown


def test_what_a_formula_gives_is_not_called_measured(capsys: pytest.CaptureFixture[str]) -> None:
    predictions.guess("05.x", "How many?").reveal(2.0, computed=True)
    shown = capsys.readouterr().out
    assert "computed" in shown and "against the computation" in shown
    assert "measure" not in shown


def test_a_reveal_is_locked_until_the_question_is_settled(
    reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = screen(monkeypatch)
    asked = predictions.guess("01.x", "How many?")
    asked.reveal(100.0)
    assert "Locked." in str(shown[-1])
    asked.lock_in(50.0)
    assert "Locked." not in str(shown[-1])
    assert "2.0 times too low" in str(shown[-1]), "plain HTML, that is saved with the notebook"
    asked.lock_in(100.0)
    assert asked.value == 50.0, "a settled guess stays"
    asked.reveal(100.0)  # the cell is run again: no second guess
    (line,) = (reader / "guesses.jsonl").read_text().splitlines()
    assert json.loads(line)["guess"] == 50.0


def test_the_form_refuses_what_is_no_number_and_locks_what_is(
    reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = screen(monkeypatch)
    asked = predictions.guess("01.x", "How many?", low=0, high=100)
    _, row, word = form(shown)
    field, lock, skip = row.children
    field.value = "many"
    lock.click()
    assert "is not a number" in word.value
    assert not asked.settled
    field.value = "101"
    lock.click()
    assert "cannot be" in word.value
    field.value = "42"
    lock.click()
    assert asked.value == 42
    assert lock.disabled
    assert skip.disabled


def test_history_passes_over_damaged_lines_and_shows_the_rest(
    reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"key": "01.x", "guess": 2.0, "measured": 1.0, "unit": "s"}
    (reader / "guesses.jsonl").write_text(json.dumps(good) + "\n{half a li\n42\n")
    predictions.history()
    assert "2.0 times too high" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        b'{"key": "01.y", "guess": 2, "measured": "much"}',
        b'{"key": "01.y", "guess": 2, "measured": 1, "unit": 3}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_history_passes_over_what_is_of_another_type(
    reader: Path, capsys: pytest.CaptureFixture[str], line: bytes
) -> None:
    good = {"key": "01.x", "guess": 2.0, "measured": 1.0, "unit": "s"}
    (reader / "guesses.jsonl").write_bytes(line + b"\n" + json.dumps(good).encode() + b"\n")
    predictions.history()
    assert "01.y" not in (said := capsys.readouterr().out)
    assert "2.0 times too high" in said


def test_a_guess_after_a_line_that_a_crash_cut_off_stands_on_a_line_of_its_own(
    reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen(monkeypatch)
    kept = reader / "guesses.jsonl"
    kept.write_text('{"key": "01.x", "gue')
    asked = predictions.Guess("01.z", "How many?")
    asked.lock_in(3.0)
    asked.reveal(2.0)
    assert json.loads(kept.read_text().splitlines()[1])["key"] == "01.z"


def test_history_shows_how_the_feeling_for_numbers_has_changed(
    reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guesses = [8.0, 4.0, 2.0, 1.0]
    lines = [json.dumps({"key": "q", "guess": g, "measured": 1.0}) for g in guesses]
    (reader / "guesses.jsonl").write_text("\n".join(lines))
    predictions.history()
    assert "6.0 in the first 2, 1.5 in the last 2" in capsys.readouterr().out


def test_enter_locks_in_what_is_typed_also_if_the_text_comes_after_the_key(
    reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def typed(*, text_first: bool) -> predictions.Guess:
        shown = screen(monkeypatch)
        asked = predictions.guess("01.x", "How many?", low=0)
        field = form(shown)[1].children[0]
        if text_first:
            field.value = "42"
        else:
            field.value = "4"
        field._handle_custom_msg({"event": "submit"}, [])
        await asyncio.sleep(predictions.ENTER_S / 10)  # the text comes a little later
        if not text_first:
            field.value = "42"
        await asyncio.sleep(2 * predictions.ENTER_S)
        return asked

    for text_first in (True, False):
        asked = asyncio.run(typed(text_first=text_first))
        assert asked.value == 42


def test_a_settled_question_stays_as_plain_html(
    reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = screen(monkeypatch)
    predictions.guess("01.x", "How <many>?", unit="s")
    row = form(shown)[1]
    row.children[0].value = "20 ms"
    row.children[1].click()
    assert "How &lt;many&gt;?" in str(shown[0]) and "Locked in: 20.0 ms." in str(shown[0])
