"""The parameter server as processes: rank 0 serves the weights, all other ranks work.

Read `work`, then `serve`: a push is a version and a gradient, the answer to it is a version and the
weights, and the rule is nothing but who gets his answer when. `begin` starts the processes.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datahall.optimization import network
from datahall.scaling import parallel
from datahall.scaling.group import Group, GroupError, Outcome
from datahall.scaling.parallel import Plan
from datahall.scaling.peers import GoneError, PeerError, Peers
from datahall.scaling.server import Rule, Served, ServerState, Store, Update, descend

SERVER = 0  # its rank
HELLO = STOP = -1  # in place of a version: nothing computed yet; nothing more to compute
TELL_EVERY = 10  # updates between two words of the server to whoever started it

Array = NDArray[Any]


@dataclass(frozen=True)
class Work:
    """A training with a parameter server.

    Attributes:
        plan: Updates (`steps`), batch, rate, hidden units, seed.
        rule: Who waits for whom, see `server.may_go`.
        bound: Of the rule "bounded".
        images: Training examples: the first ones of MNIST.
        slow_s: Seconds that a worker sleeps in each step, by rank.
        update: What a gradient does to the weights.
    """

    plan: Plan
    rule: Rule = "asynchronous"
    bound: int = 0
    images: int = 6_000
    slow_s: Mapping[int, float] = field(default_factory=dict)
    update: Update = descend


def program(peers: Peers, given: Work) -> Served | int:
    """Run this rank's part: what the server has seen, or how many steps a worker has done."""
    return serve(peers, given) if peers.rank == SERVER else work(peers, given)


def work(peers: Peers, given: Work) -> int:
    """Pull, compute and push until the server says that it is enough; return the steps done."""
    images, labels = parallel.digits(given.images)
    like, plan = parallel.first_network(given.plan), given.plan
    order = np.random.default_rng(plan.seed).permutation(len(images))
    version, weights, steps = np.full(1, HELLO), np.empty(like.parameters, np.float32), 0
    peers.send(SERVER, version)
    while True:
        peers.receive(SERVER, version)
        if version[0] == STOP:
            return steps
        peers.receive(SERVER, weights)
        first = (steps * (peers.ranks - 1) + peers.rank - 1) * plan.batch
        mine = order[np.arange(first, first + plan.batch) % len(order)]
        gradient = parallel.gradient(weights, like, images[mine], labels[mine])
        time.sleep(given.slow_s.get(peers.rank, 0.0))
        peers.send(SERVER, version)
        peers.send(SERVER, gradient.astype(np.float32))
        steps += 1


def serve(peers: Peers, given: Work) -> Served:
    """Serve the weights until all updates are done and every worker has been told so.

    A worker whose connection breaks is forgotten: the others go on.

    Raises:
        GoneError: No worker is left before the work is done.
    """
    first = Store(_first(given.plan), given.plan.rate, update=given.update)
    workers = [rank for rank in range(peers.ranks) if rank != SERVER]
    state = ServerState(first, given.plan.steps, given.rule, given.bound, dict.fromkeys(workers, 0))
    told = 0
    while state.clocks:
        for rank in _ready(peers, state):
            _turn(peers, state, rank)
        if state.store.version >= told + TELL_EVERY:
            told = state.store.version
            peers.tell(told)
    if not state.done:
        raise GoneError(
            f"all workers have gone after {state.store.version} of {state.updates} updates: ranks "
            f"{state.lost}. At least one was expected to stay. See what ended them."
        )
    return state.served()


def _first(plan: Plan) -> Array:
    weights: Array = network.flatten(parallel.first_network(plan))
    return weights


def _ready(peers: Peers, state: ServerState) -> list[int]:
    """Wait until workers say something, or have gone; return who."""
    lines = {peers.line(rank): rank for rank in state.clocks}
    ready = select.select(list(lines), [], [], peers.limit_s)[0]
    if not ready:
        raise PeerError(
            f"no worker has said anything for {peers.limit_s:g} s. A push was expected. See what "
            "holds them up."
        )
    return [lines[line] for line in ready]


def _turn(peers: Peers, state: ServerState, rank: int) -> None:
    """Take what a worker says, then answer all who may go."""
    with _forgetting(state, rank):
        _hear(peers, state, rank)
    for other in state.going():
        with _forgetting(state, other):
            _answer(peers, state, other)


def _hear(peers: Peers, state: ServerState, rank: int) -> None:
    """Take what a worker says: that it is here, or a gradient."""
    pulled = np.empty(1, np.int64)
    peers.receive(rank, pulled)
    if pulled[0] == HELLO:
        state.waiting.add(rank)
        return
    gradient = np.empty(state.store.weights.size, np.float32)
    peers.receive(rank, gradient)
    state.take(rank, gradient, time.monotonic())


def _answer(peers: Peers, state: ServerState, rank: int) -> None:
    """Give a worker the weights, or tell it that the work is done."""
    if state.done:
        peers.send(rank, np.array([STOP]))
        state.forget(rank, lost=False)
        return
    weights, version = state.give(rank, time.monotonic())
    peers.send(rank, np.array([version]))
    peers.send(rank, weights.astype(np.float32))


@contextlib.contextmanager
def _forgetting(state: ServerState, rank: int) -> Iterator[None]:
    """Forget a worker that turns out to have gone."""
    try:
        yield
    except GoneError:
        if rank in state.clocks:
            state.forget(rank)


@dataclass(frozen=True)
class Ended:
    """How a training with a parameter server ended.

    Attributes:
        served: What the server saw; None if it did not finish.
        outcomes: How each rank ended, the server's first.
        killed_at: The update of which the server had told when a rank was killed; None: none was.
    """

    served: Served | None
    outcomes: tuple[Outcome, ...]
    killed_at: int | None

    @property
    def finished(self) -> list[int]:
        """The ranks that ended by themselves with their work done."""
        return [each.rank for each in self.outcomes if each.exit_code == 0]


def train(given: Work, workers: int, *, limit_s: float = 60.0) -> Served:
    """Train with so many workers in processes of their own; return what the server saw.

    Args:
        given: The training.
        workers: How many, 1 or more.
        limit_s: Seconds after which all are killed.

    Raises:
        GroupError: A rank failed or took too long.
    """
    ended = begin(given, workers, limit_s=limit_s)
    failed = next((each for each in ended.outcomes if each.exit_code), None)
    if ended.served is None or failed is not None:
        raise GroupError(f"rank {failed and failed.rank} failed: {failed and failed.error}")
    return ended.served


def begin(
    given: Work, workers: int, *, kill: int | None = None, at: int = 0, limit_s: float = 60.0
) -> Ended:
    """Train with so many workers, and kill one rank on the way if asked; wait for all ends.

    Args:
        given: The training.
        workers: How many, 1 or more.
        kill: The rank that gets SIGKILL, 0 for the server; None: nobody.
        at: The update from which on it is killed.
        limit_s: Seconds after which all are killed.
    """
    struck: int | None = None
    outcomes: list[Outcome] = []
    with Group(workers + 1, program, given, limit_s=limit_s) as group:
        for event in group.events():
            if isinstance(event, Outcome):
                outcomes.append(event)
            elif kill is not None and struck is None and event.value >= at:
                group.kill(kill)
                struck = event.value
    outcomes.sort(key=lambda each: each.rank)
    return Ended(outcomes[SERVER].value, tuple(outcomes), struck)
