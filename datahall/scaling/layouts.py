"""Layout rules: which rule of a table says how a variable is cut, and which rules cut nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence


def rules_used(rules: Sequence[str], paths: Sequence[str]) -> dict[str, str | None]:
    """Return which rule a layout map of Keras takes for each variable, None where it takes none.

    A rule that is the path itself counts first; else the one that matches the whole path.

    Args:
        rules: Keys of the layout map: regular expressions.
        paths: Paths of the variables.

    Raises:
        ValueError: Two rules match a path.

    Example:
        >>> rules_used(["a/kernel", ".*b/kernel"], ["net/a/kernel", "net/b/kernel"])
        {'net/a/kernel': None, 'net/b/kernel': '.*b/kernel'}
    """
    return {path: _rule(rules, path) for path in paths}


def _rule(rules: Sequence[str], path: str) -> str | None:
    if path in rules:
        return path
    matching = [rule for rule in rules if re.fullmatch(rule, path)]
    if len(matching) > 1:
        raise ValueError(
            f"the rules {matching} all match {path!r}. One at most was expected. Make one stricter."
        )
    return matching[0] if matching else None
