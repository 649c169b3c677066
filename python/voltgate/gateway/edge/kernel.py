"""What the kernel does and knows about a charger's socket that the event loop does not say."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

# TCP keepalive of a charger that must not be pinged: seconds of silence, seconds between probes, probes.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 30), (socket.TCP_KEEPCNT, 4))
_ESTABLISHED = 1  # tcpi_state, the first byte of TCP_INFO (tcp(7))


def keep_alive(transport: asyncio.Transport) -> None:
    """Let the kernel watch a charger that must not be pinged: a peer that is gone ends in three minutes."""
    with _inner(transport) as sock:
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def has_hung_up(transport: asyncio.Transport) -> bool:
    """Whether the charger has ended the connection; also while the socket is not read."""
    with _inner(transport) as sock, contextlib.suppress(OSError):
        if sock is not None:
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
    return False


@contextlib.contextmanager
def _inner(transport: asyncio.Transport) -> Iterator[socket.socket | None]:
    inner = transport.get_extra_info("socket")
    if inner is None:
        yield None
        return
    sock = socket.socket(fileno=inner.fileno())  # the loop's own has no options
    try:
        yield sock
    finally:
        sock.detach()  # a duplicate would fail where no descriptor is left
