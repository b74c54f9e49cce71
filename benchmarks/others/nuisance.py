"""Attackers that take time instead of secrets: slow headers and bodies, huge headers and bodies.

    python nuisance.py PORT SECONDS CA.pem TOKEN_FILE

Goes to 127.0.0.1 only. Each kind goes on until the time is over, at a pace that leaves the machine
to the service: what is measured is the service, not the attacker's own use of the processor.
"""

import asyncio
import contextlib
import json
import ssl
import sys
import time
from collections import Counter
from pathlib import Path

SLOW, HUGE, GAP_S = 100, 2, 0.5
BODY = 50 * 2**20
CHUNK = b"x" * 65536


class Nuisance:
    """All attackers, and what became of their connections."""

    def __init__(self, port: int, seconds: float, ca: str, token: str) -> None:
        self.port, self.end = port, time.monotonic() + seconds
        self.context = ssl.create_default_context(cafile=ca)
        self.token = token
        self.seen: Counter[str] = Counter()

    def head(self, length: int, more: str = "") -> bytes:
        """Return the head of a request with a good token."""
        return (
            "POST /v2/models/mnist_cnn/infer HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Type: application/json\r\n"
            f"{more}Content-Length: {length}\r\n\r\n"
        ).encode()

    async def again(self, kind: str) -> None:
        """Attack until the time is over."""
        while time.monotonic() < self.end:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                await self.once(kind)
            await asyncio.sleep(GAP_S)

    async def once(self, kind: str) -> None:
        """Attack over one connection; count how it ends."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.context, server_hostname="localhost"
        )
        try:
            await getattr(self, kind)(writer)
            status = await asyncio.wait_for(reader.readline(), 20)
            self.seen[
                f"{kind} {status.decode('latin-1').split(' ')[1] if status else 'closed'}"
            ] += 1
        except OSError:
            self.seen[f"{kind} closed"] += 1
        finally:
            writer.close()

    async def slow_header(self, writer: asyncio.StreamWriter) -> None:
        """Send a letter of the head now and then."""
        await self._drip(writer, self.head(10))

    async def slow_body(self, writer: asyncio.StreamWriter) -> None:
        """Send the head, then a letter of the body now and then."""
        writer.write(self.head(1000))
        await self._drip(writer, b"{" * 1000)

    async def _drip(self, writer: asyncio.StreamWriter, content: bytes) -> None:
        for letter in content:
            if time.monotonic() > self.end or writer.is_closing():
                return
            writer.write(bytes([letter]))
            await writer.drain()
            await asyncio.sleep(GAP_S)

    async def huge_header(self, writer: asyncio.StreamWriter) -> None:
        """Send a header of 64 kB."""
        writer.write(self.head(0, f"X-Long: {'a' * 65536}\r\n"))
        await writer.drain()

    async def huge_body(self, writer: asyncio.StreamWriter) -> None:
        """Send 50 MiB."""
        writer.write(self.head(BODY))
        for _ in range(BODY // len(CHUNK)):
            if writer.is_closing():
                return
            writer.write(CHUNK)
            await writer.drain()

    async def all(self) -> None:
        """Run all attackers at once."""
        kinds = {"slow_header": SLOW, "slow_body": SLOW, "huge_header": HUGE, "huge_body": HUGE}
        await asyncio.gather(
            *(self.again(kind) for kind, count in kinds.items() for _ in range(count))
        )


def main() -> None:
    """Attack; print how connections ended, as JSON."""
    port, seconds, ca, token = sys.argv[1:]
    nuisance = Nuisance(int(port), float(seconds), ca, Path(token).read_text(encoding="ascii"))
    asyncio.run(nuisance.all())
    print(json.dumps(nuisance.seen))


if __name__ == "__main__":
    main()
