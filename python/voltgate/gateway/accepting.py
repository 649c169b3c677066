"""One listening socket: a few of the sockets that wait are accepted at a time, when there is time for them.

The loop's own server accepts in one turn whatever waits: a thousand sockets at once are 20 to 50 ms in which
no connected charger is read.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress

Make = Callable[[], asyncio.Protocol]
Pace = Callable[[Callable[[int], None]], None]
"""Calls back once, with the number of sockets that may be accepted then."""
TurnedAway = Callable[[str], None]
"""Called with ``address:port`` of a peer whose socket is closed for want of a descriptor."""

BACKLOG = 4096
# Seconds without accepting when no descriptor or memory is left; what waits stays in the accept queue.
PAUSE = 0.1
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Accepting:
    """Accepts on ``sock``, which it closes; each socket gets a protocol of ``make``.

    Without a free descriptor, what waits is closed by one that is kept for this: a charger that could not be
    served does not wait for its own timeout.
    """

    def __init__(self, sock: socket.socket, make: Make, pace: Pace, turned_away: TurnedAway) -> None:
        self._sock, self._make, self._pace, self._turned_away = sock, make, pace, turned_away
        self._spare = _spare()
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
            self._give_up_spare()

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
                if error.errno not in _EXHAUSTED or self._turn_away():
                    continue  # turned away, hung up, or never reachable (accept(2))
                self._loop.call_later(PAUSE, self._watch)
                return
            accepted.setblocking(False)
            starting = self._loop.create_task(self._start(accepted))
            self._starting.add(starting)
            starting.add_done_callback(self._starting.discard)
        self._watch()

    def _turn_away(self) -> bool:
        """Close the socket that has waited longest; False where that is not possible, or none waits."""
        self._give_up_spare()
        try:
            accepted, address = self._sock.accept()
            accepted.close()
        except OSError:
            return False
        finally:
            self._spare = _spare()
        self._turned_away(f"{address[0]}:{address[1]}")
        return True

    def _give_up_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
        self._spare = None

    async def _start(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, accepted)
        except OSError:  # reset meanwhile
            accepted.close()


def _spare() -> int | None:
    with suppress(OSError):
        return os.open(os.devnull, os.O_RDONLY)
    return None
