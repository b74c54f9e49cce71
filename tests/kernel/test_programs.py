"""A child that is to die with its parent does, also if the parent ends before it has asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

CHILD = """
import os, sys, time
from datahall import programs
parent = os.getpid()
pid = os.fork()
if pid == 0:
    time.sleep({before})
    programs.die_with(parent)
    time.sleep(60)
    os._exit(0)
print(pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.parametrize("before", [0.0, 0.5], ids=["it has asked", "it has not asked yet"])
def test_a_child_ends_with_its_parent(before: float) -> None:
    command = [sys.executable, "-c", CHILD.format(before=before)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(0.3)
        os.kill(parent.pid, signal.SIGKILL)
    assert not psutil.wait_procs([child], timeout=10)[1]
