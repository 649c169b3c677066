"""The TCP connection to NATS, and what waits in it: where nats-py would wait for a server that is gone.

nats-py ends a connection politely: it waits until all it wrote was taken. A frozen server, or one behind a
half-open connection, never takes it, so the client would neither say that NATS is away nor dial another
server. Touches nats-py's inside, as ``subscriptions`` does: pinned to >=2.16,<2.17, guarded by
tests/gateway/bus/test_pin.py.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import ParseResult

from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from voltgate._core import PubAcks

POLITE = 1.0  # seconds for the last bytes to leave

# counter of the reply subject, stream, domain, sequence, whether it is a duplicate, body; must not raise
TakeAck = Callable[[int, str, str, int, bool, bytes], None]


class Uplink(TcpTransport):
    """nats-py's own TCP transport, which can hang up, and hands PubAcks over before nats-py reads them.

    A PubAck costs about twice as much through nats-py's parser (benchmarks/pubacks.py). What is not a
    plain one reaches it as it came, and in its place among them.
    """

    server = ""
    """``host:port`` that was dialled last."""
    _login = b""
    _ended = False

    def __init__(self, acks: PubAcks | None = None, take: TakeAck | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._acks, self._take = acks, take

    def __bool__(self) -> bool:
        """True also before it is connected: nats-py would put its own in place of a false one."""
        return True

    @property
    def waiting(self) -> int:
        """Bytes that were written and not yet taken by the kernel."""
        writer = self._io_writer
        return writer.transport.get_write_buffer_size() if writer is not None else 0

    def cut(self) -> None:
        """End the connection now, whatever it still holds."""
        if self._io_writer is not None:
            self._io_writer.transport.abort()

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Dial; an attempt before this one may have got no further than the TCP connection."""
        self.cut()
        self.server = uri.netloc.rpartition("@")[2]
        self._ended = False
        if self._acks is not None:
            self._acks.begin()
        await super().connect(uri, buffer_size, connect_timeout)

    async def connect_tls(self, *arguments: Any) -> None:
        """Begin TLS; of a connection whose handshake failed nothing would report the end."""
        self._ended = True
        try:
            await super().connect_tls(*arguments)
        except BaseException:
            self.cut()
            raise
        self._ended = False
        # Not said by nats-py: asyncio would log a warning for every server that hangs up.
        writer: Any = self._io_writer
        writer._protocol._over_ssl = True

    async def read(self, buffer_size: int) -> bytes:
        """Read what nats-py has to parse: after the login, which it reads in lines.

        Nothing, where all that came were PubAcks, which have reached their lane or store by then. Between two
        calls it parses: what is behind waits for it.
        """
        if self._acks is None or self._take is None:
            return await self._read(buffer_size)
        data = b"" if self._acks.more else await self._read(buffer_size)
        taken, rest = self._acks.feed(data, time.monotonic())
        for ack in taken:
            self._take(*ack)
        return rest

    async def _read(self, buffer_size: int) -> bytes:
        data: bytes = await super().read(buffer_size)
        return data

    def at_eof(self) -> bool:
        """Whether all is read, and handed over."""
        at_eof: bool = super().at_eof()  # type: ignore[no-untyped-call]
        return at_eof and (self._acks is None or not self._acks.more)

    def write(self, payload: bytes) -> None:
        """Write; the login waits for the PING behind it.

        A server that refuses the login answers and hangs up: written on its own, the PING could meet a closed
        connection, and why it was closed would not be read.
        """
        if payload.startswith(b"CONNECT "):
            self._login = payload
            return
        login, self._login = self._login, b""
        super().write(login + payload)  # type: ignore[no-untyped-call]

    async def wait_closed(self) -> None:
        """Wait until the connection has ended, and end it when that takes too long."""
        if self._ended:
            return
        try:
            async with asyncio.timeout(POLITE):
                await super().wait_closed()  # type: ignore[no-untyped-call]
        except TimeoutError:
            self.cut()


def attach(client: Client, urls: list[str], acks: PubAcks | None = None, take: TakeAck | None = None) -> None:
    """Let ``client``, not yet connected, use an Uplink, which passes to ``take`` what ``acks`` finds."""
    if not urls[0].startswith("ws"):  # a NATS behind websockets is nats-py's own affair
        client._transport = Uplink(acks, take)


async def hand_over(client: Client, lines: bytes) -> None:
    """Put ready-made protocol lines into nats-py's write buffer.

    Its public calls cannot send a publish with its headers as one block, and building them there costs twenty
    times as much.
    """
    flushing = client.pending_data_size > 0
    await client._send_command(lines)
    if not flushing:  # else its flusher runs already, and may be waiting for a server that does not read
        await client._flush_pending()


def waiting(client: Client) -> int:
    """Bytes on their way to the server that are still in this process."""
    transport: Any = client._transport
    return client.pending_data_size + (transport.waiting if isinstance(transport, Uplink) else 0)


def server(client: Client) -> str:
    """``host:port`` of the server that ``client`` uses, or tried last."""
    transport: Any = client._transport
    if isinstance(transport, Uplink):
        return transport.server
    url = client.connected_url
    return url.netloc.rpartition("@")[2] if url is not None else ""


def discovered(client: Client, urls: list[str]) -> list[str]:
    """The other servers of its cluster that ``client`` knows of, with scheme and login of the first URL."""
    scheme, _, rest = urls[0].rpartition("://")
    login = rest.rpartition("@")[0]
    start = f"{scheme or 'nats'}://{login + '@' if login else ''}"
    return [start + server.netloc.rpartition("@")[2] for server in client.discovered_servers]


def forget(client: Client) -> None:
    """Drop what ``client`` kept for the time after a reconnect.

    It was reported as not stored already; an ``up`` that is stored late would end a newer connection of that
    charger (docs/contract.md 3.6).
    """
    client._pending, client._pending_data_size = [], 0


def cut(client: Client) -> None:
    """End the TCP connection of ``client`` now."""
    transport: Any = client._transport
    if isinstance(transport, Uplink):
        transport.cut()
