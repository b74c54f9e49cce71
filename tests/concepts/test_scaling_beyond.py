"""Beyond one machine: bytes of servers and rings, GPUs shared out, and the pictures."""

import numpy as np
import pytest

from datahall.errors import ParameterError
from datahall.scaling import allreduce, beyond, beyond_figures, group
from datahall.scaling.cluster import devices_of, gpus_here


def ring(peers, size):
    """Reduce in a ring; return what this rank has sent."""
    allreduce.ring(peers, np.ones(size, np.float32))
    return peers.sent_bytes


def serve(peers, size):
    """Serve as rank 0, or send a gradient to it and wait for weights; return what was sent."""
    values = np.ones(size, np.float32)
    for other in range(1, peers.ranks):
        if peers.rank == 0:
            peers.receive(other, values)
        elif peers.rank == other:
            peers.send(0, values)
    for other in range(1, peers.ranks):
        if peers.rank == 0:
            peers.send(other, values)
        elif peers.rank == other:
            peers.receive(0, values)
    return peers.sent_bytes


@pytest.mark.processes
@pytest.mark.parametrize("workers", [2, 3])
def test_the_bytes_are_those_that_real_processes_send(workers):
    size = 6_000
    assert group.run(workers, ring, size) == [beyond.sent_bytes(4 * size, workers)] * workers
    assert max(group.run(workers + 1, serve, size)) == beyond.sent_bytes(4 * size, workers, 1)


def test_a_ring_never_sends_twice_the_gradients_and_a_server_sends_more_with_every_worker():
    for workers in range(1, 600):
        assert beyond.sent_bytes(1, workers) < 2
        assert beyond.sent_bytes(1, workers, 1) == workers
        assert beyond.sent_bytes(1, workers, workers) == 1
    assert (
        beyond.sent_bytes(1, 512, 256) > beyond.sent_bytes(1, 512) > beyond.sent_bytes(1, 512, 257)
    )


@pytest.mark.parametrize(("workers", "servers"), [(0, 0), (2, -1)])
def test_no_worker_is_refused(workers, servers):
    with pytest.raises(ParameterError, match=f"workers is {workers}, servers is {servers}"):
        beyond.sent_bytes(1, workers, servers)


def test_no_gpu_is_given_twice_and_all_have_equally_many():
    for count in range(9):
        for ranks in range(1, 9):
            parts = [
                devices_of(rank, ranks, [str(n) for n in range(count)]) for rank in range(ranks)
            ]
            if count < ranks:
                assert parts == [None] * ranks
                continue
            given = [gpu for part in parts for gpu in part]
            assert len(given) == len(set(given)) == count // ranks * ranks
            assert len({len(part) for part in parts}) == 1


def test_gpus_are_those_that_the_process_may_see():
    assert gpus_here({"CUDA_VISIBLE_DEVICES": "3, GPU-8a1b"}) == ["3", "GPU-8a1b"]
    assert (
        gpus_here({"CUDA_VISIBLE_DEVICES": ""}) == gpus_here({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    )
    assert all(name.isdigit() for name in gpus_here({}))


def test_the_picture_of_bytes_draws_what_is_computed():
    fig = beyond_figures.busiest([2, 8, 512])
    lines = {line.get_label(): list(line.get_ydata()) for line in fig.axes[0].get_lines()}
    assert lines["1 server"] == [2, 8, 512]
    assert lines["8 servers"] == [1, 1, 64]
    assert lines["ring"] == pytest.approx([1, 1.75, 2 * 511 / 512])


def test_the_picture_of_backends_names_every_process():
    words = {
        text.get_text() for axis in beyond_figures.who_starts_whom().axes for text in axis.texts
    }
    assert words >= {"launcher", "raylet", "driver", "controller", "worker", "all-reduce"}
