"""The course in an empty network namespace: no address but loopback exists, for no program at all.

The guard in the kernels (`datahall.guard`) watches Python; this watches everything, child
processes and libraries in C included.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ALONE = ["unshare", "--map-root-user", "--net"]
# A new namespace has loopback down. This brings it up (SIOCSIFFLAGS, IFF_UP) and runs the rest.
INSIDE = """\
import fcntl, os, socket, struct, sys
channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(channel, 0x8914, struct.pack("16sh22x", b"lo", 1))
os.execv(sys.argv[1], sys.argv[1:])
"""
REACH = "import socket; socket.create_connection(('192.0.2.1', 443), timeout=5)"


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """The words that run a program in an empty network namespace with loopback up."""
    command = [*ALONE, sys.executable, "-c", INSIDE]
    if shutil.which("unshare") is None:
        pytest.skip("unshare (util-linux) is not installed: no empty network namespace can be made")
    possible = subprocess.run([*command, "/bin/true"], capture_output=True, text=True, check=False)
    if possible.returncode:
        pytest.skip(f"this kernel or user makes no network namespace: {possible.stderr.strip()}")
    return command


def run_course(alone: list[str], words: list[str], folder: Path) -> dict[str, object]:
    """Execute notebooks of the course in the namespace; return what the run found."""
    datahall = Path(sys.executable).with_name("datahall")
    options = ["--preset", "smoke", "--output-dir", str(folder), "--json"]
    done = subprocess.run(
        [*alone, str(datahall), "run", *words, *options],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_in_the_namespace_loopback_works_and_nothing_else_does(alone: list[str]):
    out = subprocess.run([*alone, sys.executable, "-c", REACH], capture_output=True, text=True)
    assert out.returncode != 0
    assert "Network is unreachable" in out.stderr
    here = REACH.replace("192.0.2.1", "127.0.0.1")
    back = subprocess.run([*alone, sys.executable, "-c", here], capture_output=True, text=True)
    assert "ConnectionRefusedError" in back.stderr  # nobody listens, but the address is reached


def test_the_first_notebook_runs_without_any_network(alone: list[str], tmp_path: Path):
    found = run_course(alone, ["00"], tmp_path)
    assert found["status"] == "passed"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("module", ["01", "02", "03"])
def test_a_module_runs_without_any_network(alone: list[str], tmp_path: Path, module: str):
    assert run_course(alone, [module], tmp_path)["status"] == "passed"
