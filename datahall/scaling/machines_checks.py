"""The checks of module 05's lab on several machines: stragglers, losses, schedules, kills."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from datahall.checking import Check, Example, Property, Search, Trap
from datahall.scaling import machines_bank, machines_proofs, pipeline, recovery, safekeeping, traces


def _times(computed: Any, zeros: Any = 0, reduce: Any = 1) -> Any:
    """Return the traces of ranks that compute so long in each step, by clocks with such zeros."""
    computed = np.array(computed)
    ends = (computed.max(axis=0) + reduce).cumsum()
    begins = np.concatenate([[0], ends[:-1]]) + np.zeros_like(computed)
    found = np.stack([begins, begins + computed, ends + np.zeros_like(computed)], axis=2)
    return found + np.reshape(zeros, (-1, 1, 1))


def _drawn(ranks: int, steps: int) -> Any:
    row = st.lists(st.integers(1, 6), min_size=steps, max_size=steps)
    zeros = st.lists(st.sampled_from([0, 7, 40, -300, 10**15]), min_size=ranks, max_size=ranks)
    more = st.tuples(st.integers(0, ranks - 1), st.integers(0, 4))
    return st.tuples(st.lists(row, min_size=ranks, max_size=ranks), zeros, more).map(
        lambda n: (_times(np.array(n[0]) + n[2][1] * (np.arange(ranks) == n[2][0])[:, None], n[1]),)
    )


straggler = Check(
    "05.5",
    reference=lambda times: traces.straggler(times),
    ours=[traces.straggler],
    bank=machines_bank.STRAGGLER,
    steps=[
        Example((_times([[2], [5]]),), idea="Rank 1 computes 5, rank 0 computes 2 and waits 3."),
        Example((_times([[4, 4, 4], [2, 2, 2], [3, 3, 3]]),), idea="Rank 0, by 1 in each step."),
        Trap("clocks with other zeros", (_times([[2, 2], [5, 5]], [900, 0]),),
             idea="Take differences of one clock only."),
        Trap("one pause", (_times([[2, 90, 2], [4, 4, 4]]),), idea="Rank 1 is last twice of three "
             "times; the mean step would be 2 · 2 / 3 shorter."),
        Trap("half of the steps", (_times([[9, 9, 1, 1], [3, 3, 3, 4]]),), idea="Half is not more "
             "than half."),
        Trap("nobody alone", (_times([[5, 5, 5], [5, 5, 5], [1, 1, 1]]),), idea="Two are slow."),
        Trap("each in turn", (_times([[9, 1, 1, 1], [1, 9, 1, 5], [1, 1, 9, 1]]),),
             idea="Rank 1 is last twice of four times."),
        Search(st.tuples(st.integers(2, 4), st.integers(1, 6)).flatmap(lambda n: _drawn(*n)),
               idea="Write down how long each rank computes in each step.", examples=150),
    ],
)  # fmt: skip

finish_s = Check(
    "05.6",
    reference=lambda *given: recovery.finish_s(*given),
    ours=[recovery.finish_s],
    bank=machines_bank.FINISH_S,
    steps=[
        Example((10, 4, 1, 2, []), idea="4 + 1, 4 + 1, 2."),
        Example((10, 4, 1, 2, [7]), idea="4 + 1, two lost, 2 to restart; 6 are left."),
        Trap("work that divides", (8, 4, 1, 2, []), idea="4 + 1, 4: no checkpoint at the end."),
        Trap("before the first checkpoint", (3, 5, 1, 1, [2]), idea="2, 1 to restart, 3."),
        Trap("during a write", (10, 4, 3, 0, [6]), idea="The checkpoint is not finished at 6."),
        Trap("at the end of a write", (10, 4, 1, 2, [5]), idea="It has just been finished."),
        Trap("at the very end", (3, 5, 1, 1, [3]), idea="The job has ended."),
        Trap("during a restart", (3, 5, 1, 4, [2, 4]), idea="It begins again at 4."),
        Trap("two at once", (3, 5, 1, 4, [2, 2]), idea="One restart, from 2 on."),
        Trap("after the end", (3, 5, 1, 4, [50]), idea="Nobody is there to be lost."),
        Search(
            st.tuples(
                st.integers(1, 30), st.integers(1, 12), st.integers(0, 4), st.integers(0, 6),
                st.lists(st.integers(0, 60), max_size=4).map(sorted),
            ),
            idea="Draw the time line up to the first loss, then from there on.", examples=200,
        ),
    ],
)  # fmt: skip

order = Check(
    "05.7",
    reference=lambda stage, stages, microbatches: pipeline.order(
        "1F1B", stage, stages, microbatches
    ),
    ours=[pipeline.order],
    bank=machines_bank.ORDER,
    seconds=8,
    steps=[
        Property("makes every pass once", machines_proofs.makes_every_pass_once,
                 idea="Every stage makes F and B of every microbatch."),
        Property("never waits for ever", machines_proofs.never_waits_for_ever,
                 idea="For each of these passes: what does it need, and who makes that?"),
        Property("takes the least time", machines_proofs.is_fast,
                 idea="Draw the grid, and look for the first stage that waits without need."),
        Property("keeps few microbatches", machines_proofs.keeps_little,
                 idea="A backward pass makes room: which is the first that can be made?"),
        Property("runs as real processes", machines_proofs.runs_on_processes,
                 idea="Draw the grid of three stages and four microbatches."),
    ],
)  # fmt: skip

_LINES = "What does the folder hold between each two lines of save?"

Checkpoint = Check(
    "05.8",
    reference=safekeeping.FolderCheckpoint,
    bank=machines_bank.CHECKPOINT,
    seconds=8,
    steps=[
        Property("gives back what was saved", machines_proofs.gives_back,
                 idea="Same names, types, shapes and values."),
        Property("begins with nothing", machines_proofs.begins_with_nothing, idea="No file yet."),
        Property("keeps the newest", machines_proofs.keeps_the_newest, idea="Load the newest."),
        Property("survives a kill of the first save", machines_proofs.survives_the_first,
                 idea=_LINES),
        Property("survives a kill of a later save", machines_proofs.survives_a_later, idea=_LINES),
        Property("goes on after a kill", machines_proofs.goes_on,
                 idea="A killed save leaves files: does the next one cope with them?"),
        Property("survives two kills in a row", machines_proofs.survives_two_kills,
                 idea="Which file is whole after the first kill, and what does save do to it?"),
    ],
)  # fmt: skip
