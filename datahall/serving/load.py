"""Load on a service of this machine, from a process of its own.

`Loader` holds a few connections in another process and sends the same request again and again: each
connection as soon as its last answer is there, or at a fixed rate whatever the answers do. `run`
returns what came back. Read `message` first (the bytes that are sent), then `Loader`, then `Wire`.

As a program (`python -m datahall.serving.load`) it is that other process: a plan and orders come on
standard input, so no token stands in a list of processes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

import httptools

from datahall import guard, programs
from datahall.errors import CourseError, ParameterError

LIMIT_S = 60.0


class LoadError(CourseError, RuntimeError):
    """The process that makes the load has failed, or the service does not reply."""


@dataclass(frozen=True)
class Replies:
    """What came back.

    Attributes:
        seconds: From the first request to the last reply.
        statuses: Replies by status; 0 counts connections that closed instead.
        latencies_ms: Of each reply, from the moment when its request was due; sorted.
    """

    seconds: float
    statuses: dict[int, int]
    latencies_ms: list[float]

    @property
    def count(self) -> int:
        """How many replies came."""
        return len(self.latencies_ms)

    def percentile_ms(self, percent: float) -> float:
        """Return the latency that so many percent of the replies do not exceed, in ms.

        Example:
            >>> Replies(1.0, {200: 4}, [1.0, 2.0, 3.0, 9.0]).percentile_ms(75)
            3.0
        """
        if not self.latencies_ms:
            return math.nan
        place = math.ceil(len(self.latencies_ms) * percent / 100) - 1
        return self.latencies_ms[max(0, place)]


def message(
    path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, host: str = ""
) -> bytes:
    """Return the bytes of one HTTP/1.1 request: GET without a body, POST with one.

    Args:
        path: Where to, from the slash on.
        body: What is sent after the headers.
        headers: More headers; Host and Content-Length are added.
        host: Of the Host header; "localhost" where left out.

    Example:
        >>> message("/v2").decode().splitlines()
        ['GET /v2 HTTP/1.1', 'Host: localhost', '']
    """
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Host: {host or 'localhost'}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class Loader:
    """A process with open connections to one service of this machine; a context manager.

    Args:
        address: "http://127.0.0.1:8000", "https://localhost:8443" or "unix:/path/of/a/socket".
        request: The bytes of a request.
        connections: How many are open at once.
        ca_pem: Certificate that the service's own must lead to, where it speaks TLS.

    Raises:
        ParameterError: The address is not this machine's.
        LoadError: No connection could be made.
    """

    def __init__(
        self, address: str, request: bytes, *, connections: int = 8, ca_pem: str = ""
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme != "unix" and not guard.is_here(parts.hostname):
            raise ParameterError(
                f"address is {address!r}. An address of this machine was expected: load goes to "
                "services that the course has started. Give one on loopback."
            )
        self._plan = {
            "address": address,
            "request": base64.b64encode(request).decode(),
            "connections": connections,
            "ca_pem": ca_pem,
            "parent": os.getpid(),
        }
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Loader:
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter)
            programs.command(__name__),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._tell(self._plan)
            self._hear()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with process:
            assert process.stdin is not None  # noqa: S101 (a pipe)
            process.stdin.close()  # the child ends when its input does
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._running().pid

    def prepare(self) -> None:
        """Open what has been closed meanwhile and ask once over each connection.

        Raises:
            LoadError: The process has failed.
        """
        self._tell({})
        self._hear()

    def run(self, requests: int = 0, *, seconds: float = 0.0, rate_per_s: float = 0.0) -> Replies:
        """Send requests and wait for their replies.

        Args:
            requests: How many; 0: as many as the seconds allow.
            seconds: When to stop sending; 0: when all requests are sent.
            rate_per_s: Requests that are due in a second, over all connections; 0: each connection
                sends when its last reply is there.

        Returns:
            What came back.

        Raises:
            ParameterError: Neither a number nor a time is given.
            LoadError: The process has failed.
        """
        if requests <= 0 and seconds <= 0:
            raise ParameterError(
                "requests and seconds are both 0. One of them was expected: else it never ends."
            )
        self._tell({"requests": requests, "seconds": seconds, "rate": rate_per_s})
        found = self._hear()
        statuses = {int(status): count for status, count in found["statuses"].items()}
        return Replies(found["seconds"], statuses, found["latencies_ms"])

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise LoadError("The loader is not running. Use it as a context manager: with Loader…")
        return self._process

    def _tell(self, order: Mapping[str, Any]) -> None:
        stdin = self._running().stdin
        assert stdin is not None  # noqa: S101 (a pipe)
        try:
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # `_hear` says what has happened

    def _hear(self) -> dict[str, Any]:
        stdout = self._running().stdout
        assert stdout is not None  # noqa: S101 (a pipe)
        line = stdout.readline()
        if not line:
            raise LoadError(
                "The process that makes the load has ended. A reply was expected; its own words "
                "stand on standard error."
            )
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise LoadError(f"The load could not be made: {found['error']}. Is the service up?")
        return found


class Wire(asyncio.Protocol):
    """One connection: sends a request, hears the reply, tells how long it took.

    Args:
        request: The bytes to send.
    """

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.open = False
        self._reply: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.open, self._transport = True, transport  # type: ignore[assignment]
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that nothing more comes."""
        self.open = False
        self._settle(0)

    def data_received(self, data: bytes) -> None:
        """Read a part of the reply."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Hear from the parser that a reply is whole."""
        status = int(self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)
        self._settle(status)

    def _settle(self, status: int) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(status)

    async def ask(self) -> int:
        """Send the request; return the status of the reply, 0 if the connection closes instead."""
        if not self.open or self._transport is None:
            return 0
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(self.request)
        return await self._reply


async def connected(plan: Mapping[str, Any]) -> Wire:
    """Return a new connection to where a plan says.

    Args:
        plan: As `Loader` writes it.
    """
    loop, parts = asyncio.get_running_loop(), urlsplit(plan["address"])
    request = base64.b64decode(plan["request"])

    def wire() -> Wire:
        return Wire(request)

    if parts.scheme == "unix":
        return (await loop.create_unix_connection(wire, parts.path))[1]
    context = ssl.create_default_context(cadata=plan["ca_pem"]) if plan["ca_pem"] else None
    made = await loop.create_connection(wire, parts.hostname, parts.port, ssl=context)
    return made[1]


class Sender:
    """All connections of a plan, and what came back over them.

    Args:
        plan: As `Loader` writes it.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.plan = plan
        self.wires: list[Wire] = []

    async def ready(self) -> None:
        """Open what is not open, and ask once over each: what starts slowly has started then."""
        kept = [wire for wire in self.wires if wire.open]
        lacking = int(self.plan["connections"]) - len(kept)
        self.wires = kept + [await connected(self.plan) for _ in range(lacking)]
        await asyncio.gather(*(wire.ask() for wire in self.wires))

    async def run(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Follow an order; return what `Replies` holds.

        Args:
            order: requests, seconds and rate, as `Loader.run` has them.
        """
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.left = order["requests"] or sys.maxsize
        self.start = time.perf_counter()
        self.end = self.start + (order["seconds"] or math.inf)
        gap = len(self.wires) / order["rate"] if order["rate"] else 0.0
        await asyncio.gather(
            *(self._over(place, gap) for place in range(len(self.wires))),
        )
        return {
            "seconds": time.perf_counter() - self.start,
            "statuses": self.statuses,
            "latencies_ms": sorted(round(1000 * each, 4) for each in self.latencies),
        }

    async def _over(self, place: int, gap: float) -> None:
        """Ask over one connection until all is done; a closed one is opened again."""
        due = self.start + gap * place / len(self.wires)
        if not self.wires[place].open:
            self.wires[place] = await connected(self.plan)
        while self.left > 0 and max(due, time.perf_counter()) < self.end:
            self.left -= 1
            if gap:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            begun = due if gap else time.perf_counter()
            status = await self.wires[place].ask()
            self.statuses[status] += 1
            if status:
                self.latencies.append(time.perf_counter() - begun)
            else:
                self.wires[place] = await connected(self.plan)
            due += gap


async def _serve(orders: IO[str]) -> None:
    """Read a plan and then orders, a line each; print what came of each."""
    plan = json.loads(orders.readline())
    programs.die_with(plan["parent"])
    sender = Sender(plan)
    try:
        await sender.ready()
        _say({"ready": len(sender.wires)})
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, orders.readline):
            order = json.loads(line)
            if not order:
                await sender.ready()
                _say({"ready": len(sender.wires)})
                continue
            limit_s = LIMIT_S + order["seconds"]
            _say(await asyncio.wait_for(sender.run(order), limit_s))
    except (OSError, TimeoutError) as error:
        _say({"error": f"{type(error).__name__}: {error}"})


def _say(found: Mapping[str, Any]) -> None:
    print(json.dumps(found), flush=True)


def main() -> None:
    """Be the process that makes the load."""
    try:
        import uvloop
    except ImportError:  # it is not made for Windows
        asyncio.run(_serve(sys.stdin))
    else:
        uvloop.run(_serve(sys.stdin))


if __name__ == "__main__":
    main()
