"""The addresses that several workers share: proved to be free, and kept, before any of them starts.

The sockets kept here never listen, so the kernel gives them no charger; they keep other processes off the
port, and turn ``port = 0`` into one number for all workers.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from voltgate.config import Listener


class AddressError(Exception):
    """A listener's address cannot be used."""


@contextmanager
def kept(listeners: Sequence[Listener]) -> Iterator[list[int]]:
    """Keep every listener's address for the length of the block; yields their ports. Raises AddressError."""
    with ExitStack() as sockets:
        # Listen for a moment without SO_REUSEPORT, which would share the address with any process of this
        # user: an address in use is refused here, also one that two listeners name.
        with ExitStack() as probes:
            ports = [_bind(listener, listener.port, probes, shared=False) for listener in listeners]
        for listener, port in zip(listeners, ports, strict=True):
            _bind(listener, port, sockets, shared=True)
        yield ports


def _bind(listener: Listener, port: int, stack: ExitStack, shared: bool) -> int:
    """Bind each address of the host; returns the port they have in common."""
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
    except OSError as error:
        raise AddressError(f"listener {listener.host}:{port}: {error.strerror or error}") from None
    return port
