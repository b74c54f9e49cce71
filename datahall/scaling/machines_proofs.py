"""What kills, messages and clocks say of an answer: what checks of 05.7 and 05.8 hold it against.

Each returns None where the answer is right, else a sentence about what happened, which says nothing
of how the answer is written: so that the same mistake is known again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from datahall.errors import CourseError
from datahall.scaling import killing, pipeline, stages
from datahall.scaling.pipeline import Pass

Order = Callable[[int, int, int], list[Pass]]
State = dict[str, np.ndarray]
Orders = list[list[Pass]]
_SIZES = sorted(((p, m) for p in range(1, 6) for m in range(1, 10)), key=lambda n: (n[0] * n[1], n))
_SEVERAL = 11  # saves in a row: one more digit
_lost: dict[Any, str] = {}  # of answers, what the first kill showed; a verdict has a process


class _FaultError(Exception):
    """Says what is wrong with a schedule."""


def makes_every_pass_once(order: Order) -> str | None:
    """Look whether each stage has the forward and backward pass of every microbatch, once."""
    return _each(order, lambda made, p, m: None, can_wait=True)


def never_waits_for_ever(order: Order) -> str | None:
    """Look whether every pass can begin at some time."""
    return _each(order, lambda made, p, m: None)


def is_fast(order: Order) -> str | None:
    """Look whether all is done in the least time of a line: (m + p − 1) · 3."""

    def slow(made: Orders, p: int, m: int) -> str | None:
        took, least = pipeline.run(made).total, 3 * (m + p - 1)
        said = f"with {p} stages and {m} microbatches the last pass ends at {took:g}"
        return f"{said}, {least} is possible" if took > least else None

    return _each(order, slow)


def keeps_little(order: Order) -> str | None:
    """Look whether no stage keeps more microbatches than there are stages."""

    def full(made: Orders, p: int, m: int) -> str | None:
        stored = pipeline.run(made).stored
        stage = next((n for n, most in enumerate(stored) if most > p), None)
        if stage is None:
            return None
        said = f"with {p} stages and {m} microbatches stage {stage} keeps {stored[stage]} at once"
        return f"{said}, {p} allowed"

    return _each(order, full)


def runs_on_processes(order: Order) -> str | None:
    """Run the schedule as three real processes, and compare what they kept and computed."""
    p, m = 3, 4
    try:
        made = _orders(order, p, m)
    except _FaultError as fault:
        return str(fault)
    return _stuck(made, p, m) or _ran(tuple(map(tuple, made)), m)


@cache
def _ran(made: tuple[tuple[Pass, ...], ...], m: int) -> str | None:
    """Start the processes; cached, so that the same schedule runs once."""
    p = len(made)
    try:
        found = stages.run(made, limit_s=6)
    except CourseError as error:
        return str(error)
    if (kept := max(each.kept for each in found)) > p:
        return f"one of {p} processes kept {kept} of {m} microbatches, {p} allowed"
    for stage, right in enumerate(stages.gradients(p, m)):
        if not np.allclose(found[stage].gradient, right):
            return f"the gradient of stage {stage} is not that of the whole batch"
    return None


def _each(
    order: Order, judge: Callable[[Orders, int, int], str | None], *, can_wait: bool = False
) -> str | None:
    """Say what is wrong with the smallest schedule that is wrong, and with the largest one."""

    def said_of(p: int, m: int) -> str | None:
        try:
            made = _orders(order, p, m)
        except _FaultError as fault:
            return str(fault)
        return (None if can_wait else _stuck(made, p, m)) or judge(made, p, m)

    wrong = next((said for size in _SIZES if (said := said_of(*size))), None)
    largest = said_of(4, 8) if wrong else None
    return "; ".join(dict.fromkeys(filter(None, (wrong, largest)))) or None


def _orders(order: Order, p: int, m: int) -> Orders:
    return [_checked(order(stage, p, m), f"order({stage}, {p}, {m})", m) for stage in range(p)]


def _checked(made: Any, called: str, m: int) -> list[Pass]:
    pairs = isinstance(made, Sequence) and all(
        isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str)
        and isinstance(one[1], (int, np.integer)) for one in made
    )  # fmt: skip
    if not pairs or isinstance(made, str):
        raise _FaultError(f'{called} did not return a list of pairs like ("F", 0)')
    passes = [(str(kind), int(number)) for kind, number in made]
    wanted, found = Counter((kind, n) for kind in "FB" for n in range(m)), Counter(passes)
    if foreign := [one for one in passes if one not in wanted]:
        raise _FaultError(f"{called} has {foreign[0]}, and there is no such pass")
    if missing := [one for one in wanted if one not in found]:
        raise _FaultError(f"{called} lacks {missing[0]}")
    if twice := [one for one in passes if found[one] > 1]:
        raise _FaultError(f"{called} has {twice[0]} more than once")
    return [(kind, number) for kind, number in passes]  # type: ignore[misc]


def _stuck(made: Orders, p: int, m: int) -> str | None:
    """Say which pass of which stage never begins, if some do not."""
    done: set[tuple[int, Pass]] = set()
    at = [0] * p
    moving = True
    while moving:
        moving = False
        for stage in range(p):
            while at[stage] < len(made[stage]) and _ready(stage, made[stage][at[stage]], p, done):
                done.add((stage, made[stage][at[stage]]))
                at[stage], moving = at[stage] + 1, True
    waits = [f"stage {n} before {made[n][at[n]]}" for n in range(p) if at[n] < len(made[n])]
    said = f"with {p} stages and {m} microbatches these wait for ever: "
    return said + ", ".join(waits) if waits else None


def _ready(stage: int, one: Pass, p: int, done: set[tuple[int, Pass]]) -> bool:
    kind, number = one
    if kind == "F":
        return stage == 0 or (stage - 1, one) in done
    return (stage, ("F", number)) in done and (stage == p - 1 or (stage + 1, one) in done)


def _state(step: int) -> State:
    """Return a state of a training; any two differ in every array."""
    return {
        "weights": np.full((2, 3), step + 0.5, np.float32),
        "momentum": np.arange(4.0) + step,
        "position": np.array(10 * step),
        "order": np.arange(5, dtype=np.uint8) + np.uint8(step),
    }


_ODD: State = {
    "none": np.zeros((0, 3), np.float32),
    "flags": np.array([True, False]),
    "half": np.array(0.5, np.float16),
    "large": np.array([2**64 - 1, 1], np.uint64),
    "odd": np.array([np.nan, np.inf, -0.0]),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "every_second": np.arange(9)[::2],
}


def gives_back(answer: Any) -> str | None:
    """Save states of several types and shapes, and load each with another object."""
    for state in (_state(1), _ODD):
        with killing.folder() as folder:
            kept = {name: array.copy() for name, array in state.items()}
            answer(folder).save(state)
            if _unlike(kept, state):
                return "save changed the state that it was given"
            if said := _unlike(state, answer(folder).load()):
                return f"after one save, load {said}"
    return None


def begins_with_nothing(answer: Any) -> str | None:
    """Load from an empty folder."""
    with killing.folder() as folder:
        try:
            came = answer(folder).load()
        except NotImplementedError:
            raise
        except Exception as error:
            print(f"{type(error).__name__}: {error}"[:300])
            return f"in an empty folder load raised {type(error).__name__}, expected None"
    return None if came is None else "in an empty folder load returned something, expected None"


def keeps_the_newest(answer: Any) -> str | None:
    """Save many times in a row, with two objects, and load."""
    with killing.folder() as folder:
        first, second = answer(folder), answer(folder)
        for step in range(_SEVERAL):
            first.save(_state(step))
            if _unlike(_state(step), second.load()):
                return f"after {step + 1} saves load did not return the newest state"
        second.save(_state(_SEVERAL))
        if _unlike(_state(_SEVERAL), first.load()):
            return "a second object saved, and the first one did not load that state"
    return None


def survives_the_first(answer: Any) -> str | None:
    """Kill the first save at every moment; whatever is loaded is whole, or nothing."""
    return _noted(answer, _killed(answer, []))


def survives_a_later(answer: Any) -> str | None:
    """Kill a second save at every moment; load gives the first state or the second."""
    return _noted(answer, _killed(answer, [_state(1)]))


def goes_on(answer: Any) -> str | None:
    """After a kill, load, save once more, and load: as a training does that starts again."""
    return _noted(answer, _killed(answer, [_state(1)], again=True))


def survives_two_kills(answer: Any) -> str | None:
    """Kill a second save at every moment, start again, and kill the next one at every moment."""
    if said := gives_back(answer) or _lost.get(answer):  # then it is not the second kill
        return said
    with killing.folder() as room:
        try:
            first = killing.moments(lambda folder: _saving(answer, [_state(1)], folder), room)
        except ChildProcessError as error:
            return f"the second save was tried in a process of its own: {error}"
        for one in first:
            killing.restore(room, one)
            base = next((n for n in (1, 2) if _found(answer, room, [_state(n)]) is None), None)
            if base and (said := _killed_again(answer, room, one, _state(base))):
                return f"killed in the middle of the second save ({one.became}), and {said}"
    return None


def _noted(answer: Any, said: str | None) -> str | None:
    """Keep what one kill shows: whoever loses a state then need not be killed twice."""
    if said:
        _lost.setdefault(answer, said)
    return said


def _killed_again(answer: Any, room: Path, one: killing.Snapshot, base: State) -> str | None:
    def call(folder: Path) -> Callable[[], None]:
        killing.restore(folder, one)
        started = answer(folder)
        started.load()
        return lambda: started.save(_state(3))

    try:
        later = killing.moments(call, room)
    except ChildProcessError:
        return "started again, load or the next save raised an error"
    for two in later:
        killing.restore(room, two)
        if (said := _found(answer, room, [base, _state(3)])) is not None:
            said = said or "load returned None"
            return f"started again, killed in the middle of the next one ({two.became}), {said}"
    return None


def _killed(answer: Any, before: list[State], *, again: bool = False) -> str | None:
    if said := gives_back(answer):  # then it is not the kill
        return said
    which = "second" if before else "first"

    def call(folder: Path) -> Callable[[], None]:
        return _saving(answer, before, folder)

    def left(folder: Path, *, returned: bool = False) -> str | None:
        """Say what is wrong with what a kill has left."""
        if again:
            return _restarted(answer, folder)
        found = _found(answer, folder, [*([] if returned else before), _state(2)])
        return ("load returned None" if before or returned else None) if found == "" else found

    with killing.folder() as room:
        try:
            moments = killing.moments(call, room)
        except ChildProcessError as error:
            return f"the {which} save was tried in a process of its own: {error}"
        for one in moments:
            killing.restore(room, one)
            if said := left(room):
                print(f"save was killed {one.where}")
                return f"killed in the middle of the {which} save ({one.became}), {said}"
    if again or not before:
        return None
    for at in (moments[len(moments) // 2].count if moments else 1, None):  # and now for real
        with killing.folder() as room:
            killing.kill(call, room, at)
            if said := left(room, returned=at is None):
                when = "in the middle of the" if at else "when the"
                return f"killed {when} second save{'' if at else ' had returned'}, {said}"
    return None


def _saving(answer: Any, before: Sequence[State], folder: Path) -> Callable[[], None]:
    """Save what comes before, and return the save that is killed."""
    one = answer(folder)
    for state in before:
        one.save(state)
    return lambda: one.save(_state(2))


def _found(answer: Any, folder: Path, allowed: list[State]) -> str | None:
    """Say what is wrong with what is loaded; "" for nothing loaded."""
    try:
        came = answer(folder).load()
    except Exception as error:
        print(f"load raised {type(error).__name__}: {error}"[:300])
        return "load raised an error"
    if came is None:
        return ""
    if not all(_unlike(state, came) for state in allowed):
        return None
    return "load returned neither the state before nor the new one, whole"


def _restarted(answer: Any, folder: Path) -> str | None:
    try:
        one = answer(folder)
        one.load()
        one.save(_state(3))
    except Exception as error:
        print(f"raised {type(error).__name__}: {error}"[:300])
        return "the training started again, and load or the next save raised an error"
    if _found(answer, folder, [_state(3)]) is None:
        return None
    return "the training started again and saved, and load did not return that state"


def _unlike(state: State, came: Any) -> str | None:
    """Say how what was loaded differs from a state."""
    if not isinstance(came, dict):
        return f"returned {'None' if came is None else 'no dict'}"
    if set(came) != set(state):
        names = sorted(map(str, set(state) - set(came))) or sorted(map(str, set(came) - set(state)))
        return f"{'lacks' if set(state) - set(came) else 'also has'} {names[0]!r}"
    for name, array in state.items():
        got = np.asarray(came[name])
        if (got.dtype, got.shape) != (array.dtype, array.shape):
            return f"gave {name!r} as {got.dtype} {got.shape}, saved as {array.dtype} {array.shape}"
        if not np.array_equal(got, array, equal_nan=array.dtype.kind == "f"):
            return f"gave {name!r} with other values"
    return None
