"""What waits to be written to NATS, and when it is: each write costs both sides 8 to 15 us.

    idle --first command--> DUE --take--> idle    nothing was written in the last millisecond
         --first command--> HELD --1 ms, or 32 KiB--> DUE --take--> idle    something was

The first write leaves at once, so a charger that waits for its answer waits no longer. The bytes are in the
core (``_core.Outgoing``), where lanes add to them. No loop, no NATS and no clock are in here: time and timer
are arguments.
"""

from collections.abc import Callable

from voltgate._core import Outgoing
from voltgate.gateway.interfaces import Timer

EVERY = 0.001  # seconds between two writes, at least
AT_ONCE = 32 * 1024  # bytes that do not wait


class Outbox:
    """Joins what ``outgoing`` holds to one write; ``due()`` is called when it is time to :meth:`take` it."""

    __slots__ = ("_due", "_is_due", "_later", "_now", "_outgoing", "_taken_at", "_timer")

    def __init__(
        self,
        outgoing: Outgoing,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], Timer],
        due: Callable[[], None],
    ) -> None:
        """``now``: monotonic seconds; ``later``: calls back in that many seconds."""
        self._outgoing, self._now, self._later, self._due = outgoing, now, later, due
        self._taken_at = -EVERY
        self._timer: Timer | None = None
        self._is_due = False
        outgoing.on_due(self._added)

    def _added(self) -> None:
        """The first command waits, or there are 32 KiB now."""
        if self._is_due:
            return
        large = self._outgoing.size >= AT_ONCE
        if large or (self._timer is None and self._now() - self._taken_at >= EVERY):
            self._fire()
        elif self._timer is None:
            self._timer = self._later(EVERY, self._fire)

    def _fire(self) -> None:
        self._stop_timer()
        self._is_due = True
        self._due()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self) -> bytes:
        """All that waits, as one block; may be called at any time."""
        self._stop_timer()
        self._is_due, self._taken_at = False, self._now()
        return self._outgoing.take()
