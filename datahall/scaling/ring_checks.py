"""The checks of module 05's first lab: averages, rivals, the ring on real processes, batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from datahall.checking import Check, Example, Property, Search, Trap
from datahall.scaling import allreduce, parallel, proofs, ring_bank

_NAN = np.array([np.nan, np.nan])
_A, _B = np.array([4.0, -1]), np.array([0.0, 3])
_B200 = (4 * 2**30, 4, 8, 50e9)


def _merged(gradients: list[Any], examples: list[int]) -> Any:
    weighed = [n * g for g, n in zip(gradients, examples, strict=True) if n]
    return np.sum(weighed, axis=0) / sum(examples)


def _shares(counts: list[int]) -> Any:
    whole = st.lists(st.integers(-9, 9), min_size=2, max_size=2).map(lambda n: np.array(n, float))
    return st.tuples(
        st.tuples(*[whole if count else st.just(_NAN) for count in counts]).map(list),
        st.just(counts),
    )


merge = Check(
    "05.1",
    reference=_merged,
    bank=ring_bank.MERGE,
    steps=[
        Example(([_A, _B], [1, 1]), idea="Two images: the mean of two gradients."),
        Example(([_A, _B], [3, 1]), idea="Four images, of which three have the first gradient."),
        Trap("a device without images", ([_A, _B, _NAN], [5, 3, 0]), idea="Eight images, two "
             "devices that count."),
        Trap("a matrix", ([np.array([[1.0, 2], [3, 4]]), np.zeros((2, 2))], [1, 1]), idea="2 × 2."),
        Trap("one number", ([np.array(2.0), np.array(5.0)], [2, 1]), idea="Without axes too."),
        Search(
            st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(sum).flatmap(_shares),
            idea="Turn each mean into a sum, add up, divide once.",
        ),
    ],
)  # fmt: skip


def _standing(payload: float, nodes: int, per_node: int, link: float, measured: float) -> Any:
    devices, cards = nodes * per_node, per_node * link
    said = {
        "one card": payload / link,
        "flat ring": allreduce.ring_bytes(payload, devices) / cards,
        "hierarchical": allreduce.ring_bytes(payload, nodes) / cards,
    }
    return {name: least for name, least in said.items() if least <= measured <= 1.5 * least}


rivals = Check(
    "05.2",
    reference=_standing,
    bank=ring_bank.RIVALS,
    steps=[
        Example((1e9, 2, 1, 1e9, 1.2), idea="Two machines, one device each: all say one second."),
        Example((*_B200, 22.05e-3), idea="85.9, 20.8 and 16.1 ms."),
        Trap("just 1.5 times", (1e9, 2, 1, 1e9, 1.5), idea="More than 1.5 times is too slow."),
        Trap("just the least", (1e9, 2, 1, 1e9, 1.0), idea="Faster than the model is out."),
        Trap("faster than a ring of all", (*_B200, 18e-3), idea="20.8 ms is more than 18 ms."),
        Trap("as slow as one card", (*_B200, 0.1), idea="Only 85.9 ms is near."),
        Search(
            st.tuples(
                st.sampled_from([1e6, 1e9, 4.0 * 2**30]), st.integers(2, 64), st.integers(1, 16),
                st.sampled_from([1e9, 50e9]), st.floats(0.3, 9),
            ).map(lambda n: (*n[:4], n[4] * n[0] / (n[2] * n[3]))),
            idea="Work out the three times by hand, then compare both ways.",
        ),
    ],
)  # fmt: skip


ring_step = Check(
    "05.3",
    reference=lambda rank, ranks, step, phase: allreduce.ring_step(rank, ranks, step, phase),
    ours=[allreduce.ring_step],
    bank=ring_bank.RING_STEP,
    seconds=8,
    steps=[
        Example((0, 2, 0, "reduce"), idea="Rank 0 sends its piece, rank 1 the other."),
        Example((0, 3, 1, "reduce"), idea="Send on what came in step 0."),
        Example((0, 3, 0, "gather"), idea="Which piece is whole on rank 0 after reducing?"),
        Trap("the last rank", (3, 4, 2, "gather"), idea="Numbers go round: 0 follows 3."),
        Search(
            st.integers(2, 8).flatmap(
                lambda n: st.tuples(
                    st.integers(0, n - 1), st.just(n), st.integers(0, n - 2),
                    st.sampled_from(["reduce", "gather"]),
                )
            ),
            idea="Draw the ring of so many ranks, and follow one piece.",
        ),
        Property(
            "sums on real processes", proofs.sums_on_processes, idea="Follow one piece.",
            steady=False,
        ),
    ],
)  # fmt: skip

critical_batch = Check(
    "05.4",
    reference=parallel.critical_batch,
    bank=ring_bank.CRITICAL_BATCH,
    steps=[
        Example(((100, 400), (500, 200)), idea="S_min is 100: 500 = 100 · (1 + 400 / 100)."),
        Example(((50, 100), (300, 200)), idea="S_min is 100, and 10,000 / b comes on top."),
        Trap("the larger batch first", ((400, 100), (200, 500)), idea="The order does not matter."),
        Trap("a fraction", ((32, 1024), (907.0, 113.0)), idea="Two equations, two unknowns."),
        Search(
            st.tuples(
                st.integers(1, 60), st.integers(1, 60), st.integers(5, 90), st.integers(5, 90)
            )
            .filter(lambda n: n[0] != n[1])
            .map(lambda n: (n[:2], (n[2] + n[3] / n[0], n[2] + n[3] / n[1]))),
            idea="Draw steps against 1 / b, and the line through both points.",
        ),
    ],
)
