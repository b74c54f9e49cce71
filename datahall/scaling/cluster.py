"""Who is who in a job of several processes: `TF_CONFIG`, the format that TensorFlow reads.

Read `Task` first (who am I?), then `Cluster` (who is there, and what each is told).
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from datahall.errors import ParameterError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, order=True)
class Task:
    """One process of a job.

    Attributes:
        role: `worker`, `chief` or `ps` (parameter server).
        index: Its number among those of its role, from 0.
        count: How many of its role there are.
    """

    role: str = "worker"
    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        return self.role if self.count == 1 else f"{self.role} {self.index}"


def me(environment: Mapping[str, str] | None = None) -> Task:
    """Return which process of its job this one is, as `TF_CONFIG` says; without it, the only one.

    Raises:
        ParameterError: `TF_CONFIG` cannot be read.

    Example:
        >>> me({})
        Task(role='worker', index=0, count=1)
        >>> text = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
        >>> str(me({"TF_CONFIG": text}))
        'worker 1'
    """
    text = (os.environ if environment is None else environment).get("TF_CONFIG", "")
    if not text:
        return Task()
    try:
        given = json.loads(text)
        role, index = given["task"]["type"], int(given["task"]["index"])
        return Task(role, index, len(given["cluster"][role]))
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(
            f"TF_CONFIG is {text[:120]!r}, which cannot be read ({error!r}). JSON with cluster and "
            "task was expected. Unset it, or let `datahall launch` set it."
        ) from error


@dataclass(frozen=True)
class Cluster:
    """The addresses of a job, by role.

    Attributes:
        addresses: For each role its addresses, "host:port".
    """

    addresses: Mapping[str, tuple[str, ...]]

    @classmethod
    def here(cls, roles: Mapping[str, int]) -> Cluster:
        """Return a cluster on the loopback address, one free port for each process.

        Example:
            >>> cluster = Cluster.here({"worker": 2})
            >>> [address.split(":")[0] for address in cluster.addresses["worker"]]
            ['127.0.0.1', '127.0.0.1']
        """
        ports = iter(free_ports(sum(roles.values())))
        return cls({r: tuple(f"{LOOPBACK}:{next(ports)}" for _ in range(roles[r])) for r in roles})

    @classmethod
    def of(cls, hosts: Sequence[str]) -> Cluster:
        """Return a cluster of workers on given hosts.

        Raises:
            ParameterError: A host is not of the form "host:port", or stands there twice.

        Example:
            >>> Cluster.of(["rack1:2222", "rack2:2222"]).tasks()
            [Task(role='worker', index=0, count=2), Task(role='worker', index=1, count=2)]
        """
        for host in hosts:
            name, _, port = host.rpartition(":")
            if not name or not port.isdigit() or not 0 < int(port) < 65536:
                raise ParameterError(
                    f"host {host!r} has no port from 1 to 65535. host:port was expected. "
                    "Write for example rack1:2222,rack2:2222."
                )
        if len(set(hosts)) != len(hosts):
            raise ParameterError(
                f"hosts are {', '.join(hosts)}: one stands there twice. One address a worker was "
                "expected. Give two workers of one host two ports."
            )
        return cls({"worker": tuple(hosts)})

    def tasks(self) -> list[Task]:
        """Return every process of the job."""
        return [
            Task(role, index, len(all_of))
            for role, all_of in self.addresses.items()
            for index in range(len(all_of))
        ]

    def config(self, task: Task) -> str:
        """Return the `TF_CONFIG` of one process.

        Example:
            >>> Cluster.of(["a:1"]).config(Task())
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'
        """
        cluster = {role: list(all_of) for role, all_of in self.addresses.items()}
        return json.dumps({"cluster": cluster, "task": {"type": task.role, "index": task.index}})


def devices_of(rank: int, ranks: int, gpus: Sequence[str]) -> tuple[str, ...] | None:
    """Return the GPUs that one of several processes of a machine may use: an equal part of them.

    Args:
        rank: Its number among the processes of this machine.
        ranks: How many they are.
        gpus: The machine's GPUs, as `CUDA_VISIBLE_DEVICES` names them.

    Returns:
        What to put into `CUDA_VISIBLE_DEVICES`; None where there are fewer GPUs than processes.

    Example:
        >>> devices_of(1, 2, ["0", "1", "2", "3"])
        ('2', '3')
    """
    each = len(gpus) // ranks
    return tuple(gpus[rank * each : (rank + 1) * each]) or None


def gpus_here(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the GPUs of NVIDIA that this process may use, as `CUDA_VISIBLE_DEVICES` names them.

    Example:
        >>> gpus_here({"CUDA_VISIBLE_DEVICES": "2,3"})
        ['2', '3']
    """
    given = (os.environ if environment is None else environment).get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    found = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return sorted(found, key=int)


def free_ports(count: int) -> list[int]:
    """Return so many ports of the loopback address that nobody uses now.

    All are held until the last is found, so none comes twice. A program that starts in the same
    instant may still take one: whoever starts a job starts it again then, with new ones.
    """
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            held = stack.enter_context(socket.socket())
            held.bind((LOOPBACK, 0))
            found.append(held.getsockname()[1])
        return found
