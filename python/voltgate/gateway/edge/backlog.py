"""What a connection has received and not finished, and whether its socket is read. No OCPP, no websocket.

Bytes. Four things count towards ``limits.max_buffered_bytes``: the frame that is not whole yet (in the
slicer), the message whose fragments are not complete, whole pieces that wait for the session, and the large
messages the session holds until they are answered. Above the limit, over all connections of the process, the
connection with the most bytes is closed with 1009, and the next one until the sum fits.

Reading. A connection begins paused, and its session pauses it again (too many open CALLs, too many a second,
about to leave). While it is paused:

- nothing more goes to the session: pieces that the slicer makes of a chunk already read wait here, in order;
- the socket is not read, except that :meth:`Backlog.listen` reads one chunk: a paused charger could otherwise
  never be seen to answer a ping, or to have closed its socket;
- so pieces wait only while the connection is paused.
"""

import asyncio
from typing import Protocol

from voltgate._core import Frame
from voltgate.config import Limits
from voltgate.gateway.reasons import Reason

Piece = Frame | bytes
"""What the slicer makes: a decoded message, or bytes for the ``ServerProtocol``."""


class Feeder(Protocol):
    """The slicer, as far as it counts."""

    @property
    def unfinished(self) -> int:
        """Bytes of a frame that is not whole yet."""


class Owner(Protocol):
    """The connection a backlog belongs to."""

    def close(self, reason: Reason) -> None:
        """End it."""


class Buffered:
    """The bytes of all backlogs of a process, bounded by ``limits.max_buffered_bytes``."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.total = 0
        self._sizes: dict[Owner, int] = {}

    def note(self, owner: Owner, size: int) -> None:
        """``owner`` has ``size`` bytes now; above the limit the largest owners are closed."""
        self.total += size - self._sizes.pop(owner, 0)
        if size:
            self._sizes[owner] = size
        while self.total > self.limits.max_buffered_bytes and self._sizes:
            largest = max(self._sizes, key=self._sizes.__getitem__)
            self.total -= self._sizes.pop(largest)
            largest.close(Reason.BUFFER_FULL)


class Backlog:
    """See the module. ``counted`` and ``paused`` are for the frame path to read."""

    __slots__ = (
        "_buffered", "_fragments", "_in_session", "_owner", "_slicer", "_transport", "_waiting",
        "_waiting_bytes", "counted", "paused",
    )  # fmt: skip

    def __init__(
        self, buffered: Buffered, owner: Owner, slicer: Feeder, transport: asyncio.Transport
    ) -> None:
        self._buffered, self._slicer, self._transport = buffered, slicer, transport
        self._owner: Owner | None = owner  # until the end: the owner refers to us
        self._waiting: list[Piece] = []
        self._waiting_bytes = self._fragments = self._in_session = 0
        self.counted = 0  # bytes this backlog is counted with
        self.paused = True  # until the session is there to take anything

    # -- bytes --------------------------------------------------------------------------------------

    def count(self) -> None:
        """Bring ``limits.max_buffered_bytes`` up to date."""
        if self._owner is not None:
            size = self._slicer.unfinished + self._fragments + self._waiting_bytes + self._in_session
            self.counted = size
            self._buffered.note(self._owner, size)

    def fragments(self, size: int) -> None:
        """``size`` bytes of a fragmented message are held."""
        if size != self._fragments:
            self._fragments = size
            self.count()

    def in_session(self, size: int) -> None:
        """The session holds ``size`` bytes of large messages."""
        self._in_session = size
        self.count()

    # -- reading ------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Read no more."""
        self.paused = True
        self._transport.pause_reading()

    def keep(self, pieces: list[Piece]) -> None:
        """These wait until :meth:`resume`."""
        self._waiting += pieces
        self._waiting_bytes += sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in pieces)

    def resume(self) -> list[Piece]:
        """Not paused any more; what has waited is the caller's to deliver before :meth:`read_on`."""
        self.paused = False
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return waiting

    def settle(self) -> None:
        """A chunk is delivered: count what is left of it; the chunk of :meth:`listen` was the only one."""
        self.count()
        if self.paused:
            self._transport.pause_reading()

    def read_on(self) -> None:
        """What had waited is delivered: read again, unless that has paused the connection, or ended it."""
        self.count()
        if self._owner is not None and not self.paused:
            self._transport.resume_reading()

    def listen(self) -> None:
        """Read one chunk although the connection is paused, or see that its socket has ended."""
        if self.paused:
            self._transport.resume_reading()

    def end(self) -> None:
        """The conversation is over: nothing is kept, nothing counts, and reading is the socket's business."""
        owner, self._owner = self._owner, None
        self._waiting, self._waiting_bytes, self.paused, self.counted = [], 0, False, 0
        if owner is not None:
            self._buffered.note(owner, 0)
