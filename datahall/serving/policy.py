"""Who may do what, with which model, when: a table of rules, and one decision from it.

What no rule allows is denied, and one rule that denies outweighs all that allow. The rule that has
decided is named, so that the decision can be written down and explained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FIELDS = ("who", "action", "model")
Rule = Mapping[str, Any]


def permits(rules: Sequence[Rule], request: Mapping[str, Any]) -> tuple[bool, int | None]:
    """Say whether a request is allowed, and by which rule it was decided.

    Args:
        rules: Each has an `effect`, `allow` or `deny`; patterns by field (`who`, `action`,
            `model`), where a field that is left out fits anything; `hours`, from and until.
        request: `who`, `action`, `model`, texts, and the `hour`.

    Returns:
        Whether it is allowed; the index of the first rule that denies it, else of the first that
        allows it, else None.

    Example:
        >>> rules = [{"effect": "allow", "model": ["mnist_*"]}, {"effect": "deny", "who": ["eve"]}]
        >>> ada = {"who": "ada", "action": "infer", "model": "mnist_cnn", "hour": 9}
        >>> permits(rules, ada), permits(rules, ada | {"who": "eve"})
        ((True, 0), (False, 1))
        >>> permits(rules, ada | {"model": "cifar"})
        (False, None)

    Source:
        The order of deny before allow before nothing is that of Amazon's IAM policies.
    """
    fitting = [n for n, rule in enumerate(rules) if _fits(rule, request)]
    denying = [n for n in fitting if rules[n]["effect"] == "deny"]
    if denying:
        return False, denying[0]
    return (True, fitting[0]) if fitting else (False, None)


def _fits(rule: Rule, request: Mapping[str, Any]) -> bool:
    for name in FIELDS:
        patterns = rule.get(name)
        if patterns is not None and not any(_matches(one, request[name]) for one in patterns):
            return False
    begin, end = rule.get("hours", (0, 24))
    hours = {hour % 24 for hour in range(begin, end + 24 * (end < begin))}
    return request["hour"] in hours


def _matches(pattern: str, value: str) -> bool:
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value == pattern
