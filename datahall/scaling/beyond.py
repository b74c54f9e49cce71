"""What a training needs to run beyond one machine, and what crosses the wire in three designs.

`sent_bytes` counts what the busiest machine sends with parameter servers, and with none: a ring.
Who starts the processes is the matter of `launcher` and `on_ray`.
"""

from __future__ import annotations

from datahall.errors import ParameterError
from datahall.scaling import allreduce


def sent_bytes(size_bytes: float, workers: int, servers: int = 0) -> float:
    """Return what the busiest machine sends in one step of data parallel training.

    With parameter servers, each holds an equal part of the weights on a machine of its own: it
    receives that part's gradient from every worker, and sends the part to every worker. Without,
    workers reduce in a ring.

    Args:
        size_bytes: Of all gradients, S; the weights are as many.
        workers: How many, n.
        servers: How many parameter servers, p; 0: none, a ring.

    Returns:
        Bytes: max(n S / p, S) with servers, 2 (n − 1) / n · S in a ring.

    Raises:
        ParameterError: No worker, or fewer than no server.

    Example:
        >>> sent_bytes(100, 8, servers=1)
        800.0
        >>> sent_bytes(100, 8)
        175.0

    Source:
        Derived here; the ring's is Patarasuk and Yuan (2009).
    """
    if workers < 1 or servers < 0:
        raise ParameterError(
            f"workers is {workers}, servers is {servers}. At least 1 worker and 0 servers were "
            "expected. Give larger numbers."
        )
    if servers:
        return max(workers * size_bytes / servers, float(size_bytes))
    return allreduce.ring_bytes(size_bytes, workers)
