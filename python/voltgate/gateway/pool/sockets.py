"""The sockets on which several workers accept: bound before the workers start, a set for each of them.

They share their addresses (SO_REUSEPORT): the kernel gives each connection to one of those that listen. A
worker begins to listen on its set once it can take chargers. This process keeps all, and accepts nothing.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from voltgate.config import Listener


class AddressError(Exception):
    """A listener's address cannot be used."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The ports of the listeners, and the sockets of each worker by listener."""

    ports: list[int]
    sets: list[list[list[socket.socket]]]

    @property
    def descriptors(self) -> list[list[list[int]]]:
        """Of the sockets, in the same order."""
        return [[[sock.fileno() for sock in listener] for listener in one] for one in self.sets]

    def close(self) -> None:
        """Keep no socket: a connection is refused once no worker accepts on any."""
        for sock in (sock for one in self.sets for listener in one for sock in listener):
            sock.close()


@contextmanager
def kept(listeners: Sequence[Listener], workers: int) -> Iterator[Kept]:
    """Keep every listener's address during the block. Raises AddressError."""
    with ExitStack() as sockets:
        # First listen without SO_REUSEPORT, which would share the address with any process of this user:
        # an address in use is refused here, also if two listeners have the same one.
        with ExitStack() as probes:
            ports = [_port(_bind(one, one.port, probes, shared=False)) for one in listeners]
        addresses = list(zip(listeners, ports, strict=True))
        yield Kept(
            ports,
            [[_bind(one, port, sockets, shared=True) for one, port in addresses] for _ in range(workers)],
        )


def _port(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1])


def _bind(listener: Listener, port: int, stack: ExitStack, shared: bool) -> list[socket.socket]:
    """A socket for each address of the host, all with one port."""
    bound = []
    try:
        found = socket.getaddrinfo(
            listener.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, proto, _, address in dict.fromkeys(found):
            sock = stack.enter_context(socket.socket(family, kind, proto))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:  # as asyncio does when it listens
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
            if not shared:
                sock.listen(1)
            port = sock.getsockname()[1]
            bound.append(sock)
    except OSError as error:
        raise AddressError(f"listener {listener.host}:{port}: {error.strerror or error}") from None
    return bound
