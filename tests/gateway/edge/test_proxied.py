"""A socket behind a load balancer: the header, then the charger, with and without TLS of our own."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from certificates import Authority
from voltgate.gateway.clock import Wheel
from voltgate.gateway.edge.paced import Paced
from voltgate.gateway.edge.proxied import ProxiedTransport, Untrusted
from voltgate.gateway.edge.proxy import SIGNATURE, Refused, TrustedProxies
from voltgate.gateway.edge.secured import Handshakes, Secured
from voltgate.gateway.edge.tls import Files, Peer, build
from wire import Wire

PATIENCE = 20.0
# From 192.0.2.7:40000, a verified certificate of CP1 over TLS 1.3.
ADDRESSES = bytes([192, 0, 2, 7, 192, 0, 2, 1]) + (40_000).to_bytes(2, "big") + (443).to_bytes(2, "big")
TLS = b"\x20\x00\x15\x07\x00\x00\x00\x00\x21\x00\x07TLSv1.3\x22\x00\x03CP1"
PLAIN = SIGNATURE + b"\x21\x11" + len(ADDRESSES).to_bytes(2, "big") + ADDRESSES
SECURED = SIGNATURE + b"\x21\x11" + len(ADDRESSES + TLS).to_bytes(2, "big") + ADDRESSES + TLS
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


class Echo(asyncio.Protocol):
    """Answers what it gets, and remembers it."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set()


class Door:
    """A listener: its port, sockets, and what was refused."""

    def __init__(self) -> None:
        self.port = 0
        self.sockets: list[Echo] = []
        self.refused: list[tuple[Refused | Untrusted, str]] = []
        self.names: list[str] = []
        self.stays = True

    def named(self, peer: str) -> bool:
        self.names.append(peer)
        return self.stays


@asynccontextmanager
async def door(trusted: str = "127.0.0.0/8", context: ssl.SSLContext | None = None) -> AsyncIterator[Door]:
    loop, opened = asyncio.get_running_loop(), Door()
    paced = Paced(Wheel(loop.time, loop.time), loop.call_later)
    handshakes = Handshakes(paced, loop.call_soon, lambda *_: None, lambda *_: None)

    def make() -> ProxiedTransport:
        opened.sockets.append(Echo())
        inner: asyncio.Protocol = opened.sockets[-1]
        if context is not None:
            inner = Secured(inner, context, handshakes)
        return ProxiedTransport(
            inner, TrustedProxies.of([trusted]), lambda *how: opened.refused.append(how), opened.named
        )

    server = await loop.create_server(make, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
        for socket in opened.sockets:
            socket.transport.abort()
            await asyncio.wait_for(socket.ended.wait(), PATIENCE)


@asynccontextmanager
async def dial(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("header", "address", "version", "certificate"),
    [
        (PLAIN, ("192.0.2.7", 40_000), None, None),
        (SECURED, ("192.0.2.7", 40_000), "TLSv1.3", Peer("CP1", "")),
    ],
    ids=["plain", "TLS ended at the proxy"],
)
@pytest.mark.parametrize("cut", [0, 1, 15, 16, 20])
async def test_the_charger_is_whom_the_header_names(
    header: bytes, address: tuple[str, int], version: str | None, certificate: Peer | None, cut: int
) -> None:
    async with door() as opened, dial(opened.port) as (reader, writer):
        writer.write(header[:cut])
        await writer.drain()
        writer.write(header[cut:] + b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), PATIENCE) == b"hello"
        writer.write(b"again")
        assert await asyncio.wait_for(reader.readexactly(5), PATIENCE) == b"again"
        echo = opened.sockets[0]
        assert echo.got == b"helloagain"
        assert echo.transport.get_extra_info("peername") == address
        assert echo.transport.get_extra_info("tls_version") == version
        assert echo.transport.get_extra_info("client_certificate") == certificate


REFUSED: list[tuple[str, bytes, Refused | Untrusted]] = [
    ("127.0.0.0/8", b"GET /CP1 HTTP/1.1\r\n\r\n", Refused.MISSING),
    ("127.0.0.0/8", b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n", Refused.VERSION_1),
    ("10.0.0.0/8", PLAIN + b"hello", Untrusted.UNTRUSTED),
]


@pytest.mark.parametrize(("trusted", "sent", "reason"), REFUSED)
async def test_everything_else_is_reset_and_reported(
    trusted: str, sent: bytes, reason: Refused | Untrusted
) -> None:
    async with door(trusted) as opened, dial(opened.port) as (reader, writer):
        writer.write(sent)
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        async with asyncio.timeout(PATIENCE):
            while not opened.sockets:
                await asyncio.sleep(0)
            await opened.sockets[0].ended.wait()
        host, port = writer.get_extra_info("sockname")
        assert opened.refused == [(reason, f"{host}:{port}")]
        assert opened.sockets[0].got == b""


async def test_a_health_check_of_the_load_balancer_is_closed_and_not_a_refusal() -> None:
    """LOCAL names no charger; what follows it is not read."""
    async with door() as opened, dial(opened.port) as (reader, writer):
        writer.write(LOCAL + b"GET /CP1 HTTP/1.1\r\n\r\n")
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        await asyncio.wait_for(opened.sockets[0].ended.wait(), PATIENCE)
        assert (opened.refused, opened.sockets[0].got) == ([], b"")


async def test_a_charger_of_which_there_are_too_many_is_reset_behind_its_header() -> None:
    """Before TLS of our own costs anything."""
    async with door() as opened, dial(opened.port) as (reader, writer):
        opened.stays = False
        writer.write(PLAIN + b"hello")
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        await asyncio.wait_for(opened.sockets[0].ended.wait(), PATIENCE)
        assert (opened.names, opened.sockets[0].got) == (["192.0.2.7:40000"], b"")


def test_a_socket_that_was_reset_before_its_accept_is_not_a_refusal() -> None:
    """The kernel no longer knows its address."""
    refused: list[object] = []
    proxied = ProxiedTransport(
        asyncio.Protocol(),
        TrustedProxies.of(["10.0.0.0/8"]),
        lambda *how: refused.append(how),
        lambda _: True,
    )
    wire = Wire(proxied, peername=None)
    assert (wire.is_reset(), refused) == (True, [])


async def test_a_protocol_that_takes_over_gets_what_follows() -> None:
    async with door() as opened, dial(opened.port) as (reader, writer):
        writer.write(PLAIN + b"hello")
        await asyncio.wait_for(reader.readexactly(5), PATIENCE)
        first, second = opened.sockets[0], Echo()
        second.transport = first.transport
        first.transport.set_protocol(second)
        writer.write(b"again")
        assert await asyncio.wait_for(reader.readexactly(5), PATIENCE) == b"again"
        assert (first.got, second.got) == (b"hello", b"again")
        first.ended = second.ended


async def test_tls_of_our_own_behind_the_header(tmp_path: Path) -> None:
    """A load balancer that does not terminate TLS: the certificate that counts is the one verified here."""
    servers, chargers = Authority(tmp_path, "servers"), Authority(tmp_path, "chargers")
    context = build(Files((servers.issue("server").pair,), chargers.file)).context
    client = ssl.create_default_context(cafile=servers.file)
    client.load_cert_chain(*chargers.issue("CP2", "CP2", "Operator").pair)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.wrap_bio(incoming, outgoing, server_hostname="localhost")

    async with door(context=context) as opened, dial(opened.port) as (reader, writer):

        async def until_done(step: Callable[[], object]) -> object:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await asyncio.wait_for(reader.read(65_536), PATIENCE))

        writer.write(SECURED)
        await until_done(tls.do_handshake)
        tls.write(b"hello")
        assert await until_done(lambda: tls.read(5)) == b"hello"
        transport = opened.sockets[0].transport
        assert transport.get_extra_info("peername") == ("192.0.2.7", 40_000)
        assert transport.get_extra_info("client_certificate") == Peer("CP2", "Operator")
