"""How the kernel watches the socket of a charger that must not be pinged."""

import asyncio
import os
import socket

IDLE, INTERVAL, PROBES = 60, 30, 4  # seconds of silence, seconds between probes, until it is given up


def watch(transport: asyncio.Transport) -> None:
    """TCP keepalive: a peer that is gone ends the socket in three minutes."""
    inner = transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(inner.fileno())) as sock:  # the loop's own has no options
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
