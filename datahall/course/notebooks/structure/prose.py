"""Rules about markdown: headings, pictures with words, links that lead somewhere, no emoji."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from datahall.course import catalogue
from datahall.course.notebooks.structure.subject import Fault, Rule, Subject

HEADING = re.compile(r"^(#{1,6})\s+\S", re.MULTILINE)
FENCE = re.compile(r"```.*?```", re.DOTALL)
IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)[^)]*\)")
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\ufe0f]")
PLAIN_SIGNS = set("✓✗✔✘★☆")  # text, not emoji


def headings_in_order(subject: Subject) -> Iterator[Fault]:
    """One heading of the first level, in the title; below it no level is skipped."""
    level = 0
    for cell in subject.markdown:
        for found in HEADING.finditer(FENCE.sub("", cell.source)):
            new = len(found[1])
            if new == 1 and cell.id != "title":
                yield Fault("a heading of the first level belongs to the title only.", cell.id)
            if new > level + 1:
                yield Fault(f"a heading of level {new} follows one of level {level}.", cell.id)
            level = new


def pictures_have_alt_text(subject: Subject) -> Iterator[Fault]:
    """A picture in markdown says in words what it shows."""
    for cell in subject.markdown:
        for found in IMAGE.finditer(cell.source):
            if len(found[1].strip()) < 5:
                yield Fault(f"{found[0][:60]} has no text. Say what the picture shows.", cell.id)
        for found in HTML_IMAGE.finditer(cell.source):
            if not re.search(r"""alt=["'][^"']{5,}""", found[0]):
                yield Fault(f"{found[0][:60]} has no alt text. Say what it shows.", cell.id)


def links_lead_somewhere(subject: Subject) -> Iterator[Fault]:
    """A relative link points to a file of the course."""
    for cell in subject.markdown:
        for target in LINK.findall(FENCE.sub("", cell.source)):
            if re.match(r"[a-z][a-z0-9+.-]*:|#", target):
                continue
            if not (subject.path.parent / Path(unquote(target.split("#")[0]))).exists():
                yield Fault(f"the link to {target} leads nowhere.", cell.id)


def is_without_emoji(subject: Subject) -> Iterator[Fault]:
    """Prose and code are plain."""
    for cell in subject.cells:
        found = [sign for sign in EMOJI.findall(cell.source) if sign not in PLAIN_SIGNS]
        if found:
            yield Fault(f"it holds an emoji ({found[0]}). Use words.", cell.id)


def title_states_needs(subject: Subject) -> Iterator[Fault]:
    """A lecture's title links what it needs, and that is what `course.toml` says."""
    row = subject.row
    if subject.kind != "lecture" or subject.is_first or row is None or "title" not in subject.by_id:
        return
    course = catalogue.load()
    first = [course.module(need).notebooks[0].stem for need in course.module(row.module).needs]
    wanted = list(row.needs or first)
    line = re.search(r"\bneeds (.*)", subject.by_id["title"].source.rpartition("minutes")[2])
    said = line[1].split(" · ")[0] if line else ""
    linked = [Path(target).stem for target in LINK.findall(said)]
    if linked != wanted or (not wanted and said != "nothing before it"):
        needs = ", ".join(wanted) or "nothing before it"
        yield Fault(f"the title says 'needs {said}'; course.toml says: {needs}.", "title")


def title_begins_with_its_number(subject: Subject) -> Iterator[Fault]:
    """A title says which lecture or lab of its module it is, as the course counts them."""
    title = subject.by_id.get("title")
    if subject.row is None or title is None:
        return
    course = catalogue.load()
    if subject.row in course.notebooks:
        wanted = course.heading(subject.row, subject.kind)
        if not title.source.startswith(wanted):
            yield Fault(f"the title must begin with '{wanted}'. Run `make fix`.", "title")


RULES: tuple[Rule, ...] = (
    title_begins_with_its_number,
    title_states_needs,
    headings_in_order,
    pictures_have_alt_text,
    links_lead_somewhere,
    is_without_emoji,
)
