"""Each defence is needed: an attack breaks the service without it, and not the intact one."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from datahall.serving import mutants
from datahall.serving.attacks import Attack, Attempt, honest, succeeds
from datahall.serving.defences import LEVELS, Defence
from datahall.serving.model_attacks import Bench, honest_load
from datahall.serving.spoken import SilenceError
from datahall.serving.target import Target

pytestmark = pytest.mark.processes

Services = dict[str, tuple[Target, Bench]]


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    levels = {name: LEVELS[name] for name in ("open", "half")}
    with mutants.started(mutants.mutants() | levels) as found:
        yield found


def tried(attack: Attack, services: Services, name: str) -> Attempt:
    target, bench = services[name]
    return succeeds(attack, bench if attack.defence.place == "model" else target)


def test_there_is_an_attack_for_each_defence() -> None:
    assert {attack.defence for attack in mutants.ALL} == set(Defence)
    assert all(attack.tells and attack.labels for attack in mutants.ALL)


@pytest.mark.parametrize("attack", mutants.ALL, ids=lambda attack: attack.name)
def test_an_attack_breaks_its_mutant_and_not_the_intact_service(
    attack: Attack, services: Services
) -> None:
    own = tried(attack, services, attack.name)
    intact = tried(attack, services, mutants.INTACT)
    assert own.succeeded, own.evidence
    assert not intact.succeeded, intact.evidence
    assert tried(attack, services, "open").succeeded


def test_honest_requests_are_answered_by_every_service(services: Services) -> None:
    assert [name for name, (target, _) in services.items() if not honest(target)] == []
    assert [name for name in (mutants.INTACT, "open", "half", "signature", "model_pin")
            if not honest_load(services[name][1])] == []  # fmt: skip


def test_the_half_applied_level_stops_some_attacks_and_not_others(services: Services) -> None:
    quick = [each for each in mutants.ALL if each.defence is not Defence.SLOW_CLIENT_LIMIT]
    won = {each.name for each in quick if tried(each, services, "half").succeeded}
    assert {"one_algorithm", "scope", "size_adds_up", "signature"} <= won
    assert not {"token_signature", "expiry", "value_range", "log_escaping"} & won


def test_a_crash_or_silence_is_no_success(services: Services) -> None:
    def crash(_: Target) -> Attempt:
        raise SilenceError("nothing")

    target, _ = services[mutants.INTACT]
    assert not succeeds(Attack(Defence.TLS, "Crash it.", crash), target).succeeded
    gone = replace(target, address="https://127.0.0.1:1")
    for attack in mutants.ALL:
        if attack.defence.place != "model" and attack.name != "log_chain":
            assert not succeeds(attack, gone).succeeded


def test_whoever_is_killed_while_he_attacks_leaves_nothing() -> None:
    code = """
import sys
from datahall.serving import mutants
from datahall.serving.defences import Defences
with mutants.started({"one": Defences.all()}) as found:
    target, bench = found["one"]
    print(bench.folder.parent, target.audit[0].parent.parent, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        folders = [Path(name) for name in child.stdout.readline().split()]
        assert len(folders) == 2
        assert all(folder.is_dir() for folder in folders)
        child.kill()
    deadline = time.monotonic() + 60
    while any(folder.exists() for folder in folders) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [folder for folder in folders if folder.exists()]


@pytest.mark.slow
def test_the_whole_matrix_proves_every_defence() -> None:
    found = mutants.matrix()
    assert found.proven() == [each.name for each in mutants.ALL]
    assert all(found.honest.values())
    beside = {
        (attack, service)
        for attack in found.attacks
        for service in found.services
        if found.broken(attack, service) and service != attack
    }
    # A log that was pasted into has no chain that holds; without a signature no file is extra.
    assert beside <= {("log_chain", "log_escaping"), ("exact_files", "signature")}
