"""TLS of one socket: records in both directions, how it closes, and the order of handshakes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import uvloop

from certificates import Authority
from voltgate.gateway.clock import Wheel
from voltgate.gateway.edge.paced import Paced
from voltgate.gateway.edge.secured import GIVEN_BACK, Handshakes, Secured
from voltgate.gateway.edge.tls import Failure, Files, Peer, build

PATIENCE = 20.0


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on the loop that the gateway runs on."""

    @wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        uvloop.run(test(*args, **fixtures))

    return run


class Pki(NamedTuple):
    servers: Authority
    chargers: Authority
    files: Files


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    servers, chargers = Authority(folder, "servers"), Authority(folder, "chargers")
    return Pki(servers, chargers, Files((servers.issue("server").pair,)))


class Inner(asyncio.Protocol):
    """What arrives, and the transport for what is sent."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = asyncio.Event()
        self.eof = asyncio.Event()
        self.changed = asyncio.Event()
        self.writing = True
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, Secured)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.changed.set()

    def eof_received(self) -> bool | None:
        self.eof.set()
        return None

    def pause_writing(self) -> None:
        self.writing = False
        self.changed.set()

    def resume_writing(self) -> None:
        self.writing = True
        self.changed.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


class Door:
    """A listener with TLS: its port, its sockets, and how handshakes ended."""

    def __init__(self) -> None:
        self.port = 0
        self.sockets: list[Inner] = []
        self.done: list[tuple[str, bool]] = []
        self.failed: list[Failure] = []


@asynccontextmanager
async def door(files: Files, inner: type[Inner] = Inner) -> AsyncIterator[Door]:
    opened, context = Door(), build(files).context
    loop = asyncio.get_running_loop()
    handshakes = Handshakes(
        Paced(Wheel(loop.time, loop.time), loop.call_later),
        loop.call_soon,
        lambda *how: opened.done.append(how),
        lambda failure, _: opened.failed.append(failure),
    )

    def make() -> Secured:
        opened.sockets.append(inner())
        return Secured(opened.sockets[-1], context, handshakes)

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
        for socket in opened.sockets:
            socket.transport.abort()
            await asyncio.wait_for(socket.ended.wait(), PATIENCE)


def trusting(pki: Pki, pair: tuple[str, str] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki.servers.file)
    if pair:
        context.load_cert_chain(*pair)
    return context


class Charger(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@asynccontextmanager
async def charger(port: int, context: ssl.SSLContext | None) -> AsyncIterator[Charger]:
    options: dict[str, Any] = {"server_hostname": "localhost"} if context else {}
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, **options)
    try:
        yield Charger(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [1, 16_384, 16_385, 300_000])
@on_uvloop
async def test_bytes_go_both_ways_unchanged(pki: Pki, size: int, version: ssl.TLSVersion) -> None:
    sent = bytes(range(256)) * (size // 256) + bytes(size % 256)
    context = trusting(pki)
    context.maximum_version = version
    async with door(pki.files) as opened, charger(opened.port, context) as dialled:
        dialled.writer.write(sent)
        inner = opened.sockets[0]
        await inner.until(lambda: len(inner.got) >= size)
        assert inner.got == sent
        inner.transport.write(memoryview(sent))
        assert await asyncio.wait_for(dialled.reader.readexactly(size), PATIENCE) == sent
        name = version.name.replace("_", ".").replace("TLSv", "TLSv")
        assert opened.done == [(name, False)]
        assert inner.transport.get_extra_info("tls_version") == name
        assert inner.transport.get_extra_info("peername")[0] == "127.0.0.1"


@on_uvloop
async def test_the_name_in_the_certificate_is_known_with_the_first_byte(pki: Pki) -> None:
    mine = pki.chargers.issue("CP1", "CP1", "Operator")
    files = Files(pki.files.certificates, pki.chargers.file)
    async with door(files) as opened, charger(opened.port, trusting(pki, mine.pair)) as dialled:
        dialled.writer.write(b"!")
        inner = opened.sockets[0]
        await inner.until(lambda: bool(inner.got))
        assert inner.transport.get_extra_info("client_certificate") == Peer("CP1", "Operator")


@on_uvloop
async def test_nothing_is_delivered_while_reading_is_paused_and_all_of_it_afterwards(pki: Pki) -> None:
    async with door(pki.files) as opened, charger(opened.port, trusting(pki)) as dialled:
        dialled.writer.write(b"a")
        inner = opened.sockets[0]
        await inner.until(lambda: inner.got == b"a")
        inner.transport.pause_reading()
        dialled.writer.write(b"b" * 50_000)
        await dialled.writer.drain()
        inner.transport.write(b"c")
        await dialled.reader.readexactly(1)
        assert inner.got == b"a"
        inner.transport.resume_reading()
        await inner.until(lambda: inner.got == b"a" + b"b" * 50_000)


@on_uvloop
async def test_a_protocol_that_takes_over_gets_the_next_record_of_the_same_read(pki: Pki) -> None:
    class First(Inner):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()
            second.transport = self.transport
            self.transport.set_protocol(second)
            self.transport.resume_reading()

    second = Inner()
    async with door(pki.files, First) as opened, charger(opened.port, trusting(pki)) as dialled:
        first = opened.sockets[0]
        dialled.writer.write(b"a")
        dialled.writer.write(b"b")  # a record of its own
        await second.until(lambda: bool(second.got))
        assert (first.got, second.got) == (b"a", b"b")
        first.ended = second.ended


@on_uvloop
async def test_a_charger_that_does_not_read_pauses_writing(pki: Pki) -> None:
    async with door(pki.files) as opened, charger(opened.port, trusting(pki)) as dialled:
        dialled.writer.write(b"a")
        inner = opened.sockets[0]
        await inner.until(lambda: inner.got == b"a")
        inner.transport.set_write_buffer_limits(high=100_000)
        size = 0
        while inner.writing:
            inner.transport.write(bytes(100_000))
            size += 100_000
        assert inner.transport.get_write_buffer_size() > 100_000
        await asyncio.wait_for(dialled.reader.readexactly(size), PATIENCE)
        await inner.until(lambda: inner.writing)


@on_uvloop
async def test_closing_sends_what_was_written_and_ends_the_stream(pki: Pki) -> None:
    async with door(pki.files) as opened, charger(opened.port, trusting(pki)) as dialled:
        dialled.writer.write(b"a")
        inner = opened.sockets[0]
        await inner.until(lambda: inner.got == b"a")
        inner.transport.write(b"bye")
        inner.transport.close()
        assert inner.transport.is_closing()
        inner.transport.write(b"too late")
        assert await asyncio.wait_for(dialled.reader.read(), PATIENCE) == b"bye"


@on_uvloop
async def test_half_closing_ends_our_stream_and_waits_for_the_other(pki: Pki) -> None:
    async with door(pki.files) as opened, charger(opened.port, trusting(pki)) as dialled:
        dialled.writer.write(b"a")
        inner = opened.sockets[0]
        await inner.until(lambda: inner.got == b"a")
        assert inner.transport.can_write_eof()
        inner.transport.write(b"bye")
        inner.transport.write_eof()
        assert await asyncio.wait_for(dialled.reader.read(), PATIENCE) == b"bye"
        await asyncio.wait_for(inner.ended.wait(), PATIENCE)  # the client's TLS ends its side by itself


@on_uvloop
async def test_the_charger_hangs_up(pki: Pki) -> None:
    async with door(pki.files) as opened, charger(opened.port, trusting(pki)) as dialled:
        dialled.writer.write(b"a")
        dialled.writer.close()
        await asyncio.wait_for(opened.sockets[0].ended.wait(), PATIENCE)
        assert opened.sockets[0].got == b"a"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", Failure.MISSING),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", Failure.PROTOCOL),
    ],
)
@on_uvloop
async def test_what_is_not_a_handshake_is_closed_and_reported(
    pki: Pki, sent: bytes, expected: Failure
) -> None:
    async with door(pki.files) as opened, charger(opened.port, None) as dialled:
        dialled.writer.write(sent)
        await asyncio.wait_for(dialled.reader.read(), PATIENCE)
        await asyncio.wait_for(opened.sockets[0].ended.wait(), PATIENCE)
        assert (opened.failed, opened.done) == ([expected], [])
        assert opened.sockets[0].got == b""


@on_uvloop
async def test_a_charger_without_a_certificate_reaches_nothing(pki: Pki) -> None:
    files = Files(pki.files.certificates, pki.chargers.file)
    async with door(files) as opened, charger(opened.port, trusting(pki)) as dialled:
        dialled.writer.write(b"a")  # in TLS 1.3 its own handshake has ended
        with suppress(OSError):
            assert await asyncio.wait_for(dialled.reader.read(), PATIENCE) == b""
        await asyncio.wait_for(opened.sockets[0].ended.wait(), PATIENCE)
        assert opened.failed == [Failure.NO_CERTIFICATE]
        assert opened.sockets[0].got == b""


@on_uvloop
async def test_a_record_that_was_changed_ends_the_socket(pki: Pki, tmp_path: Path) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(pki).wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with door(pki.files) as opened, charger(opened.port, None) as dialled:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                dialled.writer.write(outgoing.read())
                incoming.write(await asyncio.wait_for(dialled.reader.read(65_536), PATIENCE))
        tls.write(b"whole")
        record = bytearray(outgoing.read())
        record[-1] ^= 1
        dialled.writer.write(record)
        await asyncio.wait_for(opened.sockets[0].ended.wait(), PATIENCE)
        assert opened.sockets[0].got == b""


@on_uvloop
async def test_a_handshake_that_was_answered_goes_before_new_ones(pki: Pki) -> None:
    """Else a storm could begin all of them, and none would end before its deadline."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(pki).wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with door(pki.files) as opened, charger(opened.port, None) as dialled:
        while not incoming.pending:
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            dialled.writer.write(outgoing.read())
            incoming.write(await asyncio.wait_for(dialled.reader.read(65_536), PATIENCE))
        tls.do_handshake()
        tls.write(b"a")
        # The hellos of the others are on their sockets first.
        crowd = [await asyncio.open_connection("127.0.0.1", opened.port) for _ in range(60)]
        hello = ssl.MemoryBIO()
        with suppress(ssl.SSLWantReadError):
            trusting(pki).wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
        data, answered = hello.read(), list[int]()
        for number, (reader, writer) in enumerate(crowd):
            writer.write(data)
            first = asyncio.ensure_future(reader.read(1))
            first.add_done_callback(lambda _, number=number: answered.append(number))  # type: ignore[misc]
        dialled.writer.write(outgoing.read())
        inner = opened.sockets[0]
        await inner.until(lambda: inner.got == b"a")
        assert len(answered) < len(crowd) / 2
        async with asyncio.timeout(PATIENCE):
            while len(answered) < len(crowd):
                await asyncio.sleep(0)
        for _, writer in crowd:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


@on_uvloop
async def test_handshakes_that_arrive_at_once_leave_turns_to_the_others(pki: Pki) -> None:
    """Connected chargers are answered between them, not behind the last one."""
    async with door(pki.files) as opened, charger(opened.port, trusting(pki)) as connected:
        connected.writer.write(b"a")
        inner = opened.sockets[0]
        await inner.until(lambda: inner.got == b"a")
        # All hellos are on the sockets before the loop reads one of them.
        crowd = [await asyncio.open_connection("127.0.0.1", opened.port) for _ in range(60)]
        hello = ssl.MemoryBIO()
        with suppress(ssl.SSLWantReadError):
            trusting(pki).wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
        data, finished = hello.read(), list[int]()

        def note(number: int, _: object) -> None:
            finished.append(number)

        for number, (reader, writer) in enumerate(crowd):
            writer.write(data)
            answered = asyncio.ensure_future(reader.read(1))
            answered.add_done_callback(partial(note, number))
        connected.writer.write(b"b")
        await inner.until(lambda: inner.got == b"ab")
        assert len(finished) < len(crowd)
        async with asyncio.timeout(PATIENCE):
            while len(finished) < len(crowd):
                await asyncio.sleep(0)
        assert finished == list(range(len(crowd))), "in the order in which they arrived"
        for _, writer in crowd:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


def test_the_memory_of_many_connections_goes_back_to_the_system() -> None:
    later: list[Callable[[], None]] = []
    paced = Paced(Wheel(lambda: 0.0, lambda: 0.0), lambda _, run: later.append(run))
    handshakes = Handshakes(paced, later.append, lambda *_: None, lambda *_: None)
    for _ in range(GIVEN_BACK - 1):
        handshakes.freed()
    assert later == []
    handshakes.freed()
    blocks = [bytearray(b"x" * 20_000) for _ in range(2000)]
    kept = blocks[::20]  # holes between them
    del blocks
    before = psutil.Process().memory_info().rss
    later.pop()()
    assert psutil.Process().memory_info().rss < before - 20_000_000
    assert len(kept) == 100
