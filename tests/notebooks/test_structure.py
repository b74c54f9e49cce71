"""Every notebook of the course keeps the rules, and each rule catches what it is made for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from datahall.course.catalogue import Notebook
from datahall.course.labs.exercises import BEGIN, END
from datahall.course.notebooks import normalise
from datahall.course.notebooks.structure import Subject, outputs, problems, prose, warnings

ROOT = Path(__file__).resolve().parents[2]
COURSE = sorted(path for folder in normalise.FOLDERS for path in (ROOT / folder).glob("*.ipynb"))


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_every_notebook_of_the_course_keeps_the_rules(path: Path) -> None:
    assert problems(path) == []


def test_the_tiny_lecture_keeps_every_rule(folder) -> None:
    assert problems(folder.lecture()) == []


def test_the_tiny_solution_keeps_every_rule(folder, tinyconcept) -> None:
    assert problems(folder.solution()) == []


def cell(cells: list[NotebookNode], name: str) -> NotebookNode:
    return next(cell for cell in cells if cell.id == name)


def set_source(name: str, source: str) -> Callable[[list[NotebookNode]], None]:
    def change(cells: list[NotebookNode]) -> None:
        cell(cells, name).source = source

    return change


def set_id(name: str, new: str) -> Callable[[list[NotebookNode]], None]:
    def change(cells: list[NotebookNode]) -> None:
        cell(cells, name).id = new

    return change


def set_tags(name: str, *tags: str) -> Callable[[list[NotebookNode]], None]:
    def change(cells: list[NotebookNode]) -> None:
        cell(cells, name).metadata["tags"] = list(tags)

    return change


def set_output(name: str, *outputs: NotebookNode) -> Callable[[list[NotebookNode]], None]:
    def change(cells: list[NotebookNode]) -> None:
        cell(cells, name).outputs = list(outputs)

    return change


def drop(name: str) -> Callable[[list[NotebookNode]], None]:
    return lambda cells: cells.remove(cell(cells, name))


def add_after(name: str, *new: NotebookNode) -> Callable[[list[NotebookNode]], None]:
    def change(cells: list[NotebookNode]) -> None:
        place = cells.index(cell(cells, name)) + 1
        cells[place:place] = new

    return change


def stream(text: str, name: str = "stdout") -> NotebookNode:
    return new_output("stream", name=name, text=text)


def image(size: int, text: str = "A line that rises from 0 to 4.") -> NotebookNode:
    return new_output("display_data", data={"image/png": "A" * size, "text/plain": text})


def set_answer(
    signature: str = "count_on(n: int) -> int", doc: str = "Return " + "n " * 30, lines: int = 1
) -> Callable[[list[NotebookNode]], None]:
    body = "    n += 1\n" * (lines - 1) + "    return n\n"
    source = f'def {signature}:\n    """{doc}"""\n    {BEGIN}\n{body}    {END}'
    return set_source("exercise-90-1", source)


def hide_three(cells: list[NotebookNode]) -> None:
    for name in ("by-hand", "compare", "figure-1"):
        set_tags(name, "nbval-ignore-output")(cells)


def move_hints_to_the_end(cells: list[NotebookNode]) -> None:
    cells.append(cells.pop(cells.index(cell(cells, "hints-90-1"))))


FAILURE = new_output("error", ename="ValueError", evalue="", traceback=[])

LECTURE_RULES = {
    "random id": (set_id("by-hand", "a1b2c3d4"), "not made of words"),
    "id with capitals": (set_id("limits", "Limits"), "not made of words"),
    "two cells with one id": (set_id("figure-1-read", "question"), "2 cells have this id"),
    "unknown tag": (set_tags("by-hand", "slow"), "the tag 'slow' is not allowed"),
    "expected exception by tag": (set_tags("by-hand", "raises-exception"), r"expect_error"),
    "missing cells": (drop("by-hand"), "required cells are missing: by-hand"),
    "no title first": (
        lambda cells: cells.insert(0, cells.pop(1)),
        "the first cell must be the title",
    ),
    "code last": (
        lambda cells: cells.append(new_code_cell("1", id="more")),
        "the last cell must be markdown",
    ),
    "next not last": (lambda cells: cells.insert(2, cells.pop()), "next must be the last one"),
    "imports before runtime": (
        add_after("parameters", new_code_cell("import os", id="imports")),
        "Expected parameters, then runtime",
    ),
    "magic": (set_source("by-hand", "%timeit 1 + 1"), "magic or a shell command"),
    "shell": (set_source("by-hand", "!ls"), "magic or a shell command"),
    "help": (set_source("by-hand", "print?"), "magic or a shell command"),
    "not python": (set_source("by-hand", "total ="), "not valid Python"),
    "sleep": (set_source("by-hand", "import time\ntime.sleep(1)"), "time.sleep sleeps"),
    "sys.path": (set_source("by-hand", "import sys\nsys.path.insert(0, '.')"), "changes sys.path"),
    "shell by a call": (
        set_source("by-hand", "import os\nos.system('ls')"),
        "os.system runs a shell command",
    ),
    "subprocess": (
        set_source("by-hand", "import subprocess"),
        "import subprocess runs a shell command",
    ),
    "download": (
        set_source("by-hand", "from urllib.request import urlopen"),
        "import urllib.request downloads",
    ),
    "question to nobody": (set_source("by-hand", "input()"), "asks on standard input"),
    "secret": (set_source("by-hand", "api_token = 'abcdef0123456789'"), "looks like a secret"),
    "private key": (
        set_source("question", "-----BEGIN RSA PRIVATE KEY-----"),
        "looks like a secret",
    ),
    "two parameters cells": (
        set_tags("by-hand", "parameters"),
        "2 code cells carry the tag parameters",
    ),
    "parameter without type": (
        set_source("parameters", "seed = 0  # seed of draws"),
        "'seed = 0' is not annotated",
    ),
    "parameter without comment": (set_source("parameters", "seed: int = 0"), "has no comment"),
    "parameter that is computed": (
        set_source("parameters", "seed: int = len('a')  # seed of draws"),
        "has no plain value",
    ),
    "stored error": (set_output("by-hand", FAILURE), r"stores an error \(ValueError\)"),
    "standard error": (
        set_output("by-hand", stream("W0000 cuda", "stderr")),
        "writes to standard error: 'W0000 cuda'",
    ),
    "path": (
        set_output("by-hand", stream("saved to /home/ada/model.keras\n")),
        "a path of this machine: '/home/a'",
    ),
    "address": (set_output("by-hand", stream("<object at 0x7f3a2b1c>\n")), "an address in memory"),
    "large picture": (set_output("figure-1", image(80_000)), "its picture has 60 kB"),
    "picture without words": (
        set_output("figure-1", image(80, "")),
        "its picture is not described",
    ),
    "picture without caption": (drop("figure-1-read"), "its picture is not followed by prose"),
    "widget that nbval compares": (set_tags("explore", "widget"), "not nbval-ignore-output"),
    "bare box": (set_source("explore", "widgets.explore().box"), "the bare box of a panel"),
    "widget without twin": (
        set_id("explore-fixed", "explore-again"),
        "the next code cell must be explore-fixed",
    ),
    "hidden outputs": (hide_three, "3 of 6 code cells hide"),
    "second title": (set_source("question", "# Question"), "belongs to the title only"),
    "skipped level": (
        set_source("question", "#### Question"),
        "a heading of level 4 follows one of level 2",
    ),
    "picture in prose without words": (
        set_source("question", "## Question\n\n![](a.png)"),
        "has no text",
    ),
    "html picture without words": (
        set_source("question", '## Question\n\n<img src="a.png">'),
        "has no alt text",
    ),
    "dead link": (
        set_source("next", "[lab](../labs/nowhere.ipynb)"),
        "the link to ../labs/nowhere.ipynb leads nowhere",
    ),
    "emoji": (set_source("summary", "## Summary\n\nDone \N{PARTY POPPER}"), "holds an emoji"),
    "long cell": (
        set_source("by-hand", "total = 0\n" * 23),
        "it has 23 lines of code. Expected at most 15",
    ),
    "too many words": (set_source("limits", "## Limits\n\n" + "word " * 2701), "words of prose"),
    "too many figures": (set_output("figure-1", *[image(80)] * 7), "it has 8 figures"),
}


@pytest.mark.parametrize(("change", "message"), LECTURE_RULES.values(), ids=LECTURE_RULES)
def test_a_lecture_that_breaks_a_rule_is_told_so(folder, change, message: str) -> None:
    found = problems(folder.lecture(change))
    assert any(re.search(message, line) for line in found), found


SOLUTION_RULES = {
    "no check": (drop("check-90-2"), "check-90-2 are missing"),
    "no hints": (drop("hints-90-2"), "hints-90-2 are missing"),
    "order": (move_hints_to_the_end, "not in the order"),
    "cell between": (
        add_after("exercise-90-1", new_markdown_cell("Now check.", id="now")),
        "its check must be the next cell",
    ),
    "no task": (set_source("task-90-1", "Add one."), "must be headed '## Exercise 90.1"),
    "no difficulty": (set_source("task-90-1", "## Exercise 90.1  Add"), "lacks 'difficulty"),
    "no docstring": (set_answer(doc=""), "no full docstring"),
    "no types": (set_answer(signature="count_on(n)"), "lacks types"),
    "no function": (set_source("exercise-90-1", f"{BEGIN}\none = 1\n{END}"), "defines no function"),
    "markers outside": (
        set_source("exercise-90-1", f"{BEGIN}\ndef count_on(n):\n    return n + 1\n{END}"),
        "must stand inside the function",
    ),
    "one marker": (
        set_source("exercise-90-1", f"def count_on(n):\n    {BEGIN}\n    return n + 1"),
        "needs one '### BEGIN SOLUTION'",
    ),
    "check of another": (
        set_source("check-90-1", "checks.count_more(count_more)"),
        "which its exercise does not define",
    ),
    "hint not folded": (set_source("hints-90-1", "Count on."), "needs two folded hints"),
    "no summary": (set_source("summary", "print(1)"), "checks.summary"),
    "long answer": (set_answer(lines=13), "its answer has 13 lines"),
    "too many exercises": (
        lambda cells: cells.extend(new_code_cell("x", id=f"exercise-91-{k}") for k in range(5)),
        "it has 8 exercises",
    ),
    "unknown check": (set_source("check-90-1", "checks.nothing(nothing)"), "has no such check"),
}


@pytest.mark.parametrize(("change", "message"), SOLUTION_RULES.values(), ids=SOLUTION_RULES)
def test_a_solution_that_breaks_a_rule_is_told_so(
    folder, tinyconcept, change, message: str
) -> None:
    found = problems(folder.solution(change, tidy=False))
    assert any(message in line for line in found), found


def test_counts_out_of_order_are_a_problem(folder) -> None:
    path = folder.lecture()
    nb = normalise.read(path)
    cell(nb.cells, "compare").execution_count = 12
    path.write_text(normalise.text_of(nb), encoding="utf-8")
    assert any("Expected 1 to 7" in line for line in problems(path))


def test_a_notebook_that_was_never_run_is_a_problem(folder) -> None:
    assert any(
        "the execution counts are -, -" in line for line in problems(folder.lecture(counts=False))
    )


def test_a_lab_with_outputs_is_a_problem(folder) -> None:
    path = folder.write("labs/90_tiny_lab.ipynb", [new_code_cell("1", id="one")])
    assert any("carries no outputs" in line for line in problems(path))


def test_a_large_file_is_a_problem(folder) -> None:
    path = folder.lecture(set_output("by-hand", stream("x" * 260_000)))
    assert any("the file has 26" in line for line in problems(path))


def test_a_notebook_out_of_its_form_is_a_problem(folder) -> None:
    path = folder.lecture()
    path.write_text(path.read_text().replace('"nbformat_minor": 5', '"nbformat_minor":  5'))
    assert problems(path) == ["it is not in its normal form. Run `make fix`."]


def test_a_stored_widget_is_a_problem(folder) -> None:
    view = new_output(
        "display_data",
        data={
            "application/vnd.jupyter.widget-view+json": {"model_id": "x"},
            "text/plain": "IntSlider",
        },
    )
    assert any(
        "stores a widget" in line for line in problems(folder.lecture(set_output("compare", view)))
    )


def asks(
    between: str = "", *, answer: str = "measured    1,234 images", last: str = ""
) -> Callable[[list[NotebookNode]], None]:
    """Put a question, a cell that says something, and its reveal after the lecture's question."""
    guess = new_code_cell(f"guess = predictions.guess('k', 'How many?'){last}", id="guess")
    guess.metadata["tags"] = ["widget", "nbval-ignore-output"]
    middle = new_code_cell("print(counted)", id="middle")
    middle.outputs = [new_output("stream", text=between)] if between else []
    reveal = new_code_cell("guess.reveal(counted)", id="reveal")
    reveal.outputs = [new_output("display_data", {"text/plain": answer})]

    def change(cells: list[NotebookNode]) -> None:
        place = next(i for i, each in enumerate(cells) if each.id == "question") + 1
        cells[place:place] = [guess, middle, reveal]

    return change


def test_a_prediction_needs_no_twin_and_counts_as_no_widget(folder) -> None:
    assert problems(folder.lecture(asks())) == []


@pytest.mark.parametrize(
    ("between", "answer"),
    [
        ("images: 1,234", "measured    1,234 images"),
        ("share ≥ 0.9: yes (measured: 0.95)", "computed  0.95"),
        ("so 2 times", "measured  2 times"),
    ],
)
def test_nothing_between_a_guess_and_its_reveal_shows_the_answer(
    folder, between: str, answer: str
) -> None:
    (said,) = problems(folder.lecture(asks(between, answer=answer)))
    assert "middle: it shows the answer before guess.reveal" in said


@pytest.mark.parametrize(
    ("between", "answer"),
    [("images: 11,234 and 1,234.5", "measured  1,234 images"), ("2 files", "measured  2 times")],
)
def test_another_number_is_no_answer(folder, between: str, answer: str) -> None:
    assert problems(folder.lecture(asks(between, answer=answer))) == []


def test_a_guess_is_not_shown_under_its_question_and_is_revealed(folder) -> None:
    assert any(
        "its last line shows" in line for line in problems(folder.lecture(asks(last="\nguess")))
    )

    def forget(cells: list[NotebookNode]) -> None:
        asks()(cells)
        cells.remove(cell(cells, "reveal"))

    assert any("guess is never revealed" in line for line in problems(folder.lecture(forget)))


def test_a_target_missed_by_less_than_half_only_warns(folder) -> None:
    path = folder.lecture(set_source("by-hand", "total = 0\n" * 16))
    assert problems(path) == []
    assert any("it has 16 lines of code" in line for line in warnings(path))


def test_a_lecture_on_cost_may_hide_more_outputs(folder) -> None:
    def change(cells: list[NotebookNode]) -> None:
        for name in ("by-hand", "compare"):
            set_tags(name, "nbval-ignore-output")(cells)

    assert any("hide their output" in line for line in problems(folder.lecture(change)))
    assert any("hide their" in line for line in problems(folder.lecture(change, name="90_cost")))
    about_cost = Notebook("90_tiny", "", "tiny", about_cost=True)
    subject = replace(Subject.load(folder.lecture(change)), row=about_cost)
    assert list(outputs.outputs_are_compared(subject)) == []


@pytest.mark.parametrize(
    ("stem", "needs", "says"),
    [
        ("02_optimization_claims", ("02_optimization",), "course.toml says: 02_optimization."),
        ("02_optimization", ("01_convolution",), "'needs nothing before it'; course.toml says: 01"),
        ("02_optimization_optimizers", (), "course.toml says: nothing before it"),
    ],
)
def test_a_title_that_needs_other_than_its_row_is_found(
    stem: str, needs: tuple[str, ...], says: str
) -> None:
    subject = Subject.load(ROOT / "notebooks" / f"{stem}.ipynb")
    assert list(prose.title_states_needs(subject)) == []
    wrong = replace(subject, row=Notebook(stem, "", "optimization", needs=needs))
    (finding,) = prose.title_states_needs(wrong)
    assert says in finding.message


def test_the_first_notebook_may_do_without_by_hand_and_compare(folder) -> None:
    def change(cells: list[NotebookNode]) -> None:
        drop("by-hand")(cells)
        drop("compare")(cells)
        title = cell(cells, "title")
        title.source = title.source.replace("# 90. ", "# 0.1 ")

    assert problems(folder.lecture(change, name="00_start_here")) == []


def test_a_title_begins_with_its_number_in_the_module(folder) -> None:
    (said,) = [line for line in problems(folder.lecture(name="01_convolution")) if "begin" in line]
    assert "the title must begin with '# 1.1 '" in said
