"""Kill the mutants: for each defence the service without it, and an attack that shows the harm.

`matrix` tries every attack on every service: the intact one, and a mutant for each defence. A
defence is proven to be needed by a cell: its attack breaks the service that lacks it, and not the
intact one. Honest requests are the control; all services answer them, before and after.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from datahall.serving import authority as authorities
from datahall.serving import course_model, model_attacks, repository
from datahall.serving.app_attacks import APP, DRAFT
from datahall.serving.attacks import LIMITS, Attack, Attempt, honest, succeeds
from datahall.serving.defences import Defence, Defences
from datahall.serving.gateway_attacks import GATEWAY
from datahall.serving.gateway_plan import Limits
from datahall.serving.model_attacks import MODEL, Bench, honest_load
from datahall.serving.nest import Nest
from datahall.serving.report import Tried
from datahall.serving.target import Target
from datahall.serving.variants import variants

ALL: tuple[Attack, ...] = GATEWAY + APP + MODEL
INTACT = "intact"
AT_ONCE = 12  # services that are attacked at the same time


def mutants() -> dict[str, Defences]:
    """Return the intact service, and for each defence the one without it.

    Example:
        >>> found = mutants()
        >>> len(found) == 1 + len(Defence), Defence.TLS in found["tls"]
        (True, False)
    """
    every = Defences.all()
    return {INTACT: every} | {one.value: every.without(one) for one in Defence}


@contextlib.contextmanager
def started(
    services: Mapping[str, Defences], *, limits: Limits = LIMITS
) -> Iterator[dict[str, tuple[Target, Bench]]]:
    """Start services with these defences, each with a bench for attacks on its model's files.

    Args:
        services: By name, what is on.
        limits: How much a caller may ask; the attacks on rates and budgets need small ones.

    Yields:
        By name, where it is and how it loads. Once the block ends, nothing is left.
    """
    with contextlib.closing(Nest()) as nest:
        tflite, _ = course_model.tflite()
        own = authorities.create(nest.folder / "authority")
        models = nest.folder / "models"
        for name in (DRAFT, repository.MODEL_NAME):
            repository.publish(tflite, models, name, 1, own)
        bench = Bench.at(nest.folder / "bench", tflite)
        with variants(models, services, limits=limits, authority=own) as targets:
            yield {
                name: (target, bench.lacking(*(set(Defence) - services[name].on)))
                for name, target in targets.items()
            }


@dataclass(frozen=True)
class Matrix:
    """What each attack did to each service.

    Attributes:
        attacks: Their names, those of the defences they are made for.
        services: Their names.
        cells: By attack and service, what came of it.
        honest: By service, whether honest requests were answered before and after.
        intact: Name of the service that lacks nothing.
    """

    attacks: tuple[str, ...]
    services: tuple[str, ...]
    cells: Mapping[tuple[str, str], Attempt]
    honest: Mapping[str, bool]
    intact: str = INTACT

    def broken(self, attack: str, service: str) -> bool:
        """Tell whether an attack has broken a service.

        Args:
            attack: Its name.
            service: Its name.
        """
        return self.cells[attack, service].succeeded

    def own(self, attack: str) -> str:
        """Return the service that an attack is made for: the mutant of its name.

        Args:
            attack: Its name.
        """
        return attack

    def proven(self) -> list[str]:
        """Return the defences that are proven: their mutant is broken, the intact service not."""
        return [
            each
            for each in self.attacks
            if self.broken(each, each) and not self.broken(each, self.intact)
        ]


def matrix(attacks: Sequence[Attack] = ALL, services: Mapping[str, Defences] | None = None,
           ) -> Matrix:  # fmt: skip
    """Try attacks on services; without others, all on the intact one and on every mutant.

    Args:
        attacks: The attacks.
        services: By name, what is on.
    """
    chosen = mutants() if services is None else dict(services)
    with started(chosen) as places, ThreadPoolExecutor(AT_ONCE) as pool:
        loads = _Loads(places)
        columns = dict(
            zip(places, pool.map(lambda each: _column(attacks, *each), places.values()),
                strict=True)
        )  # fmt: skip
        cells = {
            (attack.name, name): loads.attempt(attack, name)
            if attack.defence.place == "model"
            else columns[name][0][attack.name]
            for attack in attacks
            for name in places
        }
        kind = {name: columns[name][1] and loads.honest(name) for name in places}
    return Matrix(tuple(each.name for each in attacks), tuple(places), cells, kind)


def matrix_of(found: Matrix, services: Sequence[str]) -> Matrix:
    """Return a matrix with some of its columns.

    Args:
        found: The matrix.
        services: Names of the services that stay, in order.
    """
    cells = {(a, s): found.cells[a, s] for a in found.attacks for s in services}
    return replace(
        found,
        services=tuple(services),
        cells=cells,
        honest={name: found.honest[name] for name in services},
    )


def tried(found: Matrix) -> list[Tried]:
    """Return what the security report says of a matrix: a line for each defence, and the control.

    Args:
        found: The matrix.
    """
    proven, control = set(found.proven()), all(found.honest.values())
    lines = [
        Tried(
            f"attack on {name}",
            "breaks the service without it, not the intact one",
            f"intact: {found.cells[name, found.intact].evidence}",
            name in proven,
            Defence(name).place,
            Defence(name).labels,
        )
        for name in found.attacks
    ]
    words = "answered by every service" if control else "refused by some"
    return [*lines, Tried("honest requests", "answered by every service", words, control)]


def _column(
    attacks: Sequence[Attack], target: Target, bench: Bench
) -> tuple[dict[str, Attempt], bool]:
    """Attack one service over the network, honest requests before and after."""
    del bench
    fine = honest(target)
    found = {each.name: succeeds(each, target) for each in attacks if each.defence.place != "model"}
    return found, fine and honest(target)


class _Loads:
    """Attacks on files: services that load alike are tried once."""

    def __init__(self, places: Mapping[str, tuple[Target, Bench]]) -> None:
        self._benches = {name: bench for name, (_, bench) in places.items()}
        self._known: dict[Any, Any] = {}

    def _once(self, what: Any, name: str) -> Any:
        bench = self._benches[name]
        here = frozenset(each for each in bench.defences.on if each.place == "model")
        key = (what, here)
        if key not in self._known:
            attack = isinstance(what, Attack)
            self._known[key] = succeeds(what, bench) if attack else honest_load(bench)
        return self._known[key]

    def attempt(self, attack: Attack, name: str) -> Attempt:
        """Return what an attack did to how a service loads."""
        found: Attempt = self._once(attack, name)
        return found

    def honest(self, name: str) -> bool:
        """Return whether the honest network is loaded."""
        return bool(self._once(model_attacks.honest_load.__name__, name))
