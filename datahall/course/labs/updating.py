"""`datahall update`: newer versions of lectures and labs, put into the learner's copies."""

from __future__ import annotations

from pathlib import Path

from datahall.course import catalogue
from datahall.course.exits import Exit
from datahall.course.labs.copies import Desk
from datahall.course.labs.merging import Merged


def update(which: str | None = None, *, dry_run: bool = False) -> Exit:
    """Update the learner's copies that are older than the course, and say what became of each.

    Args:
        which: A number, slug or stem; every copy if None.
        dry_run: Only say what would change.

    Raises:
        InputError: Nothing has that name.
    """
    desk = Desk(catalogue.repository_root())
    desk.settle()
    found = desk.outdated()
    if which is not None:
        rows = catalogue.load().find(which)
        names = {Path(name).stem for row in rows for name in row.files().values()}
        found = [path for path in found if desk.original(path).stem in names]
    for path in found:
        merged = desk.update(path, dry_run=dry_run)
        print(f"{path.relative_to(desk.work)}: {_words(merged, dry_run=dry_run)}")
    if not found:
        print("Your copies are as new as the course.")
    elif dry_run:
        print("Nothing was written. To do it: datahall update")
    else:
        print(f"What they were before lies in {desk.before}.")
    return Exit.OK


def _words(merged: Merged, *, dry_run: bool) -> str:
    verb = "would be" if dry_run else "are"
    parts = [f"{merged.taken} cells {verb} new or newer", f"{merged.dropped} {verb} gone"]
    parts.append(f"{merged.kept} of yours stay")
    if merged.both:
        parts.append(f"of these {merged.both} changed in the course too: its text is put below")
    return ", ".join(parts) + "."
