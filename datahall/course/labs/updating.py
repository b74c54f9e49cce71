"""`datahall update`: newer versions of lectures and labs, put into the learner's copies."""

from __future__ import annotations

import sys
from pathlib import Path

from datahall.course import catalogue
from datahall.course.exits import Exit, exit_for
from datahall.course.labs.copies import Desk
from datahall.course.labs.merging import Merged
from datahall.errors import CourseError


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
    code = Exit.OK
    for path in found:
        try:
            merged = desk.update(path, dry_run=dry_run)
        except CourseError as error:  # one that cannot be written keeps no other from its turn
            print(f"{path.relative_to(desk.work)}: {error}", file=sys.stderr)
            code = max(code, exit_for(error))
            continue
        print(f"{path.relative_to(desk.work)}: {_words(merged, dry_run=dry_run)}")
    damaged = desk.damaged()
    for path, why in damaged.items():
        print(f"{path.relative_to(desk.work)} is left as it is: {why}", file=sys.stderr)
        code = max(code, Exit.BAD_INPUT)
    if not found:
        which_are = "The others are" if damaged else "Your copies are"
        print(f"{which_are} as new as the course.")
    elif dry_run:
        print("Nothing was written. To do it: datahall update")
    else:
        print(f"What they were before lies in {desk.before}.")
    return code


def _words(merged: Merged, *, dry_run: bool) -> str:
    verb = "would be" if dry_run else "are"
    parts = [f"{merged.taken} cells {verb} new or newer", f"{merged.dropped} {verb} gone"]
    parts.append(f"{merged.kept} of yours stay")
    if merged.both:
        parts.append(f"of these {merged.both} changed in the course too: its text is put below")
    return ", ".join(parts) + "."
