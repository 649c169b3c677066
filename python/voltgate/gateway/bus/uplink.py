"""The TCP connection to NATS, and what waits in it: where nats-py would wait for a server that is gone.

nats-py ends a connection politely: it waits until all it wrote was taken. A frozen server, or one behind a
half-open connection, never takes it, so the client would neither say that NATS is away nor dial another
server. Touches nats-py's inside, as ``subscriptions`` does: pinned to >=2.16,<2.17, guarded by
tests/gateway/bus/test_pin.py.
"""

import asyncio
from typing import Any
from urllib.parse import ParseResult

from nats.aio.client import Client
from nats.aio.transport import TcpTransport

POLITE = 1.0  # seconds for the last bytes to leave


class Uplink(TcpTransport):
    """nats-py's own TCP transport, which can hang up."""

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
        await super().connect(uri, buffer_size, connect_timeout)

    async def connect_tls(self, *arguments: Any) -> None:
        """Begin TLS; a connection whose handshake failed is gone: nothing would report its end."""
        try:
            await super().connect_tls(*arguments)
        except BaseException:
            self.cut()
            self._io_writer = None
            raise

    async def wait_closed(self) -> None:
        """Wait until the connection has ended, and end it when that takes too long."""
        try:
            async with asyncio.timeout(POLITE):
                await super().wait_closed()  # type: ignore[no-untyped-call]
        except TimeoutError:
            self.cut()


def attach(client: Client, urls: list[str]) -> None:
    """Let ``client``, not yet connected, use an Uplink."""
    if not urls[0].startswith("ws"):  # a NATS behind websockets is nats-py's own affair
        client._transport = Uplink()  # type: ignore[no-untyped-call]


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
