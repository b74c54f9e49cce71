"""What a request costs: processor time of all processes that serve it, in microseconds.

Time on the clock says how busy the machine is; processor time says what the request took of it.
`cpu_s` adds up whole trees of processes, `per_request_us` puts a load on a service and divides,
`interleaved` measures several services in turn, so that a disturbance meets all of them.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from datahall.errors import CourseError
from datahall.serving.load import Loader, Replies

MICRO = 1e6


@dataclass(frozen=True)
class UnderLoad:
    """A service under measurement.

    Attributes:
        loader: With its connections.
        pids: Processes that serve; their children count as well.
    """

    loader: Loader
    pids: tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """What was measured of one service, a value a round.

    Attributes:
        cpu_us: Processor time of a request, in microseconds.
        loads: What came back.
    """

    cpu_us: tuple[float, ...]
    loads: tuple[Replies, ...]

    @property
    def median_us(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.cpu_us)

    @property
    def least_us(self) -> float:
        """The least of the rounds: on a busy machine the figure that is disturbed least."""
        return min(self.cpu_us)

    @property
    def refused(self) -> int:
        """Replies with another status than 200, over all rounds."""
        return sum(
            count for load in self.loads for status, count in load.statuses.items() if status != 200
        )


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor time that processes and their children have used so far, in seconds.

    Args:
        pids: Numbers of running processes.

    Raises:
        CourseError: One of them has ended: its time would be missing from the sum.
    """
    total = 0.0
    for pid in dict.fromkeys(pids):
        try:
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)]
            total += sum(_process_s(each) for each in family)
        except psutil.NoSuchProcess as error:
            raise CourseError(
                f"process {pid} or a child of it has ended. A running service was expected: its "
                "time cannot be counted any more. Measure again."
            ) from error
    return total


def _process_s(process: psutil.Process) -> float:
    """Return the processor time of one process; Linux has a clock for each, the finer one."""
    if platform.system() == "Linux":
        try:
            return time.clock_gettime(~process.pid << 3 | 2)  # CPUCLOCK_SCHED, of the process
        except OSError as error:
            raise psutil.NoSuchProcess(process.pid) from error
    times = process.cpu_times()
    return float(times.user + times.system)


def per_request_us(service: UnderLoad, requests: int) -> tuple[float, Replies]:
    """Return the processor time of a request, and what came back.

    Args:
        service: Under measurement.
        requests: How many are sent.

    Raises:
        CourseError: Nothing came back, or a process has ended.
    """
    service.loader.prepare()  # greetings are no part of a request
    before = cpu_s(service.pids)
    loaded = service.loader.run(requests)
    used = cpu_s(service.pids) - before
    if not loaded.count:
        raise CourseError(
            f"None of {requests} requests has a reply. See whether the service is up."
        )
    return MICRO * used / loaded.count, loaded


def interleaved(
    services: Mapping[str, UnderLoad], *, rounds: int, requests: int
) -> dict[str, Cost]:
    """Measure services in turn, round after round.

    Args:
        services: By name.
        rounds: How often each is measured.
        requests: How many are sent to each in a round.

    Returns:
        What each costs, by name.
    """
    found: dict[str, list[tuple[float, Replies]]] = {name: [] for name in services}
    for turn in range(rounds):
        names = list(services)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(per_request_us(services[name], requests))
    return {
        name: Cost(tuple(used for used, _ in rows), tuple(load for _, load in rows))
        for name, rows in found.items()
    }


def function_us(function: Callable[[], object], *, calls: int) -> float:
    """Return the processor time of a call in this process, in microseconds: least of three.

    Args:
        function: What is called.
        calls: How often, each time.
    """
    times = []
    for _ in range(3):
        begun = time.process_time()
        for _ in range(calls):
            function()
        times.append(time.process_time() - begun)
    return MICRO * min(times) / calls


def steps(costs: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return what each step adds to the one before: differences, the first as it is.

    Args:
        costs: Names and costs, each service with all that the one before has, and one thing more.

    Example:
        >>> steps([("model", 30.0), ("HTTP", 200.0), ("TLS", 260.0)])
        [('model', 30.0), ('HTTP', 170.0), ('TLS', 60.0)]
    """
    before = [0.0, *(each for _, each in costs)]
    return [(name, each - less) for (name, each), less in zip(costs, before, strict=False)]
