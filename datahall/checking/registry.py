"""Which checks there are, and the summary at the end of a lab."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from typing import Any

import datahall
from datahall import runtime
from datahall.checking import child, forkserver
from datahall.checking.check import Check
from datahall.checking.verdict import Summary, Verdict


def checks_of(concept: str) -> list[Check]:
    """Return the checks of a concept by exercise; none if it has no `checks.py`.

    Args:
        concept: Its slug, `convolution`.
    """
    name = f"datahall.{concept}.checks"
    if (
        importlib.util.find_spec(f"datahall.{concept}") is None
        or importlib.util.find_spec(name) is None
    ):
        return []
    return _in(importlib.import_module(name))


def all_checks() -> list[Check]:
    """Return every check of the course, in its order."""
    packages = [found.name for found in pkgutil.iter_modules(datahall.__path__) if found.ispkg]
    return sorted((check for name in packages for check in checks_of(name)), key=_place)


def _place(check: Check) -> list[int]:
    return [int(part) for part in check.exercise.split(".")]


def _in(module: Any) -> list[Check]:
    found = {id(value): value for value in vars(module).values() if isinstance(value, Check)}
    return sorted(found.values(), key=_place)


def find(module: str, exercise: str) -> Check:
    """Return the check of an exercise from a module of checks, imported if need be."""
    return next(each for each in _in(importlib.import_module(module)) if each.exercise == exercise)


def summary_for(name: str) -> Callable[..., Summary]:
    """Return the `summary` of a `checks.py`; call it last there, with `__name__`.

    It also tells each check the module by which another process finds it.

    Args:
        name: The module's name, `datahall.convolution.checks`.
    """
    checks = _in(sys.modules[name])
    for check in checks:
        check.module = name
    if runtime.interactive() and checks and not child.can_fork():
        with contextlib.suppress(forkserver.CannotTravelError, OSError):
            forkserver.prepared(name)  # while the learner reads

    def summary(lab: str | None = None) -> Summary:
        """Show one line an exercise: passed, wrong or not attempted, and the total.

        Args:
            lab: The lab; without it the one whose checks were called in this session (all, if none
                was).
        """
        called = {check.lab for check in checks if check.latest is not None}
        wanted = {lab} if lab else called or {check.lab for check in checks}
        chosen = [check for check in checks if check.lab in wanted]
        rows = [
            check.latest or Verdict(check.exercise, check.title, "not attempted", 0.0, check.points)
            for check in chosen
        ]
        return Summary(", ".join(sorted(wanted)), rows)

    return summary
