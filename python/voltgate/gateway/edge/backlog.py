"""What a connection has received and not finished, whether its socket is read, and whose turn it is.

Bytes. Three things count towards ``limits.max_buffered_bytes``: what the slicer holds (bytes as they came,
also of frames that wait), the message whose fragments are not complete, and the large messages the session
holds until they are answered. Above the limit, over all connections of the process, the connection with the
most bytes is closed with 1009, and the next one until the sum fits.

Reading. A connection begins paused, and its session pauses it again (too many open CALLs, a spent budget,
about to leave). It is queued while it has frames left that did not fit into one turn of the loop
(docs/contract.md 2.2). While it is either, its socket is not read by anybody, and nothing is decoded.

Turns. All queued connections of a process share one callback of the loop: each gets at most one turn per
call, in order, and the call ends after the time one connection may take. Between two calls the loop serves
everybody else, after a long one for three times as long. A connection that used up its last turn, by one
large message or by many small ones, is queued with whatever it sends next: many such connections together
take no more than one.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from voltgate.config import Limits
from voltgate.gateway.clock import Wheel
from voltgate.gateway.reasons import Reason
from voltgate.gateway.telemetry.metrics import Metrics

# What one connection may take of one turn of the loop (docs/contract.md 2.2), beside the frames and bytes
# that the core counts (rust/core/src/lane.rs).
SECONDS = 0.001
# How much longer everybody else is served between two calls that were used up.
REST = 3


class Feeder(Protocol):
    """The slicer, as far as it counts."""

    direct: bool
    """Whether chunks go straight through it."""

    @property
    def unfinished(self) -> int:
        """Bytes it holds."""


class Owner(Protocol):
    """The connection a backlog belongs to."""

    def close(self, reason: Reason) -> None:
        """End it."""

    def turn(self) -> None:
        """Go on with the frames that are left."""


class Turns:
    """See the module. ``later(seconds, run)`` calls ``run``; with 0 in the next turn of the loop."""

    def __init__(
        self, clock: Wheel, metrics: Metrics, later: Callable[[float, Callable[[], None]], object]
    ) -> None:
        self._clock, self._later = clock, later
        self._metrics = metrics
        self._queue: deque[Owner] = deque()
        self._planned = False

    def add(self, owner: Owner) -> None:
        """``owner`` is queued."""
        self._metrics.paused.add("turn")
        self._queue.append(owner)
        self._plan(0.0)

    def _plan(self, seconds: float) -> None:
        if self._queue and not self._planned:
            self._planned = True
            self._later(seconds, self._run)

    def _run(self) -> None:
        clock, queue = self._clock, self._queue
        clock.refresh()
        began = clock.now
        for _ in range(len(queue)):
            queue.popleft().turn()
            if clock.now - began >= SECONDS:
                break
        self._planned = False
        took = clock.now - began
        self._plan(took * REST if took >= SECONDS else 0.0)


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
    """See the module. ``heavy``, ``paused`` and ``queued`` are for the frame path to read."""

    __slots__ = (
        "_buffered", "_fragments", "_in_session", "_owner", "_reading", "_slicer", "_transport", "_turns",
        "counted", "heavy", "paused", "queued",
    )  # fmt: skip

    def __init__(
        self, buffered: Buffered, turns: Turns, owner: Owner, slicer: Feeder, transport: asyncio.Transport
    ) -> None:
        self._buffered, self._turns, self._slicer, self._transport = buffered, turns, slicer, transport
        self._owner: Owner | None = owner  # until the end: the owner refers to us
        self._fragments = self._in_session = 0
        self.counted = 0  # bytes this backlog is counted with
        self.paused = True  # until the session is there to take anything
        self.queued = self._reading = False
        self.heavy = False  # its last turn was used up: the next one is taken in the queue

    # -- bytes --------------------------------------------------------------------------------------

    def count(self) -> None:
        """Bring ``limits.max_buffered_bytes`` up to date."""
        size = self._slicer.unfinished + self._fragments + self._in_session
        if self._owner is not None and size != self.counted:
            self.counted, self._slicer.direct = size, False
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

    def settle(self, probed: bool) -> None:
        """After a chunk or a turn: the next chunk goes straight through the slicer, if nothing is in its way.

        ``probed``: somebody waits for the next frame.
        """
        self.count()
        self._slicer.direct = not (self.paused or self.queued or self.heavy or self.counted or probed)

    def pause(self) -> None:
        """Read no more, until :meth:`resume` and :meth:`read`."""
        self.paused, self._slicer.direct = True, False
        self.read()

    def queue(self) -> None:
        """Frames are left for another turn of the loop: ``Owner.turn`` is called in it, and dequeues."""
        if self._owner is not None and not self.queued:
            self.queued, self._slicer.direct = True, False
            self.read()
            self._turns.add(self._owner)

    def read(self) -> None:
        """Read the socket, or do not, as it is now."""
        wanted = not (self.paused or self.queued)
        if self._owner is None or wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def end(self) -> None:
        """The conversation is over: nothing is kept, nothing counts, and reading is the socket's business."""
        owner, self._owner = self._owner, None
        self.paused, self.counted = False, 0
        if owner is not None:
            self._buffered.note(owner, 0)
