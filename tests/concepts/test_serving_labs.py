"""What the first two labs of module 07 lend and judge by: limits, rules, swaps, rotations."""

from __future__ import annotations

import itertools
import socket
import tempfile
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datahall.serving import admission, custody, policy, racing, rotation, turnstile
from datahall.serving.checks import key_for, load, rotate
from datahall.serving.custody import CARD, MODEL, Sealer

pytestmark = pytest.mark.processes


def serves(trace: list[int], rate: int, burst: int) -> bool:
    """Tell whether a bucket refuses nothing, second by second, in sixtieths of a token."""
    tokens, asked = 60 * burst, dict.fromkeys(trace, 0)
    for at in trace:
        asked[at] += 1
    for second in range(trace[0], trace[-1] + 1):
        tokens -= 60 * asked.get(second, 0)
        if tokens < 0:
            return False
        tokens = min(60 * burst, tokens + rate)
    return True


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=8).map(sorted),
    st.integers(1, 5),
    st.integers(1, 12),
)
def test_the_limit_is_the_first_pair_that_serves_and_holds(trace, per_second, days):
    per_day = 1440 * days + 3
    pairs = itertools.product(range(1, days + 1), range(1, per_second + 1))
    good = (
        (rate, burst)
        for rate, burst in pairs
        if serves(trace, rate, burst)
        and 60 * burst + rate <= 60 * per_second
        and burst + 1440 * rate <= per_day
    )
    assert admission.limit([trace], per_second, per_day) == next(good, None)


def test_a_key_is_found_by_its_name_only(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ada.pem").write_bytes(b"key")
    (tmp_path / "spy.pem").write_bytes(b"spy")
    found = [admission.key_for(kid, tmp_path / "keys") for kid in ("ada", "../spy", "./ada", "\0")]
    assert found == [b"key", None, None, None]


def test_a_rule_that_denies_outweighs_and_the_decisive_one_is_named():
    rules = [{"effect": "allow"}, {"effect": "deny", "hours": (22, 6)}, {"effect": "deny"}]
    request = {"who": "ada", "action": "infer", "model": "m", "hour": 23}
    assert policy.permits(rules, request) == (False, 1)
    assert policy.permits(rules, request | {"hour": 6}) == (False, 2)
    assert policy.permits(rules[:2], request | {"hour": 6}) == (True, 0)


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Path, Sealer]:
    """A folder with a signed model, and who has signed it."""
    sealer = Sealer()
    sealer.write(tmp_path, b"a network" * 99, version=3)
    return tmp_path, sealer


def opens_again(folder: Path, trust: custody.Seal) -> bytes:
    custody.load(folder, trust)
    return (folder / MODEL).read_bytes()


def test_a_swap_between_two_reads_is_met_in_every_order(sealed):
    folder, sealer = sealed
    once = racing.outcomes(custody.load, folder, sealer.trust())
    assert once == {"signed": 8, "refused": 8}
    assert racing.outcomes(opens_again, folder, sealer.trust())["foreign"] == 4
    assert custody.load(folder, sealer.trust()) == b"a network" * 99, "all is as it was"


def test_a_file_that_is_open_is_swapped_too(sealed):
    folder, sealer = sealed

    def reads_twice(folder, trust):
        with (folder / MODEL).open("rb") as file:
            judged = file.read()
            file.seek(0)
            custody.load(folder, trust)
            assert judged is not None
            return file.read()

    assert racing.outcomes(reads_twice, folder, sealer.trust())["foreign"]


def test_a_swapped_card_is_judged_by_nobody_who_reads_it_once(sealed):
    folder, sealer = sealed
    foreign = sealer.card(b"another" * 99, 3)
    (folder / MODEL).write_bytes(b"another" * 99)
    found = racing.card_outcomes(custody.load, folder, sealer.trust(), foreign)
    assert found == {"refused": 16}
    assert (folder / CARD).read_bytes() != foreign


def test_the_office_counts_what_a_wrong_order_loses():
    office = rotation.Office()
    rotation.rotate(office, office.gateways, office.wait)
    assert office.lost == [] and office.kid == "key-2"
    hasty = rotation.Office()
    hasty.use(hasty.make())
    hasty.wait(1)
    assert {kid for _, _, kid in hasty.lost} == {"key-2"}


def test_real_gateways_refuse_a_key_too_early_and_lose_nothing_in_a_right_rotation():
    with turnstile.opened() as hall:
        rotation.rotate(hall.mint, hall.gateways, hall.clock.wait)
        assert hall.lost == 0 and all(gateway.answered for gateway in hall.gateways)
        hall.mint.use(hall.mint.make())
        hall.clock.wait(4)
        ports = [gateway.port for gateway in hall.gateways]
    assert hall.lost > 0, "nobody knows the third key"
    for port in ports:
        with socket.socket() as closed:
            assert closed.connect_ex(("127.0.0.1", port)) != 0


def test_the_checks_leave_no_file_no_port_and_no_process(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    for check in (load, key_for, rotate):  # the course's own fork servers may start, and stay
        check.judge(check.bank.right[0])
    before = {each.pid for each in psutil.Process().children(recursive=True)}
    for check in (load, key_for, rotate):
        assert check.judge(check.bank.right[0]).state == "passed"
        assert check.judge(check.bank.wrong[0].answer).state == "wrong"
    assert list(tmp_path.iterdir()) == []
    assert {each.pid for each in psutil.Process().children(recursive=True)} <= before
