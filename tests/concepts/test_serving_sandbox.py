"""The sandbox: what runs in it reaches nothing; where there is none, nothing is run."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datahall import programs
from datahall.serving import poison, sandbox
from datahall.serving.sandbox import SandboxError, SandboxLimits

pytestmark = pytest.mark.processes
here = pytest.mark.skipif(bool(sandbox.lacking()), reason=f"no sandbox: {sandbox.lacking()}")


@here
def test_code_in_a_pickle_runs_and_reaches_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = poison.payload(listening.getsockname()[1])
        (found,) = poison.opened(poison.poisoned_pickle(code), "pickle")
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert found.ran
    assert found.reached["network"] is False
    assert found.reached["user"] != 0
    assert not {"home", "proc", "sys", "tmp"} & set(found.reached["folders"])
    assert not Path(poison.MARK).exists()


@here
@pytest.mark.slow  # imports TensorFlow
def test_code_in_a_keras_file_is_refused_and_runs_only_without_safe_mode() -> None:
    content = poison.poisoned_keras(poison.payload(9))
    safe, unsafe = poison.opened(content, "keras", "keras unsafe")
    assert (safe.ran, "Lambda" in safe.refused) == (False, True)
    assert unsafe.ran


@here
def test_the_room_is_the_only_place_to_write(tmp_path: Path) -> None:
    code = """
import os
for path in ("/usr/x", "/x", "/room/x", os.path.dirname(os.__file__) + "/x"):
    try:
        open(path, "w").write("here")
    except OSError:
        pass
"""
    ended = _run(code)
    assert set(ended.files) == {"model.pkl", "x"}
    assert ended.files["x"] == b"here"


@here
def test_no_other_process_and_no_secret_of_the_parent_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_SECRET", "told to nobody")
    ended = _run("""
import os
seen = []
for number in range(2, 40000):
    try:
        os.kill(number, 0)
        seen.append(number)
    except OSError:
        pass
print(sorted(os.environ), os.getpid(), "sees up to", max(seen))
""")
    assert "A_SECRET" not in ended.said
    itself, last = re.findall(r"\d+", ended.said.partition("]")[2])
    assert int(last) < int(itself) + 20  # its threads have numbers too


@here
def test_memory_time_and_bytes_are_limited() -> None:
    small = SandboxLimits(cpu_s=2, memory_bytes=1 << 30, file_bytes=1000, room_bytes=1 << 20)
    assert b"MemoryError" in _run("bytearray(2 << 30)", small).files["refused by pickle"]
    assert _run("while True: pass", small).code < 0
    assert len(_run("open('big', 'wb').write(bytes(5000))", small).files.get("big", b"")) <= 1000


@here
def test_a_flood_of_words_is_cut() -> None:
    ended = _run("while True: print('x' * 1000)")
    assert len(ended.said) == 65_536


@here
def test_what_takes_too_long_is_ended_with_all_its_children() -> None:
    with pytest.raises(SandboxError, match="took more than"):
        _run("import os, time\nos.fork()\ntime.sleep(3600)", SandboxLimits(wall_s=1.5))
    mark = b"datahall.serving.poison"
    while any(_holds(path, mark) for path in Path("/proc").glob("[0-9]*/cmdline")):
        time.sleep(0.05)  # until all are gone; they sleep for an hour if they are not killed


def _holds(path: Path, mark: bytes) -> bool:
    try:
        return mark in path.read_bytes() and path.parent.name != str(os.getpid())
    except OSError:
        return False


def _run(code: str, limits: SandboxLimits | None = None) -> sandbox.SandboxRun:
    files = {"model.pkl": poison.poisoned_pickle(code)}
    return sandbox.run("datahall.serving.poison", "pickle", files=files, limits=limits)


def test_without_a_sandbox_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    sandbox.lacking.cache_clear()
    try:
        with pytest.raises(SandboxError, match="in a sandbox or not at all"):
            poison.opened(poison.poisoned_pickle("1/0"), "pickle")
    finally:
        sandbox.lacking.cache_clear()


@here
def test_a_name_with_a_folder_is_refused() -> None:
    with pytest.raises(SandboxError, match="no plain file name"):
        sandbox.run("this", files={"../x": b""})


def test_a_file_with_code_is_never_loaded_outside() -> None:
    command = programs.command("datahall.serving.poison", "pickle")
    done = subprocess.run(command, capture_output=True, text=True)
    assert "in the sandbox only" in done.stderr
    assert done.returncode == 1


def test_a_bit_turned_twice_is_as_before() -> None:
    content = np.random.default_rng(0).bytes(50)
    assert poison.flipped(content, 123) != content
    assert poison.flipped(poison.flipped(content, 123), 123) == content
