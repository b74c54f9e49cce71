"""A search draws the same cases in every process, so that a verdict is never luck."""

import gc
import subprocess
import sys

import pytest
from hypothesis import strategies as st

from datahall.checking import searching

pytestmark = pytest.mark.processes

DRAW = """
import sys
from hypothesis import given, strategies as st
from datahall.checking.searching import smallest

values = st.integers() | st.text(max_size=4)
if len(sys.argv) > 1:
    import constants  # Hypothesis reads the numbers in it, and keeps what it has read

    given(values)(lambda value: None)()
drawn = []
smallest(values, drawn.append, examples=300, seconds=60,
         stop=lambda failure: False)
print(len(drawn), drawn)
"""


def drawn(folder, *arguments):
    """Return what a search draws in a process of its own; with an argument, beside a module."""
    done = subprocess.run(
        [sys.executable, "-c", DRAW, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.encode("utf-8")


def test_two_processes_draw_the_same_cases_whatever_modules_they_have_loaded(tmp_path):
    odd = ", ".join(str(10**6 + 7919 * n) for n in range(400))
    (tmp_path / "constants.py").write_text(f"ODD = [{odd}]\nWORDS = ['zqxj', 'qzzq', 'xjxj']\n")
    first = drawn(tmp_path)
    assert first.startswith(b"300 ") and len(set(first.split(b", "))) > 150
    assert drawn(tmp_path) == first
    assert drawn(tmp_path, "with constants") == first


def test_a_search_after_the_first_does_not_walk_all_of_memory():
    searching.begin()
    walks: list[str] = []
    found: list[int] = []

    def note(phase, about):
        walks.append(phase)

    gc.disable()
    gc.callbacks.append(note)
    try:
        searching.smallest(st.integers(), found.append, examples=9, seconds=60, stop=bool)
    finally:
        gc.callbacks.remove(note)
        gc.enable()
    assert len(found) == 9 and walks == []
