"""Sockets of a process alone, and sets of sockets that workers hand over to each other."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from voltgate.config import Listener
from voltgate.gateway.accepting import Make
from voltgate.gateway.listening import ListenError, Listening, Place
from voltgate.gateway.pool.sockets import kept

LISTENERS = [Listener(host="127.0.0.1", port=0), Listener(host="127.0.0.1", port=0)]


def pace(some: Callable[[int], None]) -> None:
    """Accepts one socket in each turn."""
    asyncio.get_running_loop().call_soon(some, 1)


class Greeter(asyncio.Protocol):
    """Sends who accepted, and ends."""

    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._name.encode())
        transport.close()


def makers(worker: str) -> list[Make]:
    """The protocols of the two listeners."""
    return [lambda: Greeter(f"{worker}0"), lambda: Greeter(f"{worker}1")]


async def greeted(port: int) -> str:
    """Who accepts a connection now."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(10):
        name = await reader.read()
    writer.close()
    return name.decode()


def nobody(peer: str) -> None:
    raise AssertionError(f"{peer} was turned away")


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


async def test_a_process_alone_opens_its_own() -> None:
    alone = Listening(LISTENERS, None)
    assert (alone.is_open, alone.addresses) == (False, [])
    alone.open(makers("a"), pace, nobody)
    ports = [int(address.rpartition(":")[2]) for address in alone.addresses]
    assert [await greeted(port) for port in ports] == ["a0", "a1"]
    alone.accept_on([])  # there is nobody to hand over to
    assert await greeted(ports[0]) == "a0"
    alone.close()
    assert (alone.is_open, alone.addresses) == (False, [])
    with pytest.raises(ConnectionRefusedError):
        await greeted(ports[0])


async def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        alone = Listening([Listener(host="127.0.0.1", port=port)], None)
        with pytest.raises(ListenError, match=f"listener 127.0.0.1:{port}: .*in use"):
            alone.open(makers("a")[:1], pace, nobody)
    alone.close()


def dup(sets: list[list[list[int]]]) -> list[list[list[int]]]:
    """As another process has them."""
    return [[[socket.dup(fd) for fd in fds] for fds in one] for one in sets]


async def test_a_worker_accepts_on_the_sets_it_is_given_and_nothing_that_waits_is_reset() -> None:
    with kept(LISTENERS, 2) as sockets:
        a, b = (Listening(LISTENERS, Place(number, dup(sockets.descriptors))) for number in (0, 1))
        b.accept_on([0, 1])  # an order that comes before it is open
        a.open(makers("a"), pace, nobody)
        assert a.addresses == [f"127.0.0.1:{port}" for port in sockets.ports]
        assert {await greeted(sockets.ports[0]) for _ in range(9)} == {"a0"}, "the other set does not listen"
        a.accept_on([])
        waiting = asyncio.ensure_future(greeted(sockets.ports[1]))
        await asyncio.sleep(0)
        assert a.is_open, "it has handed over, and is not closed"
        b.open(makers("b"), pace, nobody)
        assert await waiting == "b1", "it waited in the accept queue of the first"
        assert {await greeted(sockets.ports[0]) for _ in range(9)} == {"b0"}
        b.accept_on([1])
        a.accept_on([0])
        got: set[str] = set()
        async with asyncio.timeout(10):
            while got != {"a0", "b0"}:
                got.add(await greeted(sockets.ports[0]))
        b.close()
        sockets.close()
        a.accept_on([0, 1])  # what the kernel gives to the second set is not refused
        assert {await greeted(sockets.ports[0]) for _ in range(9)} == {"a0"}
        a.close()
        with pytest.raises(ConnectionRefusedError):
            await greeted(sockets.ports[0])
