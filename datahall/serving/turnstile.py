"""A rotation on real sockets: gateways behind TLS, tokens that are really signed, real clients.

Time is real, but its seconds are short: a token of eight seconds lives 0.4 of them. Everything is
in threads of one process, on ports of loopback, and closed at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from datahall.serving import authority
from datahall.serving.protocol import Refusal
from datahall.serving.tokens import AUDIENCE, INFER, ISSUER, Keys, decide

FASTER = 20  # seconds of the service in one real second
LIFETIME_S, DELAYS_S = 8.0, (0.0, 2.0, 4.0)
_PAUSE_S = 0.01  # real, between two rounds of requests


class Clock:
    """The service's seconds since it was opened."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        """Return the time, in the service's seconds."""
        return 1000 + FASTER * (time.monotonic() - self._began)

    def wait(self, seconds: float) -> None:
        """Wait for so many of the service's seconds."""
        time.sleep(max(0.0, seconds) / FASTER)


class Mint:
    """Signs tokens with one of its keys at a time.

    Args:
        clock: The service's.
    """

    lifetime_s = LIFETIME_S

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._keys: dict[str, ECKey] = {}
        self.kid = ""
        self.use(self.make())

    def make(self) -> str:
        """Make a key pair; return its name."""
        kid = f"key-{len(self._keys) + 1}"
        self._keys[kid] = ECKey.generate_key("P-256")
        return kid

    def use(self, kid: str) -> None:
        """Sign with this key from now on."""
        self._keys[kid]
        with self._lock:  # no token is in the making while the key changes
            self.kid = kid

    def issue(self) -> str:
        """Return a new token."""
        with self._lock:
            ends = int(self._clock.now() + self.lifetime_s)
            said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "scope": INFER, "jti": "1"}
            header = {"alg": "ES256", "kid": self.kid}
            return jwt.encode(header, said | {"exp": ends}, self._keys[self.kid])

    def public(self, kid: str) -> bytes:
        """Return a public key, PEM."""
        return self._keys[kid].as_pem(private=False)


class Turnstile:
    """A gateway: reads a token a line, answers `200`, or why it is refused.

    Args:
        mint: Whose tokens it accepts.
        clock: The service's.
        delay_s: How long it takes to know a key that it is told of, in the service's seconds.
    """

    def __init__(self, mint: Mint, clock: Clock, delay_s: float) -> None:
        self._mint, self._clock, self._delay_s = mint, clock, delay_s
        self._from_s = {mint.kid: 0.0}
        self.port, self.lost, self.answered = 0, 0, 0
        self.tasks: list[Any] = []

    def accept(self, kid: str) -> None:
        """Be told to accept a key."""
        self._mint.public(kid)
        self._from_s.setdefault(kid, self._clock.now() + self._delay_s)

    def drop(self, kid: str) -> None:
        """Accept a key no more."""
        self._from_s.pop(kid, None)

    def knows(self, kid: str) -> bool:
        """Say whether a key is accepted by now."""
        return self._from_s.get(kid, float("inf")) <= self._clock.now()

    def answer(self, token: str) -> str:
        """Judge a token; one that is refused although it has not expired is lost."""
        now = self._clock.now()
        known = {kid: self._mint.public(kid) for kid in list(self._from_s) if self.knows(kid)}
        found = decide(token, Keys(known), now)
        self.answered += 1
        if not isinstance(found, Refusal):
            return "200"
        every = Keys({kid: self._mint.public(kid) for kid in list(self._mint._keys)})
        self.lost += not isinstance(decide(token, every, now), Refusal)
        return found.reason

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the lines of one connection."""
        self.tasks.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while line := await reader.readline():
                writer.write(f"{self.answer(line.decode().strip())}\n".encode())
                await writer.drain()
        writer.close()


class Hall:
    """Three gateways on real ports, a mint, and clients that never rest.

    Attributes:
        clock: The time.
        mint: Who signs.
        gateways: Who accepts.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.mint = Mint(self.clock)
        self.gateways = [Turnstile(self.mint, self.clock, delay) for delay in DELAYS_S]
        self._end = asyncio.Event()

    @property
    def lost(self) -> int:
        """How many requests with a good token were refused."""
        return sum(gateway.lost for gateway in self.gateways)

    async def run(self, opened: threading.Event) -> None:
        """Open the gateways, and ask them until `stop`."""
        inside, outside = _contexts()
        self._loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            for gateway in self.gateways:
                server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0, ssl=inside)
                await stack.enter_async_context(server)
                gateway.port = server.sockets[0].getsockname()[1]
            lines = [
                await asyncio.open_connection("127.0.0.1", gateway.port, ssl=outside)
                for gateway in self.gateways
            ]
            opened.set()
            try:
                await self._ask(lines)
            finally:
                for _, writer in lines:
                    writer.close()
                await asyncio.wait([task for one in self.gateways for task in one.tasks])

    async def _ask(self, lines: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
        held: list[tuple[str, float]] = []
        while not self._end.is_set():
            held.append((self.mint.issue(), self.clock.now() + LIFETIME_S))
            held = [one for one in held if one[1] > self.clock.now()]
            for token in {held[0][0], held[len(held) // 2][0], held[-1][0]} if held else ():
                for reader, writer in lines:
                    writer.write(f"{token}\n".encode())
                    await reader.readline()
            await asyncio.sleep(_PAUSE_S)

    def stop(self) -> None:
        """End the clients, and with them the gateways."""
        self._loop.call_soon_threadsafe(self._end.set)


def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a gateway and what a client needs for TLS; its files are gone again."""
    with tempfile.TemporaryDirectory(prefix="datahall-") as folder:
        made = authority.create(Path(folder, "authority"))
        inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        inside.load_cert_chain(made.server.certificate, made.server.key)
        return inside, ssl.create_default_context(cafile=str(made.root))


@contextlib.contextmanager
def opened() -> Iterator[Hall]:
    """Open a hall; when it is left, no port, thread or file remains."""
    hall, ready = Hall(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(hall.run(ready)), daemon=True)
    thread.start()
    try:
        if not ready.wait(30):
            raise TimeoutError("The gateways did not open within 30 s. Is the machine busy?")
        hall.clock.wait(LIFETIME_S)  # until clients hold tokens of every age
        yield hall
    finally:
        if ready.is_set():
            hall.stop()
        thread.join(30)
