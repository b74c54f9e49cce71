"""What a notebook of the course must look like: small rules, clear messages.

`problems(path)` must be empty for a notebook to land; `warnings(path)` are
targets missed by less than half. Rules by file: `cells` (ids, tags, order), `code`, `outputs`,
`prose`, `exercises` (of labs and solutions), `budgets`.
"""

from __future__ import annotations

from pathlib import Path

from datahall.course.notebooks.structure import budgets, cells, code, lab_rules, outputs, prose
from datahall.course.notebooks.structure.subject import Fault, Rule, Subject

__all__ = ["Fault", "Subject", "findings", "problems", "warnings"]

ALL: tuple[Rule, ...] = (
    *cells.RULES,
    *code.RULES,
    *outputs.RULES,
    *prose.RULES,
    *lab_rules.RULES,
    *budgets.RULES,
)


def findings(path: Path) -> list[Fault]:
    """Return everything that the rules have to say about a notebook file."""
    subject = Subject.load(path)
    return [finding for rule in ALL for finding in rule(subject)]


def problems(path: Path) -> list[str]:
    """Return what must be mended before the notebook can land."""
    return [str(finding) for finding in findings(path) if finding.fails]


def warnings(path: Path) -> list[str]:
    """Return the targets that the notebook misses, but not by half."""
    return [str(finding) for finding in findings(path) if not finding.fails]
