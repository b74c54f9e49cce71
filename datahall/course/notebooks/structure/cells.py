"""Rules about cells as such: ids, tags, which must be there, which comes first and last."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from nbformat.validator import iter_validate

from datahall.course.notebooks.normalise import normalise, text_of
from datahall.course.notebooks.structure.subject import Fault, Rule, Subject, tags
from datahall.errors import CourseError

TAGS = {"parameters", "figure", "widget", "nbval-ignore-output", "solution", "stretch"}
REQUIRED = {
    "lecture": (
        "title",
        "objectives",
        "parameters",
        "runtime",
        "by-hand",
        "compare",
        "limits",
        "summary",
    ),
    "solution": ("title", "parameters", "summary"),
    "lab": ("title", "parameters", "summary"),
}
USUAL = ("map", "imports", "question", "example", "questions", "next")
WORDS = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RANDOM = re.compile(r"(?=.*\d)[0-9a-f]{8}(-[0-9a-f]{4})?.*")


def ids_are_words(subject: Subject) -> Iterator[Fault]:
    """Each cell has one id, made of lower-case words joined by dashes."""
    counts = Counter(cell.get("id", "") for cell in subject.cells)
    for name, count in counts.items():
        if not WORDS.fullmatch(name) or RANDOM.fullmatch(name):
            yield Fault(f"the cell id {name!r} is not made of words. Use one such as edge-stride.")
        if count > 1:
            yield Fault(f"{count} cells have this id. Give each its own.", name)


def tags_are_allowed(subject: Subject) -> Iterator[Fault]:
    """Only the course's tags occur; not `raises-exception`, which papermill does not know."""
    for cell in subject.cells:
        for tag in tags(cell):
            if tag not in TAGS:
                way = " Show a failure with expect_error(...)." if tag == "raises-exception" else ""
                known = ", ".join(sorted(TAGS))
                yield Fault(f"the tag {tag!r} is not allowed. Known: {known}.{way}", cell.id)


def required_cells_exist(subject: Subject) -> Iterator[Fault]:
    """The cells that every notebook of its kind has are there."""
    missing = [name for name in REQUIRED[subject.kind] if name not in subject.by_id]
    if subject.is_first:
        missing = [name for name in missing if name not in ("by-hand", "compare")]
    if missing:
        yield Fault(f"required cells are missing: {', '.join(missing)}. Give these ids to cells.")
    absent = [name for name in USUAL if name not in subject.by_id]
    if subject.kind == "lecture" and absent and not subject.is_first:
        yield Fault(f"usual cells are missing: {', '.join(absent)}.", fails=False)


def first_and_last(subject: Subject) -> Iterator[Fault]:
    """A notebook opens with its title and closes with words: what comes next."""
    if not subject.cells:
        yield Fault("the notebook is empty.")
        return
    first, last = subject.cells[0], subject.cells[-1]
    is_title = first.cell_type == "markdown" and first.source.startswith("# ")
    if first.get("id") != "title" or not is_title:
        yield Fault("the first cell must be the title: markdown, id title, '# ' at its start.")
    if last.cell_type != "markdown":
        yield Fault("the last cell must be markdown: say what comes next, with a link.")
    if subject.kind == "lecture" and "next" in subject.by_id and last.get("id") != "next":
        yield Fault("the cell next must be the last one.", "next")


def order_of_set_up(subject: Subject) -> Iterator[Fault]:
    """Parameters come first, then `runtime`: it must act before TensorFlow is imported."""
    names = [cell.get("id", "") for cell in subject.code]
    wanted = ["parameters", "runtime"]
    if subject.kind == "lecture" and set(wanted) <= set(names) and names[:2] != wanted:
        yield Fault(
            f"the first code cells are {', '.join(names[:2])}. Expected parameters, then runtime."
        )


def is_normalised(subject: Subject) -> Iterator[Fault]:
    """The file is a valid notebook, in its normal form."""
    for error in iter_validate(subject.nb, version=4, version_minor=5):  # type: ignore[no-untyped-call]
        yield Fault(f"it is not a valid notebook: {error.message[:120]}.")
        return
    try:
        wanted = text_of(normalise(subject.nb, subject.kind))
    except CourseError as error:
        yield Fault(str(error))
        return
    if subject.path.read_text(encoding="utf-8") != wanted:
        yield Fault("it is not in its normal form. Run `make fix`.")


RULES: tuple[Rule, ...] = (
    ids_are_words,
    tags_are_allowed,
    required_cells_exist,
    first_and_last,
    order_of_set_up,
    is_normalised,
)
