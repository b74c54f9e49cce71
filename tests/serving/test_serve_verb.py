"""`datahall serve` as its user sees it: it says how it is called, changes, and ends cleanly."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

DATAHALL = str(Path(sys.executable).with_name("datahall"))
WAIT_S = 120.0


class Served:
    """A `datahall serve` that runs."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [DATAHALL, "serve", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.text = ""
        self.until(r"replicas ready")

    def until(self, pattern: str) -> re.Match[str]:
        """Read on until a pattern has been printed."""
        assert self.process.stdout is not None
        number = self.process.stdout.fileno()
        deadline = time.monotonic() + WAIT_S
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < deadline, self.text
            if select.select([number], [], [], 1.0)[0]:
                part = os.read(number, 65_536).decode()
                assert part, self.text
                self.text += part
        return found

    def block(self, kind: str) -> str:
        """What it prints below `# KIND`."""
        found = re.search(rf"(?ms)^# {kind}\n(.*?)(?=^# |^\s*$|\Z)", self.text)
        assert found, self.text
        return found[1]

    def folder(self) -> Path:
        found = re.search(r"example request: (\S+)", self.text)
        assert found
        return Path(found[1])

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=WAIT_S)
        self.text += rest
        return self.process.returncode


@contextlib.contextmanager
def serving(*words: str) -> Iterator[Served]:
    served = Served(*words)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.process.terminate()
        served.process.communicate(timeout=WAIT_S)


def run(words: Sequence[str], **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        words, capture_output=True, text=True, timeout=WAIT_S, check=False, **more
    )


@pytest.mark.parametrize("words", [(), ("--mtls", "--tls-1.2", "--replicas", "2")])
def test_the_lines_that_it_prints_work(words: tuple[str, ...], tmp_path: Path) -> None:
    with serving("--folder", str(tmp_path), *words) as served:
        if shutil.which("curl"):
            answer = run(shlex.split(served.block("curl")))
            assert '"label"' in answer.stdout, answer.stderr
        for kind, seen in {"Python": r"\[7 2 1 0\]", "tritonclient": r"\[\d\]"}.items():
            answer = run([sys.executable, "-W", "error::SyntaxWarning", "-c", served.block(kind)])
            assert re.search(seen, answer.stdout), answer.stderr
        secrets = served.folder() / "token"
        assert secrets.stat().st_mode & 0o777 == 0o600
        assert secrets.read_text() not in served.text
        folder = served.folder()
        assert served.end(signal.SIGTERM) == 0
        assert not folder.exists()
        assert "stopped" in served.text
    logs = list(tmp_path.glob("audit/*/audit-*.jsonl"))
    assert len(logs) == (3 if words else 2)  # the log is kept


def test_ctrl_c_ends_it_cleanly_with_130_however_often_it_is_pressed(tmp_path: Path) -> None:
    with serving("--folder", str(tmp_path)) as served:
        folder = served.folder()
        for _ in range(2):
            served.process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert served.end(signal.SIGINT) == 130
        assert not folder.exists()
        assert "stopped" in served.text
        assert "Traceback" not in served.text


def test_it_outlives_what_is_deleted_under_it_and_ends_with_its_terminal(
    tmp_path: Path, tflite: bytes
) -> None:
    network, models, kept = tmp_path / "net.tflite", tmp_path / "mödels here", tmp_path / "k ä"
    network.write_bytes(tflite)
    with serving(str(models), "--folder", str(kept), "--publish", str(network), "--mtls") as served:
        (models / "mnist_cnn" / "current").write_text("")
        served.until(r"says no version.*goes on")
        shutil.rmtree(models)
        shutil.rmtree(kept / "authority")
        for log in (kept / "audit").rglob("*.jsonl"):
            log.unlink()
        served.until(r"the log was deleted")
        answer = run([sys.executable, "-c", served.block("Python")])
        assert "[7 2 1 0]" in answer.stdout, answer.stderr
        folder = served.folder()
        assert served.end(signal.SIGHUP) == 130
        assert not folder.exists()
        assert "Traceback" not in served.text


def test_a_file_that_is_no_network_is_neither_signed_nor_served(tmp_path: Path) -> None:
    junk, models = tmp_path / "junk.tflite", tmp_path / "models"
    junk.write_text("junk")
    done = run([DATAHALL, "serve", str(models), "--folder", str(tmp_path), "--publish", str(junk)])
    assert (done.returncode, "Nothing was published" in done.stderr) == (2, True), done.stderr
    assert not models.exists()


def test_a_folder_of_the_users_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = run([DATAHALL, "serve", "nowhere", "--folder", str(tmp_path)])
    assert (done.returncode, tmp_path.stat().st_mode & 0o777) == (2, 0o755)


def test_check_tries_what_is_secure_and_says_what_is_not(tmp_path: Path) -> None:
    done = run([DATAHALL, "serve", "--check", "--folder", str(tmp_path)])
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("alg none: refused with 401", "signature held", "chain whole", "on purpose"):
        assert words in done.stdout
    assert "NOT" not in done.stdout


def test_versions_are_published_switched_and_rolled_back_by_one_command_each(
    tmp_path: Path, tflite: bytes
) -> None:
    network, models = tmp_path / "network.tflite", tmp_path / "models"
    network.write_bytes(tflite)
    common = [DATAHALL, "serve", str(models), "--folder", str(tmp_path / "kept")]
    publish = [*common[2:], "--publish", str(network)]
    with serving(*publish) as served:
        served.until(r"version 1, 0 restarts")
        with serving(*publish, "--replicas", "1"):  # a second one of the same user
            served.until(r"version 2 is current; served: 2")
        assert "version 1 of" in run([*common, "--rollback"]).stdout
        served.until(r"version 1 is current; served: 1")
        assert run([*common, "--switch", "2"]).returncode == 0
        served.until(r"version 2, 0 restarts")
        assert run([*common, "--switch", "9"]).returncode == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 2, "holds no model"),
        (["--rollback"], 2, "need a MODEL_DIR"),
        (["x", "--rollback", "--switch", "1"], 2, "Leave one out"),
        (["x", "--name", "../y"], 2, "A name has small letters"),
        (["x" * 300], 3, "File name too long"),
        (["--folder", "/dev/null"], 3, "cannot be used"),
        (["--replicas", "0"], 2, "--replicas"),
    ],
)
def test_bad_input_is_told_before_anything_starts(words: list[str], code: int, said: str) -> None:
    done = run([DATAHALL, "serve", *words])
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_machine_without_haproxy_is_told_with_3(tmp_path: Path) -> None:
    variables = {**os.environ, "DATAHALL_HAPROXY": "/nowhere/haproxy"}
    done = run([DATAHALL, "serve", "--folder", str(tmp_path)], env=variables)
    assert done.returncode == 3
    assert "HAProxy is not there" in done.stderr


def test_a_repository_that_somebody_else_signed_is_not_served(models: Path, tmp_path: Path) -> None:
    done = run([DATAHALL, "serve", str(models), "--folder", str(tmp_path / "kept")])
    assert done.returncode == 1
    assert "not served" in done.stderr
