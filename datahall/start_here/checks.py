"""The check of the one exercise of module 00."""

from hypothesis import strategies as st

from datahall.checking import Check, Example, Search, Trap, summary_for
from datahall.start_here import bank, core

batch_size_bytes = Check(
    "00.1",
    "Count the bytes of a batch",
    function="batch_size_bytes",
    reference=core.batch_size_bytes,
    bank=bank.BATCH_SIZE_BYTES,
    points=2,
    minutes=3,
    difficulty=1,
    lab="00_start_here",
    steps=[
        Example((1, 2, 3), idea="One image of 2 by 3 pixels has 6 values of 4 bytes: 24."),
        Trap("an empty batch", (0, 28, 28), idea="No images take no bytes."),
        Search(
            st.tuples(st.integers(1, 100), st.integers(1, 64), st.integers(1, 64)),
            idea="Multiply images, height, width and the 4 bytes of a float32.",
        ),
    ],
)

summary = summary_for(__name__)
