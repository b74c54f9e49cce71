"""Nothing outlives its owner or its requester, whatever ends them; nobody is harmed by the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from datahall.course import warm
from datahall.course.exits import Exit
from datahall.course.warm import owner

from .conftest import ROOT, Kernel, gone, pytestmark, zygotes_of  # noqa: F401

OWNER = """
import os, sys, time
from datahall.course import warm
with warm.zygotes({place}, across_exec={across}) as held:
    print(held[warm.FOLDER], flush=True)
    {then}
    time.sleep(1000)
"""
REQUESTER = """
import os, time
from tests.warm.conftest import Kernel
kernel = Kernel(dict(os.environ), stderr=open(os.devnull, "w"))
said = kernel.run("import os, subprocess; p = subprocess.Popen(['sleep', '1000']); print(p.pid)")
print(kernel.warm, kernel.process.pid, said, flush=True)
{then}
time.sleep(1000)
"""


@contextmanager
def program(source: str, variables: dict[str, str] | None = None):
    """Run a program; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", source],
        cwd=ROOT,
        env=os.environ | (variables or {}),
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def owning(*, place: str = "None", across: bool = False, then: str = "pass") -> str:
    return OWNER.format(place=place, across=across, then=then)


def plain(folder: str) -> dict[str, str]:
    return {warm.FOLDER: folder, warm.KIND: "plain"}


@pytest.mark.parametrize("across", [False, True], ids=["the owner", "what it became by exec"])
def test_zygotes_and_kernels_end_with_their_owner(across):
    then = "os.execlp('sleep', 'sleep', '1000')" if across else "pass"
    with program(owning(across=across, then=then)) as keeper:
        folder = keeper.stdout.readline().strip()
        kernel = Kernel(os.environ | plain(folder), stderr=subprocess.DEVNULL)
        (zygote,) = zygotes_of({warm.FOLDER: folder})
        child = int(kernel.run("import subprocess as s; print(s.Popen(['sleep', '1000']).pid)"))
        assert kernel.warm
        keeper.kill()
        assert gone(zygote.pid, kernel.process.pid, child, within_s=5)
        assert kernel.process.wait(timeout=5) == -signal.SIGKILL
        assert not Path(folder).exists() and not owner.is_owned(Path(folder))
        kernel.end()


def test_a_killed_requester_takes_its_kernel_along_and_leaves_the_zygote(held):
    for then in ("pass", "os.fork()"):  # a child of the requester holds its connections, too
        with program(REQUESTER.format(then=then), held | {warm.KIND: "plain"}) as requester:
            forked, kernel, child = requester.stdout.readline().split()
            assert forked == "True"
            children = psutil.Process(requester.pid).children()
            requester.kill()
            assert gone(int(kernel), int(child), within_s=3)
            for left in children:
                if "zygote" not in " ".join(left.cmdline()):
                    left.kill()
    (zygote,) = zygotes_of(held)
    assert zygote.is_running()


def test_kernels_of_a_killed_zygote_end_and_the_next_one_is_cold():
    with warm.zygotes() as mine:
        environment = os.environ | mine | {warm.KIND: "plain"}
        first = Kernel(environment, stderr=subprocess.DEVNULL)
        child = int(first.run("import subprocess as s; print(s.Popen(['sleep', '1000']).pid)"))
        (zygote,) = zygotes_of(mine)
        zygote.kill()
        assert first.process.wait(timeout=10) == -signal.SIGKILL
        assert gone(first.process.pid, child)
        second = Kernel(environment, stderr=subprocess.DEVNULL)
        assert not second.warm and second.why_cold == "its zygote has died"
        assert second.run("print(6 * 7)") == "42"
        first.end()
        second.end()
    assert not Path(mine[warm.FOLDER]).exists()


def test_a_zygote_that_cannot_load_is_tried_once_and_the_reason_told():
    with warm.zygotes() as mine:
        variables = {warm.KIND: "tensorflow", "KERAS_BACKEND": "torch"}
        begun = time.monotonic()
        for _ in range(2):
            kernel = Kernel(os.environ | mine | variables, stderr=subprocess.DEVNULL)
            assert not kernel.warm and "torch" in kernel.why_cold
            kernel.end()
        assert time.monotonic() - begun < 100
        assert gone(*(zygote.pid for zygote in zygotes_of(mine)))


def test_at_the_end_of_the_block_nothing_is_left():
    with warm.zygotes() as mine:
        kernel = Kernel(os.environ | mine | {warm.KIND: "plain"}, stderr=subprocess.DEVNULL)
        (zygote,) = zygotes_of(mine)
        folder = Path(mine[warm.FOLDER])
        assert kernel.warm and folder.stat().st_mode & 0o777 == 0o700
        assert {p.stat().st_mode & 0o777 for p in folder.glob("*.socket")} == {0o600}
    assert gone(zygote.pid, kernel.process.pid, within_s=1) and not folder.exists()
    kernel.end()
    assert not any(child.pid == zygote.pid for child in psutil.Process().children())


@contextmanager
def holding(folder: Path, *words: str):
    """Run `datahall warm` with a runtime folder of its own."""
    command = [Path(sys.executable).parent / "datahall", "warm", *words]
    with subprocess.Popen(
        command,
        env=os.environ | {"XDG_RUNTIME_DIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def test_the_verb_holds_zygotes_that_a_lone_call_finds(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert warm.find() == {}
    with holding(tmp_path, "--kinds", "plain") as first:
        assert first.stdout.readline().startswith("plain: ")
        assert "Ctrl-C" in first.stdout.readline()
        with holding(tmp_path) as second:
            assert "is running already" in second.communicate(timeout=30)[0]
            assert second.returncode == Exit.MACHINE
        found = warm.find()
        assert found == {warm.FOLDER: str(tmp_path / "datahall-warm")}
        kernel = Kernel(os.environ | {warm.KIND: "plain"}, stderr=subprocess.DEVNULL)
        (zygote,) = zygotes_of(found)
        assert kernel.warm and kernel.run("import os; print(os.getppid())") == str(zygote.pid)
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=20) == Exit.OK
        assert gone(zygote.pid, kernel.process.pid) and warm.find() == {}
        kernel.end()


def test_the_verb_takes_a_place_that_a_killed_one_left(tmp_path):
    with holding(tmp_path, "--kinds", "plain") as first:
        first.stdout.readline()
        first.kill()
    with holding(tmp_path, "--kinds", "plain") as second:
        assert second.stdout.readline().startswith("plain: ")


def test_the_verb_refuses_a_kind_that_does_not_exist(tmp_path):
    with holding(tmp_path, "--kinds", "plain,torch") as running:
        assert "kind is 'torch'" in running.communicate(timeout=30)[0]
        assert running.returncode == Exit.BAD_INPUT
