"""The sockets on which this process accepts chargers.

A process alone opens its own. Under a supervisor the sockets are the supervisor's: one set for each worker,
and every worker has all of them. Which sets a worker accepts on changes while it runs, because a full worker
hands its own over (``pool.assignment`` decides). As the supervisor keeps each socket open, nothing that waits
in its accept queue is reset when a worker stops to accept on it.
"""

import asyncio
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from voltgate.config import Listener

log = structlog.get_logger()

Make = Callable[[], asyncio.Protocol]

BACKLOG = 4096


class ListenError(Exception):
    """A listener's address cannot be used."""


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's number, and the descriptors of every set: by worker, by listener, one for each address."""

    number: int
    sets: list[list[list[int]]]


class Listening:
    """Made closed; see :meth:`open`."""

    def __init__(self, listeners: list[Listener], place: Place | None) -> None:
        self._listeners = listeners
        self._accepts_on: Collection[int] = () if place is None else (place.number,)
        sets = place.sets if place is not None else []
        self._sockets = [[[socket.socket(fileno=fd) for fd in fds] for fds in one] for one in sets]
        self._own = place.number if place is not None else 0
        self._servers: dict[int, list[asyncio.Server]] = {}
        self._makers: list[Make] = []
        self._changing = asyncio.Lock()
        self.is_open = False

    @property
    def addresses(self) -> list[str]:
        """``host:port`` of every listener, while it is open."""
        if not self.is_open:
            return []
        if self._sockets:
            sockets = [sock for fds in self._sockets[self._own] for sock in fds]
        else:
            sockets = [sock for server in self._servers[0] for sock in server.sockets]
        return ["{}:{}".format(*sock.getsockname()[:2]) for sock in sockets]

    async def open(self, makers: list[Make]) -> None:
        """Accept chargers; ``makers``: of the protocol of a socket, by listener. Raises ListenError."""
        self._makers = makers
        if not self._sockets:
            self._servers[0] = [
                await self._open(listener, make)
                for listener, make in zip(self._listeners, makers, strict=True)
            ]
        self.is_open = True
        await self.accept_on(self._accepts_on)

    async def _open(self, listener: Listener, make: Make) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(make, listener.host, listener.port, backlog=BACKLOG)
        except OSError as error:
            why = f"listener {listener.host}:{listener.port}: {error.strerror or error}"
            raise ListenError(why) from None

    async def accept_on(self, sets: Collection[int]) -> None:
        """Accept on these sets of sockets and no others; from the time when it is open."""
        self._accepts_on = sets
        async with self._changing:
            if not self.is_open or not self._sockets:
                return
            for number in [number for number in self._servers if number not in sets]:
                for server in self._servers.pop(number):
                    server.close()
            for number in sets:
                if number not in self._servers:
                    self._servers[number] = await self._accept(self._sockets[number])
            log.info("listening.assigned", sets=sorted(self._servers))

    async def _accept(self, sockets: list[list[socket.socket]]) -> list[asyncio.Server]:
        loop = asyncio.get_running_loop()
        return [
            # A duplicate: the server closes it when this process stops to accept.
            await loop.create_server(make, sock=sock.dup(), backlog=BACKLOG)
            for make, fds in zip(self._makers, sockets, strict=True)
            for sock in fds
        ]

    def close(self) -> None:
        """Accept no more, for good; others may go on."""
        self.is_open = False
        for servers in self._servers.values():
            for server in servers:
                server.close()
        for sock in (sock for one in self._sockets for fds in one for sock in fds):
            sock.close()
