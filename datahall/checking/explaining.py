"""Say what happened in the learner's terms: what was called, what came back, what was expected."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from datahall.checking import showing
from datahall.checking.calling import PRINT_LIMIT, CallOutcome
from datahall.checking.comparing import difference

# What happened, and the question to ask oneself.
_EXPLAINED = {
    "unanswered": ("raised NotImplementedError", "This case is not written yet."),
    "time": ("did not end within {seconds:g} s", "Is there a loop that never ends?"),
    "exit": ("called exit", "Return the result instead of ending the program."),
    "input": ("asked for input", "Everything it needs comes in by its arguments."),
    "flood": (f"printed more than {PRINT_LIMIT:,} characters", "Take the print out of the loop."),
    "memory": ("asked for more memory than there is", "How many elements does its array have?"),
    "recursion": ("called itself without end", "Which case should stop the recursion?"),
    "ours": ("called our own solution", "That is ours; the points are for yours."),
}
# What an error in the learner's code asks for, by its kind; the first that fits.
_SIGNATURE = re.compile(r"(missing|takes|unexpected|multiple values).* argument")
_RAISED: tuple[tuple[type[BaseException], str], ...] = (
    (UnboundLocalError, "Give it a value before that line, in every branch."),
    (NameError, "Is the name spelled as in the signature, or is an import missing?"),
    (ImportError, "Everything it needs is imported at the top of the lab."),
    (IndexError, "Which is the last index that exists there?"),
    (KeyError, "Which keys are there?"),
    (ZeroDivisionError, "What should it return when there is nothing to divide by?"),
    (OverflowError, "Which type holds numbers as large as that?"),
    (AttributeError, "Of which type is the value on that line?"),
    (TypeError, "Of which types are the values on that line?"),
    (ValueError, "Which shapes and values meet on that line?"),
)
_KIND = re.compile(
    r"(in item \d+: |under .*?: |its \w+: )*(the shape|the dtype|it is an? |it has )"
)


def disagreement(wanted: CallOutcome, got: CallOutcome, *, rtol: float, atol: float) -> str | None:
    """Return how an outcome differs from the wanted one, or None.

    Args:
        wanted: What the reference did.
        got: What the answer did.
        rtol: Relative tolerance.
        atol: Absolute tolerance, in the unit of the values.
    """
    if wanted.kind == "raised":
        fits = got.kind == "raised" and _fits(got.error, wanted.error)
        return None if fits else "an error was expected"
    if got.kind != "value":
        return got.kind
    if said := difference(wanted.value, got.value, rtol=rtol, atol=atol):
        return said
    after, meant = got.arguments or {}, wanted.arguments or {}
    for key in wanted.changed:  # an exercise whose work is to change an argument
        if said := difference(meant[key], after.get(key), rtol=rtol, atol=atol):
            return f"in {_name(wanted, got, key)} afterwards: {said}"
    extra = changed_unasked(wanted, got)
    return f"{extra} was changed in place" if extra else None


def retyped(stated: str, wanted: CallOutcome, got: CallOutcome) -> str | None:
    """Return how an array came back in another type than the docstring states, or None.

    Whole numbers have exactly the stated type: another one wraps at other ends. Floating-point
    numbers may be wider.

    Args:
        stated: The type that the docstring states.
        wanted: What the reference did.
        got: What the answer did.
    """
    kinds = [getattr(showing.plain(each.value), "dtype", None) for each in (wanted, got)]
    if kinds[0] != stated or kinds[1] is None or kinds[1].kind not in "iuf":
        return None
    wide_enough = stated.startswith("float") and kinds[1].itemsize >= kinds[0].itemsize
    return (
        None
        if kinds[1] == kinds[0] or wide_enough
        else f"the dtype is {kinds[1]} instead of {stated}"
    )


def explain(
    called: str, wanted: CallOutcome, got: CallOutcome, said: str, *, seconds: float
) -> tuple[str, str]:
    """Return what happened in one sentence, and the advice that follows from it ("" if none does).

    Args:
        called: The call as text.
        wanted: What the reference did.
        got: What the answer did.
        said: How they differ, from `disagreement`.
        seconds: The time limit.
    """
    where = f", in {got.where.rstrip()}" if got.where and got.kind != "ours" else ""
    if got.error is not None and got.kind == "raised":
        what = showing.error_text(got.error, 160).rstrip(".")
        colon, meant = f": {what}" if what else "", ""
        if wanted.kind == "raised":
            meant = f", expected it to raise {type(wanted.error).__name__}"
        return f"{called} raised {type(got.error).__name__}{colon}{where}{meant}.", ""
    if got.kind != "value":
        what, advice = _EXPLAINED[got.kind]
        return f"{called} {what.format(seconds=seconds)}{where}.", advice
    came = showing.described(got.value)
    if wanted.kind == "raised":
        error = type(wanted.error).__name__
        return f"{called} returned {came}, expected it to raise {error}.", ""
    if extra := changed_unasked(wanted, got):
        also = "" if said.endswith("was changed in place") else ", and its result is wrong"
        return f"{called} changed its argument {extra} in place{also}.", _spared(wanted, got, extra)
    if " afterwards: " in said:
        return f"{called} did its work wrongly: {said}.", ""
    if got.value is None:
        expected = showing.described(wanted.value)
        return f"{called} returned None, expected {expected}.", "Is the return line missing?"
    return f"{called} returned {_compared(wanted.value, got.value, said)}.", ""


def advice(got: CallOutcome, said: str, idea: str, *, either: bool = False) -> str:
    """Return what to say where no typical mistake explains an outcome.

    An error gets its own question, a result of the wrong kind is sent to the docstring; only a
    wrong value can be mended by the step's idea.

    Args:
        got: What the answer did.
        said: How it differs, from `disagreement`.
        idea: What the step says of its values.
        either: Whether results are of two kinds: then the other kind is a wrong decision.
    """
    if got.kind == "raised":
        error = got.error
        if got.where.partition(": ")[2].lstrip().startswith("raise "):
            return f"Your own code raises it. {idea}".strip()
        if isinstance(error, TypeError) and _SIGNATURE.search(showing.error_text(error)):
            return "Keep the parameters of the stub: their names, order and defaults."
        return next((asked for kind, asked in _RAISED if isinstance(error, kind)), "")
    if _KIND.match(said) and not (either and said.startswith("it is ")):
        return "The docstring says of which type and shape the result is."
    return idea


def _compared(wanted: Any, got: Any, said: str) -> str:
    """Write both values, and how they differ unless that is plain to see."""
    came, expected = showing.shown(got), showing.shown(wanted)
    if said == f"it is {came} instead of {expected}":
        return f"{came}, expected {expected}"
    if said.startswith("the first difference") and showing.is_small(wanted):
        array = showing.plain(got)
        both = f"both of shape {array.shape}, {array.dtype}"
        place = f"; {said.partition(':')[0]}" if array.size > 1 else ""
        return f"{came}, expected {expected} ({both}{place})"
    came, expected = showing.described(got), showing.described(wanted)
    told = said.startswith("the shape is") or said.startswith("it is not equal")
    return f"{came}, expected {expected}{'' if told else f': {said}'}"


def _spared(wanted: CallOutcome, got: CallOutcome, name: str) -> str:
    """Say how an argument is left as it is: a list's copy still holds the same arrays."""
    key = next(key for key in got.changed if _name(wanted, got, key) == name)
    before, after = ((each.arguments or {}).get(key) for each in (wanted, got))
    both = [each if isinstance(each, list) else [] for each in (before, after)]
    if len(both[0]) == len(both[1]) and any(isinstance(each, np.ndarray) for each in both[0]):
        return f"Work on copies of the arrays in it: {name}[0].copy()."
    return f"Work on a copy: {name}.copy()."


def came_back(outcome: CallOutcome) -> str:
    """Write an outcome for a table of details."""
    if outcome.kind == "value":
        return showing.described(outcome.value)
    if outcome.kind == "raised" and outcome.error is not None:
        return f"{type(outcome.error).__name__}: {showing.error_text(outcome.error)}"
    return "nothing"


def changed_unasked(wanted: CallOutcome, got: CallOutcome) -> str:
    """Return the name of an argument that was changed although nobody asked, "" if none was."""
    return next((_name(wanted, got, key) for key in got.changed if key not in wanted.changed), "")


def _name(wanted: CallOutcome, got: CallOutcome, key: int | str) -> str:
    """Return what the learner calls an argument; behind `*args`, what the reference calls it."""
    names = dict(wanted.names or {}) | dict(got.names or {})
    return names.get(key, str(key))


def _fits(got: BaseException | None, wanted: BaseException | None) -> bool:
    """Whether an error is the wanted one, or the built-in error that the wanted one stands for."""
    too_wide = (Exception, BaseException, object)
    family = [kind for kind in type(wanted).__mro__ if kind.__module__ == "builtins"]
    built_in = [kind for kind in family if kind not in too_wide][:1]
    return isinstance(got, (type(wanted), *built_in))
