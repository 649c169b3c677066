"""The sockets on which this process accepts chargers.

A process alone opens its own. Under a supervisor the sockets are the supervisor's: one set for each worker,
and every worker has all of them. Which sets a worker accepts on changes while it runs, because a full worker
hands its own over (``pool.assignment`` decides). As the supervisor keeps each socket open, nothing that waits
in its accept queue is reset when a worker stops to accept on it.
"""

import socket
from collections.abc import Collection
from dataclasses import dataclass

import structlog

from voltgate.config import Listener
from voltgate.gateway.accepting import Accepting, Make, Pace, TurnedAway

log = structlog.get_logger()


class ListenError(Exception):
    """A listener's address cannot be used."""


def bind(listener: Listener, port: int, *, shared: bool) -> list[socket.socket]:
    """A socket for each address of the host, all with one port; ``shared`` with other sockets that are, too.

    Raises ListenError.
    """
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            listener.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, proto, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, proto)
            bound.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:  # as asyncio does when it listens
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
            if not shared:
                sock.listen(1)  # an address in use is refused only here where both have SO_REUSEADDR
            port = sock.getsockname()[1]
    except OSError as error:
        for sock in bound:
            sock.close()
        raise ListenError(f"listener {listener.host}:{port}: {error.strerror or error}") from None
    return bound


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's number, and the descriptors of every set: by worker, by listener, one for each address."""

    number: int
    sets: list[list[list[int]]]


class Listening:
    """Made closed; see :meth:`open`."""

    def __init__(self, listeners: list[Listener], place: Place | None) -> None:
        self._listeners = listeners
        self._alone = place is None
        sets = place.sets if place is not None else []
        self._sockets = [[[socket.socket(fileno=fd) for fd in fds] for fds in one] for one in sets]
        self._own = place.number if place is not None else 0
        self._accepts_on: Collection[int] = (self._own,)
        self._accepting: dict[int, list[Accepting]] = {}
        self._makers: list[Make] = []
        self._pace: Pace
        self._turned_away: TurnedAway
        self.is_open = False

    @property
    def addresses(self) -> list[str]:
        """``host:port`` of every listener, while it is open."""
        if not self.is_open:
            return []
        sockets = [sock for fds in self._sockets[self._own] for sock in fds]
        return ["{}:{}".format(*sock.getsockname()[:2]) for sock in sockets]

    def open(self, makers: list[Make], pace: Pace, turned_away: TurnedAway) -> None:
        """Accept chargers; ``makers``: of the protocol of a socket, by listener. Raises ListenError."""
        self._makers, self._pace, self._turned_away = makers, pace, turned_away
        if self._alone:
            self._sockets = [[]]
            for listener in self._listeners:
                self._sockets[0].append(bind(listener, listener.port, shared=False))
        self.is_open = True
        self._accept()

    def accept_on(self, sets: Collection[int]) -> None:
        """Accept on these sets of sockets and no others; from the time when it is open.

        A process alone has nobody to hand over to.
        """
        if not self._alone:
            self._accepts_on = sets
            self._accept()

    def _accept(self) -> None:
        if not self.is_open:
            return
        for number in [number for number in self._accepting if number not in self._accepts_on]:
            for accepting in self._accepting.pop(number):
                accepting.close()
        for number in self._accepts_on:
            if number not in self._accepting:
                self._accepting[number] = [
                    # A duplicate: it is closed when this process stops to accept on it.
                    Accepting(sock.dup(), make, self._pace, self._turned_away)
                    for make, sockets in zip(self._makers, self._sockets[number], strict=True)
                    for sock in sockets
                ]
        log.info("listening.assigned", sets=sorted(self._accepting))

    def close(self) -> None:
        """Accept no more, for good; others may go on."""
        self.is_open = False
        for accepting in (one for every in self._accepting.values() for one in every):
            accepting.close()
        for sock in (sock for one in self._sockets for sockets in one for sock in sockets):
            sock.close()
