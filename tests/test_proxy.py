"""The faults of the proxy, and which end notices them."""

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from listening import listening
from proxy import Proxy, rst

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PATIENCE = 30.0


@pytest.fixture
async def far() -> AsyncIterator["Far"]:
    guests: asyncio.Queue[Ends] = asyncio.Queue()

    async def came(*ends: Any) -> None:
        await guests.put(ends)

    async with listening(came) as port:
        yield Far(port, guests)


@pytest.fixture
def proxy(far: "Far") -> Iterator[Proxy]:
    made = Proxy(far.port)
    yield made
    made.stop()


@dataclass(frozen=True)
class Far:
    """A server that shows who came; each is its reader and its writer."""

    port: int
    guests: asyncio.Queue[Ends]


async def joined(proxy: Proxy, far: Far) -> tuple[Ends, Ends]:
    """A connection through the proxy: its near and its far end."""
    near = await asyncio.open_connection("127.0.0.1", proxy.port)
    async with asyncio.timeout(PATIENCE):
        return near, await far.guests.get()


async def read(ends: Ends, size: int) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await ends[0].readexactly(size)


async def until(proxy: Proxy, links: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while proxy.links != links:
            await asyncio.sleep(0.01)


async def test_bytes_and_the_end_pass_both_ways(proxy: Proxy, far: Far) -> None:
    near, other = await joined(proxy, far)
    near[1].write(b"up")
    other[1].write(b"down")
    assert (await read(other, 2), await read(near, 4)) == (b"up", b"down")
    near[1].write_eof()
    assert await other[0].read() == b"", "the end is told"
    other[1].write(b"still")
    assert await read(near, 5) == b"still", "and is one way only"
    other[1].close()
    assert await near[0].read() == b""
    near[1].close()
    await until(proxy, 0)


async def test_latency_delays_and_slices_are_small(proxy: Proxy, far: Far) -> None:
    near, other = await joined(proxy, far)
    proxy.down.latency = 0.2
    proxy.up.slice = 1
    began = time.monotonic()
    other[1].write(b"late")
    assert await read(near, 4) == b"late"
    assert time.monotonic() - began >= 0.2
    near[1].write(b"abcdefgh")
    assert await read(other, 8) == b"abcdefgh"
    near[1].transport.abort()


async def test_held_bytes_arrive_after_healing_and_lost_bytes_never(proxy: Proxy, far: Far) -> None:
    near, other = await joined(proxy, far)
    proxy.up.hold()
    near[1].write(b"1")
    other[1].write(b"x")
    assert await read(near, 1) == b"x", "the other way is not touched"
    passed = proxy.up.passed
    proxy.up.heal()
    assert (passed, await read(other, 1)) == (0, b"1")
    proxy.up.lose()
    lost = proxy.up.aim(b"2", lambda: None)
    near[1].write(b"2")
    assert await asyncio.to_thread(lost.wait, PATIENCE)
    proxy.up.heal()
    near[1].write(b"3")
    assert await read(other, 1) == b"3"
    near[1].transport.abort()


async def test_a_reset_reaches_both_ends_and_new_connections_pass(proxy: Proxy, far: Far) -> None:
    near, other = await joined(proxy, far)
    proxy.reset()
    for ends in (near, other):
        with pytest.raises(ConnectionResetError):
            await read(ends, 1)
    near, other = await joined(proxy, far)
    near[1].write(b"!")
    assert await read(other, 1) == b"!"
    rst(other[1])
    with pytest.raises(ConnectionResetError):
        await read(near, 1)


async def test_half_open_the_near_end_stays_open_and_new_connections_pass(proxy: Proxy, far: Far) -> None:
    near, other = await joined(proxy, far)
    proxy.half_open()
    with pytest.raises(ConnectionResetError):
        await read(other, 1)
    vanished = proxy.up.aim(b"anybody", lambda: None)
    near[1].write(b"anybody?")
    assert await asyncio.to_thread(vanished.wait, PATIENCE)
    assert not near[0].at_eof()
    fresh, other = await joined(proxy, far)
    fresh[1].write(b"!")
    assert await read(other, 1) == b"!"
    for ends in (near, fresh):
        ends[1].transport.abort()


async def test_new_connections_are_refused_until_the_same_port_accepts_again(proxy: Proxy, far: Far) -> None:
    near, other = await joined(proxy, far)
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    near[1].write(b"!")
    assert await read(other, 1) == b"!", "what stands, stands"
    proxy.accept()
    assert proxy.port == port
    fresh, _ = await joined(proxy, far)
    for ends in (near, fresh):
        ends[1].transport.abort()


async def test_a_proxy_that_stops_while_it_accepts_leaves_nothing_open(far: Far) -> None:
    """Whichever step the accept has reached; what is left open, pytest reports."""
    for _ in range(50):
        proxy = Proxy(far.port)
        with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as near:
            await asyncio.to_thread(proxy.stop)
            with suppress(ConnectionResetError):
                assert near.recv(1) == b""
    gc.collect()


async def test_an_aimed_fault_strikes_once_before_the_bytes_it_waits_for(proxy: Proxy, far: Far) -> None:
    """Also where they come in two pieces; what goes before them has passed."""
    near, other = await joined(proxy, far)
    struck = proxy.up.aim(b"HPUB ocpp.tx", proxy.reset)
    near[1].write(b"PING")
    assert await read(other, 4) == b"PING"
    near[1].write(b"HPUB oc")
    assert await read(other, 7) == b"HPUB oc"
    assert not struck.is_set()
    near[1].write(b"pp.tx.")
    with pytest.raises(ConnectionResetError):
        await read(other, 1)
    assert struck.is_set()
    near, other = await joined(proxy, far)
    near[1].write(b"HPUB ocpp.tx")
    assert await read(other, 12) == b"HPUB ocpp.tx", "once"
    near[1].transport.abort()
