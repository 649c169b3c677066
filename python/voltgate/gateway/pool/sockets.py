"""The sockets on which several workers accept: bound before the workers start, a set for each of them.

They share their addresses (SO_REUSEPORT): the kernel gives each connection to one of those that listen. A
worker begins to listen on its set once it can take chargers. This process keeps all, and accepts nothing.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from voltgate.config import Listener
from voltgate.gateway.listening import bind


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
    """Keep every listener's address during the block. Raises ListenError."""
    with ExitStack() as sockets:
        # First listen without SO_REUSEPORT, which would share the address with any process of this user:
        # an address in use is refused here, also if two listeners have the same one.
        with ExitStack() as probes:
            ports = [_port(_bind(one, one.port, False, probes)) for one in listeners]
        addresses = list(zip(listeners, ports, strict=True))
        yield Kept(
            ports,
            [[_bind(one, port, True, sockets) for one, port in addresses] for _ in range(workers)],
        )


def _port(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1])


def _bind(listener: Listener, port: int, shared: bool, stack: ExitStack) -> list[socket.socket]:
    return [stack.enter_context(sock) for sock in bind(listener, port, shared=shared)]
