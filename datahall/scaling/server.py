"""A parameter server by hand: one rank keeps the weights, the others pull, compute and push.

Read `Store` (weights with a version), `may_go` (the rule: who has to wait for whom), then
`ServerState` (a server's decisions, without sockets) and `simulate` (what they lead to, with given
speeds). Real processes are in `server_ranks`. Every push is recorded with the version that it was
computed from, so that staleness is counted, not estimated.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datahall.errors import ParameterError

Array = NDArray[Any]
Rule = Literal["synchronous", "asynchronous", "bounded"]
RULES: tuple[Rule, ...] = ("synchronous", "asynchronous", "bounded")

Update = Callable[[Array, Array, float], Array]  # (weights, gradient, rate) -> new weights


def descend(weights: Array, gradient: Array, rate: float) -> Array:
    """Return the weights one step of gradient descent later.

    Args:
        weights: (parameters,).
        gradient: (parameters,).
        rate: Learning rate.

    Example:
        >>> descend(np.array([1.0]), np.array([4.0]), 0.5)
        array([-1.])
    """
    changed: Array = weights - rate * gradient
    return changed


@dataclass(frozen=True)
class Push:
    """A gradient that the server has used.

    Attributes:
        rank: Who computed it.
        pulled: The version of the weights that it was computed from.
        found: The version that it changed.
        begin_s: When the worker was given those weights, in seconds since the server began.
        end_s: When the gradient had come.
    """

    rank: int
    pulled: int
    found: int
    begin_s: float
    end_s: float

    @property
    def staleness(self) -> int:
        """How many updates came between the pull and the push.

        Example:
            >>> Push(rank=1, pulled=4, found=6, begin_s=0.0, end_s=1.0).staleness
            2
        """
        return self.found - self.pulled


@dataclass
class Store:
    """What a parameter server keeps.

    Attributes:
        weights: (parameters,).
        rate: Learning rate.
        version: Updates so far.
        update: What a gradient does to the weights.

    Example:
        >>> store = Store(np.array([1.0]), rate=0.5)
        >>> weights, version = store.pull()
        >>> store.push(np.array([2.0]), version), store.push(np.array([2.0]), version)
        (0, 1)
        >>> float(store.weights[0]), store.version
        (-1.0, 2)
    """

    weights: Array
    rate: float
    version: int = 0
    update: Update = descend

    def pull(self) -> tuple[Array, int]:
        """Return a copy of the weights, and their version."""
        return self.weights.copy(), self.version

    def push(self, gradient: Array, pulled: int) -> int:
        """Change the weights by a gradient of theirs, (parameters,); return its staleness."""
        found = self.version
        self.weights = self.update(self.weights, gradient, self.rate)
        self.version += 1
        return found - pulled


@dataclass(frozen=True)
class Served:
    """What a server has seen of a training.

    Attributes:
        weights: At the end.
        updates: Versions that it has made.
        pushes: Every gradient used, in order.
        lost: Ranks whose connection broke, in order.
        took_s: Seconds from the first weights given to the last gradient used.
    """

    weights: Array
    updates: int
    pushes: tuple[Push, ...]
    lost: tuple[int, ...]
    took_s: float

    @property
    def staleness(self) -> list[int]:
        """The staleness of every push."""
        return [each.staleness for each in self.pushes]

    def by(self, rank: int) -> int:
        """Return how many gradients of a worker were used."""
        return sum(each.rank == rank for each in self.pushes)


def may_go(
    rule: Rule, clocks: Mapping[int, int], waiting: Iterable[int], *, bound: int = 0
) -> list[int]:
    """Return which of the waiting workers get weights now.

    Args:
        rule: "asynchronous": all of them. "synchronous": none until all wait. "bounded": those at
            most `bound` steps ahead of the slowest.
        clocks: Steps that each worker has done; of those that are alive.
        waiting: Workers that have pushed and want weights.
        bound: Steps.

    Raises:
        ParameterError: There is no such rule.

    Example:
        >>> clocks = {1: 5, 2: 4, 3: 2}
        >>> [may_go(rule, clocks, [1, 2], bound=2) for rule in RULES]
        [[], [1, 2], [2]]

    Source:
        Ho and others (2013), "More effective distributed ML via a stale synchronous parallel
        parameter server".
    """
    here = sorted(waiting)
    if rule == "asynchronous":
        return here
    if rule == "synchronous":
        return here if len(here) == len(clocks) else []
    if rule == "bounded":
        return [rank for rank in here if clocks[rank] - min(clocks.values()) <= bound]
    raise ParameterError(f"rule is {rule!r}. One of {RULES} was expected. Choose one of these.")


def most_staleness(workers: int, bound: int) -> int:
    """Return the largest staleness that the rule "bounded" allows.

    While a worker computes one step, another can be `bound` steps behind it at the beginning and
    `bound + 1` ahead at the end: 2 · bound + 1 updates.

    Example:
        >>> most_staleness(4, 0), most_staleness(4, 2)
        (3, 15)
    """
    return (workers - 1) * (2 * bound + 1)


@dataclass
class ServerState:
    """A server's decisions: who waits, whose gradient is used, who gets weights.

    Attributes:
        store: The weights.
        updates: After so many the work is done.
        rule: Who waits for whom, see `may_go`.
        bound: Of the rule "bounded".
        clocks: Steps that each worker has done, of those that are here.
        waiting: Workers that want weights.
        pushes: Every gradient used.
        lost: Workers that have gone.
    """

    store: Store
    updates: int
    rule: Rule
    bound: int
    clocks: dict[int, int]
    waiting: set[int] = field(default_factory=set)
    pushes: list[Push] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    _began_s: float | None = None  # when the first weights were given
    _given: dict[int, tuple[int, float]] = field(default_factory=dict)  # version, second of a pull
    _held: dict[int, Array] = field(default_factory=dict)  # gradients of a round, "synchronous"

    @property
    def done(self) -> bool:
        """Whether all updates have been made."""
        return self.store.version >= self.updates

    def take(self, rank: int, gradient: Array, now_s: float) -> None:
        """Use a gradient, or keep it until its round is complete; after the end, drop it.

        Args:
            rank: Who computed it, from the weights of its last pull.
            gradient: (parameters,).
            now_s: Seconds, by any clock.
        """
        self.clocks[rank] += 1
        self.waiting.add(rank)
        if self.done:
            return
        pulled, begin_s = self._given[rank]
        end_s = now_s - (self._began_s or 0.0)
        self.pushes.append(Push(rank, pulled, self.store.version, begin_s, end_s))
        if self.rule == "synchronous":
            self._held[rank] = gradient
        else:
            self.store.push(gradient, pulled)

    def going(self) -> list[int]:
        """Make the update of a round that is complete; return who gets an answer now.

        Nobody does before all workers are here: they begin together.
        """
        if self._began_s is None and len(self.waiting) < len(self.clocks):
            return []
        if self._held and self.waiting >= set(self.clocks):
            mean = np.mean([self._held[rank] for rank in sorted(self._held)], axis=0)
            self._held = {}
            self.store.push(mean, self.store.version)
        if self.done:
            return sorted(self.waiting)
        return may_go(self.rule, self.clocks, self.waiting, bound=self.bound)

    def give(self, rank: int, now_s: float) -> tuple[Array, int]:
        """Return weights and version for a worker that goes on, and note when."""
        weights, version = self.store.pull()
        self._began_s = now_s if self._began_s is None else self._began_s
        self.waiting.discard(rank)
        self._given[rank] = (version, now_s - self._began_s)
        return weights, version

    def forget(self, rank: int, *, lost: bool = True) -> None:
        """Go on without a worker: it was lost, or has been told that the work is done."""
        self.waiting.discard(rank)
        del self.clocks[rank]
        if lost:
            self.lost.append(rank)

    def served(self) -> Served:
        """Return what has been seen."""
        kept, took_s = self.store, self.pushes[-1].end_s if self.pushes else 0.0
        return Served(kept.weights, kept.version, tuple(self.pushes), tuple(self.lost), took_s)


def simulate(compute_s: Sequence[float], updates: int, rule: Rule, *, bound: int = 0) -> Served:
    """Return what a server sees of workers of given speeds, if messages take no time.

    Args:
        compute_s: Seconds of a step, of each worker; rank 1 is the first.
        updates: After so many the work is done.
        rule: Who waits for whom.
        bound: Of the rule "bounded".

    Raises:
        ParameterError: There is no worker, or a step takes no time.

    Example:
        >>> [simulate([1, 1, 4], 6, rule).took_s for rule in RULES]
        [24.0, 3.0, 8.0]
        >>> [simulate([1, 1, 4], 6, rule).staleness for rule in RULES[1:]]
        [[0, 1, 1, 1, 1, 1], [0, 1, 2, 0, 1, 2]]
    """
    if not compute_s or not min(compute_s) > 0:
        raise ParameterError(
            f"compute_s is {list(compute_s)}. At least one worker and times above 0 s were "
            "expected. Give each worker the seconds of its step."
        )
    ranks = range(1, len(compute_s) + 1)
    state = ServerState(
        Store(np.zeros(1), 0.0), updates, rule, bound, dict.fromkeys(ranks, 0), set(ranks)
    )
    due: list[tuple[float, int]] = []
    now_s = 0.0
    while not state.done:
        for rank in state.going():
            state.give(rank, now_s)
            heapq.heappush(due, (now_s + compute_s[rank - 1], rank))
        now_s, rank = heapq.heappop(due)
        state.take(rank, np.zeros(1), now_s)
        state.going()  # a round may be complete with it
    return state.served()
