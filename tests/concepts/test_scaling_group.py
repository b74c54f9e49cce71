"""Groups of real processes: what they return, how they fail, and that nothing is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from datahall.errors import ParameterError, ShapeError
from datahall.scaling import group, peers

from .ranks import circle

pytestmark = pytest.mark.processes


def alive(pids: list[int]) -> list[int]:
    """Return the processes that have not ended, after a moment's patience."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        left = [pid for pid in pids if psutil.pid_exists(pid) and _state(pid) != "zombie"]
        if not left:
            return []
        time.sleep(0.02)
    return left


def _state(pid: int) -> str:
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return "zombie"


@pytest.mark.parametrize("size", [0, 1, 1000, 3 * 2**20])
def test_messages_arrive_and_the_kernel_counts_what_we_count(size: int):
    for rank, (total, sent, wire, kernel) in enumerate(group.run(3, circle, size)):
        assert total == size * ((rank - 1) % 3)
        assert sent == 4 * size
        assert wire == sent + 8 * 3 == kernel  # one array, two signals of the barrier


def test_a_function_of_a_notebook_travels_by_its_text():
    room = {"__name__": "__main__"}
    exec("def double(here, x):\n    return here.rank * x", room)  # noqa: S102
    assert group.run(2, room["double"], 21) == [0, 21]


def test_a_large_argument_and_a_large_result_arrive_whole():
    array = np.arange(3_000_000.0)
    for back in group.run(2, lambda here, a: a, array):
        np.testing.assert_array_equal(back, array)


def test_the_first_error_is_named_not_its_consequences():
    def fails(here: peers.Peers) -> None:
        if here.rank == 2:
            raise ValueError("no gradient")
        here.receive(2, np.empty(4))

    with pytest.raises(
        group.GroupError, match=r"rank 2 of 3 failed, .*: ValueError: no gradient\."
    ):
        group.run(3, fails)


def test_messages_of_another_length_are_refused():
    def short(here: peers.Peers) -> None:
        if here.rank == 0:
            here.send(1, np.zeros(3))
        else:
            here.receive(0, np.zeros(4))
        here.barrier()

    with pytest.raises(group.GroupError, match=r"rank 0 sent 24 bytes .* 32 bytes were expected"):
        group.run(2, short)


def test_who_is_not_there_cannot_be_written_to():
    with pytest.raises(group.GroupError, match=r"no connection to rank 2\. One of \[1\]"):
        group.run(2, lambda here: here.rank or here.send(2, np.zeros(1)))
    with pytest.raises(ShapeError, match="not contiguous"):
        peers._bytes_of(np.zeros((4, 4))[:, 1])


def test_all_that_hang_are_ended_at_the_limit():
    def hangs(here: peers.Peers) -> None:
        print("so far", flush=True)
        while here.rank:
            pass

    with group.Group(3, hangs, limit_s=0.6) as running:
        outcomes = running.wait()
        pids = list(running.pids.values())
    assert [one.exit_code for one in outcomes] == [0, -9, -9]
    assert "still running after 0.6 s" in outcomes[1].error
    assert outcomes[2].words == "so far"
    assert alive(pids) == []


def test_a_rank_can_be_killed_and_the_others_learn_of_it():
    def waits(here: peers.Peers) -> None:
        here.tell("ready")
        here.receive(1 - here.rank, np.empty(1))

    with group.Group(2, waits) as running:
        for event in running.events():
            if isinstance(event, group.Told) and event.rank == 1:
                running.kill(1)
        survivor, killed = running.wait()
    assert killed.exit_code == -9 and killed.error == "killed by signal 9"
    assert survivor.error.startswith("GoneError: rank 1 has gone")


def test_nothing_is_left_when_the_block_is_left_by_an_error():
    with pytest.raises(KeyboardInterrupt), group.Group(2, lambda _: time.sleep(60)) as running:
        raise KeyboardInterrupt
    assert alive(list(running.pids.values())) == []


@pytest.mark.parametrize("victim", ["owner", "starter"])
def test_nothing_is_left_when_a_process_above_is_killed(victim: str):
    text = (
        "import time; from datahall.scaling import group\n"
        "with group.Group(2, lambda here: time.sleep(60)) as g:\n"
        "    print(g._starter.pid, *g.pids.values(), flush=True)\n"
        "    g.wait()\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.DEVNULL)  # fmt: skip
    with owner:
        assert owner.stdout is not None
        starter, *ranks = map(int, owner.stdout.readline().split())
        os.kill(owner.pid if victim == "owner" else starter, signal.SIGKILL)
        assert alive([starter, *ranks]) == []
    assert owner.returncode == (-9 if victim == "owner" else 1)


def test_what_a_rank_starts_is_ended_with_it():
    def starts(here: peers.Peers) -> int:
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid

    assert alive(group.run(1, starts)) == []


def test_a_stranger_is_not_taken_for_a_rank():
    listening = peers.listener()
    ports = [0, listening.getsockname()[1]]
    with socket.create_connection(("127.0.0.1", ports[1])) as stranger:
        stranger.sendall(b"x" * 20)
        with pytest.raises(peers.PeerError, match=r"rank 0 is not connected with \[1\]"):
            peers.connect(0, listening, ports, b"0" * 16, limit_s=0.3)


def test_numbers_that_cannot_be_are_refused():
    with pytest.raises(ParameterError, match=r"ranks is 0\. A whole number from 1 to 64"):
        group.run(0, circle, 1)
    with pytest.raises(ParameterError, match=r"limit_s is 0\. .* above 0"):
        group.run(1, circle, 1, limit_s=0)
