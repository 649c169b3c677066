"""One listening socket: a few of the sockets that wait are accepted at a time, when there is time for them.

The loop's own server accepts in one turn whatever waits: a thousand sockets at once are 20 to 50 ms in which
no connected charger is read.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

Make = Callable[[], asyncio.Protocol]
Pace = Callable[[Callable[[int], None]], None]
"""Calls back once, with the number of sockets that may be accepted then."""

BACKLOG = 4096
# Seconds without accepting when no descriptor or memory is left; what waits stays in the accept queue.
PAUSE = 0.1
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Accepting:
    """Accepts on ``sock``, which it closes; each socket gets a protocol of ``make``."""

    def __init__(self, sock: socket.socket, make: Make, pace: Pace) -> None:
        self._sock, self._make, self._pace = sock, make, pace
        self._loop = asyncio.get_running_loop()
        self._starting: set[asyncio.Task[None]] = set()
        sock.setblocking(False)
        sock.listen(BACKLOG)
        self._watch()

    def close(self) -> None:
        """Accept no more."""
        if self._is_open:
            self._loop.remove_reader(self._sock)
            self._sock.close()

    @property
    def _is_open(self) -> bool:
        return self._sock.fileno() >= 0

    def _watch(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._sock, self._readable)

    def _readable(self) -> None:
        self._loop.remove_reader(self._sock)
        self._pace(self._accept)

    def _accept(self, most: int) -> None:
        if not self._is_open:
            return
        for _ in range(most):
            try:
                accepted, _ = self._sock.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._loop.call_later(PAUSE, self._watch)
                    return
                continue  # a client that has hung up, or was never reachable (accept(2))
            accepted.setblocking(False)
            starting = self._loop.create_task(self._start(accepted))
            self._starting.add(starting)
            starting.add_done_callback(self._starting.discard)
        self._watch()

    async def _start(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, accepted)
        except OSError:  # reset meanwhile
            accepted.close()
