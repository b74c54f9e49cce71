"""The checks of module 05's lab on splitting a model."""

from __future__ import annotations

from hypothesis import strategies as st

from datahall.checking import Check, Example, Property, Search, Trap
from datahall.scaling import layouts, memory, proofs, split_bank

zero_bytes = Check(
    "05.9",
    reference=memory.zero_bytes,
    bank=split_bank.ZERO_BYTES,
    seconds=10,
    steps=[
        Example((1, 1000, 4, 2, 1), idea="A reduce-scatter and an all-gather of 2,000 bytes."),
        Example((0, 1000, 4, 2, 1), idea="An all-reduce is two rounds."),
        Trap("weights that are cut", (3, 10, 2, 1, 1), idea="Two gathers and a scatter."),
        Trap("one rank", (3, 10, 1, 2, 1), idea="It sends nothing."),
        Trap("a large network", (0, 7 * 10**9, 64, 2, 1), idea="That is 1.8 TB."),
        Trap("microbatches", (1, 10, 2, 1, 3), idea="They are added up before anything is sent."),
        Trap("cut gradients", (2, 10, 2, 1, 3), idea="Three scatters, one gather."),
        Trap("all cut", (3, 10, 2, 1, 3), idea="Nine rounds."),
        Search(
            st.tuples(
                st.integers(0, 3), st.integers(1, 50), st.integers(1, 9),
                st.sampled_from([1, 2, 4]), st.integers(1, 5),
            ),
            idea="Write down the rounds of one step, one by one.",
        ),
        Property("equals what sockets count", proofs.equals_the_sockets, idea="Count again."),
    ],
)  # fmt: skip


def _networks(stages: int) -> st.SearchStrategy[tuple[object, ...]]:
    layers = st.integers(1, 3).flatmap(
        lambda n: st.lists(st.integers(0, 99), min_size=n * stages, max_size=n * stages)
    )
    return st.tuples(
        layers, st.just(stages), st.integers(1, 5), st.integers(0, 3), st.integers(0, 200),
        st.integers(1, 6),
    )  # fmt: skip


device_bytes = Check(
    "05.10",
    reference=lambda layers, stages, data, zero, outputs, microbatches: memory.device_bytes(
        layers, stages, data, zero, outputs=outputs, microbatches=microbatches
    ),
    ours=[memory.device_bytes, memory.state],
    bank=split_bank.DEVICE_BYTES,
    steps=[
        Example(([10], 1, 1, 0, 0, 1), idea="16 bytes a parameter."),
        Example(([10, 10, 10, 10], 2, 1, 0, 100, 8), idea="320 bytes, and 2 · 2 · 100."),
        Trap("optimizer cut", ([10], 1, 2, 1, 0, 1), idea="20 + 20 + 60."),
        Trap("gradients cut", ([10], 1, 2, 2, 0, 1), idea="20 + 10 + 60."),
        Trap("all cut", ([10], 1, 2, 3, 0, 1), idea="10 + 10 + 60."),
        Trap("an uneven cut", ([10], 1, 4, 1, 0, 1), idea="Pieces of 3, 3, 2 and 2."),
        Trap("few microbatches", ([1, 1, 1], 3, 1, 0, 50, 2), idea="Two are kept, not three."),
        Trap("a large last stage", ([1, 50], 2, 1, 0, 60, 9), idea="It keeps one microbatch."),
        Trap("a large first stage", ([50, 1], 2, 1, 0, 60, 9), idea="It keeps two."),
        Search(st.integers(1, 4).flatmap(_networks), idea="Work out each stage on its own."),
        Property("equals what a process holds", proofs.equals_this_process, idea="See each part."),
    ],
)  # fmt: skip

_pieces = st.sampled_from(["a", "b", "a/k", ".*", ".*k", "n/a/k", "n/.*", "a.k", "n/[ab]/k"])
_paths = st.sampled_from(["n/a/k", "n/b/k", "a/k", "n/a/bias"])

rules_used = Check(
    "05.11",
    reference=layouts.rules_used,
    bank=split_bank.RULES_USED,
    steps=[
        Example(([".*k"], ["n/k"]), idea="The rule matches the whole path."),
        Example((["a/k", ".*b/k"], ["n/a/k", "n/b/k"]), idea="Is a/k the whole of n/a/k?"),
        Trap("a rule for the beginning", (["n/a"], ["n/a/k"]), idea="/k is left over."),
        Trap("no rules", ([], ["n/k"]), idea="Every path stands in the answer."),
        Trap("the path itself", ([".*k", "n/k"], ["n/k"]), idea="It is looked up first."),
        Trap("two rules for a path", ([".*k", "n/.*"], ["n/k"]), idea="Two at once are an error."),
        Trap("three rules", ([".*k", "n/.*", ".*/.*"], ["n/k"]), idea="Three at once are one too."),
        Trap("alternatives", (["a|b/c"], ["a/x", "b/c"]), idea="Which part does $ end?"),
        Trap("the longer one", (["a|ab"], ["ab"]), idea="The whole path, by any alternative."),
        Trap("signs of a pattern", (["a+b"], ["a+b", "aab"]), idea="A path first, then a pattern."),
        Trap("capitals", (["N/.*"], ["n/k"]), idea="N is not n."),
        Search(
            st.tuples(
                st.lists(_pieces, max_size=3, unique=True),
                st.lists(_paths, max_size=3, unique=True),
            ),
            idea="Try each rule on the whole path.",
        ),
    ],
)

_tasks = st.tuples(
    st.sampled_from([1, 2, 4, 6, 8]), st.integers(1, 24), st.sampled_from([4, 6, 8, 12]),
    st.integers(0, 20), st.integers(0, 5), st.integers(10, 250), st.integers(0, 6),
)  # fmt: skip

choose = Check(
    "05.12",
    reference=memory.choose,
    bank=split_bank.CHOOSE,
    steps=[
        Example((4, 16, 8, 10, 1, 60, 0), idea="One stage does not fit, two do."),
        Example((4, 16, 8, 10, 1, 1000, 0), idea="All layers fit: no bubble at all."),
        Trap("nothing fits", (2, 4, 4, 10, 1, 5, 0), idea="Then return None."),
        Trap("just full", (2, 2, 2, 10, 5, 30, 0), idea="2 · (10 + 5) bytes of 30."),
        Trap("large microbatches", (2, 2, 2, 5, 10, 25, 5), idea="One of two examples fits."),
        Trap("overhead", (2, 8, 8, 10, 0, 50, 4), idea="Compare 1, 2, 4 and 8 microbatches."),
        Trap("outputs", (2, 8, 4, 1, 5, 23, 0), idea="A large microbatch does not fit."),
        Trap("the fastest", (2, 8, 2, 10, 1, 23, 5), idea="Two stages take 26, one takes 28."),
        Trap("equally fast", (2, 8, 2, 10, 1, 23, 4), idea="All take 24: the fewest stages."),
        Trap("six layers", (4, 8, 6, 10, 1, 40, 0), idea="Four stages do not divide six layers."),
        Search(_tasks, idea="List what fits, with its time.", examples=150),
    ],
)
