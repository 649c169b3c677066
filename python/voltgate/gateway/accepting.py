"""One listening socket: a few of the sockets that wait are accepted in each turn of the loop.

The loop's own server accepts in one turn whatever waits: a thousand sockets at once are 20 to 50 ms in which
no connected charger is read.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

Make = Callable[[], asyncio.Protocol]

AT_ONCE = 16  # sockets in one turn, about 1 ms
BACKLOG = 4096
# Seconds without accepting when no descriptor or memory is left; what waits stays in the accept queue.
PAUSE = 0.1
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Accepting:
    """Accepts on ``sock``, which it closes; each socket gets a protocol of ``make``."""

    def __init__(self, sock: socket.socket, make: Make) -> None:
        self._sock, self._make = sock, make
        self._loop = asyncio.get_running_loop()
        self._starting: set[asyncio.Task[object]] = set()
        sock.setblocking(False)
        sock.listen(BACKLOG)
        self._resume()

    def close(self) -> None:
        """Accept no more."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()

    def _resume(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _ = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._loop.remove_reader(self._sock)
                    self._loop.call_later(PAUSE, self._resume)
                    return
                continue  # a client that has hung up, or was never reachable (accept(2))
            accepted.setblocking(False)
            starting = self._loop.create_task(self._start(accepted))
            self._starting.add(starting)
            starting.add_done_callback(self._starting.discard)

    async def _start(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, accepted)
        except OSError:  # reset meanwhile
            accepted.close()
