"""A guardian clears up after its owner, also when the owner is ended by the marker of a run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datahall import guardian
from datahall.guarding import Guardian

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="markers are read in /proc"),
]

OWNER = """
import os, subprocess, sys, time
from datahall import guardian
from datahall.guarding import Guardian
folder = guardian.make("test", sys.argv[1])
kept = Guardian(folder, "DATAHALL_TEST_OWN=1")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"],
                         env={**os.environ, "DATAHALL_TEST_OWN": "1"}, start_new_session=True)
kept.tell(child.pid)
print(folder, child.pid, flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("way", ["its number", "the marker of an outer run"])
def test_whatever_ends_the_owner_its_processes_end_and_its_folder_goes(
    tmp_path: Path, way: str
) -> None:
    outer = f"DATAHALL_TEST_OUTER={os.getpid()}-{way[:3]}"
    name, _, value = outer.partition("=")
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        env=os.environ | {name: value},
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        folder, child = owner.stdout.readline().split()
        assert Path(folder).is_dir()
        if way == "its number":
            owner.kill()
        else:
            guardian.end(outer)
        owner.wait(10)
    deadline = time.monotonic() + 20
    while (Path(folder).exists() or guardian.state(int(child)) != "Z") and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert not Path(folder).exists()
    assert guardian.state(int(child)) == "Z"


def test_an_owner_that_closes_leaves_nothing(tmp_path: Path) -> None:
    folder = guardian.make("test", str(tmp_path))
    kept = Guardian(folder, "DATAHALL_TEST_CLOSES=1")
    kept.close()
    assert not Path(folder).exists()
    assert kept._process.returncode == 0
