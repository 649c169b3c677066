"""What the kernel says about a socket that nobody reads, with real sockets."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from voltgate.gateway.edge.kernel import KEEPALIVE, has_hung_up, keep_alive
from wire import Wire


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Wire]]:
    """A charger's end, and a transport around the gateway's."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        charger = stack.enter_context(socket.create_connection(server.getsockname()))
        accepted = stack.enter_context(server.accept()[0])
        yield charger, Wire(asyncio.Protocol(), socket=accepted)


@pytest.mark.parametrize("unread", [b"", b"x" * 10_000])
@pytest.mark.parametrize("reset", [False, True])
def test_an_end_is_seen_behind_unread_bytes(
    pair: tuple[socket.socket, Wire], unread: bytes, reset: bool
) -> None:
    charger, wire = pair
    charger.sendall(unread)
    assert not has_hung_up(wire)
    if reset:
        charger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    charger.close()
    assert has_hung_up(wire)


def test_a_transport_without_a_socket_says_nothing() -> None:
    assert not has_hung_up(Wire(asyncio.Protocol()))


def test_the_kernel_watches_a_charger_that_must_not_be_pinged(pair: tuple[socket.socket, Wire]) -> None:
    _, wire = pair
    keep_alive(wire)
    plug = wire.get_extra_info("socket")
    assert plug.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    for option, value in KEEPALIVE:
        assert plug.getsockopt(socket.IPPROTO_TCP, option) == value


def test_no_descriptor_is_needed(pair: tuple[socket.socket, Wire]) -> None:
    _, wire = pair
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        assert not has_hung_up(wire)
        keep_alive(wire)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert wire.get_extra_info("socket").fileno() >= 0
