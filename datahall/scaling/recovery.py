"""What losses cost: how often they come, how much work they take, how often to write checkpoints.

Read `between_losses_s`, then `waste`, then `best_interval_s`; `finish_s` replays losses one by one.
All times are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from datahall.errors import ParameterError


def between_losses_s(one_machine_s: float, machines: int) -> float:
    """Return the mean time between two losses of a job that needs every one of its machines.

    Args:
        one_machine_s: Mean time between two failures of one machine, in seconds.
        machines: How many the job needs.

    Returns:
        Seconds; the failures of different machines are taken to be independent.

    Example:
        >>> between_losses_s(1000.0, 4)
        250.0
    """
    _positive(one_machine_s=one_machine_s, machines=machines)
    return one_machine_s / machines


def waste(interval_s: float, *, write_s: float, loss_s: float, restart_s: float = 0.0) -> float:
    """Return the share of the time that goes into checkpoints and into work done twice.

    Args:
        interval_s: Seconds of work between two checkpoints.
        write_s: Seconds to write one, while nothing else is done.
        loss_s: Mean seconds between two losses.
        restart_s: Seconds from a loss to the first new step.

    Returns:
        A share; first order, so good while it is small.

    Example:
        >>> waste(100.0, write_s=1.0, loss_s=10_000.0, restart_s=50.0)
        0.02

    Source:
        Young (1974), "A first order approximation to the optimum checkpoint interval".
    """
    _positive(interval_s=interval_s, write_s=write_s, loss_s=loss_s)
    return write_s / interval_s + (interval_s / 2 + restart_s) / loss_s


def best_interval_s(*, write_s: float, loss_s: float) -> float:
    """Return the interval between checkpoints that wastes least: √(2 · write · loss).

    Args:
        write_s: Seconds to write one.
        loss_s: Mean seconds between two losses.

    Example:
        >>> best_interval_s(write_s=2.0, loss_s=10_000.0)
        200.0

    Source:
        Young (1974).
    """
    _positive(write_s=write_s, loss_s=loss_s)
    return math.sqrt(2 * write_s * loss_s)


def finish_s(work: int, interval: int, write: int, restart: int, losses: Sequence[int]) -> int:
    """Return when a job is done that is lost at given moments.

    After each `interval` of work since the last checkpoint the job stops and writes one; none is
    written at the end. A loss takes it back to the last checkpoint that was finished, and it goes
    on after `restart`; a loss during the restart begins that again. What ends at the very moment of
    a loss has ended.

    Args:
        work: Seconds of computing that the job needs, at least 1.
        interval: Seconds of computing between two checkpoints, at least 1.
        write: Seconds to write one.
        restart: Seconds from a loss to the first new step.
        losses: Seconds since the start at which a machine is lost, ascending.

    Returns:
        Seconds from the start to the end.

    Example:
        >>> finish_s(10, 4, 1, 2, []), finish_s(10, 4, 1, 2, [7])
        (12, 16)
    """
    _positive(work=work, interval=interval)
    now = saved = 0
    for loss in [*losses, math.inf]:
        while now <= loss:
            rest = work - saved
            end = now + (rest if rest <= interval else interval + write)
            if end > loss:
                break
            if rest <= interval:
                return end
            now, saved = end, saved + interval
        now = int(loss) + restart
    raise AssertionError("the last loss never comes")


def _positive(**given: float) -> None:
    for name, value in given.items():
        if not value > 0:
            raise ParameterError(f"{name} is {value}. More than 0 was expected. Give such a value.")
