"""A forked kernel as its requester sees it: what `subprocess.Popen` is for a cold one."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time

_alive: set[Forked] = set()  # a connection closes with its process, not with an object


class Forked:
    """A kernel's process, as far as LocalProvisioner and callers use a `Popen`.

    Attributes:
        pid: Its process number, and its process group's.
        returncode: None while it runs; then its exit code, or the negative number of a signal.
        cpu_seconds: User and system time, known when it has ended.
        peak_memory_bytes: Its greatest memory, known when it has ended.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.cpu_seconds = 0.0
        self.peak_memory_bytes = 0
        self._channel, self._received = channel, b""
        channel.setblocking(False)
        _alive.add(self)

    def poll(self) -> int | None:
        """Return the exit code if the process has ended, else None."""
        if self.returncode is None:
            try:
                while part := self._channel.recv(4096):
                    self._received += part
                self._close(self._told())
            except BlockingIOError:
                pass
            except OSError:
                self._close({})
        return self.returncode

    def _told(self) -> dict[str, float]:
        """Return the zygote's last message, empty if it had no time to send it."""
        with contextlib.suppress(ValueError):
            return dict(json.loads(self._received[4:]))
        return {}

    def _close(self, facts: dict[str, float]) -> None:
        """Note the end. A kernel dies with its zygote; what it started is ended here."""
        self._channel.close()
        _alive.discard(self)
        if not facts:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self.returncode = int(facts.get("exit", -signal.SIGKILL))
        self.cpu_seconds = float(facts.get("cpu_seconds", 0.0))
        self.peak_memory_bytes = int(facts.get("peak_memory_bytes", 0))

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: It has not ended within `timeout` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
            select.select([self._channel], [], [], left)
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process."""
        self.send_signal(signal.SIGKILL)
